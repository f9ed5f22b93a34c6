"""A batch counts for a reader by id only when every copy that may become the primary has it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from secmon.errors import StoreUnavailableError
from secmon.model.batch import Counts
from secmon.store.elasticsearch.batches import Batches
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.partition_name import PartitionName
from tests.contracts.builders import DAY
from tests.store.elasticsearch.scripted import Reply, scripted

PARTITION = PartitionName(DAY, "security")
STREAM = "web:" + "ab" * 32
SEQ_NO = 7


@dataclass
class Primary:
    """The shard of the batches: what it answers, and what its copies have."""

    checkpoint: int
    term: int = 1
    has_it: bool = True
    committed: bool = True
    waited: list[float] = field(default_factory=list)

    def answer(self, _method: str, path: str, _body: bytes) -> Reply:
        if "_stats" in path:
            copy = {"routing": {"primary": True}, "seq_no": {"global_checkpoint": self.checkpoint}}
            return Reply(200, {"indices": {"t-batches": {"shards": {"0": [copy]}}}})
        if not self.has_it:
            return Reply(404, {"found": False})
        source = document(committed=self.committed)
        return Reply(200, {"_source": source, "_seq_no": SEQ_NO, "_primary_term": self.term})


def document(*, committed: bool) -> dict[str, Any]:
    counts = {"received": 1, "stored": 1, "duplicate": 0, "dead_lettered": 0, "dropped": {}, "events": 1}
    row = {
        "source": "web", "generation": "ab" * 32, "epoch": 1, "offset_from": 0, "offset_to": 9, "ruleset": "",
        "counts": counts, "first": None, "last": None, "state": "",
    }  # fmt: skip
    return {
        "day": DAY.isoformat(), "retention": "security", "stream": STREAM, "number": 1, "received_at": 0,
        "committed": committed, "token": "t", "dead": [], "hits": 0, "new": {}, "row": row,
    }  # fmt: skip


@contextmanager
def reading(primary: Primary, then: Callable[[Primary], None]) -> Iterator[Batches]:
    """Yield batches behind a primary; every time a reader waits, something happens to it."""
    with scripted(primary.answer) as server:
        gateway = Gateway(server.settings)

        def sleep(seconds: float) -> None:
            primary.waited.append(seconds)
            then(primary)

        try:
            yield Batches(gateway, sleep=sleep)
        finally:
            gateway.close()


def test_what_all_copies_have_counts_at_once() -> None:
    primary = Primary(checkpoint=SEQ_NO)
    with reading(primary, lambda _: None) as batches:
        row = batches.row(PARTITION, STREAM, 1)
    assert row is not None
    assert row.counts == Counts(received=1, stored=1, events=1)
    assert primary.waited == []


def test_what_only_the_primary_has_is_waited_for() -> None:
    def replicate(primary: Primary) -> None:
        primary.checkpoint += 1

    primary = Primary(checkpoint=SEQ_NO - 2)
    with reading(primary, replicate) as batches:
        assert batches.row(PARTITION, STREAM, 1) is not None
    assert len(primary.waited) == 2


def test_what_died_with_its_primary_never_was() -> None:
    def die(primary: Primary) -> None:
        primary.has_it, primary.term, primary.checkpoint = False, 2, SEQ_NO + 5

    with reading(Primary(checkpoint=SEQ_NO - 1), die) as batches:
        assert batches.row(PARTITION, STREAM, 1) is None


def test_what_never_becomes_durable_is_no_answer() -> None:
    with (
        reading(Primary(checkpoint=SEQ_NO - 1), lambda _: None) as batches,
        pytest.raises(StoreUnavailableError, match="does not become durable"),
    ):
        batches.row(PARTITION, STREAM, 1)


def test_an_attempt_that_does_not_count_is_read_without_waiting() -> None:
    primary = Primary(checkpoint=-1, committed=False)
    with reading(primary, lambda _: None) as batches:
        assert batches.row(PARTITION, STREAM, 1) is None
    assert primary.waited == []
