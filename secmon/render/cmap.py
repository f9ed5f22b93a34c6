"""Which characters a font has: the `cmap` table of an OpenType file.

Format: OpenType specification 1.9, "Organization of an OpenType Font" and "cmap"; only the Unicode subtables of
format 4 (the basic plane) and 12 (all planes), which every font for Chinese has.
"""

import struct
from collections.abc import Iterator

from secmon.errors import ConfigError

_COLLECTION = b"ttcf"
_UNICODE_ENCODINGS = {(0, encoding) for encoding in (0, 1, 2, 3, 4, 6)} | {(3, 1), (3, 10)}
_LAST = 0x10FFFF


def characters(font: bytes, index: int = 0) -> frozenset[int]:
    """Return the code points that face `index` of the font file has a glyph for.

    Raises:
        ConfigError: it is not an OpenType file or its table is cut off.
    """
    try:
        return frozenset(_code_points(font, _table(font, index)))
    except (struct.error, IndexError, StopIteration) as error:
        raise ConfigError(
            "this is not a readable OpenType font", hint="take it out of the fonts folder, or give it whole"
        ) from error


def _table(font: bytes, index: int) -> int:
    """Return where the `cmap` table begins."""
    face = struct.unpack_from(">I", font, 12 + 4 * index)[0] if font[:4] == _COLLECTION else 0
    (count,) = struct.unpack_from(">H", font, face + 4)
    records = (struct.unpack_from(">4sIII", font, face + 12 + 16 * number) for number in range(count))
    return next(int(offset) for tag, _checksum, offset, _length in records if tag == b"cmap")


def _code_points(font: bytes, table: int) -> Iterator[int]:
    (count,) = struct.unpack_from(">H", font, table + 2)
    for number in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", font, table + 4 + 8 * number)
        if (platform, encoding) in _UNICODE_ENCODINGS:
            yield from _subtable(font, table + offset)


def _subtable(font: bytes, start: int) -> Iterator[int]:
    (kind,) = struct.unpack_from(">H", font, start)
    if kind == 4:  # noqa: PLR2004 - the format's own number
        yield from _basic_plane(font, start)
    elif kind == 12:  # noqa: PLR2004 - the format's own number
        (groups,) = struct.unpack_from(">I", font, start + 12)
        for number in range(groups):
            first, last, glyph = struct.unpack_from(">III", font, start + 16 + 12 * number)
            # Glyph 0 is .notdef: a group that begins there maps its first character to nothing.
            yield from range(first + (glyph == 0), min(last, _LAST) + 1)


def _basic_plane(font: bytes, start: int) -> Iterator[int]:
    (doubled,) = struct.unpack_from(">H", font, start + 6)
    count = doubled // 2
    lasts = struct.unpack_from(f">{count}H", font, start + 14)
    firsts = struct.unpack_from(f">{count}H", font, start + 16 + doubled)
    deltas = struct.unpack_from(f">{count}H", font, start + 16 + 2 * doubled)
    offsets_at = start + 16 + 3 * doubled
    offsets = struct.unpack_from(f">{count}H", font, offsets_at)
    for segment in range(count):
        for code in range(firsts[segment], lasts[segment] + 1):
            if offsets[segment] == 0:
                glyph = (code + deltas[segment]) & 0xFFFF
            else:
                place = offsets_at + 2 * segment + offsets[segment] + 2 * (code - firsts[segment])
                (glyph,) = struct.unpack_from(">H", font, place)
            if glyph:
                yield code
