"""EventLog: hits of rules that only serve correlations, of which floods come, are hits like any other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.model.access import Access, Scope
from secmon.model.batch import Batch
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.model.questions import HitQuery
from secmon.ports import EventLog
from tests.contracts.backends import empty_store
from tests.contracts.builders import (
    DAY,
    KEY,
    NOON,
    OTHER_KEY,
    ROOT_ACCESS,
    access_to,
    batch_of,
    event_at,
    finding_in,
    hit_on,
    identity,
    silent_on,
)
from tests.contracts.oracle import event_lists

FLOOD = 1_300
SECOND = timedelta(seconds=1)


def flood(first: int = 0, number: int = FLOOD) -> list[Event]:
    """Return requests, every other second late by ten minutes, of three schools and of none."""
    events = []
    for n in range(first, first + number):
        event = event_at(n, NOON + n * SECOND - (n % 2) * timedelta(minutes=10), user_name=f"u{n % 7}")
        events.append(event | {"unit.id": f"S-{n % 4}"} if n % 4 else event)
    return events


def ordered(hits: list[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (hit.at, hit.event_id, hit.rule_id))


@pytest.fixture
def committed(log: EventLog) -> list[Hit]:
    """Return what two batches brought: silent hits, two on each tenth event, and every fiftieth of a loud rule."""
    every: list[Hit] = []
    for number, events in enumerate((flood()[:700], flood()[700:]), start=1):
        hits = [silent_on(event, keys=(KEY,) if n % 3 else (KEY, OTHER_KEY)) for n, event in enumerate(events)]
        hits += [silent_on(event, rule="rule-b", keys=()) for event in events[::10]]
        hits += [hit_on(event, rule="rule-0") for event in events[::50]]
        log.commit(ROOT_ACCESS, batch_of(events, number=number, hits=hits))
        every += hits
    return ordered(every)


def test_a_flood_comes_back_in_order(log: EventLog, committed: list[Hit]) -> None:
    assert list(log.hits(ROOT_ACCESS, HitQuery())) == committed
    assert list(log.hits(ROOT_ACCESS, HitQuery(limit=777))) == committed[:777]


def test_a_flood_is_asked_for_by_all_that_hits_have(log: EventLog, committed: list[Hit]) -> None:
    since, until = NOON + 100 * SECOND, NOON + 400 * SECOND
    asked: dict[HitQuery, Callable[[Hit], bool]] = {
        HitQuery(since=since, until=until): lambda hit: since <= hit.at < until,
        HitQuery(since=until, keys=(OTHER_KEY,)): lambda hit: until <= hit.at and OTHER_KEY in hit.keys,
        HitQuery(rule_ids=("rule-b",), until=since): lambda hit: hit.rule_id == "rule-b" and hit.at < since,
        HitQuery(suppressed=False, rule_ids=("rule-0", "rule-b")): lambda hit: hit.rule_id != "rule-a",
        HitQuery(suppressed=True): lambda _: False,
        HitQuery(asset_id="jwxt"): lambda _: False,
        HitQuery(alert_id=committed[0].alert_id or "x"): lambda hit: hit.alert_id == (committed[0].alert_id or "x"),
    }
    for query, is_wanted in asked.items():
        assert list(log.hits(ROOT_ACCESS, query)) == [hit for hit in committed if is_wanted(hit)]


@pytest.mark.parametrize("units", [(), ("S-1",), ("S-2", "S-3"), ("S-0",)], ids=str)
def test_each_viewer_sees_the_hits_of_their_units(log: EventLog, committed: list[Hit], units: tuple[str, ...]) -> None:
    seen = list(log.hits(access_to(*units), HitQuery(keys=(KEY,))))
    assert seen == [hit for hit in committed if KEY in hit.keys and hit.unit_id in units]


def test_what_came_since_a_mark_is_whole_batches(log: EventLog, committed: list[Hit]) -> None:
    first, mark = log.hits_since(ROOT_ACCESS, "", limit=1)
    rest, last = log.hits_since(ROOT_ACCESS, mark)
    assert {hit.event_id for hit in first} == {identity(n) for n in range(700)}
    assert ordered(first + rest) == committed
    assert log.hits_since(ROOT_ACCESS, last) == ([], last)
    assert ordered(list(log.hits(ROOT_ACCESS, HitQuery(upto=mark)))) == ordered(first)


def test_they_are_counted_checked_and_come_again_as_they_were_committed(log: EventLog, committed: list[Hit]) -> None:
    (partition,) = log.partitions(ROOT_ACCESS)
    assert (partition.hits, partition.events) == (len(committed), FLOOD)
    assert log.check(ROOT_ACCESS) == log.check(ROOT_ACCESS, deep=True) == []
    again = [hit for row in log.batches(ROOT_ACCESS) for hit in log.contents(ROOT_ACCESS, row).hits]
    assert ordered(again) == committed
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    assert list(log.hits(ROOT_ACCESS, HitQuery())) == []


def test_the_span_of_a_partition_is_that_of_all_its_hits(log: EventLog) -> None:
    events = [event_at(n, NOON + n * SECOND) for n in range(3)]
    log.commit(ROOT_ACCESS, batch_of(events[1:2], hits=[silent_on(event) for event in events]))
    (partition,) = log.partitions(ROOT_ACCESS)
    assert (partition.first, partition.last) == (NOON, NOON + 2 * SECOND)


def test_the_same_hits_in_other_batches_are_passed_over(log: EventLog) -> None:
    """Batches of other lengths over the same events, as after a checkpoint that was put back by hand."""
    events = [event_at(n, NOON + n * SECOND) for n in range(40)]
    hits = [silent_on(event) for event in events]
    for number, cut in enumerate((slice(10, 20), slice(0, 15), slice(10, 20), slice(5, 40), slice(0, 40)), start=1):
        log.commit(ROOT_ACCESS, batch_of(events[cut], number=number, hits=hits[cut]))
        assert log.check(ROOT_ACCESS, deep=True) == []
    assert list(log.hits(ROOT_ACCESS, HitQuery())) == hits
    assert [len(log.contents(ROOT_ACCESS, row).hits) for row in log.batches(ROOT_ACCESS)] == [10, 10, 0, 20, 0]


def test_a_hit_that_was_silent_before_or_will_be_is_one_hit(log: EventLog) -> None:
    """Somebody writes an exception, or makes the rule an alert of its own, between two goes over the same events."""
    events = [event_at(n, NOON + n * SECOND) for n in range(6)]
    silent = [silent_on(event) for event in events]
    quiet = [replace(hit, suppressed_by="exception-a") for hit in silent]
    log.commit(ROOT_ACCESS, batch_of(events[:3], hits=silent[:3]))
    log.commit(ROOT_ACCESS, batch_of(events, number=2, hits=quiet))
    log.commit(ROOT_ACCESS, batch_of(events, number=3, hits=[*silent, silent_on(events[5], rule="rule-b")]))
    assert list(log.hits(ROOT_ACCESS, HitQuery(rule_ids=("rule-a",)))) == [*silent[:3], *quiet[3:]]
    assert len(list(log.hits(ROOT_ACCESS, HitQuery()))) == 7
    assert log.check(ROOT_ACCESS, deep=True) == []


CUTS = st.sets(st.integers(0, 12), max_size=4)


def _batches(events: list[Event], cuts: set[int], first: int) -> list[Batch]:
    pieces = [events[start:end] for start, end in pairwise(sorted({0, len(events), *cuts & set(range(len(events)))}))]
    return [
        batch_of(
            piece,
            number=first + number,
            hits=[one for n, event in enumerate(piece) for one in _hits(event, n)],
            findings=[finding_in(event) for event in piece],
        )
        for number, piece in enumerate(pieces)
    ]


def _hits(event: Event, number: int) -> list[Hit]:
    hits = [silent_on(event), silent_on(event, rule="rule-b", keys=(KEY, OTHER_KEY))]
    return [*hits, hit_on(event, rule="rule-c")] if number % 2 else hits


@settings(max_examples=8, deadline=None)
@given(events=event_lists(max_size=12), one_way=CUTS, another=CUTS, units=st.sampled_from([None, {"unit-a"}]))
def test_whatever_the_batches_and_their_repeats_the_hits_are_the_same(
    backend: str, events: list[Event], one_way: set[int], another: set[int], units: set[str] | None
) -> None:
    with empty_store(backend) as once, empty_store(backend) as twice:
        for batch in _batches(events, one_way, 1):
            once.log.commit(ROOT_ACCESS, batch)
            twice.log.commit(ROOT_ACCESS, batch)
        for batch in _batches(events, another, 50):
            twice.log.commit(ROOT_ACCESS, batch)
        whole = Access(ROOT_ACCESS.principal, Scope(None if units is None else frozenset(units)))
        assert twice.log.check(ROOT_ACCESS, deep=True) == []
        loud = {hit.event_id for hit in once.log.hits(ROOT_ACCESS, HitQuery(rule_ids=("rule-c",)))}
        for query in (HitQuery(rule_ids=("rule-a", "rule-b")), HitQuery(keys=(OTHER_KEY,))):
            assert list(once.log.hits(whole, query)) == list(twice.log.hits(whole, query))
        assert loud <= {hit.event_id for hit in twice.log.hits(ROOT_ACCESS, HitQuery(rule_ids=("rule-c",)))}
