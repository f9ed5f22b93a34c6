"""Our whole commit path into Elasticsearch against bare `helpers.parallel_bulk` of the same documents.

    python -m bench elasticsearch [--events 100000] [--rounds 3] [--port 9650]

Both write the same documents under the same ids with `create`, in the same run, into indices of the same templates of
one server, round about; the server is pinned to one core and this process to another. Ours begins with batches as the
pipeline hands them over (`StoredEvent.body` is JSON already) and ends with the moved checkpoint of the stream: words,
documents, announcement, bulk requests, decision, checkpoint. Bare begins with ready documents, as Python objects, and
ends with the last answer: no batch counts there, nothing is fenced, a crash leaves half. Each round writes all
documents into new indices; the first round of each warms the server and is not counted.
"""

import argparse
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import orjson
from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk
from elasticsearch.serializer import OrjsonSerializer

from bench.measure import Spent, cpu_of
from bench.store import batches
from scripts.elasticsearch.server import Cluster, Options, running_cluster
from secmon.model.access import job_access
from secmon.model.batch import Batch
from secmon.model.record import Document
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.mapping import IndexSettings
from secmon.store.elasticsearch.naming import KINDS, Kind
from secmon.store.elasticsearch.records import ElasticsearchRecords
from secmon.store.elasticsearch.writing import loaded
from secmon.store.partition_name import partition_name

ACCESS: Final = job_access("bench")
BATCH_EVENTS: Final = 5_000
GOAL: Final = 0.9
THREADS: Final = 4
CHUNK: Final = 500
"""`parallel_bulk` as it is: its own defaults."""


@dataclass(slots=True)
class Rounds:
    """What the counted rounds of one way took, together."""

    spent: Spent = field(default_factory=Spent)
    server_cpu_s: float = 0.0
    documents: int = 0

    def docs_a_second(self) -> float:
        """Return documents a wall second."""
        return self.documents / self.spent.wall_s

    def client_us(self) -> float:
        """Return client CPU µs a document."""
        return 1e6 * self.spent.cpu_s / self.documents

    def server_us(self) -> float:
        """Return server CPU µs a document."""
        return 1e6 * self.server_cpu_s / self.documents


@dataclass(frozen=True, slots=True)
class Bench:
    """One server and the documents that go into it.

    Args:
        cluster: the server.
        work: the batches.
    """

    cluster: Cluster
    work: Sequence[Batch]

    def settings(self, prefix: str) -> ElasticsearchSettings:
        """Return the way to indices of their own."""
        indices = IndexSettings(replicas=0, refresh_interval="30s")
        return ElasticsearchSettings(urls=self.cluster.urls, prefix=prefix, indices=indices)

    def documents(self) -> int:
        """Return how many documents one round writes, without those of batches and checkpoints."""
        return sum(len(batch.events) + len(batch.hits) for batch in self.work)

    def ours(self, prefix: str) -> Callable[[], None]:
        """Return what commits all batches, each with its checkpoint."""
        settings = self.settings(prefix)
        log = ElasticsearchEventLog(settings, writable=True)
        records = ElasticsearchRecords(settings, writable=True)
        self._make(settings)
        at = records.create(ACCESS, Document(kind="checkpoint", id="web", version=0, body={"batch": 0}))
        # What a process does once in its life (version, rights, templates) is not what a document costs.
        log.commit(ACCESS, replace(self.work[0], source="warm", events=(), hits=(), findings=()))

        def run() -> None:
            nonlocal at
            for batch in self.work:
                log.commit(ACCESS, batch)
                at = records.replace(ACCESS, replace(at, body={"batch": batch.number}))
            log.close()
            records.close()

        return run

    def bare(self, prefix: str) -> Callable[[], None]:
        """Return what sends the same documents by `parallel_bulk`."""
        settings = self.settings(prefix)
        self._make(settings)
        actions = list(self._actions(settings))
        client = Elasticsearch(list(settings.urls), serializers={"application/json": OrjsonSerializer()})

        def run() -> None:
            results = parallel_bulk(client, actions, thread_count=THREADS, chunk_size=CHUNK)
            deque(results, maxlen=0)  # raises where a document is not stored
            client.close()

        return run

    def _actions(self, settings: ElasticsearchSettings) -> Iterator[dict[str, Any]]:
        gateway = Gateway(settings)
        for batch in self.work:
            load = loaded(batch)
            partition = partition_name(batch.day, batch.retention)
            for kind in KINDS:
                index = gateway.names.index(kind, partition)
                for item in load.items(kind):
                    source = orjson.loads(item.document(b"0" * 24))
                    yield {"_op_type": "create", "_index": index, "_id": item.id, "_source": source}
        gateway.close()

    def _make(self, settings: ElasticsearchSettings) -> None:
        """Make the indices, so that no round pays for it."""
        gateway = Gateway(settings)
        kinds: tuple[Kind, ...] = KINDS
        gateway.ensure_partition(partition_name(self.work[0].day, self.work[0].retention), kinds)
        gateway.close()

    def check(self, prefix: str) -> None:
        """Make sure that all documents are there, and make room for the next round."""
        gateway = Gateway(self.settings(prefix))
        for kind in KINDS:
            gateway.refresh(gateway.names.alias(kind))
        stored = sum(
            gateway.read("GET", f"/{gateway.names.alias(kind)}/_count").body["count"] for kind in ("events", "hits")
        )
        gateway.remove_everything()
        gateway.close()
        if stored != self.documents():
            raise SystemExit(f"{prefix}: {stored} of {self.documents()} documents are there")


