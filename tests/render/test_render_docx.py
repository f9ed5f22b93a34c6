"""DOCX: what Word and WPS find in the file."""

import io
import zipfile
from dataclasses import replace
from typing import Any

import docx
import pytest
from docx.document import Document
from docx.oxml.ns import qn

from secmon.model.access import job_access
from secmon.model.document import OfficialDocument
from secmon.render.docx import DocxRenderer
from tests.render.documents import BRIEFING, EXAMPLES, LETTER, REPORT_UP, SELF_ASSESSMENT, WARNING, letter_of

ACCESS = job_access("test")
MM = 36_000


def opened(document: OfficialDocument = WARNING) -> Document:
    return docx.Document(io.BytesIO(DocxRenderer().render(ACCESS, document)))


def parts(document: OfficialDocument) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(DocxRenderer().render(ACCESS, document))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def child(parent: object, tag: str) -> Any:
    """Return the first descendant `w:tag`, which must be there."""
    return next(parent.iter(qn(f"w:{tag}")))  # type: ignore[attr-defined]  # lxml is untyped


def faces(document: OfficialDocument, text: str) -> set[str]:
    runs = [run for paragraph in opened(document).paragraphs if text in paragraph.text for run in paragraph.runs]
    return {child(run._r, "rFonts").get(qn("w:eastAsia")) for run in runs}


def test_page_and_margins_are_those_of_the_standard() -> None:
    section = opened().sections[0]
    sides = (
        section.page_width,
        section.page_height,
        section.top_margin,
        section.bottom_margin,
        section.left_margin,
        section.right_margin,
    )
    assert [round((side or 0) / MM) for side in sides] == [210, 297, 37, 35, 28, 26]


def test_the_grid_says_22_lines_of_28_characters() -> None:
    grid = opened().sections[0]._sectPr.find(qn("w:docGrid"))
    assert grid.get(qn("w:type")) == "linesAndChars"
    assert int(225 / 25.4 * 1440 / int(grid.get(qn("w:linePitch")))) == 22
    assert int(156 / 25.4 * 72 / (16 + int(grid.get(qn("w:charSpace"))) / 4096) + 0.01) == 28


@pytest.mark.parametrize(
    ("text", "face"),
    [
        ("一、基本情况", "黑体"),
        ("（一）涉及系统", "楷体_GB2312"),
        ("1. 攻击来源", "仿宋_GB2312"),
        ("现将有关情况", "仿宋_GB2312"),
        ("预警通报", "方正小标宋简体"),
        ("示例市教育局文件", "方正小标宋简体"),
    ],
)
def test_each_text_has_the_face_of_the_standard(text: str, face: str) -> None:
    assert faces(WARNING, text) == {face}


def test_the_body_is_indented_by_two_characters_at_a_fixed_line() -> None:
    body = next(paragraph for paragraph in opened().paragraphs if paragraph.text.startswith("2026年1月4日"))
    assert child(body._p, "ind").get(qn("w:firstLineChars")) == "200"
    assert body.paragraph_format.line_spacing is not None
    assert round(body.paragraph_format.line_spacing.pt, 2) == 28.95


def test_headings_fill_the_navigation_pane() -> None:
    styles = [paragraph.style.name for paragraph in opened().paragraphs if paragraph.style is not None]
    assert {"Heading 1", "Heading 2", "Heading 3", "Title"} <= set(styles)


def test_the_signer_s_name_is_set_in_its_own_face() -> None:
    line = next(paragraph for paragraph in opened(REPORT_UP).paragraphs if "签发人" in paragraph.text)
    last = line.runs[-1]
    assert (last.text, child(last._r, "rFonts").get(qn("w:eastAsia"))) == ("张喆", "楷体_GB2312")


def test_table_heads_repeat_and_rows_stay_whole() -> None:
    table = next(table for table in opened().tables if table.cell(0, 0).text == "序号")
    properties = [row._tr.trPr for row in table.rows]
    assert properties[0].find(qn("w:tblHeader")) is not None
    assert all(found.find(qn("w:cantSplit")) is not None for found in properties)


def test_page_numbers_are_right_on_odd_and_left_on_even_pages() -> None:
    file = opened()
    section = file.sections[-1]
    assert file.settings.odd_and_even_pages_header_footer
    shown = {
        child(footer._element, "jc").get(qn("w:val")): footer.paragraphs[0].text
        for footer in (section.footer, section.even_page_footer)
    }
    assert shown == {"right": "— 1 —", "left": "— 1 —"}


def test_a_letter_has_its_head_above_and_no_number_on_its_first_page() -> None:
    section = opened(LETTER).sections[0]
    assert section.different_first_page_header_footer
    assert section.first_page_header.paragraphs[0].text == LETTER.issuer
    assert "".join(paragraph.text for paragraph in section.first_page_footer.paragraphs) == ""


def test_a_cover_is_a_section_of_its_own_before_page_one() -> None:
    cover, body = opened(SELF_ASSESSMENT).sections
    assert cover.footer.is_linked_to_previous
    assert not body.footer.is_linked_to_previous
    assert body._sectPr.find(qn("w:pgNumType")).get(qn("w:start")) == "1"


def test_the_end_floats_at_the_foot_of_the_page() -> None:
    last = opened(BRIEFING).tables[-1]
    assert last._tbl.tblPr.find(qn("w:tblpPr")).get(qn("w:tblpYSpec")) == "bottom"
    assert [row.cells[0].text for row in last.rows] == ["报：示例省教育厅", "送：局领导，机关各处室", "发：各直属学校"]


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: document.kind)
def test_nothing_points_out_of_the_file_and_nothing_runs(document: OfficialDocument) -> None:
    content = parts(document)
    assert not [name for name in content if "vba" in name.lower() or name.endswith(".bin")]
    assert not [name for name, part in content.items() if b'TargetMode="External"' in part]
    instructions = {node.text for node in opened(document).element.body.iter(qn("w:instrText"))}
    assert not instructions


def test_no_time_of_this_machine_is_in_the_file() -> None:
    content = DocxRenderer().render(ACCESS, WARNING)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    properties = opened(replace(WARNING, date="2026年1月5日")).core_properties
    assert properties.created is not None
    assert (properties.created.year, properties.title, properties.author) == (2026, WARNING.title, "示例市教育局")


def test_an_id_longer_than_a_line_may_break() -> None:
    paragraphs = opened(letter_of("摘要" + "9f86d081884c7d65" * 4, "短")).paragraphs
    breaking = {
        paragraph.text[:2]: qn("w:wordWrap") in {node.tag for node in paragraph._p.iter()} for paragraph in paragraphs
    }
    assert (breaking["摘要"], breaking["短"]) == (True, False)
