"""Modifiers that pySigma 1.5 lacks, or gives another meaning than the specification does.

Source: Sigma specification 2.1.0, appendix of modifiers. pySigma keeps its modifiers in one table and takes no
other, so `teach` puts these into it; whoever compiles rules calls it before.

- `utf16le` (which `wide` is an alias of), `utf16be`, `utf16`: bytes, of any text, and `utf16` begins with the byte
  order mark FF FE. pySigma knows no `utf16le`, refuses what is no ASCII, and makes the mark three bytes of UTF-8.
- `base64`, `base64offset`: of these bytes, or of the text in UTF-8; pySigma encodes the backslash of an escaped
  wildcard too, and counts characters where bytes are shifted.
- `windash`: each of the five dashes stands for any of them; pySigma replaces only the two that ASCII has, loses the
  case that `cased` asked for, and puts no bound on the number of permutations.
- `expand`: refused behind an encoding, where the placeholder's name would be encoded and not its values.
- minute … year: whole numbers only; pySigma cuts 1.5 down to 1.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from copy import copy
from itertools import product
from typing import Any

from sigma.exceptions import SigmaValueError
from sigma.modifiers import (
    SigmaExpandModifier,
    SigmaTimestampDayModifier,
    SigmaTimestampHourModifier,
    SigmaTimestampMinuteModifier,
    SigmaTimestampModifier,
    SigmaTimestampMonthModifier,
    SigmaTimestampWeekModifier,
    SigmaTimestampYearModifier,
    SigmaValueModifier,
    modifier_mapping,
)
from sigma.types import (
    SigmaCasedString,
    SigmaExpansion,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
)

MAX_DASHES = 4
_DASHES = "-/\u2013\u2014\u2015"
# A dash that begins an option: nothing of a word before it, a word behind it.
_OPTION = re.compile(rf"(?<!\w)[{_DASHES}](?=\w)")


class EncodedString(SigmaString):
    """Bytes as a text: each character is one byte (ISO 8859-1)."""


class _Utf16(SigmaValueModifier[SigmaString, EncodedString]):
    """Encodes text; wildcards stay what they are."""

    codec = "utf-16le"
    mark = b""

    def modify(self, val: SigmaString) -> EncodedString:
        """Return the bytes of a text."""
        encoded = EncodedString()
        parts: list[Any] = [
            part.encode(self.codec, "surrogatepass").decode("latin-1") if isinstance(part, str) else part
            for part in val.s
        ]
        mark = self.mark.decode("latin-1")
        if mark and parts and isinstance(parts[0], str):
            parts[0] = mark + parts[0]
        elif mark:
            parts.insert(0, mark)
        encoded.s = parts
        return encoded


class Utf16LittleEndian(_Utf16):
    """`utf16le`, `wide`: UTF-16LE without a byte order mark."""


class Utf16BigEndian(_Utf16):
    """`utf16be`: UTF-16BE without a byte order mark."""

    codec = "utf-16be"


class Utf16WithMark(_Utf16):
    """`utf16`: byte order mark FF FE, and UTF-16LE."""

    mark = b"\xff\xfe"


def _bytes_of(value: SigmaString) -> bytes:
    if value.contains_special():
        raise SigmaValueError("base64 of a value with wildcards is not possible: escape them or leave them out")
    text = "".join(part for part in value.s if isinstance(part, str))
    return text.encode("latin-1" if isinstance(value, EncodedString) else "utf-8", "surrogatepass")


def _literally(text: str) -> SigmaString:
    value = SigmaString()
    value.s = [text] if text else []
    return value


class Base64(SigmaValueModifier[SigmaString, SigmaString]):
    """`base64`: RFC 4648 base64 of the value's bytes."""

    def modify(self, val: SigmaString) -> SigmaString:
        """Return the base64 of a value."""
        return _literally(b64encode(_bytes_of(val)).decode())


class Base64Offset(SigmaValueModifier[SigmaString, SigmaExpansion]):
    """`base64offset`: what base64 shows of the value wherever it stands in the encoded text: three forms."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Return the three forms of a value."""
        data = _bytes_of(val)
        forms = [_inner(data, shift) for shift in range(3)]
        if not all(forms):  # nothing would be found in any text
            raise SigmaValueError("base64offset of less than two bytes shows nothing of them")
        return SigmaExpansion([_literally(form) for form in forms])


