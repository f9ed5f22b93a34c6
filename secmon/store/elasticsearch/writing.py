"""Committing one batch: announce, write, decide (`batches` says why in this order)."""

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from secmon.errors import ConflictError, PoisonError, StoreError
from secmon.model.batch import Batch, BatchRow, StoredEvent
from secmon.model.ids import partition_number
from secmon.store.elasticsearch.batches import Batches, Intent
from secmon.store.elasticsearch.bulk import Action, BulkWriter, Outcome, create, overwrite
from secmon.store.elasticsearch.encode import Item, event_item, finding_item, hit_item, is_event_id
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.naming import KINDS, Kind, PartitionName, partition_name

_MGET: Final = 1_000
_OFFSET = slice(8, 14)


@dataclass(frozen=True, slots=True)
class BatchWriter:
    """Commits batches."""

    gateway: Gateway
    batches: Batches
    bulk: BulkWriter

    def commit(self, batch: Batch) -> BatchRow:
        """Make a batch durable, all of it or nothing; see `ports.EventLog.commit`."""
        partition = partition_name(batch.day, batch.retention)
        load = loaded(batch)
        self.gateway.ensure_partition(partition, [kind for kind in KINDS if load.ids[kind]] or ["events"])
        intent = self.batches.open(batch, load.ids)
        if isinstance(intent, BatchRow):
            return intent
        return self.batches.commit(intent, batch, self.write(partition, load, intent))

    def write(self, partition: PartitionName, load: "Load", intent: Intent) -> dict[Kind, int]:
        """Write all documents; return how many of each kind carry the token of this attempt.

        Raises:
            PoisonError: some can never be stored; nothing of the batch counts.
        """
        kinds: list[Kind] = [kind for kind in KINDS if load.ids[kind]]
        index = {kind: self.gateway.names.index(kind, partition) for kind in kinds}
        # All kinds go at once: a few hits do not wait for the last event, nor the next batch for them.
        outcomes = self.bulk.write_all((index[kind], create(load.items(kind), intent.token)) for kind in kinds)
        written = dict(zip(kinds, outcomes, strict=True))
        for kind, outcome in written.items():
            _refuse_poison(outcome, kind, load)
        new: dict[Kind, int] = {kind: len(load.ids[kind]) for kind in KINDS}
        for kind, outcome in written.items():
            if outcome.taken:
                taken = list(load.items(kind, set(outcome.taken)))
                new[kind] -= self._settle(index[kind], kind, taken, intent, load)
        return new

    def _settle(self, index: str, kind: Kind, taken: Sequence[Item], intent: Intent, load: "Load") -> int:
        """Deal with documents whose ids were taken; return how many belong to other batches that count.

        What an attempt that never counted left behind is taken over. What counts stays as it is; for an event it
        must be the same record.
        """
        batch = load.batch
        holders = self._holders(index, kind, [item.id for item in taken])
        count = self.batches.places({holder["token"] for holder in holders.values()} - {intent.token})
        digests = {event.id.hex(): event for event in batch.events} if kind == "events" else {}
        overwrites: list[Action] = []
        passed = 0
        for item in taken:
            holder = holders.get(item.id)
            if holder is None:
                continue
            event = digests.get(item.id)
            same = event is None or holder["digest"] == event.digest.hex()
            if holder["token"] in count:
                passed += 1
                if event is not None and not same:
                    raise _other_record(batch, event)
            elif holder["token"] != intent.token or not same:
                overwrites.append(overwrite(item, intent.token, holder["seq_no"], holder["primary_term"]))
        if overwrites:
            outcome = self.bulk.write(index, overwrites)
            _refuse_poison(outcome, kind, load)
            self._check_own(index, kind, outcome.taken, intent, batch)
        return passed

    def _check_own(self, index: str, kind: Kind, ids: Sequence[str], intent: Intent, batch: Batch) -> None:
        """Make sure that documents whose version changed meanwhile were changed by ourselves: by a request sent twice.

        Raises:
            ConflictError: by another writer.
        """
        holders = self._holders(index, kind, ids)
        if any(holders[one]["token"] != intent.token for one in ids if one in holders):
            raise ConflictError(
                "another writer took the stream over", where=batch.source, hint="nothing of this attempt counts"
            )

    def _holders(self, index: str, kind: Kind, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return id → token, digest and version of stored documents, read by id (never stale)."""
        events = kind == "events"
        fields = "store.batch,store.digest" if events else "batch"
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), _MGET):
            body = {"ids": list(ids[start : start + _MGET])}
            answer = self.gateway.read("POST", f"/{index}/_mget", body, _source_includes=fields)
            for document in answer.body["docs"]:
                if document.get("found"):
                    own: Mapping[str, Any] = document["_source"]["store"] if events else document["_source"]
                    found[document["_id"]] = {
                        "token": own["batch"], "digest": own.get("digest"), "seq_no": document["_seq_no"],
                        "primary_term": document["_primary_term"],
                    }  # fmt: skip
        return found


@dataclass(frozen=True, slots=True)
class Load:
    """What a batch writes.

    Args:
        batch: the batch.
        ids: ids of its documents, by kind.
        events: its events, each once; their documents are made while others are under way.
        outcomes: the documents of its hits and findings.
        event_of: `_id` of a hit or finding → id of its event.
    """

    batch: Batch
    ids: Mapping[Kind, Sequence[str]]
    events: Sequence[StoredEvent]
    outcomes: Mapping[Kind, Sequence[Item]]
    event_of: Mapping[str, str]

    def items(self, kind: Kind, wanted: Container[str] | None = None) -> Iterator[Item]:
        """Yield the documents of a kind; only those with the wanted ids, if any are named."""
        if kind == "events":
            return (event_item(event) for event in self.events if wanted is None or event.id.hex() in wanted)
        return (item for item in self.outcomes[kind] if wanted is None or item.id in wanted)

    def event_ids(self, kind: Kind, ids: Collection[str]) -> set[str]:
        """Return the events that some documents of a kind are, or belong to."""
        return set(ids) if kind == "events" else {self.event_of[one] for one in ids}


def _refuse_poison(outcome: Outcome, kind: Kind, load: Load) -> None:
    """Name the events that Elasticsearch refuses, or whose hits and findings it does.

    They do not count, nor does the rest of the batch: the caller sets them aside and tries again.

    Raises:
        PoisonError: there are some.
    """
    if outcome.refused:
        refused = load.event_ids(kind, set(outcome.refused))
        raise PoisonError(
            "{count} events cannot be stored",
            where=load.batch.source,
            hint="they become dead letters",
            values={"count": len(refused)},
            event_ids=tuple(sorted(refused)),
        )


def loaded(batch: Batch) -> Load:
    """Return what a batch writes.

    Raises:
        StoreError: an event is of another day, or stands twice with different content; or something is no JSON.
    """
    for event_id in (*(hit.event_id for hit in batch.hits), *(one.event_id for one in batch.findings)):
        if not is_event_id(event_id):
            raise StoreError("an event id has 32 hex digits", where=batch.source, hint="please report this")
    events = _different(batch)
    hits, findings, event_of = dict[str, Item](), dict[str, Item](), dict[str, str]()
    for hit in batch.hits:
        item = hit_item(hit)
        hits[item.id], event_of[item.id] = item, hit.event_id
    for found in batch.findings:
        item = finding_item(found)
        findings[item.id], event_of[item.id] = item, found.event_id
    ids: dict[Kind, list[str]] = {
        "events": [event.id.hex() for event in events],
        "hits": list(hits),
        "findings": list(findings),
    }
    return Load(batch, ids, events, {"hits": list(hits.values()), "findings": list(findings.values())}, event_of)


def _different(batch: Batch) -> Sequence[StoredEvent]:
    """Return the events of a batch, each once."""
    day = partition_number(batch.day).to_bytes(2, "big")
    if any(event.id[:2] != day for event in batch.events):
        raise StoreError("an event id names another day than its batch", where=batch.source)
    by_id = {event.id: event for event in batch.events}
    if len(by_id) == len(batch.events):
        return batch.events
    for event in batch.events:
        if by_id[event.id].digest != event.digest:
            raise _other_record(batch, event)
    return tuple(by_id.values())


def _other_record(batch: Batch, event: StoredEvent) -> StoreError:
    return StoreError(
        "another record was already stored for the same place of the stream (offset {offset})",
        where=batch.source,
        hint="the source was rewritten without a new generation; nothing of the batch was stored",
        values={"offset": int.from_bytes(event.id[_OFFSET], "big")},
    )
