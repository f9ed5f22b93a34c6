"""What the store can tell about its own soundness, its size, and the digest of what it holds."""

import heapq
from collections.abc import Iterator
from itertools import groupby, product
from typing import Final

from secmon.model.access import ROOT, Scope
from secmon.model.batch import Partition
from secmon.model.hit import Hit
from secmon.store.canonical import event_line, finding_line, hit_line, set_digest
from secmon.store.elasticsearch.asking import Query
from secmon.store.elasticsearch.batches import Batches
from secmon.store.elasticsearch.encode import event_of, finding_of
from secmon.store.elasticsearch.failures import NOT_FOUND
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.naming import KINDS, Kind
from secmon.store.elasticsearch.packs import HOW_MANY, by_event, in_order
from secmon.store.elasticsearch.snapshot import Snapshot, Source, Views
from secmon.store.partition_name import PartitionName
from secmon.store.values import to_datetime

_MAX_PROBLEMS: Final = 20
_TOKEN: Final[dict[Kind, str]] = {"events": "store.batch", "hits": "batch", "findings": "batch"}
# The earliest time of a document, and the latest of those that hold more than one.
_TIMES: Final[dict[Kind, tuple[str, ...]]] = {"events": ("store.time",), "hits": ("at", "last"), "findings": ("at",)}


def digest(views: Views, scope: Scope) -> dict[str, str]:
    """Return SHA-256 (hex) of the sorted sets "events", "hits" and "findings"."""
    return {
        "events": set_digest(_event_lines(views, scope)),
        "hits": set_digest(map(hit_line, _hits_by_event(views, scope))),
        "findings": set_digest(_finding_lines(views, scope)),
    }


def _event_lines(views: Views, scope: Scope) -> Iterator[bytes]:
    for source in views.walk("events", scope, [], ({"event.id": "asc"},)):
        own = source["store"]["digest"]
        event = event_of(source)
        yield event_line(str(event["event.id"]), own, event)


def _hits_by_event(views: Views, scope: Scope) -> Iterator[Hit]:
    return in_order(views.walk("hits", scope, [], ({"event": "asc"}, {"rule": "asc"})), by_event)


def _finding_lines(views: Views, scope: Scope) -> Iterator[bytes]:
    walk = map(finding_of, views.walk("findings", scope, [], ({"event": "asc"}, {"mark": "asc"})))
    for _, group in groupby(walk, key=lambda found: found.event_id):
        yield from sorted(map(finding_line, group))


def partitions(gateway: Gateway, batches: Batches, views: Views) -> list[Partition]:
    """Return all partitions, oldest first."""
    names = batches.partitions()
    if not names:
        return []
    with views.take("events") as events, views.take("hits") as hits, views.take("findings") as findings:
        return [_partition(gateway, name, (events, hits, findings)) for name in names]


def _partition(gateway: Gateway, name: PartitionName, snapshots: tuple[Snapshot, ...]) -> Partition:
    counts: dict[Kind, int] = {}
    times: list[int] = []
    for snapshot in snapshots:
        mine: Query = {"term": {"_index": gateway.names.index(snapshot.kind, name)}}
        counts[snapshot.kind] = _count(snapshot, [mine])
        # Sort values are exact; aggregations count in doubles.
        for field, order in product(_TIMES[snapshot.kind], ("asc", "desc")):
            body: Source = {"size": 1, "sort": [{field: order}], "_source": False}
            answer = snapshot.search(ROOT, [mine, {"exists": {"field": field}}], body)
            times += [hit["sort"][0] for hit in answer["hits"]["hits"]]
    return Partition(
        day=name.day,
        retention=name.retention,
        events=counts["events"],
        hits=counts["hits"],
        findings=counts["findings"],
        first=to_datetime(min(times)) if times else None,
        last=to_datetime(max(times)) if times else None,
        bytes=sum(_bytes(gateway, gateway.names.index(kind, name)) for kind in KINDS),
    )


def _count(snapshot: Snapshot, conditions: list[Query]) -> int:
    """Return how many events, hits or findings there are."""
    body: Source = {"size": 0, "track_total_hits": True}
    answer = snapshot.search(ROOT, conditions, body | ({"aggs": {"n": HOW_MANY}} if snapshot.kind == "hits" else {}))
    if "aggregations" in answer:
        return int(answer["aggregations"]["n"]["value"])
    count: int = answer["hits"].get("total", {"value": 0})["value"]
    return count


def _bytes(gateway: Gateway, index: str) -> int:
    """Return the size of an index on disk, without its copies."""
    answer = gateway.read("GET", f"/{index}/_stats/store", expect=(NOT_FOUND,))
    if answer.status == NOT_FOUND:
        return 0
    size: int = answer.body["_all"]["primaries"]["store"]["size_in_bytes"]
    return size


def problems(gateway: Gateway, batches: Batches, views: Views, *, deep: bool) -> list[str]:
    """Return what is wrong; empty is good.

    Every batch says how many documents carry its token. Without `deep` the sums are compared, with it each batch.
    """
    found = _health(gateway)
    said: dict[Kind, dict[str, int]] = {kind: {} for kind in KINDS}
    places: dict[str, str] = {}
    for source in batches.sources():
        places[source["token"]] = f"{source['row']['source']}: batch {source['number']}"
        for kind in KINDS:
            if source["new"][kind]:
                said[kind][source["token"]] = source["new"][kind]
    for kind in KINDS:
        found += _accounting(views, kind, said[kind], places, deep=deep)
    return found[:_MAX_PROBLEMS]


def _health(gateway: Gateway) -> list[str]:
    path = f"/_cluster/health/{gateway.names.everything}"
    answer = gateway.read("GET", path, expect=(408,), level="indices", timeout="1s")
    indices = answer.body.get("indices", {})
    return [
        f"{name}: a primary shard is missing" for name, state in sorted(indices.items()) if state["status"] == "red"
    ]


def _accounting(views: Views, kind: Kind, said: dict[str, int], places: dict[str, str], *, deep: bool) -> list[str]:
    with views.take(kind) as snapshot:
        if not deep:
            there, accounted = _count(snapshot, []), sum(said.values())
            return [] if there == accounted else [f"{kind}: {accounted} are accounted for, {there} are there"]
        sources = [{"token": {"terms": {"field": _TOKEN[kind]}}}]
        more: Source = {"aggs": {"n": HOW_MANY}} if kind == "hits" else {}
        counted = {
            bucket["key"]["token"]: int(bucket["n"]["value"]) if more else bucket["doc_count"]
            for bucket in snapshot.buckets(ROOT, [], sources, **more)
        }
    # A batch that was committed or dropped between the two looks is no problem; it is told at the next look.
    tokens = heapq.merge(sorted(said), sorted(counted))
    found = []
    for token, _ in groupby(tokens):
        accounted, there = said.get(token, 0), counted.get(token, 0)
        if accounted != there:
            place = places.get(token, "no batch")
            found.append(f"{kind}: {place}: {accounted} are accounted for, {there} are there")
    return found
