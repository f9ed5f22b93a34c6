"""What a search asks for, and the one definition of what answers it.

A query is a small tree: conditions on fields, conditions on any text, and "all of", "any of", "not". `predicate` is the
definition of truth. A store may decide with its indices whatever it can decide exactly, and has to ask the predicate
about everything else, so that every store gives the same answer. `model.query_text` reads the language people type.

Values are compared as texts (`event.value_texts`): a number equals its digits, a list matches if one of its values
does, a field that is absent matches nothing, and NOT is the complement of all that. A–Z and a–z are the same letters,
all other characters stand for themselves: that is what the indices of both stores can decide, and what Sigma rules
written in ASCII mean too.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from secmon.model.event import Event, parse_time, to_micros, value_texts
from secmon.model.text import has_phrase

TIMESTAMP: Final = "@timestamp"
TEXT_FIELDS: Final = frozenset({"message", "event.original"})
"""Fields that are searched by words instead of being compared as a whole."""

ANY_TEXT: Final = ""
"""In place of a field: any text or whole number of the event."""

_FOLDED: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_MAX_ADDRESS: Final = 45


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; without parts: everything."""

    parts: tuple["Query", ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part holds at least."""

    parts: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Query"


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there."""

    field: str


@dataclass(frozen=True, slots=True)
class Equals:
    """A value is this text."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Like:
    r"""A value is as the pattern says: `*` any text, `?` one character, `\` before one that stands for itself.

    Args:
        field: its name.
        pattern: for the whole value.
    """

    field: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """A value is an IP address of a range; an IPv4 address lies at its place in ::ffff:0:0/96.

    Args:
        field: its name.
        low: first address, as a number of 128 bits.
        high: last address.
    """

    field: str
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A value is a number of a range; None leaves an end open.

    Args:
        field: its name.
        above: `low` itself does not belong to it.
        below: `high` itself does not belong to it.
    """

    field: str
    low: Decimal | None = None
    high: Decimal | None = None
    above: bool = False
    below: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class During:
    """A value is an RFC 3339 time of a range, in µs since 1970: `since` belongs to it, `until` does not."""

    field: str
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Says:
    """The words (`model.text`) stand side by side in a value of the field, or in any text (`ANY_TEXT`)."""

    field: str
    phrase: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holds:
    """The pattern, as in `Like`, stands somewhere in a value of the field, or in any text (`ANY_TEXT`)."""

    field: str
    pattern: str


Leaf = Exists | Equals | Like | Addresses | Numbers | During | Says | Holds
Query = AllOf | AnyOf | Not | Leaf
Predicate = Callable[[Event], bool]
TextTest = Callable[[str], bool]

EVERYTHING: Final = AllOf()


def predicate(query: Query) -> Predicate:
    """Return the test that decides about an event: the definition of what a query means."""
    if isinstance(query, AllOf):
        parts = [predicate(part) for part in query.parts]
        return lambda event: all(part(event) for part in parts)
    if isinstance(query, AnyOf):
        parts = [predicate(part) for part in query.parts]
        return lambda event: any(part(event) for part in parts)
    if isinstance(query, Not):
        refused = predicate(query.part)
        return lambda event: not refused(event)
    name = query.field
    if isinstance(query, Exists):
        return lambda event: name in event
    test = text_test(query)
    if name == ANY_TEXT:
        return lambda event: any(test(text) for text in _all_texts(event))
    return lambda event: name in event and any(test(text) for text in value_texts(event[name]))


def text_test(leaf: Leaf) -> TextTest:
    """Return the test for one text of the field's value; the field is there."""
    if isinstance(leaf, Equals):
        wanted = fold(leaf.text)
        return lambda text: fold(text) == wanted
    if isinstance(leaf, Like):
        return _like(leaf.pattern)
    if isinstance(leaf, Holds):
        return _like(f"*{leaf.pattern}*")
    if isinstance(leaf, Says):
        return _says(list(leaf.phrase))
    return _range_test(leaf)


def _says(phrase: list[str]) -> TextTest:
    # A text that does not even hold the letters of a word need not be cut into words. How a sigma is lowered depends on
    # what stands around it, so words with one are left to the cutting.
    plain = [word for word in phrase if not set(word) & {"σ", "ς"}]

    def test(text: str) -> bool:
        lowered = text.lower()
        return all(word in lowered for word in plain) and has_phrase(text, phrase)

    return test


def _range_test(leaf: Exists | Addresses | Numbers | During) -> TextTest:
    if isinstance(leaf, Addresses):
        first, last = leaf.low, leaf.high
        return lambda text: (address := address_number(text)) is not None and first <= address <= last
    if isinstance(leaf, Numbers):
        return lambda text: (number := number_of(text)) is not None and _in_range(leaf, number)
    if isinstance(leaf, During):
        since, until = leaf.since, leaf.until
        return lambda text: (
            (at := _micros(text)) is not None and (since is None or since <= at) and (until is None or at < until)
        )
    return lambda _text: True


def _in_range(leaf: Numbers, number: Decimal) -> bool:
    low, high = leaf.low, leaf.high
    return (low is None or (low < number if leaf.above else low <= number)) and (
        high is None or (number < high if leaf.below else number <= high)
    )


def leaves(query: Query) -> Iterator[Leaf]:
    """Yield all conditions of a query."""
    if isinstance(query, AllOf | AnyOf):
        for part in query.parts:
            yield from leaves(part)
    elif isinstance(query, Not):
        yield from leaves(query.part)
    else:
        yield query


def required(query: Query) -> Iterator[Leaf]:
    """Yield conditions that every event meets that the query finds."""
    if isinstance(query, AllOf):
        for part in query.parts:
            yield from required(part)
    elif not isinstance(query, AnyOf | Not):
        yield query


def fold(text: str) -> str:
    """Return a text with a–z for A–Z, and nothing else changed."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def number_of(text: str) -> Decimal | None:
    """Return the number that a text is, None if it is none."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def address_number(text: str) -> int | None:
    """Return the IP address that a text is as a number of 128 bits, None if it is none (a zone belongs to no range)."""
    if len(text) > _MAX_ADDRESS or "%" in text:
        return None
    try:
        return number_of_address(ip_address(text))
    except ValueError:
        return None


def number_of_address(address: IPv4Address | IPv6Address) -> int:
    """Return an address as a number of 128 bits."""
    return int(address) + (0xFFFF << 32) if address.version == 4 else int(address)  # noqa: PLR2004  IP versions


def _micros(text: str) -> int | None:
    try:
        return to_micros(parse_time(text))
    except (ValueError, OverflowError):
        return None


def _all_texts(event: Event) -> Iterator[str]:
    for value in event.values():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, str):
                yield item
            elif isinstance(item, int) and not isinstance(item, bool):
                yield str(item)


# Pieces of a pattern: a character that stands for itself, or None for any one character; a list of lists parted by `*`.
_Piece = list[str | None]


def _pieces(pattern: str) -> list[_Piece]:
    found: list[_Piece] = [[]]
    escaped = False
    for char in pattern:
        if escaped:
            found[-1].append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "*":
            found.append([])
        else:
            found[-1].append(None if char == "?" else char)
    return found


def _like(pattern: str) -> TextTest:
    """Return the test for a whole text. Each piece is looked for once, from left to right: no pattern backtracks."""
    parts = _pieces(fold(pattern))
    if all(None not in part for part in parts):
        return _like_literals(["".join(filter(None, part)) for part in parts])
    pieces = [_compiled(piece) for piece in parts]
    if len(pieces) == 1:
        return lambda text: pieces[0].fullmatch(fold(text)) is not None
    first, *middle, last = pieces
    size = len(_pieces(pattern)[-1])

    def test(text: str) -> bool:
        folded = fold(text)
        found = first.match(folded)
        for piece in middle:
            if found is None:
                return False
            found = piece.search(folded, found.end())
        return (
            found is not None
            and len(folded) - size >= found.end()
            and last.match(folded, len(folded) - size) is not None
        )

    return test


def _like_literals(pieces: list[str]) -> TextTest:
    """Return the test for a text that consists of pieces with anything between them."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return lambda text: fold(text) == first

    def test(text: str) -> bool:
        folded = fold(text)
        at = len(first) if folded.startswith(first) else -1
        for piece in pieces[1:-1]:
            if at < 0:
                return False
            found = folded.find(piece, at)
            at = found + len(piece) if found >= 0 else -1
        return 0 <= at <= len(folded) - len(last) and folded.endswith(last)

    return test


def _compiled(piece: _Piece) -> re.Pattern[str]:
    """Return a piece as an expression of fixed length, without repetition."""
    return re.compile("".join("." if char is None else re.escape(char) for char in piece), re.DOTALL)


def literal(text: str) -> str:
    r"""Return the pattern that means exactly this text."""
    return re.sub(r"([\\*?])", r"\\\1", text)


def quoted(text: str) -> str:
    r"""Return a text in quotes, as the query language takes it for exactly this text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
