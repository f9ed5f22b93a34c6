"""Ticks under fire: crashes, people who act meanwhile, floods."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app import alerts
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import StoreError
from secmon.model.access import Access, job_access
from secmon.model.alert import AlertState, CloseReason
from secmon.model.hit import Hit
from secmon.model.questions import HitQuery
from secmon.model.record import Document
from secmon.ports import EventLog, Records
from tests.app.houses import BRUTE, NOON, OPERATOR, house_on, opened_house
from tests.app.ticking import commit, facts, found, refused, request, shells


@pytest.fixture
def house(store_in_full: str, tmp_path: Path) -> Iterator[Installation]:
    with house_on(store_in_full, tmp_path / "state") as opened:
        yield opened


# Borders of windows.


def test_late_events_land_in_the_window_of_their_own_time(house: Installation) -> None:
    commit(house, 1, shells(1, 1, minutes=90))
    evaluate(house, OPERATOR)
    commit(house, 2, [*shells(2, 1, minutes=59.9), *shells(3, 1, minutes=60), *shells(4, 1, minutes=-0.1)])
    evaluate(house, OPERATOR)
    assert [(one.window_from - NOON, one.content.count) for one in found(house)] == [
        (timedelta(hours=-1), 1),
        (timedelta(0), 1),
        (timedelta(hours=1), 2),
    ]


@pytest.mark.parametrize(
    ("minutes", "windows"),
    [
        ([55, 58, 60], [60]),  # reached exactly at the border: the later window
        ([50, 55, 59.99], [0]),
        ([50, 55, 60], []),  # the first is just outside of the half-open ten minutes
        ([50.01, 55, 60], [60]),
        ([58, 59, 59.5, 60], [0, 60]),
    ],
)
def test_a_threshold_at_the_border_of_the_grouping_window(
    house: Installation, minutes: list[float], windows: list[int]
) -> None:
    commit(house, 1, refused(1, minutes))
    evaluate(house, OPERATOR)
    assert [(one.window_from - NOON) // timedelta(minutes=1) for one in found(house, BRUTE)] == windows


def test_a_late_base_hit_completes_a_window_of_long_ago(house: Installation) -> None:
    commit(house, 1, refused(1, [1, 3]))
    evaluate(house, OPERATOR)
    commit(house, 2, refused(10, [300]))
    evaluate(house, OPERATOR)
    assert found(house, BRUTE) == []
    commit(house, 3, refused(20, [2]))
    evaluate(house, OPERATOR)
    assert [one.content.count for one in found(house, BRUTE)] == [1]


# Crashes.


class Dies:
    """A store that fails at the n-th write of a kind, as a process that is killed there."""

    def __init__(self, records: Records, kind: str, after: int) -> None:
        self._records, self._kind, self._left = records, kind, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def _pass(self, document: Document) -> None:
        if document.kind == self._kind:
            if self._left == 0:
                raise StoreError("killed")
            self._left -= 1

    def create(self, access: Access, document: Document) -> Document:
        self._pass(document)
        return self._records.create(access, document)

    def replace(self, access: Access, document: Document) -> Document:
        self._pass(document)
        return self._records.replace(access, document)


def dying(house: Installation, kind: str, after: int) -> Installation:
    return replace(house, records=Dies(house.records, kind, after))


@settings(max_examples=20, deadline=None)
@given(
    parts=st.lists(st.lists(st.integers(0, 119), min_size=1, max_size=4), min_size=2, max_size=5),
    deaths=st.lists(st.tuples(st.sampled_from(["alert", "mark"]), st.integers(0, 4)), max_size=4),
)
def test_a_tick_that_died_anywhere_is_made_good(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[int]],
    deaths: list[tuple[str, int]],
) -> None:
    batches = [
        [
            request(100 * part + n, minute, status=401, path="/shell.jsp", source_ip=f"192.0.2.{minute % 3}")
            for n, minute in enumerate(minutes)
        ]
        for part, minutes in enumerate(parts)
    ]
    with opened_house(tmp_path_factory.mktemp("quiet")) as quiet:
        for number, batch in enumerate(batches, start=1):
            commit(quiet, number, batch)
        evaluate(quiet, OPERATOR)
        expected = facts(quiet)
    with opened_house(tmp_path_factory.mktemp("dying")) as house:
        for number, batch in enumerate(batches, start=1):
            commit(house, number, batch)
            for kind, after in deaths[number - 1 : number + 1]:
                try:
                    evaluate(dying(house, kind, after), OPERATOR)
                except StoreError:
                    pass
                else:
                    continue
            if number % 2:
                evaluate(house, OPERATOR)
        evaluate(house, OPERATOR)
        assert facts(house) == expected


def test_hits_that_come_between_a_death_and_its_repair_count_once(house: Installation) -> None:
    commit(house, 1, shells(1, 3))
    with pytest.raises(StoreError):
        evaluate(dying(house, "mark", 0), OPERATOR)  # folded, but the mark did not move
    commit(house, 2, shells(10, 2))
    evaluate(house, OPERATOR)
    commit(house, 3, shells(20, 1))
    evaluate(house, OPERATOR)
    assert [one.content.count for one in found(house)] == [6]


# People who act meanwhile.


def test_people_and_ticks_at_the_same_time_lose_nothing(house: Installation) -> None:
    commit(house, 1, shells(1, 1))
    evaluate(house, job_access("evaluate"))
    alert_id = found(house)[0].id
    stop = threading.Event()

    def act() -> None:
        while not stop.is_set():
            alerts.act_on_alert(house, OPERATOR, alert_id, "close", reason=CloseReason.LEGITIMATE)
            alerts.act_on_alert(house, OPERATOR, alert_id, "reopen")

    person = threading.Thread(target=act)
    person.start()
    try:
        for number in range(2, 22):
            commit(house, number, shells(100 * number, 2))
            evaluate(house, job_access("evaluate"))
    finally:
        stop.set()
        person.join()
    alert = found(house)[0]
    assert (alert.content.count, alert.revision) == (41, 21)
    people = [step for step in alert.history if step.by == "user:mori"]
    assert [step.action for step in people] == ["close", "reopen"] * (len(people) // 2)


def test_two_that_evaluate_at_once_count_once(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state") as house:
        for number in range(1, 9):
            commit(house, number, shells(100 * number, 5))
        failures: list[Exception] = []

        def tick() -> None:
            try:
                evaluate(house, OPERATOR)
            except Exception as error:  # noqa: BLE001  a thread's failure is the test's to judge
                failures.append(error)

        threads = [threading.Thread(target=tick) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        evaluate(house, OPERATOR)
        assert [type(failure).__name__ for failure in failures] in ([], *(["ConflictError"] * n for n in range(1, 4)))
        assert [one.content.count for one in found(house)] == [40]


# Floods.


def test_a_later_tick_of_a_flood_reads_its_own_hits_only(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[HitQuery] = []
    hits_of = type(house.log).hits

    def counted(self: EventLog, access: Access, query: HitQuery) -> Iterator[Hit]:
        asked.append(query)
        return hits_of(self, access, query)

    monkeypatch.setattr(type(house.log), "hits", counted)
    for number in range(1, 30):
        commit(house, number, shells(100 * number, 20))
        evaluate(house, OPERATOR)
    assert found(house)[0].content.count == 29 * 20
    assert asked == []


@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 400), min_size=3, max_size=40),
    sizes=st.lists(st.integers(1, 6), min_size=20, max_size=20),
    swapped=st.integers(0, 39),
)
def test_a_correlation_that_goes_on_tick_by_tick_ends_like_one_evaluated_at_once(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], sizes: list[int], swapped: int
) -> None:
    minutes = [sum(gaps[: n + 1]) / 60 for n in range(len(gaps))]
    units = [{"unit_id": f"S-{1 + n % 2}"} for n in range(len(gaps))]
    events = [
        request(n, minute, status=401, path=f"/{n}", **units[n], user_name=f"u{n}") for n, minute in enumerate(minutes)
    ]
    with opened_house(tmp_path_factory.mktemp("once")) as once:
        commit(once, 1, events)
        evaluate(once, OPERATOR)
        expected = facts(once)
    late = swapped % len(events)
    order = [*events[:late], *events[late + 1 :], events[late]]  # one of them comes last of all
    with opened_house(tmp_path_factory.mktemp("ticks")) as house:
        for number, size in enumerate(sizes, start=1):
            if order:
                commit(house, number, order[:size])
                del order[:size]
                evaluate(house, OPERATOR)
        if order:
            commit(house, 99, order)
            evaluate(house, OPERATOR)
        assert facts(house) == expected


def test_a_correlation_that_goes_on_reads_only_the_last_timespan(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    hits_of = type(house.log).hits

    def counted(self: EventLog, access: Access, query: HitQuery) -> Iterator[Hit]:
        found = list(hits_of(self, access, query))
        read.append(len(found))
        return iter(found)

    monkeypatch.setattr(type(house.log), "hits", counted)
    for number in range(1, 60):
        commit(house, number, refused(10 * number, [number + n / 10 for n in range(10)]))
        evaluate(house, OPERATOR)
    assert sum(one.content.count for one in found(house, BRUTE)) == 588
    assert max(read[2:]) <= 110  # ten minutes and the new ones, of 590


def test_a_settled_alert_that_goes_on_is_counted_in_full(house: Installation) -> None:
    commit(house, 1, shells(1, 1))
    evaluate(house, OPERATOR)
    alert_id = found(house)[0].id
    alerts.act_on_alert(house, OPERATOR, alert_id, "close", reason=CloseReason.FALSE_POSITIVE)
    for number in (2, 3):
        commit(house, number, shells(100 * number, 4))
        evaluate(house, OPERATOR)
    alert = alerts.get_alert(house, OPERATOR, alert_id)
    assert (alert.state, alert.continued_after_close) == (AlertState.CLOSED, 8)
