"""Alerts about our own sight: silent sources, clocks, fields that never come, rules that can never fire."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.app import alerts, baselines, fields_seen, watching
from secmon.app.coverage_writing import bring_forward
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation, Source
from secmon.app.schedule import go_on
from secmon.app.watching import report, watch
from secmon.model.alert import Alert, AlertState, CloseReason
from secmon.model.event import format_time
from secmon.model.hit import Level
from secmon.model.ids import key_id
from secmon.model.record import Document, RecordQuery
from secmon.sigma import sliding
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.sigma.seen import Shown
from secmon.triage.sight import (
    CLOCK_OFF,
    EXCEPTION_ENDED,
    EXCEPTION_ENDING,
    FIELD_NEVER_SENT,
    KEYS_OVERFLOW,
    NEVER_FIRES,
    SILENT,
    WINDOW_CUT,
    keys_overflow,
)
from tests.app.coverages import HOUR, JOB, NOON, SetClock, covered_house, deliver
from tests.app.houses import BRUTE, FAILURES, OPERATOR, RULES
from tests.contracts.builders import batch_of, event_at, hit_on
from tests.sigma.tuning_texts import exception_text, maintenance_text


@pytest.fixture
def house(backend: str, tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with covered_house(tmp_path, clock, backend=backend) as opened:
        source = Source(name="web", kind="nginx.access", zone=UTC, asset="A-1", silent_after=HOUR)
        yield replace(opened, sources={"web": source})


def pass_time(house: Installation, clock: SetClock, minutes: int) -> None:
    """Let time pass with the daemon's tick every few minutes."""
    while minutes:
        step = min(minutes, 4)
        clock.pass_time(minutes=step)
        go_on(house)
        minutes -= step


def found(house: Installation, rule: str) -> list[Alert]:
    query = RecordQuery(kind=alerts.KIND, equals={"rule": (rule,)}, order="first")
    return [alerts.to_alert(document) for document in house.records.find(JOB, query).documents]


def test_a_source_that_says_nothing_for_longer_than_agreed_is_one_alert(house: Installation, clock: SetClock) -> None:
    go_on(house)
    deliver(house, 1, NOON + timedelta(minutes=10))
    pass_time(house, clock, 68)
    assert found(house, SILENT.id) == []
    pass_time(house, clock, 8)
    (alert,) = found(house, SILENT.id)
    assert (alert.state, alert.content.level, alert.rule_kind) == (AlertState.NEW, Level.MEDIUM, "system")
    assert alert.group == {"secmon.source": "web"}
    assert alert.content.first == NOON + timedelta(minutes=70)
    assert alert.content.unit_ids == ("S-1",)
    assert alert.reason == "来源 web 最近一次收到日志是 2026-11-21 20:10:00，超过约定的 1 小时 没有新日志"


def test_a_silence_that_goes_on_is_a_revision_a_day(house: Installation, clock: SetClock) -> None:
    go_on(house)
    for _ in range(49 * 15):
        clock.pass_time(minutes=4)
        watch_only(house)
    (alert,) = found(house, SILENT.id)
    assert (alert.content.count, alert.revision) == (3, 3)
    assert alert.content.last == NOON + HOUR + timedelta(days=2)


def watch_only(house: Installation) -> None:
    bring_forward(house, JOB)
    watch(house, JOB, thoroughly=False)


def test_a_source_that_speaks_again_closes_what_nobody_took_up(house: Installation, clock: SetClock) -> None:
    go_on(house)
    pass_time(house, clock, 64)
    assert len(found(house, SILENT.id)) == 1
    deliver(house, 1, clock.moment)
    go_on(house)
    (alert,) = found(house, SILENT.id)
    assert (alert.state, alert.close_reason) == (AlertState.CLOSED, CloseReason.UNKNOWN)
    assert (alert.history[-1].action, alert.history[-1].note) == ("settle", "情况已解除：来源已恢复送日志")


