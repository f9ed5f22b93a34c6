"""Labels, blanks and form lines: the same for every writer."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.document import FieldList, Layout, OfficialDocument, Table
from secmon.render.parts import BLANK_DATE, BLANK_ISSUE, BLANK_NAME, BLANK_NUMBER, Form, Grid, parts_of
from secmon.render.text import width_em
from tests.render.documents import BRIEFING, DOCUMENTS, LETTER, REPORT_UP, SELF_ASSESSMENT, WARNING


def only(block: Table | FieldList) -> object:
    document = OfficialDocument(kind="any", layout=Layout.REPORT, title="", blocks=(block,))
    return parts_of(document).pieces[0]


def test_an_unnumbered_unsigned_document_shows_where_both_go() -> None:
    parts = parts_of(replace(WARNING, show_signer=True))
    assert (parts.number, parts.signer, parts.dated) == (BLANK_NUMBER, f"签发人：{BLANK_NAME}", BLANK_DATE)


def test_what_the_office_has_given_stands_there() -> None:
    parts = parts_of(REPORT_UP)
    assert (parts.number, parts.signer, parts.dated) == ("示大〔2026〕3号", "签发人：张喆", "2026年1月5日")


def test_the_day_of_printing_is_never_guessed() -> None:
    assert parts_of(REPORT_UP).printed_on == f"{BLANK_DATE}印发"


def test_a_briefing_counts_issues_and_has_no_document_number() -> None:
    assert parts_of(replace(BRIEFING, number="")).number == BLANK_ISSUE


def test_a_briefing_without_a_masthead_is_headed_by_its_issuer() -> None:
    parts = parts_of(replace(BRIEFING, masthead="", signature="安全科"))
    assert (parts.head, parts.publisher, parts.closing) == (BRIEFING.issuer, "安全科", "")


def test_a_report_has_neither_number_nor_blank_date() -> None:
    parts = parts_of(replace(SELF_ASSESSMENT, date=""))
    assert (parts.number, parts.dated, parts.printed_by) == ("", "", "")


@pytest.mark.parametrize(
    ("names", "lines"),
    [((), ()), (("清单",), ("附件：清单",)), (("甲", "乙"), ("附件：1. 甲", "2. 乙"))],
)
def test_one_attachment_has_no_number(names: tuple[str, ...], lines: tuple[str, ...]) -> None:
    assert parts_of(replace(LETTER, attachments=names)).attachments == lines


def test_punctuation_of_the_standard_is_added_once() -> None:
    once = parts_of(replace(WARNING, addressee="各校", note="电话：1", copies_to="市委网信办"))
    twice = parts_of(replace(WARNING, addressee="各校：", note="（电话：1）", copies_to="市委网信办。"))
    assert (once.addressee, once.note, once.copies) == ("各校：", "（电话：1）", "抄送：市委网信办。")
    assert (twice.addressee, twice.note, twice.copies) == (once.addressee, once.note, once.copies)


def test_a_long_title_breaks_where_the_sense_allows() -> None:
    assert parts_of(WARNING).title == ("关于示例大学教务系统", "存在弱口令被猜解风险的预警通报")


def test_the_office_s_own_title_lines_are_kept() -> None:
    assert parts_of(SELF_ASSESSMENT).title == ("教务管理系统", "网络安全等级保护自查报告")


@pytest.mark.parametrize(("head", "points"), [("市教育局文件", 48.0), ("示例" * 6 + "文件", 31.6), ("长" * 40, 22.0)])
def test_the_red_head_is_as_large_as_one_line_allows(head: str, points: float) -> None:
    assert parts_of(replace(WARNING, issuer=head)).head_pt == points


def test_short_fields_stand_side_by_side_and_keep_their_order() -> None:
    form = only(FieldList((("甲", "1"), ("乙", "2"), ("丙", "长" * 20), ("丁", "4"), ("戊", ""))))
    assert isinstance(form, Form)
    assert [[name for name, _ in line] for line in form.lines] == [["甲", "乙"], ["丙"], ["丁"], ["戊"]]


def test_ragged_rows_are_filled_up() -> None:
    grid = only(Table(("甲", "乙"), (("1",), ("1", "2", "3"))))
    assert isinstance(grid, Grid)
    assert (grid.head, grid.rows) == (("甲", "乙", ""), (("1", "", ""), ("1", "2", "3")))


def test_a_short_column_gets_what_it_needs_beside_a_long_one() -> None:
    grid = only(Table(("序号", "来源地址", "说明"), (("1", "198.51.100.123", "长" * 90),)))
    assert isinstance(grid, Grid)
    assert grid.shares[1] * 41 >= width_em("198.51.100.123")
    assert grid.shares[2] > 0.6


def test_given_widths_count() -> None:
    grid = only(Table(("甲", "乙"), (("1", "2"),), widths=(1, 3)))
    assert isinstance(grid, Grid)
    assert grid.shares == (0.25, 0.75)


def test_a_row_longer_than_a_page_may_be_split() -> None:
    grid = only(Table(("甲",), (("短",), ("长" * 2000,))))
    assert isinstance(grid, Grid)
    assert grid.whole == (True, False)


@given(document=DOCUMENTS)
def test_columns_of_any_table_fill_the_width(document: OfficialDocument) -> None:
    grids = [piece for piece in parts_of(document).pieces if isinstance(piece, Grid) and piece.shares]
    assert all(abs(sum(grid.shares) - 1) < 1e-9 and min(grid.shares) > 0 for grid in grids)


@given(title=st.text(st.sampled_from("关于的教育存在发生，ab")))
def test_breaking_a_title_loses_nothing(title: str) -> None:
    assert "".join(parts_of(replace(WARNING, title=title)).title) == title
