"""The definition of what a rule matches: slow, obvious, one function per kind of node.

The fast engine (`index.py`) must agree with this module on every rule and every event.
Semantics: Sigma specification 2.1 and our contracts. Strings compare by Unicode simple lower-casing of both sides;
a number is equal to its own text form; a field with several values matches if any of them does; for an absent
field `null` is true and every other comparison false.
"""

import ipaddress
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import takewhile

from secmon.model.event import Event
from secmon.sigma import regexes
from secmon.sigma.related import any_related
from secmon.sigma.routing import Router, route
from secmon.sigma.rule import LogSource, Rule
from secmon.sigma.tree import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Cidr,
    Compare,
    Exists,
    FieldReference,
    Keyword,
    KeywordRegex,
    Node,
    Not,
    Null,
    Operator,
    Or,
    Pattern,
    Regex,
    Text,
    TimePart,
    ValueAtom,
    is_searched,
)
from secmon.sigma.values import fold, number_of, texts_of


class Definition:
    """The definition as a matcher: tries every rule on every event. Slow; for comparison and for doubt.

    Args:
        rules: the rules.
        router: where log sources are found.
    """

    def __init__(self, rules: Iterable[Rule], *, router: Router = route) -> None:
        self._rules = sorted(rules, key=lambda rule: rule.id)
        self._router = router

    def match(self, event: Event) -> list[Rule]:
        """Return the rules that an event satisfies, by rule id."""
        return [rule for rule in self._rules if matches(rule, event, router=self._router)]


def matches(rule: Rule, event: Event, *, router: Router = route) -> bool:
    """Tell whether a rule matches an event: it is of the rule's log source, and the condition holds."""
    return accepts(rule.logsource, event, router=router) and holds(rule.tree, event)


def accepts(source: LogSource, event: Event, *, router: Router = route) -> bool:
    """Tell whether an event is of a log source; False for one without a route."""
    found = router(source)
    return found is not None and found.accepts(event)


def holds(node: Node, event: Event) -> bool:  # noqa: PLR0911  one return for each kind of node
    """Tell whether a condition holds for an event."""
    if isinstance(node, And):
        return all(holds(child, event) for child in node.nodes)
    if isinstance(node, Or):
        return any(holds(child, event) for child in node.nodes)
    if isinstance(node, Not):
        return not holds(node.node, event)
    if isinstance(node, Null):
        return not has_value(event, node.field)
    if isinstance(node, Exists):
        return has_value(event, node.field)
    if isinstance(node, FieldReference):
        return _related(node, event)
    if isinstance(node, Keyword | KeywordRegex):
        return any(keyword_holds(node, text) for text in searched_texts(event))
    return any(value_holds(node, text) for text in texts_of(event.get(node.field)))


def has_value(event: Event, field: str) -> bool:
    """Tell whether a field is there with at least one value; the empty string is one."""
    return next(texts_of(event.get(field)), None) is not None


def searched_texts(event: Event) -> list[str]:
    """Return the text of every value that keywords look at."""
    return [text for field, value in event.items() if is_searched(field) for text in texts_of(value)]


def value_holds(atom: ValueAtom, text: str) -> bool:
    """Tell whether one value, in text form, satisfies an atom."""
    match atom:
        case Text():
            return _fits(atom.pattern, text, cased=atom.cased)
        case Regex():
            return regexes.finds(atom.expression, atom.flags, text)
        case Compare():
            number = number_of(text) if atom.part is None else _time_part(text, atom.part)
            return number is not None and compares(atom.operator, number, atom.number)
        case Cidr():
            return _in_network(text, atom.network)


def compares(operator: Operator, value: float, limit: float) -> bool:
    """Tell whether a number compares like this with a limit."""
    return _COMPARE[operator](value, limit)


_COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    Operator.LT: lambda value, limit: value < limit,
    Operator.LTE: lambda value, limit: value <= limit,
    Operator.GT: lambda value, limit: value > limit,
    Operator.GTE: lambda value, limit: value >= limit,
    Operator.EQ: lambda value, limit: value == limit,
    Operator.NEQ: lambda value, limit: value != limit,
}


def keyword_holds(atom: Keyword | KeywordRegex, text: str) -> bool:
    """Tell whether one value, in text form, contains a keyword."""
    if isinstance(atom, KeywordRegex):
        return regexes.finds(atom.expression, atom.flags, text)
    return _fits((ANY_TEXT, *atom.pattern, ANY_TEXT), text, cased=atom.cased)


def _fits(pattern: Pattern, text: str, *, cased: bool) -> bool:
    """Tell whether a pattern describes the whole text."""
    value = text if cased else fold(text)
    pieces: list[list[str]] = [[]]  # what stands between two "*": characters, "" for "?"
    for part in pattern:
        if part == ANY_TEXT:
            pieces.append([])
        elif part == ANY_CHARACTER:
            pieces[-1].append("")
        elif isinstance(part, str):
            pieces[-1].extend(part if cased else fold(part))
    return _glob(pieces, value)


def _glob(pieces: list[list[str]], text: str) -> bool:
    """Put the first piece at the start, the last at the end, each between them at the first place that is left."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return len(first) == len(text) and _stands(first, text, 0)
    if not _stands(first, text, 0):
        return False
    at = len(first)
    for piece in pieces[1:-1]:
        place = _place(piece, text, at)
        if place < 0:
            return False
        at = place + len(piece)
    return len(text) - len(last) >= at and _stands(last, text, len(text) - len(last))


def _stands(piece: list[str], text: str, at: int) -> bool:
    """Tell whether a piece stands at a place of a text."""
    there = text[at : at + len(piece)]
    return len(there) == len(piece) and all(one in ("", other) for one, other in zip(piece, there, strict=True))


def _place(piece: list[str], text: str, at: int) -> int:
    """Return the first place from `at` on where a piece stands, -1 if there is none."""
    lead = "".join(takewhile(bool, piece))
    while (at := text.find(lead, at)) >= 0 and at + len(piece) <= len(text):
        if _stands(piece, text, at):
            return at
        at += 1
    return -1


def _time_part(text: str, part: TimePart) -> int | None:
    """Return a part of the time that a text is (RFC 3339 or ISO 8601; without an offset it is UTC)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # the year 1 or 9999, shifted out of the calendar
        return None
    return utc.isocalendar().week if part is TimePart.WEEK else int(getattr(utc, part.value))


# No address is longer: 45 characters and a zone, which is the name of an interface. Huge texts must not be kept.
_MAX_ADDRESS = 64


@lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


@lru_cache(maxsize=4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; rules ask for several networks, so each is asked for several times."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _in_network(text: str, network: str) -> bool:
    """Tell whether a text is an address in a network; an IPv4-mapped IPv6 address is also its IPv4 address."""
    address = _address(text) if len(text) <= _MAX_ADDRESS else None
    if address is None:
        return False
    wanted = _network(network)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address in wanted or (mapped is not None and mapped in wanted)


def _related(atom: FieldReference, event: Event) -> bool:
    values, others = (list(map(fold, texts_of(event.get(name)))) for name in (atom.field, atom.other))
    return any_related(atom.relation, values, others)
