"""EventLog, fencing: whoever takes a stream over shuts out everything that an earlier writer has under way."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import AccessError, ConflictError
from secmon.model.batch import Batch, BatchRow
from secmon.model.questions import EventQuery
from secmon.ports import EventLog
from tests.contracts.backends import empty_store
from tests.contracts.builders import DAY, ROOT_ACCESS, access_to, batch_of, event_at

NEXT_DAY = DAY + timedelta(days=1)


def attempt(offset: int = 0, *, number: int = 1, epoch: int = 1) -> Batch:
    return replace(batch_of([event_at(offset)], number=number), epoch=epoch)


def fence(log: EventLog, epoch: int, *, number: int = 1) -> BatchRow | None:
    return log.fence(ROOT_ACCESS, day=DAY, retention="security", stream=attempt().stream, number=number, epoch=epoch)


def offsets(log: EventLog) -> list[int]:
    return [int(str(event["event.id"])[16:28], 16) for event in log.events(ROOT_ACCESS, EventQuery())]


def test_an_attempt_of_an_earlier_epoch_is_refused_behind_a_fence(log: EventLog) -> None:
    assert fence(log, 2) is None
    with pytest.raises(ConflictError):
        log.commit(ROOT_ACCESS, attempt(epoch=1))
    assert offsets(log) == []
    assert list(log.batches(ROOT_ACCESS)) == []
    assert log.hits_since(ROOT_ACCESS, "") == ([], "")
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_who_put_the_fence_up_commits_behind_it(log: EventLog) -> None:
    fence(log, 2)
    row = log.commit(ROOT_ACCESS, attempt(7, epoch=2))
    assert (row.epoch, offsets(log)) == (2, [7])
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_a_batch_that_is_durable_is_returned_and_stays(log: EventLog) -> None:
    row = log.commit(ROOT_ACCESS, attempt(3))
    assert fence(log, 5) == row
    assert log.commit(ROOT_ACCESS, attempt(3)) == row
    assert offsets(log) == [3]


def test_a_fence_stands_before_one_batch_of_one_stream_of_one_partition(log: EventLog) -> None:
    fence(log, 9, number=2)
    other_source = batch_of([event_at(1, source="cas")], source="cas", number=2)
    other_day = batch_of([event_at(2, day=NEXT_DAY)], day=NEXT_DAY, number=2)
    other_class = batch_of([event_at(3)], retention="audit", number=2)
    for batch in (attempt(0, number=1), other_source, other_day, other_class):
        log.commit(ROOT_ACCESS, batch)
    with pytest.raises(ConflictError):
        log.commit(ROOT_ACCESS, attempt(4, number=2))
    assert len(offsets(log)) == 4


def test_of_two_takers_the_one_of_the_earlier_epoch_is_refused(log: EventLog) -> None:
    assert fence(log, 3) is None
    with pytest.raises(ConflictError):
        fence(log, 2)
    assert fence(log, 3) is None
    assert fence(log, 4) is None


def test_a_fence_is_for_the_root(log: EventLog) -> None:
    with pytest.raises(AccessError):
        log.fence(access_to("unit-a"), day=DAY, retention="security", stream="web:g", number=1, epoch=2)


def test_a_dropped_partition_takes_its_fences_along(log: EventLog) -> None:
    log.commit(ROOT_ACCESS, attempt(0))
    fence(log, 2, number=2)
    log.drop_partition(ROOT_ACCESS, DAY, "security")
    assert log.partitions(ROOT_ACCESS) == []


@settings(max_examples=25)
@given(steps=st.lists(st.tuples(st.sampled_from(["commit", "fence"]), st.integers(1, 4)), max_size=8))
def test_whatever_comes_first_one_attempt_counts_and_none_from_before_a_fence(
    backend: str, steps: list[tuple[str, int]]
) -> None:
    """The model: one batch, the highest epoch that fenced, and the attempt that was durable first."""
    durable, highest = 0, 0
    with empty_store(backend) as store:
        for what, epoch in steps:
            try:
                found = (
                    fence(store.log, epoch) if what == "fence" else store.log.commit(ROOT_ACCESS, attempt(epoch=epoch))
                )
            except ConflictError:
                assert not durable
                assert epoch < highest
                continue
            assert durable or epoch >= highest
            if what == "commit":
                durable = durable or epoch
            elif not durable:
                highest = epoch
            assert (found.epoch if found else 0) == durable
        assert [row.epoch for row in store.log.batches(ROOT_ACCESS)] == ([durable] if durable else [])
