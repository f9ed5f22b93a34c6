"""Late and out-of-order events: alerts are a function of the set of hits, for every type of correlation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings

from secmon.app import alerts, chains, integrity
from secmon.app.evaluate import evaluate
from secmon.app.folding import OVERFLOW_SHOWN, overflows
from secmon.app.installation import Installation
from secmon.app.retention import apply_retention
from secmon.errors import NotFoundError
from secmon.model.access import Access, Scope
from secmon.model.alert import Alert, AlertState, CloseReason
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.model.questions import HitQuery
from secmon.ports import EventLog
from secmon.sigma import sliding
from tests.app.houses import NOON, OPERATOR, SetClock
from tests.app.lateness import (
    ARRIVALS,
    KINDS,
    REQUESTS,
    SIMPLE,
    Arrival,
    Request,
    arrived,
    commit,
    events_of,
    every_alert,
    expected,
    found,
    house_on,
)
from tests.contracts.builders import DAY

OPEN = alerts.AlertFilter(open_only=True)


@pytest.fixture
def house(backend: str, tmp_path: Path) -> Iterator[Installation]:
    with house_on(backend, tmp_path) as opened:
        yield opened


def of_kind(house: Installation, name: str) -> Alert:
    (alert,) = [one for one in every_alert(house) if one.rule_name == name]
    return alert


def steps(alert: Alert) -> list[tuple[str, str, int]]:
    return [(step.action, step.reason, step.revision) for step in alert.history]


# Any order, any batches, any ticks.


@settings(max_examples=30, deadline=None)
@given(log=REQUESTS, arrival=ARRIVALS)
def test_alerts_depend_on_the_set_of_events_alone(log: list[Request], arrival: Arrival) -> None:
    with TemporaryDirectory() as folder:
        opened = partial(house_on, "sqlite", Path(folder))
        with opened() as house:
            wanted = expected(house, events_of(log))
        assert arrived(opened, events_of(log), arrival) == wanted


@settings(max_examples=15, deadline=None)
@given(log=REQUESTS, arrival=ARRIVALS)
def test_so_they_do_where_everything_is_read_in_the_smallest_pieces(log: list[Request], arrival: Arrival) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, limit in (("PIECE", 1), ("MAX_GROUPS", 0), ("AHEAD_KEYS", 2), ("AHEAD_HITS", 3)):
            patch.setattr(chains, name, limit)
        opened = partial(house_on, "sqlite", Path(folder))
        with opened() as house:
            wanted = expected(house, events_of(log))
        assert arrived(opened, events_of(log), arrival) == wanted


@settings(max_examples=15, deadline=None)
@given(log=REQUESTS, arrival=ARRIVALS)
def test_so_they_do_where_windows_are_too_long_to_be_held(log: list[Request], arrival: Arrival) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliding, "MAX_WINDOW", 3)
        opened = partial(house_on, "sqlite", Path(folder))
        with opened() as house:
            wanted = expected(house, events_of(log))
        assert arrived(opened, events_of(log), arrival) == wanted


def test_every_kind_of_correlation_is_tried(house: Installation) -> None:
    log = [
        Request(*values)
        for values in [
            (0, 1, 401, "a", 5), (60, 1, 401, "b", 1), (120, 1, 401, "a", 1), (180, 1, 403, "a", None),
            (240, 1, 200, "a", 4), (360, 1, 200, "b", 0), (1800, 2, 401, "a", 1), (1860, 2, 403, "b", None),
        ]
    ]  # fmt: skip
    assert {name for name, _ in expected(house, events_of(log))} == {*KINDS, "aliased"}


# What late events take back.


def request(number: int, minute: float, status: int = 401, user: str = "a") -> Event:
    return events_of([Request(int(60 * minute), 1, status, user, None)], first=number)[0]


def test_what_late_events_take_back_in_part_is_superseded(house: Installation) -> None:
    commit(house, 1, [request(1, 5), request(2, 7)])
    evaluate(house, OPERATOR)
    assert of_kind(house, "value_count_lte").content.count == 2
    commit(house, 2, [request(3, 6, user="b")])
    evaluate(house, OPERATOR)
    alert = of_kind(house, "value_count_lte")
    assert (alert.content.count, alert.content.last) == (1, NOON + timedelta(minutes=5))
    assert steps(alert) == [("raise", "first", 1), ("revise", "superseded", 2)]


def taken_back(house: Installation) -> Alert:
    """Raise an alert of "refused, and neither allowed nor denied", and let a late event take it back."""
    commit(house, 1, [request(1, 5)])
    evaluate(house, OPERATOR)
    commit(house, 2, [request(2, 4, status=200)])
    evaluate(house, OPERATOR)
    return of_kind(house, "temporal_words")


def test_an_alert_of_which_nothing_is_left_is_withdrawn_and_stays_as_a_record(house: Installation) -> None:
    alert = taken_back(house)
    assert (alert.withdrawn, alert.state, alert.content.count) == (True, AlertState.CLOSED, 0)
    assert steps(alert) == [("raise", "first", 1), ("withdraw", "late", 2)]
    assert (alert.content.unit_ids, alert.content.samples) == (("S-1",), ())
    assert alerts.details(house, OPERATOR, alert)["alert.withdrawn"] is True
    assert not [one for one in alerts.every_alert(house, OPERATOR, OPEN) if one.id == alert.id]


def test_what_it_said_stays_citable_by_id_and_revision(house: Installation) -> None:
    alert = taken_back(house)
    cited = alerts.get_revision(house, OPERATOR, alert.id, 1)
    assert (cited.revision, cited.withdrawn, cited.content.count) == (1, False, 1)
    assert cited.content.samples == (request(1, 5)["event.id"],)
    assert alerts.get_revision(house, OPERATOR, alert.id, 2) == alert
    with pytest.raises(NotFoundError, match="was not kept"):
        alerts.get_revision(house, OPERATOR, alert.id, 3)


@pytest.mark.parametrize("revision", [1, 2])
def test_a_revision_of_another_unit_is_not_seen(house: Installation, revision: int) -> None:
    alert = taken_back(house)
    for units, sees in ((frozenset({"S-1"}), True), (frozenset({"S-2"}), False)):
        access = Access(OPERATOR.principal, Scope(units))
        if sees:
            assert alerts.get_revision(house, access, alert.id, revision).revision == revision
        else:
            with pytest.raises(NotFoundError, match="no such alert"):
                alerts.get_revision(house, access, alert.id, revision)


def test_the_digest_of_the_store_is_that_of_a_store_where_all_came_in_time(house: Installation, tmp_path: Path) -> None:
    taken_back(house)
    with house_on("sqlite", tmp_path / "in-time") as other:
        commit(other, 1, [request(1, 5), request(2, 4, status=200)])
        evaluate(other, OPERATOR)
        assert integrity.digest(house, OPERATOR) == integrity.digest(other, OPERATOR)


def test_an_alert_that_somebody_has_in_hand_is_withdrawn_and_waits_for_them(house: Installation) -> None:
    commit(house, 1, [request(1, 5)])
    evaluate(house, OPERATOR)
    alerts.act_on_alert(house, OPERATOR, of_kind(house, "temporal_words").id, "investigate")
    commit(house, 2, [request(2, 4, status=200)])
    evaluate(house, OPERATOR)
    alert = of_kind(house, "temporal_words")
    assert (alert.withdrawn, alert.state) == (True, AlertState.INVESTIGATING)
    closed = alerts.act_on_alert(house, OPERATOR, alert.id, "close", reason=CloseReason.NOT_APPLICABLE)
    assert closed.state is AlertState.CLOSED


def test_a_withdrawn_alert_is_back_when_its_condition_holds_again(house: Installation) -> None:
    before = taken_back(house)
    commit(house, 3, [request(3, 14.5)])
    evaluate(house, OPERATOR)
    alert = of_kind(house, "temporal_words")
    assert (alert.id, alert.withdrawn, alert.state, alert.content.count) == (before.id, False, AlertState.NEW, 1)
    assert steps(alert)[-1] == ("return", "late", 3)


@pytest.mark.parametrize(
    ("reason", "state"),
    [(CloseReason.FALSE_POSITIVE, AlertState.CLOSED), (CloseReason.TRUE_POSITIVE_WITHOUT_IMPACT, AlertState.NEW)],
)
def test_when_it_is_back_a_persons_closing_is_weighed(
    house: Installation, reason: CloseReason, state: AlertState
) -> None:
    commit(house, 1, [request(1, 5)])
    evaluate(house, OPERATOR)
    alerts.act_on_alert(house, OPERATOR, of_kind(house, "temporal_words").id, "close", reason=reason)
    commit(house, 2, [request(2, 4, status=200)])
    evaluate(house, OPERATOR)
    assert of_kind(house, "temporal_words").state is AlertState.CLOSED
    commit(house, 3, [request(3, 14.5)])
    evaluate(house, OPERATOR)
    assert of_kind(house, "temporal_words").state is state


def test_being_taken_back_in_part_reopens_nothing(house: Installation) -> None:
    commit(house, 1, [request(1, 5), request(2, 7)])
    evaluate(house, OPERATOR)
    reason = CloseReason.TRUE_POSITIVE_WITHOUT_IMPACT
    alerts.act_on_alert(house, OPERATOR, of_kind(house, "value_count_lte").id, "close", reason=reason)
    commit(house, 2, [request(3, 6, user="b")])
    evaluate(house, OPERATOR)
    alert = of_kind(house, "value_count_lte")
    assert (alert.state, alert.content.count, alert.history[-1].reason) == (AlertState.CLOSED, 1, "superseded")


def test_a_history_that_flaps_does_not_grow(house: Installation) -> None:
    commit(house, 1, [request(1, 0)])
    for number in range(2, 30):
        evaluate(house, OPERATOR)
        commit(house, number, [request(number, 14 - number / 4, status=200 if number % 2 else 401)])
    evaluate(house, OPERATOR)
    assert all(len(alert.history) <= 6 for alert in every_alert(house))
    assert max(alert.revision for alert in every_alert(house)) > 12


# The edge of retention.


def test_a_late_event_at_the_edge_of_retention_crashes_nothing_and_takes_nothing_back(tmp_path: Path) -> None:
    clock = SetClock()
    with house_on("sqlite", tmp_path / "state", clock) as house:
        commit(house, 1, [request(1, 5), request(2, 7)])
        evaluate(house, OPERATOR)
        before = {alert.id: alert.content.count for alert in every_alert(house)}
        clock.pass_time(days=183)
        today = DAY + timedelta(days=183)
        assert apply_retention(house, OPERATOR) == []
        clock.pass_time(days=1)
        assert apply_retention(house, OPERATOR) == [f"security-{DAY.isoformat()}"]
        log = [Request(360, 1, 200, "b", 3), Request(361, 1, 401, "b", 3)]
        commit(house, 1, events_of(log, source="late", day=today), source="late", day=today)
        evaluate(house, OPERATOR)
        after = {alert.id: alert for alert in every_alert(house)}
    assert all(after[one].content.count >= count and not after[one].withdrawn for one, count in before.items())


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_event_that_claims_another_age_touches_its_own_windows_only(house: Installation, stamp: str) -> None:
    commit(house, 1, [request(n, n / 10) for n in range(1, 30)])
    evaluate(house, OPERATOR)
    before = {alert.id: alert.revision for alert in every_alert(house)}
    read = reading(house)
    strange = request(40, 2) | {"@timestamp": stamp}
    commit(read.house, 2, [strange, request(41, 3.05)])
    evaluate(read.house, OPERATOR)
    assert found(house) == expected(house, [*(request(n, n / 10) for n in range(1, 30)), strange, request(41, 3.05)])
    assert {alert.id for alert in every_alert(house)} > before.keys()


# What a tick reads.


@dataclass(slots=True)
class Reading:
    """A house whose log notes which hits are read again."""

    house: Installation
    hits: list[Hit]


class Noting:
    """A log that notes what it was asked for."""

    def __init__(self, log: EventLog, noted: list[Hit]) -> None:
        self._log, self._noted = log, noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def hits(self, access: Access, query: HitQuery) -> Iterator[Hit]:
        for hit in self._log.hits(access, query):
            self._noted.append(hit)
            yield hit


def reading(house: Installation) -> Reading:
    noted: list[Hit] = []
    log: Any = Noting(house.log, noted)
    return Reading(replace(house, log=log), noted)


def test_a_tick_reads_no_hits_of_keys_that_nothing_touched(tmp_path: Path) -> None:
    with house_on("sqlite", tmp_path / "state", rules=SIMPLE) as house:
        quiet = [Request(n, 2, 401, "a", None) for n in range(100)]
        busy = [Request(100 + n, 1, 401, "a", None) for n in range(3)]
        commit(house, 1, events_of([*quiet, *busy]))
        evaluate(house, OPERATOR)
        read = reading(house)
        commit(read.house, 2, events_of([Request(200, 1, 401, "a", None)], first=500))
        evaluate(read.house, OPERATOR)
    assert {hit.captured["source.ip"] for hit in read.hits} == {"192.0.2.1"}
    assert len(read.hits) == 4


def test_many_keys_are_read_in_one_scan(tmp_path: Path) -> None:
    with house_on("sqlite", tmp_path / "state", rules=SIMPLE) as house:
        asked: list[HitQuery] = []
        original = house.log.hits

        class Counting(Noting):
            def hits(self, access: Access, query: HitQuery) -> Iterator[Hit]:
                asked.append(query)
                return original(access, query)

        log: Any = Counting(house.log, [])
        commit(house, 1, events_of([Request(n, n % 50, 401, "a", None) for n in range(200)]))
        evaluate(replace(house, log=log), OPERATOR)
        assert (len(asked), len(asked[0].keys)) == (1, 50)
        assert len(every_alert(house)) == 50


# Overflow.


def test_a_window_that_is_too_long_is_told_as_a_state_of_the_system(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sliding, "MAX_WINDOW", 5)
    now = house.clock.now()
    commit(house, 1, [request(n, n / 10) for n in range(1, 6)])
    evaluate(house, OPERATOR)
    assert overflows(house, OPERATOR, now) == []
    commit(house, 2, [request(10, 1)])
    evaluate(house, OPERATOR)
    evaluate(house, OPERATOR)
    named = overflows(house, OPERATOR, now)
    assert {"event_count_gte", "many"} <= set(named)
    assert of_kind(house, "event_count_gte").content.cut
    assert overflows(house, OPERATOR, now + OVERFLOW_SHOWN) == []
