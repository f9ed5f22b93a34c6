"""How large an installation has to be: from events a second and days to bytes, shards, nodes.

The constants were measured by `python -m bench.sizing` (docs/sizing.md says when, and what was predicted and found);
the limits of Elasticsearch are its defaults: `cluster.routing.allocation.disk.watermark.low` (85 %) and
`cluster.max_shards_per_node` (1,000).
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

DAY_S: Final = 86_400
GB: Final = 1_000_000_000
WATERMARK: Final = 0.85
"""Share of a disk that Elasticsearch fills before it takes no new shard."""
MAX_SHARDS_PER_NODE: Final = 1_000
SHARD_BYTES: Final = 40 * GB
"""Elastic advises 10 to 50 GB a shard: smaller ones cost memory, larger ones take long to recover."""
ONE_MACHINE_PER_S: Final = 5_000
"""What a machine of two cores keeps up with beside its other work; the rest is room for peaks (docs/benchmarks.md)."""
NODE_PER_S: Final = 5_000
"""Documents a second that one node of four cores takes, copies included: a third of what was measured."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of a stored event on disk, with its hits and findings, without copies.

    Args:
        embedded: in the embedded store.
        cluster: on Elasticsearch.
    """

    embedded: int
    cluster: int


COSTS: Final = {"access": Cost(400, 460), "syslog": Cost(340, 320), "windows": Cost(290, 630)}
"""By kind of log. It is not the length of a record that decides, but how much of it was there before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is needed; bytes are decimal.

    Args:
        events: in all days.
        embedded_bytes: of the embedded store.
        embedded_disk_bytes: with room to work.
        embedded_is_enough: whether one machine keeps up.
        primary_bytes: on Elasticsearch, without copies.
        disk_bytes: of all nodes together, with copies, below the watermark.
        shards_per_day: primary shards of one day's events; the setting `store.elasticsearch.shards`.
        shards: of the whole cluster, copies included.
        nodes: how many, so that one may fail.
        disk_per_node_bytes: of each node.
    """

    events: int
    embedded_bytes: int
    embedded_disk_bytes: int
    embedded_is_enough: bool
    primary_bytes: int
    disk_bytes: int
    shards_per_day: int
    shards: int
    nodes: int
    disk_per_node_bytes: int


def plan(
    *,
    events_per_second: float,
    days: int,
    kind: str = "access",
    replicas: int = 1,
    node_disk_bytes: int = 4_000 * GB,
) -> Plan:
    """Return what an installation needs.

    Args:
        events_per_second: mean over a day.
        days: how long logs are kept.
        kind: a key of `COSTS`; of several kinds each is computed by itself.
        replicas: copies beside the primary.
        node_disk_bytes: disk that a node can have.
    """
    daily, cost = events_per_second * DAY_S, COSTS[kind]
    daily_bytes = daily * cost.cluster
    copies = 1 + replicas
    # A day more than is kept: retention drops whole days.
    primary = daily_bytes * (days + 1)
    disk = primary * copies / WATERMARK
    shards_per_day = max(1, ceil(daily_bytes / SHARD_BYTES))
    # Hits and findings have a shard each; batches and documents one for all days.
    shards = ((shards_per_day + 2) * (days + 1) + 2) * copies
    nodes = max(
        3 if replicas else 1,
        ceil(disk / node_disk_bytes),
        ceil(shards / MAX_SHARDS_PER_NODE),
        ceil(events_per_second * copies / NODE_PER_S),
    )
    return Plan(
        events=ceil(daily * days),
        embedded_bytes=ceil(daily * days * cost.embedded),
        embedded_disk_bytes=ceil(daily * (days + 1) * cost.embedded / WATERMARK),
        embedded_is_enough=events_per_second <= ONE_MACHINE_PER_S,
        primary_bytes=ceil(primary),
        disk_bytes=ceil(disk),
        shards_per_day=shards_per_day,
        shards=shards,
        nodes=nodes,
        disk_per_node_bytes=ceil(disk / nodes),
    )