def test_every_source_that_speaks_again_is_settled_however_many_there_are(
    house: Installation, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_PAGE", 2)
    names = [f"web{number}" for number in range(5)]
    many = replace(house, sources={name: replace(house.sources["web"], name=name) for name in names})
    go_on(many)
    pass_time(many, clock, 64)
    assert {one.state for one in found(many, SILENT.id)} == {AlertState.NEW}
    for name in names:
        deliver(many, 1, clock.moment, source=name)
    go_on(many)
    assert [one.state for one in found(many, SILENT.id)] == [AlertState.CLOSED] * 5


def test_what_somebody_has_in_hand_is_theirs_to_close(house: Installation, clock: SetClock) -> None:
    go_on(house)
    pass_time(house, clock, 64)
    alerts.act_on_alert(house, OPERATOR, found(house, SILENT.id)[0].id, "ack")
    deliver(house, 1, clock.moment)
    for _ in range(3):
        go_on(house)
    (alert,) = found(house, SILENT.id)
    assert alert.state is AlertState.ACKNOWLEDGED
    assert [step.action for step in alert.history] == ["raise", "ack", "settle"]


def test_silent_again_is_another_alert(house: Installation, clock: SetClock) -> None:
    go_on(house)
    pass_time(house, clock, 64)
    deliver(house, 1, clock.moment)
    pass_time(house, clock, 72)
    first, second = found(house, SILENT.id)
    assert (first.state, second.state) == (AlertState.CLOSED, AlertState.NEW)


def test_after_our_own_absence_a_source_has_its_time_again(house: Installation, clock: SetClock) -> None:
    go_on(house)
    deliver(house, 1, NOON)
    go_on(house)
    clock.pass_time(hours=10)
    go_on(house)
    assert found(house, SILENT.id) == []
    pass_time(house, clock, 64)
    (alert,) = found(house, SILENT.id)
    assert alert.content.first == NOON + HOUR  # it is the source's silence, not ours


def test_a_restart_in_a_silence_neither_ends_nor_doubles_it(house: Installation, clock: SetClock) -> None:
    go_on(house)
    pass_time(house, clock, 64)
    clock.pass_time(hours=3)
    go_on(house)
    (alert,) = found(house, SILENT.id)
    assert alert.state is AlertState.NEW
    pass_time(house, clock, 64)
    assert [one.id for one in found(house, SILENT.id)] == [alert.id]


def test_two_daemons_raise_one_alert(house: Installation, clock: SetClock) -> None:
    go_on(house)
    pass_time(house, clock, 64)
    before = found(house, SILENT.id)
    watch(house, JOB)
    watch(replace(house), JOB)
    assert found(house, SILENT.id) == before


# Clocks.


def deliver_off(house: Installation, number: int, received: int, off: timedelta) -> None:
    """Commit a batch received `received` minutes after noon whose events bear times that are off."""
    at = NOON + timedelta(minutes=received)
    event = event_at((number - 1) * 100_000, at + off, day=at.date())
    house.log.commit(JOB, batch_of([event], number=number, received_at=at, day=at.date()))


def hour_of(house: Installation, clock: SetClock, *offs: int) -> list[Alert]:
    """Let an hour pass in which batches come that are off by some minutes."""
    go_on(house)
    for number, off in enumerate(offs, start=1):
        deliver_off(house, number, number, timedelta(minutes=off))
    clock.pass_time(minutes=63)
    go_on(house)
    return found(house, CLOCK_OFF.id)


def test_a_clock_that_is_ahead_is_told(house: Installation, clock: SetClock) -> None:
    (alert,) = hour_of(house, clock, 9, 10)
    assert alert.reason == "来源 web 的时钟快 9 分钟，超过允许的 5 分钟；事件先后与关联分析会出错"
    assert alert.controls == ("L3-CES1-13",)


def test_a_clock_that_lags_by_the_same_all_the_time_is_slow(house: Installation, clock: SetClock) -> None:
    (alert,) = hour_of(house, clock, -30, -31, -29)
    assert "时钟慢 29 分钟" in alert.reason


@pytest.mark.parametrize(
    "offs",
    [(4, 5), (-4, -4, -4), (-30, -20, -10), (-60 * 24,), (9, 0), (-30, -30), ()],
    ids=["ahead within the limit", "behind within the limit", "a backlog", "an old file", "one wrong", "two", "none"],
)
def test_what_is_only_late_is_no_wrong_clock(house: Installation, clock: SetClock, offs: tuple[int, ...]) -> None:
    assert hour_of(house, clock, *offs) == []


def test_the_limit_is_a_setting(house: Installation, clock: SetClock) -> None:
    assert hour_of(replace(house, max_skew=timedelta(minutes=20)), clock, 9, 10) == []


def test_a_clock_that_is_right_again_settles_its_alert(house: Installation, clock: SetClock) -> None:
    hour_of(house, clock, 9, 10)
    deliver_off(house, 3, 70, timedelta())
    clock.pass_time(minutes=60)
    go_on(house)
    (alert,) = found(house, CLOCK_OFF.id)
    assert alert.state is AlertState.CLOSED


def test_a_clock_that_stays_off_is_one_alert_a_day(house: Installation, clock: SetClock) -> None:
    hour_of(house, clock, 9, 10)
    deliver_off(house, 3, 70, timedelta(minutes=9))
    clock.pass_time(minutes=60)
    go_on(house)
    (alert,) = found(house, CLOCK_OFF.id)
    assert (alert.content.count, alert.revision) == (2, 2)


# Fields and rules.


def sent(house: Installation, *fields: str, days: int = 2, events: int = 500) -> None:
    today = house.clock.now().date()
    for age in range(days):
        shown = Shown(frozenset(fields), events)
        fields_seen.note(house, JOB, "web", today - timedelta(days=age), {"|webserver|": shown})


def test_fields_that_rules_need_and_nobody_sends_are_one_alert_a_source(house: Installation, clock: SetClock) -> None:
    go_on(house)
    sent(house, "url.path")
    pass_time(house, clock, 64)
    (alert,) = found(house, FIELD_NEVER_SENT.id)
    assert alert.content.count == 1
    assert alert.reason == ("来源 web 从未送来 http.response.status_code，1 条规则因此永远不会命中：Refused request")
    sent(house, "http.response.status_code")
    pass_time(house, clock, 64)
    assert found(house, FIELD_NEVER_SENT.id)[0].state is AlertState.CLOSED


@pytest.mark.parametrize(("days", "events"), [(1, 100_000), (2, 3), (2, 499)])
def test_a_new_source_has_not_had_the_time_to_send_everything(
    house: Installation, clock: SetClock, days: int, events: int
) -> None:
    go_on(house)
    sent(house, "url.path", days=days, events=events)
    pass_time(house, clock, 64)
    assert found(house, FIELD_NEVER_SENT.id) == []


def test_a_source_that_sends_little_is_looked_at_over_more_days(house: Installation) -> None:
    sent(house, "url.path", days=90, events=12)
    assert fields_seen.blind_rules(house, JOB) != {}
    sent(house, "http.response.status_code", days=1, events=1)
    assert fields_seen.blind_rules(house, JOB) == {}


def test_what_a_busy_source_sent_a_month_ago_it_does_not_send_now(house: Installation, clock: SetClock) -> None:
    sent(house, "url.path", "http.response.status_code", days=2, events=1_000)
    clock.pass_time(days=30)
    sent(house, "url.path", days=2, events=1_000)
    assert set(fields_seen.blind_rules(house, JOB)) == {"web"}


def test_the_number_of_events_is_kept_when_it_has_doubled_and_survives_a_restart(house: Installation) -> None:
    today = house.clock.now().date()

    def kept() -> int:
        document = house.records.get(JOB, fields_seen.KIND, f"web:{today.isoformat()}")
        return document.version if document else 0

    versions = []
    for _ in range(300):
        fields_seen.note(house, JOB, "web", today, {"|webserver|": Shown(frozenset({"url.path"}), 5)})
        versions.append(kept())
    assert versions[-1] <= 10
    house.noted.clear()
    told = fields_seen.seen(house, JOB, "web")["|webserver|"]
    assert (told.fields, told.days) == (frozenset({"url.path"}), 1)
    assert 1_000 <= told.events <= 1_500


def test_what_this_program_adds_is_not_missed_in_a_source(house: Installation, clock: SetClock) -> None:
    text = """
title: Personal data in a request
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a077
taxonomy: ecs
logsource: {category: webserver}
detection: {a: {data.classes: cn_id18}, condition: a}
level: low
"""
    house = replace(house, ruleset=load_rules([RuleFile("own.yml", text)]))
    go_on(house)
    sent(house, "url.path")
    pass_time(house, clock, 64)
    assert found(house, FIELD_NEVER_SENT.id) == []


ELSEWHERE = """
title: A shell of Windows
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a078
logsource: {product: windows, category: process_creation}
detection: {a: {Image|endswith: cmd.exe}, condition: a}
level: low
---
title: From another world
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a079
logsource: {product: toaster}
detection: {a: {Image: x}, condition: a}
level: low
"""


def test_rules_that_can_never_fire_are_told_with_the_reason(house: Installation, clock: SetClock) -> None:
    house = replace(house, ruleset=load_rules([RuleFile("elsewhere.yml", ELSEWHERE)]))
    go_on(house)
    pass_time(house, clock, 64)
    told = {str(alert.group["secmon.reason"]): alert for alert in found(house, NEVER_FIRES.id)}
    assert set(told) == {"unroutable", "no_source"}
    assert told["no_source"].reason == "1 条规则永远不会命中（没有接入这类日志）：A shell of Windows"
    assert "From another world" in told["unroutable"].reason
    assert told["no_source"].content.unit_ids == ()


def test_what_stands_is_not_revised_as_long_as_it_is_the_same(house: Installation, clock: SetClock) -> None:
    house = replace(house, ruleset=load_rules([RuleFile("elsewhere.yml", ELSEWHERE)]))
    go_on(house)
    pass_time(house, clock, 64)
    alert = next(one for one in found(house, NEVER_FIRES.id) if one.group["secmon.reason"] == "no_source")
    alerts.act_on_alert(house, OPERATOR, alert.id, "close", reason=CloseReason.LEGITIMATE)
    pass_time(house, clock, 180)
    (again,) = [one for one in found(house, NEVER_FIRES.id) if one.id == alert.id]
    assert (again.revision, again.state) == (1, AlertState.CLOSED)


def test_an_overflow_of_correlation_keys_is_an_alert_that_stays(house: Installation, clock: SetClock) -> None:
    go_on(house)
    fact = keys_overflow("5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a003", "多次被拒", 12_000, at=clock.moment)
    assert report(house, JOB, fact)
    assert not report(house, JOB, fact)
    pass_time(house, clock, 64)
    (alert,) = found(house, KEYS_OVERFLOW.id)
    assert (alert.state, alert.content.level, alert.content.count) == (AlertState.NEW, Level.HIGH, 12_000)


# Windows that held too much, and groups that are too many.


def refused_often(house: Installation, number: int, minutes: list[int]) -> None:
    """Commit a batch of refused requests that count towards the correlation, some minutes after noon."""
    found = [
        event_at((number - 1) * 100_000 + place, NOON + timedelta(minutes=minute))
        for place, minute in enumerate(minutes)
    ]
    hits = [
        replace(hit_on(one, rule=FAILURES, at=NOON + timedelta(minutes=minute)), **counted_by(house))
        for one, minute in zip(found, minutes, strict=True)
    ]
    house.log.commit(JOB, batch_of(found, number=number, hits=hits, received_at=house.clock.now()))


def counted_by(house: Installation) -> dict[str, Any]:
    group: dict[str, Any] = {"source.ip": "192.0.2.9"}
    rule = house.ruleset.by_id[FAILURES]
    return {"rule_digest": rule.digest, "captured": group, "keys": (key_id(BRUTE, group),)}


def test_a_window_that_held_more_than_is_counted_is_an_alert_within_a_tick(
    house: Installation, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sliding, "MAX_WINDOW", 4)
    go_on(house)
    clock.pass_time(minutes=4)
    refused_often(house, 1, [1, 1, 2, 2])
    evaluate(house, JOB)
    go_on(house)
    assert found(house, WINDOW_CUT.id) == []
    refused_often(house, 2, [2, 3])
    evaluate(house, JOB)
    go_on(house)
    (alert,) = found(house, WINDOW_CUT.id)
    assert (alert.state, alert.content.level, alert.group) == (AlertState.NEW, Level.HIGH, {"rule.id": BRUTE})
    assert alert.reason == ("关联规则 多次被拒 有 1 个时段的事件多于 4 条，只计算了最近的；这些时段的告警计数是下限")


def test_all_cut_windows_of_a_day_are_one_alert_and_a_restart_adds_nothing(
    house: Installation, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sliding, "MAX_WINDOW", 4)
    go_on(house)
    clock.pass_time(minutes=4)
    refused_often(house, 1, [1] * 6)
    evaluate(house, JOB)
    watch(house, JOB, thoroughly=False)
    clock.pass_time(minutes=70)
    refused_often(house, 2, [65] * 6)
    evaluate(house, JOB)
    assert watch(house, JOB, thoroughly=False) >= 1
    before = found(house, WINDOW_CUT.id)
    watch(replace(house), JOB)
    assert found(house, WINDOW_CUT.id) == before
    (alert,) = before
    assert (alert.content.count, alert.revision) == (2, 2)


CROWDED = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a07a"
BASELINE = f"""
title: More requests than usual
id: {CROWDED}
taxonomy: ecs
correlation:
  type: event_count
  rules: [refused]
  group-by: [source.ip]
  timespan: 1h
  condition: {{gte: 1}}
level: low
custom:
  secmon:
    title_zh: 请求骤增
    baseline: {{type: spike, lookback: 28d, learning: 7d, factor: 3}}
"""


def test_groups_of_a_baseline_that_are_not_kept_are_an_alert(house: Installation, clock: SetClock) -> None:
    ruleset = load_rules([RuleFile("rules.yml", RULES), RuleFile("baseline.yml", BASELINE)])
    assert [rule.id for rule in ruleset.baselines] == [CROWDED]
    house = replace(house, ruleset=ruleset)
    go_on(house)
    assert found(house, KEYS_OVERFLOW.id) == []
    body = {"groups": 2000, "overflow": 7, "at": format_time(clock.moment)}
    house.records.create(JOB, Document(kind=baselines.STATUS, id=CROWDED, body=body))
    watch(house, JOB)
    watch(house, JOB)
    (alert,) = found(house, KEYS_OVERFLOW.id)
    assert (alert.reason, alert.revision) == ("规则 请求骤增 的分组超过上限，7 个分组没有计算", 1)


# Exceptions that end.


def with_exception(house: Installation, **custom: Any) -> Installation:
    text = exception_text(logsource="category: webserver", units="[S-1]", **custom)
    ruleset = load_rules([RuleFile("rules.yml", RULES), RuleFile("exceptions.yml", text)])
    assert ruleset.problems == ()
    return replace(house, ruleset=ruleset)


def states_of(house: Installation, rule: str) -> list[AlertState]:
    return [one.state for one in found(house, rule)]


def test_an_exception_is_told_before_it_expires_and_when_it_has(house: Installation, clock: SetClock) -> None:
    house = with_exception(house, expires="2026-12-06")
    go_on(house)
    watch(house, JOB)
    assert found(house, EXCEPTION_ENDING.id) == []
    clock.pass_time(days=3)
    watch(house, JOB)
    watch(replace(house), JOB)
    (alert,) = found(house, EXCEPTION_ENDING.id)
    assert (alert.state, alert.revision, alert.content.unit_ids) == (AlertState.NEW, 1, ("S-1",))
    assert alert.reason == "例外“Exception 1”（责任人 张三）将于 2026-12-06 23:59:59 到期，到期后它标注的命中恢复告警"
    clock.pass_time(days=14)
    watch(house, JOB)
    assert states_of(house, EXCEPTION_ENDING.id) == [AlertState.CLOSED]
    (alert,) = found(house, EXCEPTION_ENDED.id)
    assert (alert.state, alert.content.level) == (AlertState.NEW, Level.MEDIUM)
    assert "已于 2026-12-06 23:59:59 到期" in alert.reason


@pytest.mark.parametrize(
    "renewed", [{"expires": "2027-06-30", "starts": "2026-12-01"}, None], ids=["renewed", "taken away"]
)
def test_an_exception_that_is_seen_to_settles_its_alerts(
    house: Installation, clock: SetClock, renewed: dict[str, Any] | None
) -> None:
    before = with_exception(house, expires="2026-11-30")
    go_on(before)
    watch(before, JOB)
    assert states_of(before, EXCEPTION_ENDING.id) == [AlertState.NEW]
    after = house if renewed is None else with_exception(house, **renewed)
    watch(after, JOB)
    (alert,) = found(house, EXCEPTION_ENDING.id)
    assert (alert.state, alert.history[-1].note) == (AlertState.CLOSED, "情况已解除：已续批、删去，或已到期")
    clock.pass_time(days=20)
    watch(after, JOB)
    assert found(house, EXCEPTION_ENDED.id) == []


def test_a_maintenance_window_is_meant_to_end(house: Installation, clock: SetClock) -> None:
    text = maintenance_text("{rules: any, from: 2026-11-21T22:00, to: 2026-11-22T06:00}")
    ruleset = load_rules([RuleFile("rules.yml", RULES), RuleFile("windows.yml", text)])
    assert ruleset.problems == ()
    here = replace(house, ruleset=ruleset)
    go_on(here)
    clock.pass_time(days=2)
    watch(here, JOB)
    assert found(here, EXCEPTION_ENDING.id) == found(here, EXCEPTION_ENDED.id) == []
