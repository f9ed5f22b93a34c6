"""A font of the office's own, made from the bundled one by giving it another family name."""

import struct
from pathlib import Path

import pylopdf_fonts_zh_cn

_FAMILY_NAMES = {1, 16}


def renamed(family: str, path: Path) -> Path:
    """Write the bundled serif font to `path` under the family name `family`, which must not be longer than its own."""
    font = bytearray(pylopdf_fonts_zh_cn.serif_path().read_bytes())
    (count,) = struct.unpack_from(">H", font, 4)
    tables = (struct.unpack_from(">4sIII", font, 12 + 16 * number) for number in range(count))
    start = next(offset for tag, _checksum, offset, _length in tables if tag == b"name")
    records, strings = struct.unpack_from(">HH", font, start + 2)
    for number in range(records):
        record = start + 6 + 12 * number
        platform, _encoding, _language, name, _length, offset = struct.unpack_from(">6H", font, record)
        if name in _FAMILY_NAMES:
            text = family.encode("utf-16-be" if platform != 1 else "ascii")
            place = start + strings + offset
            font[place : place + len(text)] = text
            struct.pack_into(">H", font, record + 8, len(text))
    path.write_bytes(font)
    return path
