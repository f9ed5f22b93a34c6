r"""Some members of JSON lines, read without reading the rest: for whoever wants most lines for nothing else.

A line is skimmed only if `parse.native.read_native` would take it as it stands: one flat object in UTF-8. The rest of
it is checked as strictly as by the full reader (RFC 8259; `msgspec` validates what it skips, but for UTF-8). Lines in
which a text may be written in several ways are not skimmed either: but for `\"`, `\\` and other short escapes, and but
for numbers, what stands in a skimmed line is what the full reader gives.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import hyperscan
import msgspec

from secmon.model.patterns import Patterns, compiled
from secmon.parse.json_text import MAX_FIELDS

# Where one of these stands, the line is read in full: escapes that a writer need not use; nesting, or what looks like
# it; and U+0130, U+212A and U+017F, of which lower or upper case is ASCII.
_ODD = (rb"\\[u/]", rb":\s*[\[{]", rb"\xc4\xb0|\xe2\x84\xaa|\xc5\xbf")
# A block with more odd places than this is read in full: it is written in that way, and counting on is no use.
_MAX_ODD = 4096
# No line below this size has too many members: the shortest takes five bytes, one of which is a colon.
_FEW_BYTES = 5 * MAX_FIELDS

_Failures = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

Skimmed = Any
"""The named members of one line: hashable, and equal to another line's if all of them are."""


class Skimmer:
    """Reads some members of lines.

    Args:
        names: the members, by their names at the top level of the object.
    """

    def __init__(self, names: Sequence[str]) -> None:
        members = {f"m{number}": name for number, name in enumerate(names)}
        fields = [(member, str | int | None, None) for member in members]
        kind = msgspec.defstruct("Skimmed", fields, rename=members, frozen=True, gc=False)
        self._read = msgspec.json.Decoder(kind).decode
        self._odd = compiled(Patterns(_ODD, tuple(range(len(_ODD))), (0,) * len(_ODD)))

    def skim(self, data: bytes, lines: Sequence[bytes]) -> list[Skimmed | None]:
        """Return the members of every line, None for one that must be read in full.

        Args:
            data: whole lines, each ended by a newline.
            lines: the same, cut at the newlines.
        """
        odd = self._odd_lines(data, lines)
        if odd is None:
            return [None] * len(lines)
        try:
            found: list[Skimmed | None] = list(map(self._read, lines))
        except _Failures:
            found = [self._skimmed(line) for line in lines]
        for number in odd:
            found[number] = None
        return found

    def _skimmed(self, line: bytes) -> Skimmed | None:
        try:
            return self._read(line)
        except _Failures:
            return None

    def _odd_lines(self, data: bytes, lines: Sequence[bytes]) -> set[int] | None:
        """Return the numbers of lines to be read in full; None for all of them."""
        ends: list[int] = []
        try:
            self._odd.scan(data, _note, 0, ends)
        except hyperscan.ScanTerminated:
            return None
        odd: set[int] = set()
        if ends:
            behind = list(accumulate(len(line) + 1 for line in lines))
            odd.update(bisect_left(behind, end) for end in ends)
        if not _is_utf8(data):
            odd.update(number for number, line in enumerate(lines) if not _is_utf8(line))
        odd.update(
            number for number, line in enumerate(lines) if len(line) > _FEW_BYTES and line.count(b":") > MAX_FIELDS
        )
        return odd


def _note(number: int, start: int, end: int, flags: int, ends: list[int]) -> bool:
    del number, start, flags
    ends.append(end)
    return len(ends) > _MAX_ODD


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
