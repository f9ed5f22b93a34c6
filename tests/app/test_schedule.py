"""Windows of scheduled work: none missed, none doubled, whatever the clock and the timer do; retention by partition."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app import audit, ledger, schedule
from secmon.app.installation import Installation
from secmon.app.retention import apply_retention, confirm_clock, review
from secmon.app.schedule import TASKS, Task, run_due
from secmon.errors import AccessError, StoreError
from secmon.model.access import ROOT, Access, Principal, Role, job_access
from secmon.model.event import format_time
from secmon.model.record import Body, Document, RecordQuery
from tests.app.houses import NOON, OPERATOR, SetClock, opened_house
from tests.contracts.builders import batch_of, event_at

HOUR = timedelta(hours=1)
ADMIN = Access(Principal("user:admin", frozenset({Role.SYSTEM_ADMIN})), ROOT)
RETENTION = next(task for task in TASKS if task.name == "retention")


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON + timedelta(minutes=7))


class Ran:
    """Remembers the windows that were run."""

    def __init__(self) -> None:
        self.windows: list[tuple[datetime, datetime]] = []

    def __call__(self, house: Installation, access: Access, window: ledger.Window) -> Body:
        del house, access
        self.windows.append((window.since, window.until))
        return {"number": len(self.windows)}


def failing(house: Installation, access: Access, window: ledger.Window) -> Body:
    del house, access, window
    raise StoreError("the disk is full")


def full(entry: str) -> None:
    del entry
    raise StoreError("the disk is full")


def hourly(ran: Ran, name: str = "work") -> tuple[Task, ...]:
    return (Task(name, HOUR, ran),)


def test_a_task_that_never_ran_owes_the_window_that_just_ended(house: Installation) -> None:
    ran = Ran()
    assert run_due(house, hourly(ran)) == 1
    assert ran.windows == [(NOON - HOUR, NOON)]


def test_a_window_is_done_once_however_often_the_timer_fires(house: Installation, clock: SetClock) -> None:
    ran = Ran()
    for _ in range(5):
        run_due(house, hourly(ran))
        clock.pass_time(minutes=1)
    assert len(ran.windows) == 1


@settings(max_examples=25, deadline=None)
@given(pauses=st.lists(st.integers(1, 72 * 60), min_size=1, max_size=8))
def test_after_any_outage_every_window_is_done_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[int]
) -> None:
    clock, ran = SetClock(NOON + timedelta(minutes=7)), Ran()
    with opened_house(tmp_path_factory.mktemp("ledger"), clock) as house:
        run_due(house, hourly(ran))
        for minutes in pauses:
            clock.pass_time(minutes=minutes)
            run_due(house, hourly(ran))
        hours = (clock.moment - NOON) // HOUR
    assert ran.windows == [(NOON + n * HOUR - HOUR, NOON + n * HOUR) for n in range(hours + 1)]


def test_a_clock_that_is_set_back_doubles_nothing_and_loses_nothing(house: Installation, clock: SetClock) -> None:
    ran = Ran()
    run_due(house, hourly(ran))
    clock.pass_time(hours=3)
    run_due(house, hourly(ran))
    clock.pass_time(hours=-5)
    assert run_due(house, hourly(ran)) == 0
    clock.pass_time(hours=6)
    run_due(house, hourly(ran))
    assert ran.windows == [(NOON + n * HOUR - HOUR, NOON + n * HOUR) for n in range(5)]


def test_a_long_outage_is_made_up_for_in_bounded_steps(
    house: Installation, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_CATCH_UP", 10)
    ran = Ran()
    run_due(house, hourly(ran))
    clock.pass_time(hours=24)
    assert [run_due(house, hourly(ran)) for _ in range(4)] == [10, 10, 4, 0]
    assert ran.windows == sorted(set(ran.windows))


def test_a_crash_between_row_and_head_does_the_window_no_second_time(house: Installation, clock: SetClock) -> None:
    ran = Ran()
    run_due(house, hourly(ran))
    head = house.records.get(OPERATOR, "task", "work")
    assert head is not None
    clock.pass_time(hours=1)
    run_due(house, hourly(ran))
    moved = house.records.get(OPERATOR, "task", "work")
    assert moved is not None
    house.records.replace(OPERATOR, replace(head, version=moved.version))  # the row stands, the head was not moved
    assert run_due(house, hourly(ran)) == 0
    clock.pass_time(hours=1)
    assert run_due(house, hourly(ran)) == 1
    assert len(set(ran.windows)) == len(ran.windows) == 3


def test_a_window_that_failed_is_owed_until_it_succeeds(house: Installation, clock: SetClock) -> None:
    ran = Ran()

    for _ in range(3):
        with pytest.raises(StoreError):
            run_due(house, (Task("work", HOUR, failing),))
        clock.pass_time(hours=1)
    run_due(house, hourly(ran))
    assert ran.windows == [(NOON + n * HOUR - HOUR, NOON + n * HOUR) for n in range(4)]


def test_a_task_that_fails_does_not_keep_the_others_waiting(house: Installation) -> None:
    ran = Ran()

    with pytest.raises(StoreError, match="disk is full"):
        run_due(house, (Task("failing", HOUR, failing), *hourly(ran)))
    assert len(ran.windows) == 1


def test_the_row_keeps_what_the_task_told(house: Installation) -> None:
    run_due(house, hourly(Ran()))
    row = house.records.find(OPERATOR, RecordQuery(kind=ledger.KIND)).documents[0]
    assert row.body["result"] == {"number": 1}
    assert (row.body["from"], row.body["to"]) == ("2026-11-21T11:00:00.000Z", "2026-11-21T12:00:00.000Z")
    assert row.body["state"] == "done"


def test_what_is_due_is_all_done_when_a_part_of_it_fails(house: Installation, clock: SetClock) -> None:
    house.records.create(OPERATOR, Document(kind="mark", id="coverage", body={"mark": "no such place"}))
    clock.pass_time(days=1)
    with pytest.raises(StoreError):
        schedule.go_on(house)
    head = house.records.get(OPERATOR, "task", "retention")
    assert head is not None


# Retention.


def filled(house: Installation, *days: date) -> None:
    for number, day in enumerate(days, start=1):
        house.log.commit(OPERATOR, batch_of([event_at(number, day=day)], number=number, day=day))


def days_of(house: Installation) -> list[date]:
    return [one.day for one in house.log.partitions(OPERATOR)]


def today(house: Installation) -> date:
    return house.clock.now().date()


@pytest.mark.parametrize("setting", [-1, 0, 1, 30, 179, 180])
def test_whatever_the_setting_180_whole_days_are_kept(house: Installation, setting: int) -> None:
    filled(house, *(today(house) - timedelta(days=age) for age in (181, 180, 179, 0)))
    apply_retention(replace(house, retention_days=setting), job_access("retention"))
    assert days_of(house) == [today(house) - timedelta(days=age) for age in (180, 179, 0)]


def test_a_longer_setting_keeps_more(house: Installation) -> None:
    filled(house, *(today(house) - timedelta(days=age) for age in (366, 365, 200)))
    apply_retention(replace(house, retention_days=365), job_access("retention"))
    assert days_of(house) == [today(house) - timedelta(days=age) for age in (365, 200)]


def test_a_drop_is_written_down_before_it_happens(house: Installation) -> None:
    old = today(house) - timedelta(days=400)
    filled(house, old)
    with pytest.raises(StoreError):
        apply_retention(replace(house, anchor=full), job_access("retention"))
    assert days_of(house) == [old]


def test_every_drop_stands_in_the_audit_chain(house: Installation) -> None:
    filled(house, *(today(house) - timedelta(days=age) for age in (401, 400)))
    assert len(apply_retention(house, job_access("retention"))) == 2
    found = house.records.find(OPERATOR, RecordQuery(kind="audit", order="number")).documents
    assert [(one.body["action"], one.body["details"]["events"]) for one in found] == [("partition.drop", 1)] * 2
    assert audit.verify(house, OPERATOR) == []
    assert apply_retention(house, job_access("retention")) == []


def aged(house: Installation, *ages: int) -> None:
    filled(house, *(today(house) - timedelta(days=age) for age in ages))


def test_nothing_is_kept_beyond_the_ceiling_of_its_class(house: Installation) -> None:
    aged(house, 401, 400, 300)
    house = replace(house, retention_days=900, retention_ceilings={"security": 400})
    assert [one.day for one in review(house, OPERATOR).beyond] == [today(house) - timedelta(days=401)]
    apply_retention(house, job_access("retention"))
    assert days_of(house) == [today(house) - timedelta(days=age) for age in (400, 300)]


def test_a_ceiling_below_the_law_drops_nothing_that_the_law_wants_kept(house: Installation) -> None:
    aged(house, 181, 180, 31)
    apply_retention(replace(house, retention_ceilings={"security": 30}), job_access("retention"))
    assert days_of(house) == [today(house) - timedelta(days=age) for age in (180, 31)]


def test_daily_runs_go_on(house: Installation, clock: SetClock) -> None:
    aged(house, 182, 181)
    for left in (2, 2, 1, 0):
        run_due(house, (RETENTION,))
        assert len(days_of(house)) == left
        clock.pass_time(days=1)


@pytest.mark.parametrize("months", [1, 6, 240])
def test_a_clock_that_jumped_ahead_drops_nothing(house: Installation, clock: SetClock, months: int) -> None:
    aged(house, 182, 170, 1)
    run_due(house, (RETENTION,))
    clock.pass_time(days=30 * months)
    for _ in range(3):
        with pytest.raises(StoreError, match="days further than its last run"):
            run_due(house, (RETENTION,))
        clock.pass_time(days=1)
    assert len(days_of(house)) == 3
    assert review(house, OPERATOR).is_held_up
    clock.pass_time(days=-30 * months - 3)
    assert run_due(house, (RETENTION,)) == 0
    assert not review(house, OPERATOR).is_held_up


def test_a_jump_with_nothing_to_drop_holds_up_nothing(house: Installation, clock: SetClock) -> None:
    aged(house, 10)
    run_due(house, (RETENTION,))
    clock.pass_time(days=60)
    assert run_due(house, (RETENTION,)) == 60
    assert len(days_of(house)) == 1


def test_an_operator_who_confirms_the_date_lets_it_go_on(house: Installation, clock: SetClock) -> None:
    aged(house, 182, 170, 1)
    run_due(house, (RETENTION,))
    clock.pass_time(days=30)
    confirm_clock(house, ADMIN)
    assert run_due(house, (RETENTION,)) == 30
    assert len(days_of(house)) == 1
    entries = house.records.find(OPERATOR, RecordQuery(kind="audit", equals={"action": ("clock.confirm",)})).documents
    assert [one.body["by"] for one in entries] == [ADMIN.principal.id]


def test_a_confirmation_is_good_for_a_day(house: Installation, clock: SetClock) -> None:
    aged(house, 182, 170, 1)
    run_due(house, (RETENTION,))
    clock.pass_time(days=30)
    confirm_clock(house, ADMIN)
    clock.pass_time(days=2)
    with pytest.raises(StoreError, match="retention waits"):
        apply_retention(house, job_access("retention"))


def test_the_clock_is_confirmed_by_system_administrators_only(house: Installation) -> None:
    with pytest.raises(AccessError):
        confirm_clock(house, OPERATOR)


@pytest.mark.parametrize(
    ("days", "leap", "waits"), [(183, 3, False), (183, 4, True), (180, 2, True), (400, 7, False), (400, 8, True)]
)
def test_a_leap_that_could_break_the_law_waits(
    house: Installation, clock: SetClock, days: int, leap: int, *, waits: bool
) -> None:
    aged(house, 500)
    house.records.create(OPERATOR, Document(kind="task", id="retention", body={"done_until": format_time(clock.now())}))
    clock.pass_time(days=leap)
    assert review(replace(house, retention_days=days), OPERATOR).is_held_up is waits
