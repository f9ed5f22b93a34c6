"""Committing one batch: announce, write, decide (`batches` says why in this order)."""

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from secmon.errors import ConflictError, PoisonError, StoreError
from secmon.model.batch import Batch, BatchRow, StoredEvent
from secmon.model.hit import Hit
from secmon.model.ids import partition_number
from secmon.store.elasticsearch.batches import Batches, Intent
from secmon.store.elasticsearch.bulk import Action, BulkWriter, Outcome, create, overwrite
from secmon.store.elasticsearch.encode import Item, Source, event_item, finding_item, hit_id, hit_item, is_event_id
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.naming import KINDS, Kind
from secmon.store.elasticsearch.packs import (
    EVENT_DIGITS,
    by_event,
    emptied_item,
    hits_of,
    is_packable,
    pack_id,
    pack_item,
    packs_of,
)
from secmon.store.partition_name import PartitionName, partition_name

_MGET: Final = 1_000
_OFFSET = slice(8, 14)
_PACKS: Final = 100
_BEHIND_IDS: Final = "~"
"""Sorts behind whatever a pack has after an event id."""

HitKey = tuple[Any, ...]


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
        passed: dict[Kind, set[str]] = {kind: set() for kind in KINDS}
        for kind, outcome in written.items():
            if outcome.taken:
                taken = list(load.items(kind, set(outcome.taken)))
                passed[kind] = self._settle(index[kind], kind, taken, intent, load)
        new = {kind: load.size(kind, set(load.ids[kind]) - passed[kind]) for kind in KINDS}
        # Events that others brought may have hits that lie in packs, under whatever ids.
        elsewhere = passed["events"] | load.foreign
        if elsewhere and load.ids["hits"]:
            new["hits"] -= self._withdraw(index["hits"], elsewhere, passed["hits"], intent, load)
        return new

    def _withdraw(self, index: str, elsewhere: set[str], passed: set[str], intent: Intent, load: "Load") -> int:
        """Take out of what was written the hits that count already; return how many.

        Args:
            index: of the hits.
            elsewhere: events that this attempt did not bring; only they can have such hits.
            passed: documents of hits that others wrote.
            intent: of the attempt.
            load: what it writes.
        """
        mine = {
            one: hits
            for one, hits in load.hits.items()
            if one not in passed and any(hit.event_id in elsewhere for hit in hits)
        }
        known = self._packed(index, elsewhere, intent) | self._single(index, mine, elsewhere, intent)
        left = {one: [hit for hit in hits if by_event(hit) not in known] for one, hits in mine.items()}
        changed = {one: hits for one, hits in left.items() if len(hits) < len(mine[one])}
        holders = self._holders(index, "hits", list(changed))
        overwrites = []
        for one, hits in changed.items():
            holder = holders.get(one)
            if holder is None or holder["token"] != intent.token:
                raise _taken_over(load.batch)
            item = pack_item(one, hits) if hits else emptied_item(one, mine[one][0])
            overwrites.append(overwrite(item, intent.token, holder["seq_no"], holder["primary_term"]))
        if overwrites:
            outcome = self.bulk.write(index, overwrites)
            _refuse_poison(outcome, "hits", load)
            self._check_own(index, "hits", outcome.taken, intent, load.batch)
        return sum(len(mine[one]) - len(hits) for one, hits in changed.items())

    def _packed(self, index: str, elsewhere: set[str], intent: Intent) -> set[HitKey]:
        """Return the hits on some events that count already, and lie in packs."""
        self.gateway.refresh(index)
        least, most = min(elsewhere), max(elsewhere) + _BEHIND_IDS
        span = [{"range": {"event": {"lte": most}}}, {"range": {"last_event": {"gte": least}}}]
        body: Source = {"size": _PACKS, "query": {"bool": {"filter": span}}, "sort": ["event"]}
        found: set[HitKey] = set()
        while True:
            answer = self.gateway.search(f"/{index}/_search", body)
            page = answer["hits"]["hits"] if answer else []
            tokens = {hit["_source"]["batch"] for hit in page} - {intent.token}
            count = self.batches.places(tokens)
            for source in (hit["_source"] for hit in page if hit["_source"]["batch"] in count):
                found.update(by_event(hit) for hit in hits_of(source) if hit.event_id in elsewhere)
            if len(page) < _PACKS:
                return found
            body["search_after"] = page[-1]["sort"]

    def _single(
        self, index: str, packs: Mapping[str, Sequence[Hit]], elsewhere: set[str], intent: Intent
    ) -> set[HitKey]:
        """Return the hits of packs that count already as documents of their own."""
        asked = {
            hit_id(hit): by_event(hit)
            for one, hits in packs.items()
            for hit in hits
            if one != hit_id(hit) and hit.event_id in elsewhere
        }
        holders = self._holders(index, "hits", list(asked))
        count = self.batches.places({holder["token"] for holder in holders.values()} - {intent.token})
        return {asked[one] for one, holder in holders.items() if holder["token"] in count}

    def _settle(self, index: str, kind: Kind, taken: Sequence[Item], intent: Intent, load: "Load") -> set[str]:
        """Deal with documents whose ids were taken; return those that belong to other batches that count.

        What an attempt that never counted left behind is taken over. What counts stays as it is; for an event it
        must be the same record.
        """
        batch = load.batch
        holders = self._holders(index, kind, [item.id for item in taken])
        count = self.batches.places({holder["token"] for holder in holders.values()} - {intent.token})
        digests = {event.id.hex(): event for event in batch.events} if kind == "events" else {}
        overwrites: list[Action] = []
        passed: set[str] = set()
        for item in taken:
            holder = holders.get(item.id)
            if holder is None:
                continue
            event = digests.get(item.id)
            same = event is None or holder["digest"] == event.digest.hex()
            if holder["token"] in count:
                passed.add(item.id)
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
            raise _taken_over(batch)

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
        hits: `_id` of a document of hits → what is in it.
        foreign: events that have hits here and are not of the batch.
    """

    batch: Batch
    ids: Mapping[Kind, Sequence[str]]
    events: Sequence[StoredEvent]
    outcomes: Mapping[Kind, Sequence[Item]]
    hits: Mapping[str, Sequence[Hit]]
    foreign: set[str]

    def items(self, kind: Kind, wanted: Container[str] | None = None) -> Iterator[Item]:
        """Yield the documents of a kind; only those with the wanted ids, if any are named."""
        if kind == "events":
            return (event_item(event) for event in self.events if wanted is None or event.id.hex() in wanted)
        return (item for item in self.outcomes[kind] if wanted is None or item.id in wanted)

    def event_ids(self, kind: Kind, ids: Collection[str]) -> set[str]:
        """Return the events that some documents of a kind are, or belong to."""
        if kind == "hits":
            return {hit.event_id for one in ids for hit in self.hits[one]}
        return {one[:EVENT_DIGITS] for one in ids}

    def size(self, kind: Kind, ids: Collection[str]) -> int:
        """Return how many events, hits or findings lie in some documents."""
        return sum(len(self.hits[one]) for one in ids) if kind == "hits" else len(ids)


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
    hits = {by_event(hit): hit for hit in batch.hits}
    held: dict[str, Sequence[Hit]] = {hit_id(hit): (hit,) for hit in hits.values() if not is_packable(hit)}
    items = {one: hit_item(hit) for one, (hit,) in held.items()}
    for part in packs_of(hit for hit in hits.values() if is_packable(hit)):
        held[pack_id(part)] = part
        items[pack_id(part)] = pack_item(pack_id(part), part)
    findings = {item.id: item for item in map(finding_item, batch.findings)}
    ids: dict[Kind, list[str]] = {
        "events": [event.id.hex() for event in events],
        "hits": list(items),
        "findings": list(findings),
    }
    outcomes: dict[Kind, Sequence[Item]] = {"hits": list(items.values()), "findings": list(findings.values())}
    return Load(batch, ids, events, outcomes, held, {hit.event_id for hit in batch.hits}.difference(ids["events"]))


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


def _taken_over(batch: Batch) -> ConflictError:
    return ConflictError(
        "another writer took the stream over", where=batch.source, hint="nothing of this attempt counts"
    )


def _other_record(batch: Batch, event: StoredEvent) -> StoreError:
    return StoreError(
        "another record was already stored for the same place of the stream (offset {offset})",
        where=batch.source,
        hint="the source was rewritten without a new generation; nothing of the batch was stored",
        values={"offset": int.from_bytes(event.id[_OFFSET], "big")},
    )
