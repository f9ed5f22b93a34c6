"""Alerts about our own sight: sources that say nothing, and clocks that are off."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from secmon.app import alerts, watching
from secmon.app.installation import Installation
from secmon.app.schedule import go_on
from secmon.app.watching import watch
from secmon.model.alert import Alert, AlertState, CloseReason
from secmon.model.hit import Level
from secmon.triage.sight import CLOCK_OFF, SILENT
from tests.app.coverages import (
    HOUR,
    JOB,
    NOON,
    SetClock,
    deliver,
    found,
    pass_time,
    watch_only,
    watched_house,
)
from tests.app.houses import OPERATOR
from tests.contracts.builders import batch_of, event_at


@pytest.fixture
def house(backend: str, tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with watched_house(tmp_path, clock, backend) as opened:
        yield opened


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
    assert alert.reason == "来源 web 最近一次收到日志是 2026-11-21 20:10:00，超过约定的 1 小时，没有新日志"


def test_a_silence_that_goes_on_is_a_revision_a_day(house: Installation, clock: SetClock) -> None:
    go_on(house)
    for _ in range(49 * 15):
        clock.pass_time(minutes=4)
        watch_only(house)
    (alert,) = found(house, SILENT.id)
    assert (alert.content.count, alert.revision) == (3, 3)
    assert alert.content.last == NOON + HOUR + timedelta(days=2)


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
    assert alert.reason == "来源 web 的时钟快 9 分钟，超过允许的 5 分钟；日志先后与关联分析会出错"
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
