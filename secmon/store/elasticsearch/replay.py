"""Batches as they were committed: whatever carries the token of the attempt that counts."""

from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from secmon.errors import NotFoundError, StoreError
from secmon.model.batch import Batch, BatchRow, StoredEvent
from secmon.store.elasticsearch.batches import PAGE, Batches, Source
from secmon.store.elasticsearch.encode import event_of, finding_of
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.naming import Kind
from secmon.store.elasticsearch.packs import hits_of, size_of
from secmon.store.partition_name import PartitionName
from secmon.store.replay import batch_again, stored_event

_TOKEN: Final[dict[Kind, str]] = {"events": "store.batch", "hits": "batch", "findings": "batch"}
# Unique within a partition, so that pages join without a point in time.
_ORDER: Final[dict[Kind, Sequence[str]]] = {
    "events": ("event.id",),
    "hits": ("event", "rule"),
    "findings": ("event", "mark"),
}
_FIELDS: Final = {"excludes": ["store.words"]}


def contents(gateway: Gateway, batches: Batches, row: BatchRow) -> Batch:
    """Return the batch of a row as it was committed.

    Raises:
        NotFoundError: it is not there.
        StoreError: documents of it are missing.
    """
    partition = PartitionName(row.day, row.retention)
    source = batches.source(partition, f"{row.source}:{row.generation}", row.number)
    if source is None:
        raise NotFoundError("this batch is not there", where=row.source, hint="its partition was dropped")
    found: dict[Kind, list[Source]] = {}
    for kind in _ORDER:
        found[kind] = list(_documents(gateway, kind, partition, source["token"])) if source["new"][kind] else []
        there = sum(map(size_of, found[kind])) if kind == "hits" else len(found[kind])
        if there != source["new"][kind]:
            raise StoreError(
                "{kind} of a batch are missing",
                where=row.source,
                hint="see `secmon store check --deep`",
                values={"kind": kind},
            )
    return batch_again(
        row,
        [_event(one) for one in found["events"]],
        [hit for one in found["hits"] for hit in hits_of(one)],
        [finding_of(one) for one in found["findings"]],
    )


def _documents(gateway: Gateway, kind: Kind, partition: PartitionName, token: str) -> Iterator[Source]:
    index = gateway.names.index(kind, partition)
    gateway.refresh(index)
    body: Source = {
        "size": PAGE, "query": {"bool": {"filter": [{"term": {_TOKEN[kind]: token}}]}}, "sort": list(_ORDER[kind]),
        "_source": _FIELDS,
    }  # fmt: skip
    while True:
        answer = gateway.search(f"/{index}/_search", body)
        hits = answer["hits"]["hits"] if answer else []
        for hit in hits:
            yield hit["_source"]
        if len(hits) < PAGE:
            return
        body["search_after"] = hits[-1]["sort"]


def _event(source: Source) -> StoredEvent:
    own = source["store"]
    time, digest = own["time"], bytes.fromhex(own["digest"])
    event = event_of(source)
    return stored_event(bytes.fromhex(str(event["event.id"])), time, digest, orjson.dumps(event), event)
