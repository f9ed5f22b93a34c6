"""EventLog, writing: idempotent by id, all or nothing, the same content whatever the batches."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import AccessError, StoreError
from secmon.model.event import Event
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.ports import EventLog
from tests.contracts.backends import empty_store
from tests.contracts.builders import (
    DAY,
    NOON,
    ROOT_ACCESS,
    access_to,
    batch_of,
    event_at,
    finding_in,
    hit_on,
)
from tests.contracts.oracle import event_lists

NEXT_DAY = DAY + timedelta(days=1)


def all_events(log: EventLog) -> list[Event]:
    return list(log.events(ROOT_ACCESS, EventQuery()))


def test_a_batch_is_remembered_with_its_accounting(log: EventLog) -> None:
    event = event_at(0)
    batch = batch_of([event], hits=[hit_on(event)], dropped={"blank": 2})
    row = log.commit(ROOT_ACCESS, batch)
    assert (row.counts, row.hits, row.first_event, row.last_event) == (batch.counts, 1, NOON, NOON)
    assert (row.source, row.generation, row.offset_from, row.offset_to) == ("web", batch.generation, 0, 100_000)
    assert log.batch(ROOT_ACCESS, day=DAY, retention="security", stream=batch.stream, number=1) == row


def test_the_state_behind_a_batch_comes_back_byte_for_byte(log: EventLog) -> None:
    state = '{"offset":12,"place":"日志/\\u0000"}'
    batch = batch_of([event_at(0)], state=state)
    assert log.commit(ROOT_ACCESS, batch).state == state


def test_a_batch_without_events_is_remembered_too(log: EventLog) -> None:
    row = log.commit(ROOT_ACCESS, batch_of(dropped={"blank": 3}))
    assert (row.counts.dropped, row.first_event, row.last_event) == ({"blank": 3}, None, None)
    assert list(log.batches(ROOT_ACCESS)) == [row]


def test_the_same_batch_again_changes_nothing_and_gives_the_first_row(log: EventLog) -> None:
    events = [event_at(offset, user_name="mori") for offset in range(3)]
    hits, findings = [hit_on(events[0])], [finding_in(events[1])]
    first = log.commit(ROOT_ACCESS, batch_of(events, hits=hits, findings=findings))
    before = log.digest(ROOT_ACCESS)
    later = NOON + timedelta(hours=1)
    again = log.commit(ROOT_ACCESS, batch_of(events, hits=hits, findings=findings, received_at=later))
    assert again == first
    assert log.digest(ROOT_ACCESS) == before
    assert len(all_events(log)) == 3


def test_events_that_are_there_already_are_passed_over_with_what_hangs_on_them(log: EventLog) -> None:
    old, new = event_at(0, user_name="mori"), event_at(9, user_name="mori")
    log.commit(ROOT_ACCESS, batch_of([old], hits=[hit_on(old)], findings=[finding_in(old)]))
    both = batch_of([old, new], number=2, hits=[hit_on(old), hit_on(new)], findings=[finding_in(old), finding_in(new)])
    log.commit(ROOT_ACCESS, both)
    assert all_events(log) == [old, new]
    assert [hit.event_id for hit in log.hits(ROOT_ACCESS, HitQuery())] == [old["event.id"], new["event.id"]]
    assert log.count_findings(ROOT_ACCESS, FindingQuery()) == {"cn_id18": 2}
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_another_record_under_a_stored_id_is_refused_and_nothing_is_stored(log: EventLog) -> None:
    event, secret = event_at(500), "110101200001010015"
    log.commit(ROOT_ACCESS, batch_of([event]))
    before = log.digest(ROOT_ACCESS)
    other = event_at(500, message=secret)
    with pytest.raises(StoreError) as refused:
        log.commit(ROOT_ACCESS, batch_of([event_at(400), other, event_at(600)], number=2))
    assert not refused.value.retryable
    assert "web" in str(refused.value)
    assert "500" in str(refused.value)
    assert secret not in str(refused.value)
    assert log.digest(ROOT_ACCESS) == before
    assert len(list(log.batches(ROOT_ACCESS))) == 1


def test_two_records_under_one_id_in_one_batch_are_refused(log: EventLog) -> None:
    with pytest.raises(StoreError):
        log.commit(ROOT_ACCESS, batch_of([event_at(5), event_at(5, message="other")]))
    assert all_events(log) == []


def test_one_record_twice_in_one_batch_is_stored_once(log: EventLog) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(5), event_at(5)]))
    assert len(all_events(log)) == 1


def test_after_a_refusal_the_store_goes_on(log: EventLog) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(5, user_name="a")]))
    with pytest.raises(StoreError):
        log.commit(ROOT_ACCESS, batch_of([event_at(3, user_name="new"), event_at(5, user_name="b")], number=2))
    log.commit(ROOT_ACCESS, batch_of([event_at(7, user_name="new")], number=2))
    assert log.count(ROOT_ACCESS, EventQuery(), by="user.name") == {"a": 1, "new": 1}
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_after_a_refusal_in_the_middle_of_writing_nothing_of_it_is_remembered(log: EventLog) -> None:
    """A hit that cannot be written is met after its events: what was prepared for them must be forgotten too."""
    event = event_at(0, user_name="new", unit_id="unit-new")
    with pytest.raises(StoreError):
        log.commit(ROOT_ACCESS, batch_of([event], hits=[hit_on(event, captured={"x": "\ud800"})]))
    log.commit(ROOT_ACCESS, batch_of([event_at(1, user_name="first")]))
    log.commit(ROOT_ACCESS, batch_of([event], number=2, hits=[hit_on(event)]))
    assert log.count(ROOT_ACCESS, EventQuery(), by="user.name") == {"first": 1, "new": 1}
    assert [hit.unit_id for hit in log.hits(access_to("unit-new"), HitQuery())] == ["unit-new"]


def test_an_id_of_another_day_than_the_batch_is_refused(log: EventLog) -> None:
    with pytest.raises(StoreError):
        log.commit(ROOT_ACCESS, batch_of([event_at(0, day=NEXT_DAY)], day=DAY))


def test_a_retention_class_cannot_leave_the_folder(log: EventLog) -> None:
    for retention in ("../../etc/x", "", "A", "a/b", "a\0b"):
        with pytest.raises(StoreError):
            log.commit(ROOT_ACCESS, batch_of([event_at(0)], retention=retention))
    assert log.partitions(ROOT_ACCESS) == []


def test_batches_come_by_partition_then_stream_then_number(log: EventLog) -> None:
    for day, source, number in ((NEXT_DAY, "a", 1), (DAY, "b", 2), (DAY, "b", 1), (DAY, "a", 7)):
        log.commit(ROOT_ACCESS, batch_of(source=source, number=number, day=day))
    assert [(row.day, row.source, row.number) for row in log.batches(ROOT_ACCESS)] == [
        (DAY, "a", 7), (DAY, "b", 1), (DAY, "b", 2), (NEXT_DAY, "a", 1),
    ]  # fmt: skip


def test_batches_since_a_moment_compares_the_receive_time(log: EventLog) -> None:
    for number in (1, 2, 3):
        log.commit(ROOT_ACCESS, batch_of(number=number, received_at=NOON + timedelta(seconds=number)))
    rows = log.batches(ROOT_ACCESS, since=NOON + timedelta(seconds=2))
    assert [row.number for row in rows] == [2, 3]


def test_partitions_tell_what_they_hold(log: EventLog) -> None:
    early, late = datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC)
    events = [event_at(0, early), event_at(1, late)]
    log.commit(ROOT_ACCESS, batch_of(events, hits=[hit_on(events[0])], findings=[finding_in(events[1])]))
    log.commit(ROOT_ACCESS, batch_of([event_at(0, day=NEXT_DAY)], day=NEXT_DAY, retention="audit"))
    first, second = log.partitions(ROOT_ACCESS)
    assert (first.day, first.retention, first.first, first.last) == (DAY, "security", early, late)
    assert (first.events, first.hits, first.findings) == (2, 1, 1)
    assert first.bytes > 0
    assert (second.day, second.retention, second.events) == (NEXT_DAY, "audit", 1)


def test_a_dropped_partition_is_gone_and_the_others_stay(log: EventLog) -> None:
    kept = event_at(0, day=NEXT_DAY)
    log.commit(ROOT_ACCESS, batch_of([event_at(0)], hits=[hit_on(event_at(0))]))
    log.commit(ROOT_ACCESS, batch_of([kept], day=NEXT_DAY))
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    assert all_events(log) == [kept]
    assert list(log.hits(ROOT_ACCESS, HitQuery())) == []
    assert [partition.day for partition in log.partitions(ROOT_ACCESS)] == [NEXT_DAY]
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_a_walk_that_is_under_way_survives_the_drop_of_its_partition(log: EventLog) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(offset) for offset in range(2_000)]))
    walk = log.events(ROOT_ACCESS, EventQuery())
    first = next(walk)
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    rest = list(walk)
    assert first["event.id"] not in {event["event.id"] for event in rest}
    assert len(rest) < 2_000


def test_a_dropped_partition_may_come_again(log: EventLog) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    again = event_at(0, message="other")
    log.commit(ROOT_ACCESS, batch_of([again]))
    assert all_events(log) == [again]


def test_dropping_what_is_not_there_does_nothing(log: EventLog) -> None:
    log.drop_partition(ROOT_ACCESS, date(2020, 1, 1), "security")
    assert log.partitions(ROOT_ACCESS) == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda log: log.commit(access_to("unit-a"), batch_of()),
        lambda log: log.drop_partition(access_to("unit-a"), DAY, "security"),
        lambda log: log.digest(access_to("unit-a")),
        lambda log: log.check(access_to("unit-a")),
    ],
    ids=["commit", "drop_partition", "digest", "check"],
)
def test_what_touches_all_units_is_for_the_root(log: EventLog, ask: Callable[[EventLog], object]) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
    with pytest.raises(AccessError):
        ask(log)
    assert len(all_events(log)) == 1


@settings(max_examples=25, deadline=None)
@given(events=event_lists(), data=st.data())
def test_the_digest_does_not_depend_on_batches_or_their_order(
    backend: str, events: list[Event], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)), max_size=4), label="cuts") | {0, len(events)})
    pieces = [events[start:end] for start, end in pairwise(cuts)]
    batches = [
        batch_of(
            piece,
            number=number,
            hits=[hit_on(event) for event in piece[::2]],
            findings=[finding_in(event, path=path) for event in piece[1::2] for path in ("message", "user.name")],
        )
        for number, piece in enumerate(pieces, start=1)
    ]
    whole = batch_of(
        events,
        hits=[hit for batch in batches for hit in batch.hits],
        findings=[finding for batch in batches for finding in batch.findings],
        received_at=NOON + timedelta(days=1),
    )
    order = data.draw(st.permutations(batches), label="order")
    with empty_store(backend) as one, empty_store(backend) as other:
        one.log.commit(ROOT_ACCESS, whole)
        for batch in order:
            other.log.commit(ROOT_ACCESS, batch)
        assert one.log.digest(ROOT_ACCESS) == other.log.digest(ROOT_ACCESS)
        assert other.log.check(ROOT_ACCESS, deep=True) == []


def test_the_digest_ignores_when_an_event_was_ingested(backend: str) -> None:
    event = event_at(0)
    with empty_store(backend) as one, empty_store(backend) as other:
        one.log.commit(ROOT_ACCESS, batch_of([event]))
        other.log.commit(ROOT_ACCESS, batch_of([{**event, "event.ingested": "2030-01-01T00:00:00.000Z"}]))
        assert one.log.digest(ROOT_ACCESS) == other.log.digest(ROOT_ACCESS)


@pytest.mark.parametrize("kind", ["events", "hits", "findings"])
def test_the_digest_changes_with_each_kind(backend: str, kind: str) -> None:
    event = event_at(0)
    changed = {
        "events": batch_of([event, event_at(1)]),
        "hits": batch_of([event], hits=[hit_on(event)]),
        "findings": batch_of([event], findings=[finding_in(event)]),
    }
    with empty_store(backend) as one, empty_store(backend) as other:
        one.log.commit(ROOT_ACCESS, batch_of([event]))
        other.log.commit(ROOT_ACCESS, changed[kind])
        before, after = one.log.digest(ROOT_ACCESS), other.log.digest(ROOT_ACCESS)
    assert {name for name in before if before[name] != after[name]} == {kind}
