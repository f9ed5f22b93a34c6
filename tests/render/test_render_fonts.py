"""Which fonts are used, and what is said about them."""

from pathlib import Path

import pytest

from secmon.errors import ConfigError
from secmon.render.fonts import FontLibrary, Role, font_report, missing_note
from tests.render.documents import BEYOND_THE_FONTS, RARE_NAMES
from tests.render.fontmaker import renamed


def test_without_the_office_s_fonts_the_bundled_ones_stand_in() -> None:
    report = {choice.role: choice for choice in font_report()}
    assert report[Role.BODY].family == "Noto Serif SC"
    assert {role for role, choice in report.items() if choice.substituted} == {Role.BODY, Role.SUBHEADING, Role.TITLE}
    assert report[Role.BODY].remedy == "documents.fonts: FangSong_GB2312"
    assert not report[Role.HEADING].remedy


def test_the_office_s_own_font_comes_first(tmp_path: Path) -> None:
    own = renamed("FangSong", tmp_path / "simfang.otf")
    library = FontLibrary([tmp_path])
    choice = library.choice(Role.BODY)
    assert (choice.family, choice.path, choice.substituted) == ("FangSong", str(own), False)
    assert library.families(Role.BODY) == ("FangSong", "Noto Serif SC", "Noto Sans SC")
    assert library.substitution_note() == "字体已替代：楷体→Noto Serif SC，小标宋→Noto Serif SC。"


def test_a_free_stand_in_is_named_as_one(tmp_path: Path) -> None:
    renamed("FandolFang R", tmp_path / "FandolFang-Regular.otf")
    choice = FontLibrary([tmp_path]).choice(Role.BODY)
    assert (choice.family, choice.substituted) == ("FandolFang R", True)


def test_characters_that_no_font_has_are_spelt_out() -> None:
    library = FontLibrary()
    assert library.spelt(f"{RARE_NAMES}{BEYOND_THE_FONTS}\n") == f"{RARE_NAMES}[U+20BB7]\n"
    assert library.missing(RARE_NAMES) == frozenset()


def test_the_note_names_the_first_missing_characters_and_counts_the_rest() -> None:
    note = missing_note(frozenset(map(chr, range(0x20000, 0x20000 + 40))))
    assert note.startswith("字体缺字，正文以编码写出：U+20000、U+20001、")
    assert note.endswith("U+2001D等40个。")
    assert missing_note(frozenset()) == ""


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the fonts folder is not there"):
        font_report([tmp_path / "no"])


def test_files_that_are_no_fonts_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no font")
    (tmp_path / "broken.ttf").write_bytes(b"\x00\x01\x00\x00 broken")
    assert [choice.family for choice in font_report([tmp_path])] == [choice.family for choice in font_report()]
