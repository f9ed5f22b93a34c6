"""Attempts that never counted: invisible, taken over by the next, fenced off when their writer comes back."""

from dataclasses import replace
from typing import Any

import pytest

from secmon.errors import ConflictError, PoisonError, StoreError, StoreUnavailableError
from secmon.model.batch import Batch, BatchRow
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.store.elasticsearch.batches import Batches, Intent
from secmon.store.elasticsearch.bulk import BulkWriter
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.fields import MAX_TEXT
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.naming import KINDS, Kind
from secmon.store.elasticsearch.writing import BatchWriter, loaded
from secmon.store.partition_name import PartitionName
from tests.contracts.builders import DAY, ROOT_ACCESS, batch_of, event_at, finding_in, hit_on

pytestmark = pytest.mark.elasticsearch

PARTITION = PartitionName(DAY, "security")


class Attempt:
    """A writer that stops, or is frozen, between its steps."""

    def __init__(self, gateway: Gateway, batch: Batch) -> None:
        self._bulk = BulkWriter(gateway)
        self._writer = BatchWriter(gateway, Batches(gateway), self._bulk)
        self._batch = batch
        self._load = loaded(batch)
        gateway.ensure_partition(PARTITION, KINDS)
        intent = self._writer.batches.open(batch, self._load.ids)
        assert isinstance(intent, Intent)
        self._intent = intent
        self._new: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    def write(self) -> "Attempt":
        """Write everything."""
        self._new = self._writer.write(PARTITION, self._load, self._intent)
        return self

    def commit(self) -> BatchRow:
        """Decide."""
        return self._writer.batches.commit(self._intent, self._batch, self._new)

    def close(self) -> None:
        """End its threads."""
        self._bulk.close()


def full_batch(*offsets: int, number: int = 1, epoch: int = 1) -> Batch:
    events = [event_at(offset, user_name="mori") for offset in offsets]
    hits, findings = [hit_on(event) for event in events], [finding_in(event) for event in events]
    return replace(batch_of(events, number=number, hits=hits, findings=findings), epoch=epoch)


def offsets_of(log: ElasticsearchEventLog) -> list[int]:
    return [int(str(event["event.id"])[16:28], 16) for event in log.events(ROOT_ACCESS, EventQuery())]


def seen(log: ElasticsearchEventLog) -> tuple[int, int, int]:
    """Return how many events, hits and findings readers see."""
    counts = log.count_findings(ROOT_ACCESS, FindingQuery())
    hits = list(log.hits(ROOT_ACCESS, HitQuery()))
    assert log.profile(ROOT_ACCESS, EventQuery()).count == len(offsets_of(log))
    return log.count(ROOT_ACCESS, EventQuery())[""], len(hits), sum(counts.values())


def test_what_was_written_and_not_committed_is_seen_by_nobody(
    es_log: ElasticsearchEventLog, es_gateway: Gateway
) -> None:
    es_log.commit(ROOT_ACCESS, full_batch(1))
    before = es_log.digest(ROOT_ACCESS)
    Attempt(es_gateway, full_batch(2, 3, number=2)).write().close()
    assert seen(es_log) == (1, 1, 1)
    assert es_log.digest(ROOT_ACCESS) == before
    assert len(es_log.events_by_id(ROOT_ACCESS, [str(event_at(offset)["event.id"]) for offset in (1, 2)])) == 1
    assert es_log.hits_since(ROOT_ACCESS, "")[0] == list(es_log.hits(ROOT_ACCESS, HitQuery()))
    assert [row.number for row in es_log.batches(ROOT_ACCESS)] == [1]
    assert [(part.events, part.hits, part.findings) for part in es_log.partitions(ROOT_ACCESS)] == [(1, 1, 1)]
    assert es_log.check(ROOT_ACCESS, deep=True) == []


def test_the_next_attempt_takes_over_what_the_last_one_left(es_log: ElasticsearchEventLog, es_gateway: Gateway) -> None:
    Attempt(es_gateway, full_batch(1, 2, 3)).write().close()
    es_log.commit(ROOT_ACCESS, full_batch(1, 2, 3))
    assert seen(es_log) == (3, 3, 3)
    assert es_log.check(ROOT_ACCESS, deep=True) == []


