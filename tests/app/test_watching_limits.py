"""Alerts about our own sight: keys and groups that are too many, windows that are too full, exceptions that end."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.app import baselines
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.app.schedule import go_on
from secmon.app.watching import report, watch
from secmon.model.alert import AlertState
from secmon.model.event import format_time
from secmon.model.hit import Level
from secmon.model.record import Document
from secmon.sigma import sliding
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.triage.sight import EXCEPTION_ENDED, EXCEPTION_ENDING, KEYS_OVERFLOW, WINDOW_CUT, keys_overflow
from tests.app.coverages import JOB, NOON, SetClock, counted_by, found, pass_time, watched_house
from tests.app.houses import BRUTE, FAILURES, RULES
from tests.contracts.builders import batch_of, event_at, hit_on
from tests.sigma.tuning_texts import exception_text, maintenance_text


@pytest.fixture
def house(backend: str, tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with watched_house(tmp_path, clock, backend) as opened:
        yield opened


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
    assert alert.reason == ("关联规则 多次被拒 有 1 个时段的日志多于 4 条，只计算了最近的；这些时段的告警计数是下限")


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
