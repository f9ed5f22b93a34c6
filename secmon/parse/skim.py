r"""Some members of JSON lines, read without reading the rest: for whoever wants most lines for nothing else.

A line is skimmed only if `parse.native.read_native` would take it as it stands: one object in UTF-8. The rest of it is
checked as strictly as by the full reader (RFC 8259; `msgspec` validates what it skips, but for UTF-8). Lines in which a
text may be written in several ways are not skimmed: but for `\"`, `\\` and other short escapes, and but for numbers,
what stands in a skimmed line is what the full reader gives.

Objects and arrays inside are laid flat by the full reader (`json_text.flatten`). A nested line is skimmed where that
cannot fail and changes no text: not with empty parts of names, names that grow too long, or where it is too deep.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import accumulate
from typing import Any, Union

import hyperscan
import msgspec
import orjson

from secmon.model.patterns import Patterns, compiled
from secmon.parse.json_text import MAX_DEPTH, MAX_FIELDS, MAX_NAME

# Hyperscan 5.4 overlooks short expressions such as `:\s*[\[{]` in one text of a hundred, literals in none: what can be
# one is one.
# Where one of these stands, the line is read in full: escapes that a writer need not use; U+0130, U+212A and U+017F,
# of which lower or upper case is ASCII.
_ODD = (rb"\u", rb"\/", b"\xc4\xb0", b"\xe2\x84\xaa", b"\xc5\xbf")
# Nesting, or what looks like it; more white space than one blank is taken for it.
_NESTED = (b":{", b":[", b": {", b": [", b":  ", b": \t", b": \r", b":\t", b":\r")
# Names that the full reader of nested lines refuses: with an empty part; and those that make others too long.
_LONG_NAME = 51
_ENDS = (b'"":', b'"" ', b'""\t', b'""\r', b'.":', b'." ', b'."\t', b'."\r')
_REST = rb'(?:[^"\\\n]|\\.)*"[: \t\r]'
_NAMES = (
    rb'"\.' + _REST,
    rb"\.\." + _REST,
    rb'"[^"\n]{%d,}"[: \t\r]' % _LONG_NAME,
    rb'\\"(?:[^"\\\n]|\\[^"\n])*"[: \t\r]',  # a quotation mark inside: texts often hold JSON, names hardly ever
)
# With no more objects than this no name is too long, with no more objects and arrays nothing too deep.
_MAX_OBJECTS, _MAX_OPEN = MAX_NAME // _LONG_NAME, MAX_DEPTH - 1
# To tell how deep a line is: one kind of brackets, and the quotation marks.
_BRACKETS, _NEITHER = bytes.maketrans(b"[]", b"{}"), bytes(set(range(256)) - set(b'{}[]"'))
# A block with more odd places than this is read in full: it is written in that way, and counting on is no use.
_MAX_ODD = 4096
# In a block with more nested places than this, and in so many blocks behind it, any line is taken for a nested one.
_MANY_NESTED, _MORE_BLOCKS = 256, 64
# No line below this size has too many members: the shortest takes five bytes, one of which is a colon.
_FEW_BYTES = 5 * MAX_FIELDS

_Failures = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
_Scalar = str | int | None
_Scalars = str | int | tuple[_Scalar, ...] | None
_Read = Callable[[bytes], Any]

Skimmed = Any
"""The named members of one line: hashable, and equal to another line's only if all of them are."""