def test_an_attempt_that_cuts_the_stream_elsewhere_counts_only_its_own(
    es_log: ElasticsearchEventLog, es_gateway: Gateway
) -> None:
    Attempt(es_gateway, full_batch(1, 2, 3, 4)).write().close()
    es_log.commit(ROOT_ACCESS, full_batch(1, 2))
    assert offsets_of(es_log) == [1, 2]
    assert seen(es_log) == (2, 2, 2)
    es_log.commit(ROOT_ACCESS, full_batch(3, 4, number=2))
    assert offsets_of(es_log) == [1, 2, 3, 4]
    assert seen(es_log) == (4, 4, 4)
    assert es_log.check(ROOT_ACCESS, deep=True) == []


def test_of_two_attempts_at_once_the_one_announced_last_counts(
    es_log: ElasticsearchEventLog, es_gateway: Gateway
) -> None:
    frozen = Attempt(es_gateway, full_batch(1, 2, 3)).write()
    es_log.commit(ROOT_ACCESS, full_batch(1, 2))
    with pytest.raises(ConflictError):
        frozen.commit()
    frozen.close()
    assert offsets_of(es_log) == [1, 2]


def test_a_writer_of_an_older_epoch_cannot_begin_beside_a_newer_one(
    es_log: ElasticsearchEventLog, es_gateway: Gateway
) -> None:
    Attempt(es_gateway, full_batch(1, epoch=2)).close()
    with pytest.raises(ConflictError):
        es_log.commit(ROOT_ACCESS, full_batch(1, epoch=1))
    assert seen(es_log) == (0, 0, 0)


def test_what_a_frozen_writer_writes_after_it_was_replaced_never_counts(
    es_log: ElasticsearchEventLog, es_gateway: Gateway
) -> None:
    frozen = Attempt(es_gateway, full_batch(1, 2, 3, 4))
    es_log.commit(ROOT_ACCESS, full_batch(1, 2, epoch=2))
    frozen.write()
    with pytest.raises(ConflictError):
        frozen.commit()
    frozen.close()
    assert seen(es_log) == (2, 2, 2)
    es_log.commit(ROOT_ACCESS, full_batch(3, 4, number=2, epoch=2))
    assert seen(es_log) == (4, 4, 4)
    assert es_log.check(ROOT_ACCESS, deep=True) == []


def test_a_reader_that_began_before_a_commit_sees_nothing_of_the_batch(es_gateway: Gateway) -> None:
    """Its views of events and of batches are taken one after the other; the commit falls in between."""
    batches = Batches(es_gateway)
    attempt = Attempt(es_gateway, full_batch(1, 2)).write()
    upto = batches.checkpoint()
    attempt.commit()
    attempt.close()
    assert len(batches.unsettled(upto)) == 1
    assert batches.unsettled(batches.checkpoint()) == []


def test_poison_is_named_and_the_rest_of_the_batch_can_be_committed(
    es_log: ElasticsearchEventLog, es_gateway: Gateway
) -> None:
    """An operator changed the mapping: one of three events can never be stored."""
    es_gateway.install()
    index = es_gateway.names.index("events", PARTITION)
    foreign = {"mappings": {"properties": {"user": {"properties": {"name": {"type": "long"}}}}}}
    alias: dict[str, Any] = {"aliases": {es_gateway.names.alias("events"): {}}}
    es_gateway.write("DELETE", f"/_index_template/{es_gateway.names.alias('events')}")
    es_gateway.write("PUT", f"/{index}", {**foreign, **alias})
    good, poison, fine = event_at(1, user_name="1"), event_at(2, user_name="110101200001010015"), event_at(3)
    poison["user.name"] = "mori 110101200001010015"
    with pytest.raises(PoisonError) as refused:
        es_log.commit(ROOT_ACCESS, batch_of([good, poison, fine]))
    assert refused.value.event_ids == (poison["event.id"],)
    assert "1101" not in str(refused.value)
    assert list(es_log.batches(ROOT_ACCESS)) == []
    es_log.commit(ROOT_ACCESS, batch_of([good, fine]))
    assert len(list(es_log.batches(ROOT_ACCESS))) == 1


