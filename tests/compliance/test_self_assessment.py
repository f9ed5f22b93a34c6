"""The 自查报告: every line leads to evidence, and "not checked" never looks like "passed"."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from secmon.compliance.assess import assess
from secmon.compliance.framework import load_framework
from secmon.compliance.needs import Fact, queries
from secmon.compliance.self_assessment import NOTICE, compose
from secmon.model.asset import Asset
from secmon.model.document import Layout, OfficialDocument, Paragraph, Table
from secmon.model.unit import Unit, UnitKind

SINCE, UNTIL = datetime(2026, 8, 31, 16, tzinfo=UTC), datetime(2026, 9, 30, 16, tzinfo=UTC)
PATH = Path(__file__).parent.parent.parent / "frameworks" / "mlps-l3-ces.yaml"
FORBIDDEN = ("总体结论", "综合得分", "护网", "未达报告标准", "Ⅰ级", "Ⅱ级", "Ⅲ级", "Ⅳ级", "基本符合", "达标")


def report(fact: Fact | None = None, *, level: int = 3) -> OfficialDocument:
    framework, _ = load_framework(PATH.name, PATH.read_text(encoding="utf-8"))
    assert framework is not None
    asset = Asset(id="A-0007", name="示例教务系统", unit="370200", level=level, filing_number="37020012345-00001")
    unit = Unit(id="370200", name="示例市教育局", kind=UnitKind.CITY)
    facts = {} if fact is None else {one.id: fact for one in queries(framework, asset.id, SINCE, UNTIL)}
    return compose(assess(framework, asset, facts, since=SINCE, until=UNTIL, at=UNTIL), unit, asset)


def text_of(document: OfficialDocument) -> str:
    return "\n".join(document.texts())


def test_it_is_a_report_with_cover_and_banner() -> None:
    document = report()
    assert document.layout is Layout.REPORT
    assert document.notice == NOTICE == "单位自查，不作为等级测评结论"
    assert ("备案证明编号", "37020012345-00001") in document.cover
    assert ("自查时段", "2026年9月1日至2026年9月30日") in document.cover
    assert document.number == document.signer == document.date == ""


@pytest.mark.parametrize("fact", [None, Fact(), Fact(count=5000, days=30, by={"x": 40}, first=SINCE, last=UNTIL)])
def test_words_that_would_be_a_verdict_never_appear(fact: Fact | None) -> None:
    text = text_of(report(fact)).replace("本报告不作总体结论，不计算得分", "")
    assert [word for word in FORBIDDEN if word in text] == []


def test_every_item_stands_in_the_table_with_result_and_mark() -> None:
    (table,) = [block for block in report().blocks if isinstance(block, Table) and "测评单元" in block.head]
    assert len(table.rows) == 26
    assert {row[3] for row in table.rows} == {"未核查（草稿）"}
    assert {row[-1] for row in table.rows} <= {"V", "V2", "G", "P"}


def test_what_was_not_checked_is_listed_with_its_reason() -> None:
    tables = [block for block in report().blocks if isinstance(block, Table) and block.head[-1] == "原因"]
    assert len(tables[0].rows) == 26
    assert all(row[2] for row in tables[0].rows)


def test_every_problem_cites_its_evidence() -> None:
    document = report(Fact(count=5000, days=30, by={"x": 40}, first=SINCE, last=UNTIL))
    problems = [block for block in document.blocks if isinstance(block, Paragraph) and "依据：证" in block.text]
    assert problems
    assert all(block.evidence_ids for block in problems)


def test_the_footer_names_catalogue_legend_and_digest() -> None:
    footer = "\n".join(report().footer)
    assert "GB/T 22239-2019" in footer
    assert "mlps-l3-ces@1" in footer
    assert "置信记号V2：" in footer
    assert report().meta["digest"] in footer


def test_an_asset_of_another_level_is_told_so() -> None:
    assert "台账登记该系统为第二级" in text_of(report(level=2))
    assert "不一致" not in text_of(report(level=3))
