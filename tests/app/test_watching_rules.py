"""Alerts about our own sight: fields that no source sends, and rules that can never fire."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from secmon.app import alerts, fields_seen
from secmon.app.installation import Installation
from secmon.app.schedule import go_on
from secmon.model.alert import AlertState, CloseReason
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.sigma.seen import Shown
from secmon.triage.sight import FIELD_NEVER_SENT, NEVER_FIRES
from tests.app.coverages import JOB, SetClock, found, pass_time, watched_house
from tests.app.houses import OPERATOR


@pytest.fixture
def house(backend: str, tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with watched_house(tmp_path, clock, backend) as opened:
        yield opened


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