def measured(bench: Bench, rounds: int) -> dict[str, Rounds]:
    """Run both ways round about and return what each took; the first round of each is not counted."""
    totals = {"ours": Rounds(), "bare": Rounds()}
    ways = {"ours": bench.ours, "bare": bench.bare}
    for number in range(rounds + 1):
        order = sorted(ways) if number % 2 else sorted(ways, reverse=True)
        for name in order:
            prefix = f"bench-{name}-{number}"
            run = ways[name](prefix)
            spent, server = Spent(), sum(map(cpu_of, bench.cluster.pids))
            with spent.timed():
                run()
            server = sum(map(cpu_of, bench.cluster.pids)) - server
            bench.check(prefix)
            if number:
                total = totals[name]
                total.spent.cpu_s += spent.cpu_s
                total.spent.wall_s += spent.wall_s
                total.server_cpu_s += server
                total.documents += bench.documents()
            time.sleep(1)  # merges of the last round come to rest
    return totals


def pin(pid: int, cores: set[int]) -> None:
    """Keep all threads of a process on some cores; threads that they begin inherit it."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


def report(totals: dict[str, Rounds]) -> str:
    """Return the table."""
    lines = [f"{'':6} {'docs/s':>10} {'client µs/doc':>14} {'server µs/doc':>14}"]
    for name, total in totals.items():
        lines.append(f"{name:6} {total.docs_a_second():10,.0f} {total.client_us():14.1f} {total.server_us():14.1f}")
    ratio = totals["ours"].docs_a_second() / totals["bare"].docs_a_second()
    lines.append(f"ours / bare: {ratio:.2f} (goal ≥ {GOAL})")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Start a server of its own, measure, and print."""
    options = argparse.ArgumentParser(prog="python -m bench elasticsearch", description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3, help="counted rounds of each way")
    options.add_argument("--port", type=int, default=9650)
    options.add_argument("--heap", default="1g")
    asked = options.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    work = batches(asked.events, BATCH_EVENTS)
    with running_cluster(Options(port=asked.port, heap=asked.heap)) as cluster:
        pinned = len(cores) > 1
        if pinned:
            pin(cluster.pids[0], {cores[0]})
            pin(os.getpid(), {cores[1]})
        bench = Bench(cluster, work)
        where = f"server on core {cores[0]}, client on core {cores[1]}" if pinned else "one core for both"
        load = os.getloadavg()[0]
        print(f"{bench.documents():,} documents a round, {asked.rounds} rounds; {where}; load {load:.1f}")
        print(report(measured(bench, asked.rounds)))
    os.sched_setaffinity(0, set(cores))


if __name__ == "__main__":
    main()
