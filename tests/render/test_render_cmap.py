"""Which characters a font has, read from its own table."""

import contextlib
import struct

import pylopdf_fonts_zh_cn
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ConfigError
from secmon.render.cmap import characters
from tests.render.documents import BEYOND_THE_FONTS, RARE_NAMES


def font(subtable: bytes, *, encoding: int = 3) -> bytes:
    """Return an OpenType file that has nothing but a `cmap` with one Unicode subtable."""
    cmap = struct.pack(">HHHHI", 0, 1, 0, encoding, 12) + subtable
    return struct.pack(">4sHHHH4sIII", b"OTTO", 1, 0, 0, 0, b"cmap", 0, 28, len(cmap)) + cmap


def collection(*faces: bytes) -> bytes:
    """Return a font collection; offsets inside a face count from the file's beginning."""
    start, offsets, body = 12 + 4 * len(faces), [], b""
    for face in faces:
        offsets.append(start + len(body))
        table = struct.unpack_from(">I", face, 20)[0] + offsets[-1]
        body += face[:20] + struct.pack(">I", table) + face[24:]
    return struct.pack(f">4sII{len(faces)}I", b"ttcf", 0x10000, len(faces), *offsets) + body


def format_4(segments: list[tuple[int, int, int]]) -> bytes:
    """Return a subtable of (first, last, delta) segments."""
    ended = [*segments, (0xFFFF, 0xFFFF, 1)]
    firsts, lasts, deltas = zip(*ended, strict=True)
    count = len(ended)
    columns = (*lasts, 0, *firsts, *deltas, *(0,) * count)
    return struct.pack(f">7H{len(columns)}H", 4, 16 + 8 * count, 0, 2 * count, 0, 0, 0, *columns)


def format_12(groups: list[tuple[int, int, int]]) -> bytes:
    """Return a subtable of (first, last, glyph) groups."""
    numbers = [number for group in groups for number in group]
    return struct.pack(f">HHIII{len(numbers)}I", 12, 0, 0, 0, len(groups), *numbers)


def test_segments_of_the_basic_plane_are_read() -> None:
    assert characters(font(format_4([(0x4E00, 0x4E02, 5), (0x5586, 0x5586, 9)]))) == {0x4E00, 0x4E01, 0x4E02, 0x5586}


def test_a_code_mapped_to_the_missing_glyph_does_not_count() -> None:
    assert characters(font(format_4([(0x41, 0x42, 0x10000 - 0x41)]))) == {0x42}


def test_glyphs_of_a_segment_may_stand_in_an_array() -> None:
    columns = (0x42, 0xFFFF, 0, 0x41, 0xFFFF, 0, 1, 4, 0)
    subtable = struct.pack(">7H9H2H", 4, 36, 0, 4, 0, 0, 0, *columns, 7, 0)
    assert characters(font(subtable)) == {0x41}


@given(starts=st.sets(st.integers(0x100, 0xF000), max_size=20))
def test_groups_of_all_planes_are_read(starts: set[int]) -> None:
    wide = [(start * 16, start * 16 + 3, 1) for start in sorted(starts)]
    assert characters(font(format_12(wide))) == {start * 16 + step for start in starts for step in range(4)}


def test_each_face_of_a_collection_has_its_own_characters() -> None:
    both = collection(font(format_12([(65, 65, 1)])), font(format_12([(66, 66, 1)])))
    assert characters(both, 0) == {65}
    assert characters(both, 1) == {66}


def test_tables_that_are_not_unicode_are_passed_over() -> None:
    assert characters(font(format_4([(65, 66, 1)]), encoding=5)) == frozenset()


def test_the_bundled_font_has_the_names_people_bear() -> None:
    found = characters(pylopdf_fonts_zh_cn.serif_path().read_bytes())
    assert found.issuperset(map(ord, RARE_NAMES))
    assert ord(BEYOND_THE_FONTS) not in found


@pytest.mark.parametrize("content", [b"", b"OTTO", b"not a font at all", font(format_12([(65, 70, 1)]))[:-4]])
def test_what_is_no_whole_font_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match="not a readable OpenType font"):
        characters(content)


@given(content=st.binary(max_size=300))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(characters(b"OTTO" + content), frozenset)