def test_a_read_only_index_is_unavailable_until_the_block_is_gone(
    es_log: ElasticsearchEventLog, es_gateway: Gateway
) -> None:
    es_log.commit(ROOT_ACCESS, full_batch(1))
    path = f"/{es_gateway.names.index('events', PARTITION)}/_settings"
    es_gateway.write("PUT", path, {"index.blocks.read_only_allow_delete": True})
    with pytest.raises(StoreUnavailableError, match="read-only or full"):
        es_log.commit(ROOT_ACCESS, full_batch(2, number=2))
    assert seen(es_log) == (1, 1, 1)
    es_gateway.write("PUT", path, {"index.blocks.read_only_allow_delete": None})
    es_log.commit(ROOT_ACCESS, full_batch(2, number=2))
    assert seen(es_log) == (2, 2, 2)


def test_a_reader_makes_nothing_and_may_not_write(es_settings: ElasticsearchSettings, es_gateway: Gateway) -> None:
    log = ElasticsearchEventLog(es_settings, writable=False)
    assert list(log.events(ROOT_ACCESS, EventQuery())) == []
    assert log.check(ROOT_ACCESS, deep=True) == []
    with pytest.raises(StoreError, match="for reading"):
        log.commit(ROOT_ACCESS, full_batch(1))
    log.close()
    assert es_gateway.read("GET", f"/{es_gateway.names.prefix}-*").body == {}


def test_documents_that_are_missing_or_too_many_are_told(es_log: ElasticsearchEventLog, es_gateway: Gateway) -> None:
    es_log.commit(ROOT_ACCESS, full_batch(1, 2))
    lost = str(event_at(1)["event.id"])
    es_gateway.write("DELETE", f"/{es_gateway.names.index('events', PARTITION)}/_doc/{lost}")
    assert es_log.check(ROOT_ACCESS) == ["events: 2 are accounted for, 1 are there"]
    assert es_log.check(ROOT_ACCESS, deep=True) == ["events: web: batch 1: 2 are accounted for, 1 are there"]


@pytest.mark.parametrize("size", [MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1, 40_000])
def test_a_text_of_any_length_and_script_is_found_by_its_exact_value(es_log: ElasticsearchEventLog, size: int) -> None:
    """Elasticsearch leaves long texts out of its index without a word; that must never show."""
    name = "x" * 250
    long = "\U0001f393" * size
    es_log.commit(ROOT_ACCESS, batch_of([{**event_at(1, user_name=long), name: long}, event_at(2, user_name="mori")]))
    for field in ("user.name", name):
        assert es_log.count(ROOT_ACCESS, EventQuery(equals={field: (long,)})) == {"": 1}
        assert len(list(es_log.events(ROOT_ACCESS, EventQuery(present=(name,), equals={field: (long,)})))) == 1
    assert es_log.count(ROOT_ACCESS, EventQuery(), by="user.name") == {long: 1, "mori": 1}
    assert es_log.count(ROOT_ACCESS, EventQuery(), by=name) == {long: 1, "": 1}


def test_a_hit_that_is_refused_names_its_event(es_log: ElasticsearchEventLog, es_gateway: Gateway) -> None:
    """The mapping of hits was changed: the events whose hits it refuses are poison, not the whole stream."""
    es_gateway.install()
    index = es_gateway.names.index("hits", PARTITION)
    foreign = {"mappings": {"properties": {"rule": {"type": "long"}}}}
    alias: dict[str, Any] = {"aliases": {es_gateway.names.alias("hits"): {}}}
    es_gateway.write("DELETE", f"/_index_template/{es_gateway.names.alias('hits')}")
    es_gateway.write("PUT", f"/{index}", {**foreign, **alias})
    good, bad = event_at(1), event_at(2)
    with pytest.raises(PoisonError) as refused:
        es_log.commit(ROOT_ACCESS, batch_of([good, bad], hits=[hit_on(bad)]))
    assert refused.value.event_ids == (bad["event.id"],)
    es_log.commit(ROOT_ACCESS, batch_of([good]))
    assert offsets_of(es_log) == [1]
