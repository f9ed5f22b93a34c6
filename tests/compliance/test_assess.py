"""assess: draft results from facts. The absence of anything counts only where there is data to miss it in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.compliance.assess import assess
from secmon.compliance.framework import load_framework
from secmon.compliance.needs import Fact, FactRequest, queries, request
from secmon.model.assessment import Assessment, FactSource, FactSpec, Framework, ItemResult, Result
from secmon.model.asset import Asset
from secmon.model.canonical import canonical_bytes

SINCE = datetime(2026, 9, 1, tzinfo=UTC)
UNTIL = datetime(2026, 10, 1, tzinfo=UTC)
AT = datetime(2026, 10, 1, 1, tzinfo=UTC)
ASSET = Asset(id="A-0007", name="示例教务系统", unit="370200", level=3, hosts=("web01", "db01"))
PATH = Path(__file__).parent.parent.parent / "frameworks" / "mlps-l3-ces.yaml"


def shipped() -> Framework:
    framework, _ = load_framework(PATH.name, PATH.read_text(encoding="utf-8"))
    assert framework is not None
    return framework


FRAMEWORK = shipped()
REQUESTS = queries(FRAMEWORK, ASSET.id, SINCE, UNTIL)


def run(facts: dict[str, Fact]) -> Assessment:
    return assess(FRAMEWORK, ASSET, facts, since=SINCE, until=UNTIL, at=AT)


def item(assessment: Assessment, control_id: str) -> ItemResult:
    return next(one for one in assessment.items if one.control.id == control_id)


def spec(control_id: str, check_id: str, fact: str) -> FactSpec:
    control = next(one for one in FRAMEWORK.controls if one.id == control_id)
    return next(one for one in control.checks if one.id == check_id).facts[fact]


def given_facts(control_id: str, check_id: str, **facts: Fact) -> dict[str, Fact]:
    return {request(spec(control_id, check_id, name), ASSET.id, SINCE, UNTIL).id: fact for name, fact in facts.items()}


def seen(count: int, *, days: int = 30, by: dict[str, int] | None = None) -> Fact:
    return Fact(count=count, days=days, by=by or {}, first=SINCE, last=UNTIL - timedelta(hours=1))


def test_without_any_facts_every_item_is_not_checked_and_there_is_no_evidence() -> None:
    assessment = run({})
    assert {one.result for one in assessment.items} == {Result.NOT_CHECKED}
    assert assessment.evidence == ()
    assert assessment.summary()["未核查"] == 26


def test_with_every_fact_at_zero_every_item_is_not_checked() -> None:
    assessment = run({question.id: Fact() for question in REQUESTS})
    assert {one.result for one in assessment.items} == {Result.NOT_CHECKED}


FACTS = st.builds(
    Fact,
    available=st.booleans(),
    count=st.integers(0, 5000),
    by=st.dictionaries(st.sampled_from(["", "web01", "db01", "root", "a"]), st.integers(0, 5000), max_size=4),
    days=st.integers(0, 31),
    first=st.sampled_from([None, SINCE, SINCE - timedelta(days=300)]),
    last=st.sampled_from([None, UNTIL - timedelta(hours=1), SINCE - timedelta(days=300)]),
    event_ids=st.lists(st.just("0" * 32), max_size=3).map(tuple),
    masked_sample=st.text(max_size=20),
    values=st.lists(st.sampled_from(["web01", "db01", "183", "x"]), max_size=2).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_item_is_met_without_data(data: st.DataObject) -> None:
    answers = data.draw(st.lists(FACTS, min_size=len(REQUESTS), max_size=len(REQUESTS)))
    facts = {question.id: answer for question, answer in zip(REQUESTS, answers, strict=True)}
    for one in run(facts).items:
        if one.result is not Result.MET:
            continue
        for check in one.control.checks:
            if check.required:
                assert check.coverage
                for coverage in check.coverage:
                    fact = facts[request(check.facts[coverage.fact], ASSET.id, SINCE, UNTIL).id]
                    assert fact.available
                    assert fact.count >= coverage.count >= 1
        assert one.evidence_ids
        assert one.status == "draft"


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_same_facts_give_the_same_bytes(data: st.DataObject) -> None:
    answers = data.draw(st.lists(FACTS, min_size=len(REQUESTS), max_size=len(REQUESTS)))
    facts = {question.id: answer for question, answer in zip(REQUESTS, answers, strict=True)}
    shuffled = dict(reversed(facts.items()))
    assert canonical_bytes(run(facts).to_json()) == canonical_bytes(run(shuffled).to_json())


def test_one_changed_count_changes_the_digest_and_leaves_it_out_of_itself() -> None:
    facts = given_facts("L3-CES1-13", "fields", logins=seen(1000), logins_complete=seen(990))
    other = given_facts("L3-CES1-13", "fields", logins=seen(1000), logins_complete=seen(991))
    assert run(facts).digest() != run(other).digest()
    assert run(facts).digest() == run(facts).digest()


@pytest.mark.parametrize(
    ("complete", "result"), [(1000, "符合"), (950, "符合"), (949, "部分符合"), (800, "部分符合"), (799, "不符合")]
)
def test_the_share_of_complete_records_decides_item_13(complete: int, result: str) -> None:
    facts = given_facts("L3-CES1-13", "fields", logins=seen(1000), logins_complete=seen(complete))
    assert item(run(facts), "L3-CES1-13").result == result


def test_too_few_records_decide_nothing_and_the_reason_says_so() -> None:
    facts = given_facts("L3-CES1-13", "fields", logins=seen(10, days=1), logins_complete=seen(1, days=1))
    one = item(run(facts), "L3-CES1-13")
    assert one.result is Result.NOT_CHECKED
    assert "仅10条、覆盖1天，少于核查所需的50条、覆盖3天" in one.reason


def test_what_people_have_to_fill_in_is_named() -> None:
    assert "【口令策略】未核查：日志不能反映口令策略，须人工核查配置。" in item(run({}), "L3-CES1-01").reason


def test_stale_evidence_decides_nothing() -> None:
    old = replace(seen(1000), last=SINCE - timedelta(days=200))
    facts = given_facts("L3-CES1-13", "fields", logins=old, logins_complete=seen(1000))
    one = item(run(facts), "L3-CES1-13")
    assert one.result is Result.NOT_CHECKED
    assert "证据过期" in one.reason


def test_a_cleared_log_counts_however_little_data_there_is() -> None:
    facts = given_facts("L3-CES1-14", "cleared", log_cleared=Fact(count=1, days=1))
    one = item(run(facts), "L3-CES1-14")
    assert one.result is Result.FAILED
    assert "日志被清除的记录1条" in one.reason


def test_no_cleared_log_means_nothing_without_host_logs() -> None:
    facts = given_facts("L3-CES1-14", "cleared", log_cleared=Fact(count=0))
    assert item(run(facts), "L3-CES1-14").result is Result.NOT_CHECKED


def test_item_14_is_met_only_with_clean_host_logs_and_half_a_year_of_them() -> None:
    stored = Fact(count=10_000, first=UNTIL - timedelta(days=200), last=UNTIL - timedelta(hours=1))
    facts = given_facts("L3-CES1-14", "cleared", log_cleared=Fact(), host_audit=seen(1000)) | given_facts(
        "L3-CES1-14", "retention", retention=Fact(count=1, values=("183",)), stored_events=stored
    )
    assert item(run(facts), "L3-CES1-14").result is Result.MET
    young = given_facts("L3-CES1-14", "retention", stored_events=replace(stored, first=UNTIL - timedelta(days=20)))
    one = item(run(facts | young), "L3-CES1-14")
    assert one.result is Result.NOT_CHECKED
    assert "还不能证明已留存六个月" in one.reason
    short = given_facts("L3-CES1-14", "retention", retention=Fact(count=1, values=("90",)))
    assert item(run(facts | short), "L3-CES1-14").result is Result.FAILED


def test_thirty_failures_of_one_account_without_a_lock_fail_item_02() -> None:
    facts = given_facts(
        "L3-CES1-02", "lockout", logins=seen(500), failed_logins=seen(40, by={"s01": 31, "": 9}), lockouts=Fact()
    )
    assert item(run(facts), "L3-CES1-02").result is Result.FAILED


def test_failures_of_many_accounts_do_not_add_up_to_one() -> None:
    by = {f"s{number}": 9 for number in range(20)}
    facts = given_facts("L3-CES1-02", "lockout", logins=seen(500), failed_logins=seen(180, by=by), lockouts=Fact())
    assert item(run(facts), "L3-CES1-02").result is Result.NOT_CHECKED


def test_hosts_of_the_register_are_compared_with_hosts_that_log() -> None:
    listed = Fact(count=2, values=("WEB01", "db01"))
    facts = given_facts("L3-CES1-12", "coverage_hosts", hosts=listed, host_events=seen(900, by={"web01": 900}))
    one = item(run(facts), "L3-CES1-12")
    assert one.result is Result.PARTLY
    assert "占50%" in one.reason


def test_rules_that_are_not_active_decide_nothing() -> None:
    calm = {"open": Fact(), "confirmed": Fact(), "web_requests": seen(50_000)}
    without = given_facts("L3-CES1-35", "bulk_access", **calm)
    assert item(run(without), "L3-CES1-35").result is Result.NOT_CHECKED
    with_rules = given_facts("L3-CES1-35", "bulk_access", hits=Fact(by={"r1": 0}), **calm)
    assert item(run(with_rules), "L3-CES1-35").result is Result.MET


@pytest.mark.parametrize(("fact", "result"), [("open", Result.PARTLY), ("confirmed", Result.FAILED)])
def test_an_alert_decides_by_what_people_made_of_it(fact: str, result: Result) -> None:
    facts = given_facts("L3-CES1-35", "bulk_access", **{fact: Fact(count=2)})
    assert item(run(facts), "L3-CES1-35").result is result


def test_plaintext_identity_numbers_in_logs_fail_item_28() -> None:
    found = Fact(count=3, by={"cn_id18": 3}, event_ids=("1" * 32,), masked_sample="sfzh=370***********0018")
    one = item(run(given_facts("L3-CES1-28", "plaintext_in_logs", personal_data_ids=found)), "L3-CES1-28")
    assert one.result is Result.FAILED


def test_evidence_is_found_by_the_items_that_rest_on_it() -> None:
    found = Fact(count=25, days=2, first=SINCE, last=SINCE, event_ids=tuple(f"{n:032x}" for n in range(25)))
    assessment = run(given_facts("L3-CES1-14", "cleared", log_cleared=found))
    (one,) = assessment.evidence
    assert len(one.event_ids) == 20
    assert one.query.endswith("(event.code=1102 AND winlog.channel=Security); asset.id=A-0007）")
    assert one.id in item(assessment, "L3-CES1-14").evidence_ids


def test_a_sample_is_shielded_once_more() -> None:
    found = Fact(count=1, masked_sample="id=370000199003070018\x00")
    (one,) = run(given_facts("L3-CES1-14", "cleared", log_cleared=found)).evidence
    assert one.masked_sample == "id=370*************18\ufffd"


def test_the_json_has_the_shape_of_the_contract() -> None:
    data = run(given_facts("L3-CES1-14", "cleared", log_cleared=Fact(count=1))).to_json()
    assert set(data) == {"report", "items", "evidence", "summary"}
    assert set(data["report"]) >= {"kind", "title", "asset.id", "unit.id", "at", "framework", "digest"}  # type: ignore[arg-type]  # plain data, shape under test
    assert set(data["items"][0]) >= {  # type: ignore[arg-type,index]  # the same
        "control.id", "class", "point", "gist", "confidence", "result", "status", "mode", "reason", "evidence.ids",
    }  # fmt: skip
    assert set(data["evidence"][0]) == {  # type: ignore[arg-type,index]  # the same
        "evidence.id", "kind", "query", "from", "to", "count", "digest", "event.ids", "masked_sample",
    }  # fmt: skip


def test_the_same_question_is_asked_once_and_days_only_where_they_are_read() -> None:
    ids = [question.id for question in REQUESTS]
    assert len(ids) == len(set(ids))
    by_title = {question.spec.title: question for question in REQUESTS}
    assert by_title["登录记录"].wants_days
    assert not by_title["日志被清除的记录"].wants_days
    assert by_title["该系统已留存的全部日志"].since is None


def test_a_request_says_in_words_what_it_asks() -> None:
    question: FactRequest = next(one for one in REQUESTS if one.spec.source is FactSource.ALERTS)
    assert question.query() == (
        "未关闭或无法判定的告警（alerts: rules of L3-CES1-01 with open, unknown; asset.id=A-0007）"
    )