def _inner(data: bytes, shift: int) -> str:
    """Return the characters that `data`, behind `shift` other bytes, decides alone: each stands for six bits."""
    first, last = -(-8 * shift // 6), 8 * (shift + len(data)) // 6
    return b64encode(bytes(shift) + data).decode()[first:last]


def dashes_in(text: str) -> int:
    """Return how many dashes of a text begin an option."""
    return len(_OPTION.findall(text))


class WindowsDash(SigmaValueModifier[SigmaString, SigmaExpansion]):
    """`windash`: every dash that begins an option is any of the five dashes that Windows programs accept."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        """Return every permutation of the dashes of a value."""
        options = [_dashed(part) if isinstance(part, str) else [part] for part in val.s]
        if sum(dashes_in(part) for part in val.s if isinstance(part, str)) > MAX_DASHES:
            raise SigmaValueError(f"windash takes at most {MAX_DASHES} options in one value: make several values of it")
        return SigmaExpansion([_with_parts(val, parts) for parts in product(*options)])


def _dashed(text: str) -> list[str]:
    pieces = _OPTION.split(text)
    if len(pieces) - 1 > MAX_DASHES:
        return [text]  # the caller refuses it
    return [
        "".join(piece for pair in zip(pieces, (*dashes, ""), strict=True) for piece in pair)
        for dashes in product(_DASHES, repeat=len(pieces) - 1)
    ]


def _with_parts(value: SigmaString, parts: Iterable[Any]) -> SigmaString:
    changed = copy(value)
    changed.s = list(parts)
    return changed


class Cased(SigmaValueModifier[SigmaString, SigmaCasedString]):
    """`cased`: upper and lower case are told apart; bytes stay bytes."""

    def modify(self, val: SigmaString) -> SigmaCasedString:
        """Return the text as one that is compared as it stands."""
        if isinstance(val, EncodedString):
            raise SigmaValueError("cased stands behind base64, or before the encoding")
        return SigmaCasedString.from_sigma_string(val)


class Expand(SigmaExpandModifier):
    """`expand`: names between percent signs stand for lists of values."""

    def modify(self, val: SigmaString | SigmaRegularExpression) -> SigmaString | SigmaRegularExpression:
        """Return a value whose names are placeholders."""
        if isinstance(val, EncodedString):
            raise SigmaValueError("expand stands before an encoding")
        return super().modify(val)


def _whole(kind: type[SigmaTimestampModifier]) -> type[SigmaTimestampModifier]:
    """Return a time modifier that refuses a fraction."""

    def modify(self: SigmaTimestampModifier, val: SigmaNumber) -> SigmaTimestampPart:
        if val.number != int(val.number):
            raise SigmaValueError("a part of a time is a whole number")
        return kind.modify(self, val)

    return type(kind.__name__, (kind,), {"modify": modify, "__doc__": kind.__doc__})


_MODIFIERS: dict[str, Any] = {
    "utf16le": Utf16LittleEndian,
    "wide": Utf16LittleEndian,
    "utf16be": Utf16BigEndian,
    "utf16": Utf16WithMark,
    "base64": Base64,
    "base64offset": Base64Offset,
    "windash": WindowsDash,
    "cased": Cased,
    "expand": Expand,
    "minute": _whole(SigmaTimestampMinuteModifier),
    "hour": _whole(SigmaTimestampHourModifier),
    "day": _whole(SigmaTimestampDayModifier),
    "week": _whole(SigmaTimestampWeekModifier),
    "month": _whole(SigmaTimestampMonthModifier),
    "year": _whole(SigmaTimestampYearModifier),
}


def teach(table: dict[str, Any] = modifier_mapping) -> None:
    """Put these modifiers into pySigma's table, and take Python's `re` out of it; doing it again changes nothing."""
    table.update(_MODIFIERS)
    SigmaRegularExpression.compile = _left_to_re2  # type: ignore[assignment,method-assign]  # no other switch


def _left_to_re2(_: SigmaRegularExpression) -> None:
    """Compile nothing: RE2 is what counts, and Python's `re` takes a second for one wide class in any case."""
