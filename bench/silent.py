"""What a flood of silent hits costs: every event of a log is one of a base rule that only serves a correlation.

    SECMON_ES_URL=http://127.0.0.1:9200 python -m bench.silent [--events 60000]

The same batches go, with and without their hits, into the embedded store and twice into Elasticsearch: as it is, with
hits in packs, and with a document for each hit (`packs.is_packable` says no). Bytes are primary copies on disk, of one
segment; the CPU of Elasticsearch is that of its process (`_nodes/stats/process`), so nothing else should run on it. Its
indices (prefix "silent-…") are removed at the end.
"""

import argparse
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import orjson

from bench.measure import Spent
from bench.store import ACCESS, batch_of, events
from secmon.model.batch import INDEXED_FIELDS, Batch, StoredEvent
from secmon.model.event import Event, to_micros
from secmon.model.hit import Hit, Level
from secmon.model.ids import key_id
from secmon.model.questions import HitQuery
from secmon.ports import EventLog
from secmon.store.elasticsearch import writing
from secmon.store.elasticsearch.connection import ElasticsearchSettings
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.mapping import IndexSettings
from secmon.store.sqlite.eventlog import SqliteEventLog

SIZE = 5_000
KEYS = 256
Store = tuple[EventLog, Callable[[], float], Callable[[], None]]
RULE = "0d4ab5a0-5f1f-4f31-b7a1-9c61cf41a3d1"


def silent(event: Event, at: datetime) -> Hit:
    """Return the hit of a base rule that a count by address and one by account rest on."""
    values = {name: event[name] for name in ("source.ip", "user.name")}
    return Hit(
        event_id=str(event["event.id"]),
        rule_id=RULE,
        rule_digest="d" * 64,
        level=Level.LOW,
        at=at,
        keys=tuple(key_id(f"by {name}", {name: value}) for name, value in values.items()),
        captured=values,
        signature=hashlib.sha256(str(event["url.path"]).encode()).hexdigest()[:16],
        unit_id="school-1",
        asset_id="jwxt",
    )


def flood(count: int) -> list[Batch]:
    """Return batches of which every event has one silent hit."""
    made: list[Batch] = []
    stored: list[StoredEvent] = []
    hits: list[Hit] = []
    for identity, at, event in events(count):
        body = orjson.dumps(event)
        columns = tuple(str(event[name]) if name in event else None for name in INDEXED_FIELDS)
        stored.append(StoredEvent(identity, to_micros(at), hashlib.sha256(body).digest()[:16], body, columns))
        hits.append(silent(event, at))
        if len(stored) == SIZE:
            made.append(batch_of(len(made) + 1, stored, hits))
            stored, hits = [], []
    return made


@contextmanager
def embedded() -> Iterator[Store]:
    """Open an embedded store; give it, the CPU of its server (none), and what makes its size final."""
    with TemporaryDirectory() as folder:
        log = SqliteEventLog(Path(folder) / "events", writable=True)
        yield log, lambda: 0.0, lambda: None
        log.close()


@contextmanager
def cluster(url: str, *, is_packed: bool) -> Iterator[Store]:
    """Open a store on a cluster; give it, the CPU seconds of the server so far, and what makes its size final."""
    settings = ElasticsearchSettings(
        urls=(url,), prefix=f"silent-{os.getpid()}", indices=IndexSettings(replicas=0), timeout_s=300
    )
    gateway = Gateway(settings)
    log = ElasticsearchEventLog(settings, writable=True)

    def cpu() -> float:
        nodes = gateway.read("GET", "/_nodes/stats/process").body["nodes"].values()
        millis: int = sum(node["process"]["cpu"]["total_in_millis"] for node in nodes)
        return millis / 1_000

    def merge() -> None:
        for step in ("_flush?force=true", "_forcemerge?max_num_segments=1", "_flush?force=true"):
            gateway.write("POST", f"/{gateway.names.prefix}-*/{step}")

    try:
        if is_packed:
            yield log, cpu, merge
        else:
            with patch.object(writing, "is_packable", lambda _: False):
                yield log, cpu, merge
    finally:
        log.close()
        gateway.remove_everything()
        gateway.close()


def measured(opened: Callable[[], AbstractContextManager[Store]], work: list[Batch]) -> dict[str, float]:
    """Commit and read batches; return bytes, and CPU seconds of ours and of the server for each step."""
    found: dict[str, float] = {}
    with opened() as (log, server, merge):
        keys = tuple(dict.fromkeys(key for batch in work for hit in batch.hits[:200] for key in hit.keys))[:KEYS]
        span = HitQuery(since=work[-1].hits[0].at, keys=keys) if work[-1].hits else HitQuery(keys=("none",))
        busiest = Counter(key for batch in work for hit in batch.hits for key in hit.keys).most_common(1)
        sparse = HitQuery(keys=(busiest[0][0],)) if busiest else span
        steps: dict[str, Callable[[], object]] = {
            "commit": lambda: [log.commit(ACCESS, batch) for batch in work],
            "since": lambda: _all_since(log),
            "keys": lambda: sum(1 for _ in log.hits(ACCESS, span)),
            "one": lambda: sum(1 for _ in log.hits(ACCESS, sparse)),
        }
        for name, step in steps.items():
            spent, before = Spent(), server()
            with spent.timed():
                step()
            found |= {name: spent.cpu_s, f"{name} server": server() - before, f"{name} wall": spent.wall_s}
        merge()
        found["of one"] = sum(1 for _ in log.hits(ACCESS, sparse))
        found["bytes"] = sum(partition.bytes for partition in log.partitions(ACCESS))
    return found


def _all_since(log: EventLog) -> int:
    mark, count = "", 0
    while True:
        hits, mark = log.hits_since(ACCESS, mark)
        if not hits:
            return count
        count += len(hits)


def main() -> None:
    """Measure each way of storing silent hits."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=60_000)
    options.add_argument("--url", default=os.environ.get("SECMON_ES_URL", "http://127.0.0.1:9200"))
    chosen = options.parse_args()
    work = flood(chosen.events)
    bare = [replace(batch, hits=()) for batch in work]
    number = sum(len(batch.hits) for batch in work)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {number:,} hits")
    print(f"{'':<28}{'B a hit':>8}{'commit µs':>10}{'server':>8}{'since µs':>9}{'server':>8}", end="")
    print(f"{'keys ms':>9}{'server':>8}{'one ms':>8}{'server':>8}")
    ways: dict[str, Callable[[], AbstractContextManager[Store]]] = {
        "SQLite": embedded,
        "Elasticsearch, documents": lambda: cluster(chosen.url, is_packed=False),
        "Elasticsearch, packs": lambda: cluster(chosen.url, is_packed=True),
    }
    for name, opened in ways.items():
        without, found = measured(opened, bare), measured(opened, work)
        size = (found["bytes"] - without["bytes"]) / number
        commit = [(found[key] - without[key]) / number * 1e6 for key in ("commit", "commit server")]
        since = [found[key] / number * 1e6 for key in ("since", "since server")]
        keys = [found[key] * 1e3 for key in ("keys", "keys server")]
        print(f"{name:<28}{size:8.0f}{commit[0]:10.1f}{commit[1]:8.1f}{since[0]:9.1f}{since[1]:8.1f}", end="")
        print(f"{keys[0]:9.0f}{keys[1]:8.0f}{found['one'] * 1e3:8.0f}{found['one server'] * 1e3:8.0f}", end="")
        print(f"  ({found['of one']} hits of one key)", flush=True)


if __name__ == "__main__":
    main()
