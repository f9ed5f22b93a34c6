"""What lets a store be taken over by another: batches as they were committed, documents as they are."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import AccessError, NotFoundError
from secmon.model.batch import Batch
from secmon.model.questions import HitQuery
from secmon.model.record import Document
from secmon.ports import EventLog, Records
from tests.contracts.backends import BACKENDS, empty_store
from tests.contracts.builders import DAY, NOON, ROOT_ACCESS, access_to, batch_of, event_at, finding_in, hit_on
from tests.contracts.oracle import event_lists

NEXT_DAY = DAY + timedelta(days=1)


def busy_batch(
    number: int, *, source: str = "web", events: int = 3, day: date = DAY, retention: str = "security"
) -> Batch:
    """Return a batch with a hit and two findings, if it has events."""
    made = [
        event_at(number * 10_000 + one, NOON + timedelta(seconds=one), source=source, day=day, user_name=["a", "b"])
        for one in range(events)
    ]
    hits = [hit_on(made[0], keys=("k", "l"))] if made else []
    findings = [finding_in(made[-1]), finding_in(made[0], path="url.query")] if made else []
    batch = batch_of(made, number=number, source=source, day=day, retention=retention, hits=hits, findings=findings)
    return replace(batch, state=f'{{"n":{number}}}')


def comparable(batch: Batch) -> dict[str, object]:
    """Return what of a batch must not change; the order within it and the layout of JSON may."""
    return {
        "row": replace(batch, events=(), hits=(), findings=()),
        "events": sorted((one.id, one.time, one.digest, orjson.loads(one.body), one.columns) for one in batch.events),
        "hits": sorted(map(repr, batch.hits)),
        "findings": sorted(map(repr, batch.findings)),
    }


def test_batches_come_in_the_order_of_their_commits_as_they_were(log: EventLog) -> None:
    batches = [
        busy_batch(1),
        busy_batch(1, source="mail", day=NEXT_DAY),
        busy_batch(2, events=0),
        busy_batch(3, events=1_200),
        busy_batch(1, source="cas", retention="personal"),
        busy_batch(4),
    ]
    rows = [log.commit(ROOT_ACCESS, batch) for batch in batches]
    walked = [row for row, _ in log.commits(ROOT_ACCESS)]
    assert walked == rows
    assert [comparable(log.contents(ROOT_ACCESS, row)) for row in walked] == list(map(comparable, batches))


def test_the_mark_of_a_commit_stands_right_behind_it(log: EventLog) -> None:
    batches = [busy_batch(number) for number in range(1, 6)]
    for batch in batches:
        log.commit(ROOT_ACCESS, batch)
    marks = [mark for _, mark in log.commits(ROOT_ACCESS)]
    for number, mark in enumerate(marks, start=1):
        behind, _ = log.hits_since(ROOT_ACCESS, mark)
        assert behind == [hit for batch in batches[number:] for hit in batch.hits]
        assert len(list(log.hits(ROOT_ACCESS, HitQuery(upto=mark)))) == number


def test_a_walk_can_begin_and_end_at_any_mark(log: EventLog) -> None:
    for number in range(1, 6):
        log.commit(ROOT_ACCESS, busy_batch(number))
    marks = ["", *(mark for _, mark in log.commits(ROOT_ACCESS))]
    for first, after in enumerate(marks):
        for last, upto in enumerate(marks):
            numbers = [row.number for row, _ in log.commits(ROOT_ACCESS, after=after, upto=upto)]
            assert numbers == list(range(first + 1, (last if upto else 5) + 1))


def test_nothing_was_committed_to_an_empty_store(log: EventLog, records: Records) -> None:
    assert list(log.commits(ROOT_ACCESS)) == []
    assert records.kinds(ROOT_ACCESS) == ()


def test_a_batch_of_a_dropped_partition_is_not_there(log: EventLog) -> None:
    row = log.commit(ROOT_ACCESS, busy_batch(1))
    kept = log.commit(ROOT_ACCESS, busy_batch(1, source="mail", day=NEXT_DAY))
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    assert [one for one, _ in log.commits(ROOT_ACCESS)] == [kept]
    with pytest.raises(NotFoundError):
        log.contents(ROOT_ACCESS, row)


def test_only_the_root_reads_batches_and_kinds(log: EventLog, records: Records) -> None:
    row = log.commit(ROOT_ACCESS, busy_batch(1))
    records.create(ROOT_ACCESS, Document(kind="alert", id="a", body={}, unit_ids=("unit-a",)))
    with pytest.raises(AccessError):
        log.commits(access_to("unit-a"))
    with pytest.raises(AccessError):
        log.contents(access_to("unit-a"), row)
    assert records.kinds(access_to("unit-a")) == ()


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(name, marks=[getattr(pytest.mark, name)] if name == "elasticsearch" else [])
        for name in sorted(BACKENDS)
    ],
)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_another_store_that_commits_them_again_has_the_same_digest(
    backend: str, target: str, data: st.DataObject
) -> None:
    events = data.draw(event_lists())
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)), max_size=3)) | {0, len(events)})
    pieces = [events[start:end] for start, end in pairwise(cuts)]
    batches = [
        batch_of(
            piece,
            number=number,
            hits=[hit_on(one) for one in piece[:2]],
            findings=[finding_in(one) for one in piece[1:]],
        )
        for number, piece in enumerate(pieces, start=1)
    ]
    with empty_store(backend) as old, empty_store(target) as new:
        for batch in batches:
            old.log.commit(ROOT_ACCESS, batch)
        for row, _ in old.log.commits(ROOT_ACCESS):
            assert new.log.commit(ROOT_ACCESS, old.log.contents(ROOT_ACCESS, row)) == row
        assert new.log.digest(ROOT_ACCESS) == old.log.digest(ROOT_ACCESS)
        assert list(new.log.batches(ROOT_ACCESS)) == list(old.log.batches(ROOT_ACCESS))
        assert new.log.check(ROOT_ACCESS, deep=True) == []


def test_documents_are_restored_under_their_version_and_taken_ids_passed_over(records: Records) -> None:
    taken = records.create(ROOT_ACCESS, Document(kind="alert", id="a", body={"n": 1}))
    moved = Document(
        kind="case", id="b", body={"n": 2}, version=7, keys={"state": "new"}, unit_ids=("unit-a", "unit-b")
    )
    assert records.restore(ROOT_ACCESS, [replace(taken, version=9, body={}), moved]) == 1
    assert records.restore(ROOT_ACCESS, [moved]) == 0
    assert records.get(ROOT_ACCESS, "alert", "a") == taken
    assert records.get(access_to("unit-b"), "case", "b") == moved
    assert records.replace(ROOT_ACCESS, replace(moved, body={})).version == 8
    assert records.kinds(ROOT_ACCESS) == ("alert", "case")
