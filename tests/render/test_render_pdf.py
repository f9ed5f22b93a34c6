"""PDF: kept for years, read aloud, and no empty boxes."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdf
import pytest

from secmon.model.access import job_access
from secmon.model.document import Layout, OfficialDocument, Paragraph, Table
from secmon.render.fonts import FontLibrary
from secmon.render.pdf import PdfRenderer
from tests.render.documents import (
    BEYOND_THE_FONTS,
    LETTER,
    RARE_NAMES,
    REPORT_UP,
    SELF_ASSESSMENT,
    WARNING,
    letter_of,
    oversized,
)
from tests.render.fontmaker import renamed

ACCESS = job_access("test")
RENDERER = PdfRenderer()


def pages(document: OfficialDocument, renderer: PdfRenderer = RENDERER) -> list[str]:
    opened = pypdf.PdfReader(io.BytesIO(renderer.render(ACCESS, document)))
    return [page.extract_text() for page in opened.pages]


def test_the_file_is_tagged_pdf_a() -> None:
    content = RENDERER.render(ACCESS, WARNING)
    opened = pypdf.PdfReader(io.BytesIO(content))
    assert b"<pdfaid:part>2</pdfaid:part>" in content
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in content
    assert "/StructTreeRoot" in opened.root_object
    assert str(opened.root_object["/Lang"]) == "zh-CN"
    assert opened.metadata is not None
    assert opened.metadata.title == WARNING.title


def test_the_paper_is_a4() -> None:
    box = pypdf.PdfReader(io.BytesIO(RENDERER.render(ACCESS, WARNING))).pages[0].mediabox
    assert (round(box.width / 72 * 25.4), round(box.height / 72 * 25.4)) == (210, 297)


def test_every_font_is_inside_the_file() -> None:
    page = pypdf.PdfReader(io.BytesIO(RENDERER.render(ACCESS, WARNING))).pages[0]
    resources: Any = page["/Resources"]
    fonts = [font.get_object() for font in resources["/Font"].values()]
    descriptors = [font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object() for font in fonts]
    assert descriptors
    assert all({"/FontFile3", "/FontFile2"} & descriptor.keys() for descriptor in descriptors)


@pytest.mark.parametrize(
    ("date", "stamp"), [("2026年1月5日", 2026), ("", 2000), ("2026年2月30日", 2000), ("昨天", 2000)]
)
def test_the_file_s_date_is_that_of_the_document(date: str, stamp: int) -> None:
    content = RENDERER.render(ACCESS, replace(REPORT_UP, date=date))
    metadata = pypdf.PdfReader(io.BytesIO(content)).metadata
    assert metadata is not None
    assert metadata.creation_date is not None
    assert metadata.creation_date.year == stamp


def test_rare_names_are_printed_and_impossible_ones_are_spelt_out_and_listed() -> None:
    text = "".join(pages(letter_of(f"{RARE_NAMES}{BEYOND_THE_FONTS}")))
    assert f"{RARE_NAMES}[U+20BB7]" in text
    assert "字体缺字，正文以编码写出：U+20BB7。" in text


def test_substituted_fonts_are_named_on_the_last_page_only() -> None:
    *others, last = pages(WARNING)
    assert others
    assert "字体已替代" in last
    assert not [page for page in others if "字体已替代" in page]


def test_nothing_is_said_about_fonts_that_are_all_there(tmp_path: Path) -> None:
    for number, family in enumerate(("FangSong", "KaiTi", "方正小标宋简体")):
        renamed(family, tmp_path / f"{number}.otf")
    assert "字体" not in "".join(pages(letter_of("一"), PdfRenderer(FontLibrary([tmp_path]))))


def test_page_numbers_stand_between_dashes() -> None:
    found = pages(letter_of(*["段落" * 40] * 30))
    assert [f"— {number} —" in "".join(page.replace("\u2007", " ")) for number, page in enumerate(found, 1)] == [
        True
    ] * len(found)


def test_the_first_page_of_a_letter_and_a_cover_have_no_number() -> None:
    assert "—" not in pages(LETTER)[0]
    cover, first, *_ = pages(SELF_ASSESSMENT)
    assert "—" not in cover
    assert "— 1 —" in first


def test_a_table_over_several_pages_repeats_its_head_and_loses_no_row() -> None:
    table = Table(("编号", "说明"), tuple((f"row-{number:03d}", "说明" * 40) for number in range(60)))
    found = pages(OfficialDocument(kind="any", layout=Layout.OFFICIAL, title="题", blocks=(table,)))
    assert len(found) > 3
    assert sum("编号" in page for page in found) >= len(found) - 1
    assert all(f"row-{number:03d}" in "".join(found) for number in range(60))


def test_a_row_longer_than_a_page_is_not_cut_off() -> None:
    words = [f"w{number:04d}" for number in range(1500)]
    table = Table(("甲", "乙"), (("1", " ".join(words)),))
    text = "".join(pages(OfficialDocument(kind="any", layout=Layout.REPORT, title="题", blocks=(table,))))
    assert all(word in text for word in words)


def test_twenty_two_lines_fill_a_page() -> None:
    text = "".join(f"行{number:02d}\n" for number in range(60))
    document = OfficialDocument(kind="any", layout=Layout.REPORT, title="题", blocks=(Paragraph(text.strip()),))
    body = pages(document)[1]
    assert "行21" in body
    assert "行22" not in body


def test_twenty_eight_characters_fill_a_line() -> None:
    lines = pages(letter_of("教" * 100))[0].split("\n")
    assert "教" * 26 in lines
    assert "教" * 28 in lines


@pytest.mark.parametrize("layout", Layout)
def test_no_text_leaves_the_paper(layout: Layout) -> None:
    heights: list[float] = []

    def note(text: str, matrix: list[float], text_matrix: list[float], _font: object, _size: object) -> None:
        if text.strip():
            heights.append(text_matrix[5] * matrix[3] + matrix[5])

    for page in pypdf.PdfReader(io.BytesIO(RENDERER.render(ACCESS, oversized(layout)))).pages:
        page.extract_text(visitor_text=note)
    assert min(heights) > 0
    assert max(heights) < 297 / 25.4 * 72
