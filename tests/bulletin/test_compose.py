"""Drafted bulletins: each paragraph has evidence or waits for a person; no grade, no secret, the right direction."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.bulletin.document import to_document
from secmon.bulletin.facts import AlertFacts
from secmon.bulletin.incident_report import compose_incident_report
from secmon.bulletin.warning import compose_warning
from secmon.errors import SecmonError
from secmon.model.bulletin import TO_FILL, Bulletin, Direction, Style, bulletin_from_json
from secmon.model.document import FieldList, Layout, Table
from tests.bulletin.bulletin_cases import ASSET, AT, CITY, COUNTY, PROVINCE, TREE, UNIVERSITY, alert, guide

GUIDE = guide()
FORBIDDEN = (
    "Ⅰ级", "Ⅱ级", "Ⅲ级", "Ⅳ级", "I级", "护网", "未达报告标准", "未达到", "定级为", "建议级别",
    "红色", "橙色", "黄色", "蓝色",
)  # fmt: skip


def warning(facts: AlertFacts | None = None) -> Bulletin:
    return compose_warning(facts or alert(), GUIDE, issuer=PROVINCE, tree=TREE, at=AT)


def report(facts: AlertFacts | None = None, *, stage: str = "urgent") -> Bulletin:
    return compose_incident_report(facts or alert(), GUIDE, issuer=UNIVERSITY, tree=TREE, at=AT, stage=stage)


def printed(bulletin: Bulletin) -> str:
    return "\n".join(to_document(bulletin).texts())


BOTH = [warning(), report(), report(stage="ongoing"), report(stage="after"), warning(alert(persons=0, techniques=())),
        report(alert(persons=5_000_000, techniques=("T1070",)))]  # fmt: skip


@pytest.mark.parametrize("bulletin", BOTH)
def test_every_paragraph_has_evidence_or_waits_for_a_person(bulletin: Bulletin) -> None:
    known = {one.id for one in bulletin.evidence}
    for one in bulletin.paragraphs:
        if one.style not in {Style.HEADING, Style.SUBHEADING, Style.TABLE_HEAD}:
            assert one.evidence_ids or one.to_fill, one.text
            assert set(one.evidence_ids) <= known


@pytest.mark.parametrize("bulletin", BOTH)
def test_the_machine_writes_no_grade_and_none_of_the_forbidden_words(bulletin: Bulletin) -> None:
    text = printed(bulletin) + str(bulletin.to_json())
    assert [word for word in FORBIDDEN if word in text] == []


@pytest.mark.parametrize("bulletin", BOTH)
def test_number_signature_colour_and_date_stay_open(bulletin: Bulletin) -> None:
    document = to_document(bulletin)
    assert bulletin.number == bulletin.colour == ""
    assert document.number == document.signer == document.date == ""
    assert document.notice == "送审稿"


@pytest.mark.parametrize("bulletin", BOTH)
def test_the_json_is_that_of_the_contract_and_comes_back(bulletin: Bulletin) -> None:
    data = bulletin.to_json()
    assert set(data) >= {
        "bulletin.id", "bulletin.number", "kind", "direction", "state", "colour", "title", "recipients", "paragraphs",
        "alert.ids", "digest",
    }  # fmt: skip
    assert data["state"] == "draft"
    assert bulletin_from_json(data) == bulletin
    assert bulletin_from_json(data).digest() == data["digest"]


def test_the_grade_is_a_place_for_people() -> None:
    fields = {one.label: one for one in report().paragraphs if one.style is Style.FIELD}
    for label in ("研判级别", "研判人", "是否构成网络安全事件", "发现或获知时刻与依据"):
        assert fields[label].cells == (label, TO_FILL)
        assert fields[label].to_fill


def test_a_warning_says_nothing_that_belongs_to_one_unit() -> None:
    text = printed(warning(alert(persons=12_345)))
    own = (
        ASSET.name,
        *ASSET.hosts,
        *ASSET.domains,
        ASSET.filing_number,
        "192.0.2.9",
        "370****",
        "示例大学情况",
        "12345",
    )
    assert [word for word in own if word in text] == []
    assert "370****" not in str(warning().to_json())
    assert "370****" in str(report().to_json())


def test_a_report_names_the_system_and_the_traces_but_no_domain() -> None:
    text = printed(report())
    assert ASSET.name in text
    assert ASSET.filing_number in text
    assert "192.0.2.9，是否为真实攻击来源待核实" in text
    assert [word for word in (*ASSET.hosts, *ASSET.domains) if word in text] == []


def test_people_are_told_as_an_upper_bound() -> None:
    facts = replace(alert(), persons_by_class={"居民身份证号": 10, "手机号": 7})
    assert facts.persons_at_least == 10
    assert "不超过17人" in printed(report(facts))


@given(value=st.from_regex(r"[1-9][0-9]{16}[0-9X]", fullmatch=True))
def test_a_whole_identity_number_never_gets_through(value: str) -> None:
    facts = alert(masked_values=(value,), sources=(f"192.0.2.9 {value}",))
    for bulletin in (warning(facts), report(facts)):
        assert value not in printed(bulletin)
        assert value not in str(bulletin.to_json())


@given(text=st.text(max_size=40))
def test_no_text_from_outside_breaks_a_document(text: str) -> None:
    facts = alert(title=text, techniques=(text,), sources=(text,), masked_values=(text,))
    for bulletin in (warning(facts), report(facts)):
        printed(bulletin).encode("utf-8")
        bulletin.digest()


def test_a_warning_is_a_briefing_and_goes_down() -> None:
    bulletin, document = warning(), to_document(warning())
    assert bulletin.direction is Direction.DOWN
    assert document.layout is Layout.BRIEFING
    assert document.masthead == "网络安全预警通报"
    assert document.issuer == "示例省教育厅"
    assert document.addressee == "示例市教育局、示例大学"
    assert not document.show_signer


def test_a_report_is_a_document_with_a_place_for_the_signer_and_goes_up() -> None:
    bulletin, document = report(), to_document(report())
    assert bulletin.direction is Direction.UP
    assert document.layout is Layout.OFFICIAL
    assert document.issuer == "示例大学文件"
    assert document.addressee == "示例省教育厅"
    assert document.show_signer


def test_a_bulletin_in_the_wrong_direction_is_refused() -> None:
    with pytest.raises(SecmonError):
        compose_warning(alert(), GUIDE, issuer=COUNTY, tree=TREE, at=AT, to=["370200"])
    with pytest.raises(SecmonError):
        compose_incident_report(alert(), GUIDE, issuer=CITY, tree=TREE, at=AT, to=["370203"])


def test_without_a_unit_to_address_the_place_stays_open() -> None:
    alone = compose_incident_report(alert(), GUIDE, issuer=PROVINCE, tree=TREE, at=AT)
    assert alone.recipients == ()
    assert to_document(alone).addressee == "（主送单位由本单位填写）"


@pytest.mark.parametrize(
    ("stage", "name", "label"),
    [("urgent", "事发紧急报告", "现场保护与日志留存情况"), ("ongoing", "事中情况报告", "单位主要负责人签字、盖章"),
     ("after", "事后整改报告", "责任认定与追究")],
)  # fmt: skip
def test_each_stage_asks_for_its_own_fields(stage: str, name: str, label: str) -> None:
    bulletin = report(stage=stage)
    assert bulletin.title == f"关于示例学籍系统疑似数据窃取情况的{name}"
    assert label in {one.label for one in bulletin.paragraphs}


def test_an_anomaly_is_not_counted_as_an_incident() -> None:
    assert "未经研判属实，不计为网络安全事件" in printed(report(alert(techniques=("T1070",))))
    assert "未经研判属实，不计为网络安全事件" not in printed(report())


def test_the_document_holds_forms_and_tables() -> None:
    blocks = to_document(report()).blocks
    heads = [block.head[0] for block in blocks if isinstance(block, Table)]
    assert heads == ["指南条款（要点）", "序号", "事项", "去向", "证据编号"]
    assert any(isinstance(block, FieldList) for block in blocks)


def test_the_same_facts_give_the_same_draft_and_another_revision_another() -> None:
    assert report().to_json() == report().to_json()
    assert report(replace(alert(), revision=3)).id != report().id
    assert report(replace(alert(), revision=3)).evidence[0].id != report().evidence[0].id


def test_times_are_beijing_time_to_the_minute() -> None:
    assert "2026年9月7日8时01分至8时09分" in printed(report())
    later = replace(alert(), last=alert().first + timedelta(days=1))
    assert "2026年9月7日8时01分至2026年9月8日8时01分" in printed(report(later))