class Skimmer:
    """Reads some members of lines.

    Args:
        names: the members, by their names in an event; a dot may be one in a name, or stand for an object.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._read: _Read = msgspec.json.Decoder(_struct(dict.fromkeys(names, _Scalar))).decode
        self._nested = _nested(names)
        self._read_nested: _Read = msgspec.json.Decoder(self._nested).decode
        self._scan = _scan((*_ODD, *_NESTED), literal=True)
        self._scan_odd = _scan(_ODD, literal=True)
        self._scan_names = _scan(_ENDS, literal=True), _scan(_NAMES, literal=False)
        self._blocks = 0

    def skim(self, data: bytes, lines: Sequence[bytes]) -> list[Skimmed | None]:
        """Return the members of every line, None for one that must be read in full.

        Args:
            data: whole lines, each ended by a newline.
            lines: the same, cut at the newlines.
        """
        if self._blocks:
            self._blocks -= 1
            return self._skim_nested(data, lines)
        odd, nested = list[int](), list[int]()
        try:
            self._scan(data, _note, 0, (odd, nested))
        except hyperscan.ScanTerminated:
            if len(odd) > _MAX_ODD:
                return [None] * len(lines)
            self._blocks = _MORE_BLOCKS
            return self._skim_nested(data, lines)
        found = _decoded(self._read, lines)
        if nested:
            numbers = sorted(_numbers(nested, lines))
            several = [lines[number] for number in numbers]
            members = self._skim_nested(b"".join(b"%b\n" % line for line in several), several)
            for number, each in zip(numbers, members, strict=True):
                found[number] = each
        return _without(found, _unusual(data, lines, odd))

    def is_nested(self, members: Skimmed) -> bool:
        """Tell whether there may be objects and arrays in a line, of which these are the members."""
        return type(members) is self._nested

    def _skim_nested(self, data: bytes, lines: Sequence[bytes]) -> list[Skimmed | None]:
        odd, doubtful = list[int](), list[int]()
        try:
            self._scan_odd(data, _note_odd, 0, odd)
            for scan in self._scan_names:
                scan(data, _note_odd, 0, doubtful)
        except hyperscan.ScanTerminated:
            return [None] * len(lines)
        found = _decoded(self._read_nested, lines)
        _without(found, _unusual(data, lines, odd))
        numbers = {number for number, line in enumerate(lines) if _may_be_deep(line)} | _numbers(doubtful, lines)
        refused = (number for number in numbers if found[number] is not None and not _lays_flat(lines[number]))
        return _without(found, refused)


def _may_be_deep(line: bytes) -> bool:
    objects = line.count(b"{")
    return (objects > _MAX_OBJECTS or objects + line.count(b"[") > _MAX_OPEN) and not _is_shallow(line)


def _is_shallow(line: bytes) -> bool:
    """Tell whether no more than `_MAX_OBJECTS` objects and arrays of valid JSON lie in each other.

    False, too, where a bracket stands in a text: behind it the number of quotation marks is odd, and one is left.
    """
    plain = line.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in line else line
    left = plain.translate(_BRACKETS, _NEITHER).replace(b'""', b"")
    depth = 0
    while left and depth < _MAX_OBJECTS:
        left = left.replace(b"{}", b"")  # what is innermost
        depth += 1
    return not left


def _lays_flat(line: bytes) -> bool:
    """Tell whether a line can be laid flat without an error, and without JSON text for what is too deep."""
    try:
        return _fits(orjson.loads(line), MAX_NAME, MAX_DEPTH)
    except orjson.JSONDecodeError:  # numbers beyond the range of a float
        return False


def _fits(value: dict[str, Any] | list[Any], room: int, depth: int) -> bool:
    """Tell whether no name in an object or array is odd or longer than there is room, and nothing too deep."""
    if depth < 1 or room < 0:
        return False
    inside = value
    if isinstance(value, dict):
        if value and ".." in f".{'.'.join(value)}.":
            return False
        room -= max(map(len, value), default=0) + 1
        inside = list(value.values())
        if room < -1:
            return False
    for each in inside:
        if (each.__class__ is dict or each.__class__ is list) and not _fits(each, room, depth - 1):
            return False
    return True


def size_of(members: Skimmed) -> int:
    """Return about how large the members of a line are, in bytes."""
    return len(msgspec.json.encode(members))


def _struct(members: dict[str, Any]) -> Any:
    """Return a type with some members, each with its type; all of them may be left out."""
    names = {f"m{number}": name for number, name in enumerate(members)}
    fields = [(member, members[name], None) for member, name in names.items()]
    return msgspec.defstruct("Skimmed", fields, rename=names, frozen=True, gc=False, omit_defaults=True)


def _nested(names: Collection[str]) -> Any:
    """Return a type for members that may stand in objects: for each dot, below what is before it."""
    below: dict[str, list[str]] = {}
    for name in names:
        for at, character in enumerate(name):
            if character == ".":
                below.setdefault(name[:at], []).append(name[at + 1 :])
    members: dict[str, Any] = {name: _nested(inner) | None for name, inner in below.items()}
    return _struct(members | {name: Union[members.get(name), _Scalars] for name in names})  # noqa: UP007  of values


def _scan(expressions: Sequence[bytes], *, literal: bool) -> Callable[..., Any]:
    count = len(expressions)
    patterns = Patterns(tuple(expressions), tuple(range(count)), (0,) * count, literal=literal)
    return compiled(patterns).scan  # type: ignore[no-any-return]  # hyperscan has no types


def _note(number: int, start: int, end: int, flags: int, places: tuple[list[int], list[int]]) -> bool:
    del start, flags
    is_nested = number >= len(_ODD)
    ends = places[is_nested]
    ends.append(end)
    return len(ends) > (_MANY_NESTED if is_nested else _MAX_ODD)


def _note_odd(number: int, start: int, end: int, flags: int, ends: list[int]) -> bool:
    del number, start, flags
    ends.append(end)
    return len(ends) > _MAX_ODD


def _decoded(read: _Read, lines: Sequence[bytes]) -> list[Skimmed | None]:
    try:
        return list(map(read, lines))
    except _Failures:
        return [_decoded_one(read, line) for line in lines]


def _decoded_one(read: _Read, line: bytes) -> Skimmed | None:
    try:
        return read(line)
    except _Failures:
        return None


def _without(found: list[Skimmed | None], numbers: Iterable[int]) -> list[Skimmed | None]:
    for number in numbers:
        found[number] = None
    return found


def _numbers(ends: Iterable[int], lines: Sequence[bytes]) -> set[int]:
    """Return the numbers of the lines in which something ends."""
    behind = list(accumulate(len(line) + 1 for line in lines))
    return {bisect_left(behind, end) for end in ends}


def _unusual(data: bytes, lines: Sequence[bytes], odd: Sequence[int]) -> set[int]:
    """Return the numbers of lines to be read in full: those with odd places, and those that are no text or too long."""
    unusual = _numbers(odd, lines) if odd else set[int]()
    if not _is_utf8(data):
        unusual.update(number for number, line in enumerate(lines) if not _is_utf8(line))
    unusual.update(
        number for number, line in enumerate(lines) if len(line) > _FEW_BYTES and line.count(b":") > MAX_FIELDS
    )
    return unusual


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
