"""Bytes and time of a stored event on both stores, and on Elasticsearch with other codecs and orders of an index.

    SECMON_ES_URL=http://127.0.0.1:9200 python -m bench.sizing [--records 100000] [--corpus windows] [--layouts NAME …]

The events are those that the pipeline makes: unique access and syslog lines and, if SECMON_CORPORA is set, real
Windows events, masked, with their hits and findings. Every batch is committed into the embedded store and into each
layout on the cluster in turn, so that all see the same machine. Sizes are primary copies on disk: as written, and
merged to one segment, which is what yesterday's index becomes. Its indices (prefix "sizing-…") are removed at the end.
What is measured here stands in docs/sizing.md and in secmon/store/sizing.py.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from bench.measure import Spent
from bench.pipeline import Corpus, corpora
from bench.stages import ACCESS, staged
from bench.whole import settings_of
from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow
from secmon.ports import EventLog
from secmon.store.elasticsearch.connection import ElasticsearchSettings
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.mapping import IndexSettings, template
from secmon.wiring import opened

Json = dict[str, Any]

LAYOUTS: dict[str, Json] = {
    "best_compression": {},
    "default": {"codec": "default"},
    "best_compression, sorted by time": {"sort.field": "store.time", "sort.order": "desc"},
    "best_compression, sorted by data set and time": {
        "sort.field": ["event.dataset", "store.time"], "sort.order": ["asc", "desc"]
    },
}  # fmt: skip


@dataclass(slots=True)
class Layout:
    """One way to lay an index of events out, and what it cost.

    Args:
        name: for people.
        gateway: the way to the cluster.
        log: the store with this layout.
        spent: of all commits.
    """

    name: str
    gateway: Gateway
    log: ElasticsearchEventLog
    spent: Spent = field(default_factory=Spent)

    def bytes(self) -> int:
        """Return what the primary copies take on disk."""
        return sum(partition.bytes for partition in self.log.partitions(ACCESS))

    def merge(self) -> None:
        """Write everything to disk, in one segment an index."""
        for step in ("_flush?force=true", "_forcemerge?max_num_segments=1", "_flush?force=true"):
            self.gateway.write("POST", f"/{self.gateway.names.prefix}-*/{step}")


@dataclass(frozen=True, slots=True)
class Fan:
    """Commits each batch into every layout; all that `bench.stages` needs of a store."""

    layouts: Sequence[Layout]

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        """Commit into all; return the row of the last."""
        for layout in self.layouts:
            with layout.spent.timed():
                row = layout.log.commit(access, batch)
        return row


def layouts(url: str, names: Sequence[str], shards: int) -> Iterator[Layout]:
    """Prepare the layouts under prefixes of their own."""
    for number, name in enumerate(names):
        indices = IndexSettings(shards=shards, replicas=0, codec=LAYOUTS[name].get("codec", "best_compression"))
        settings = ElasticsearchSettings(
            urls=(url,), prefix=f"sizing-{os.getpid()}-{number}", indices=indices, timeout_s=300
        )
        gateway = Gateway(settings)
        gateway.install()
        made = template(gateway.names, "events", indices)
        made["template"]["settings"]["index"].update(LAYOUTS[name])
        gateway.write("PUT", f"/_index_template/{gateway.names.alias('events')}", made)
        yield Layout(name, gateway, ElasticsearchEventLog(settings, writable=True))


def report(corpus: Corpus, folder: Path, chosen: argparse.Namespace) -> None:
    """Measure one corpus and print its table."""
    with ExitStack() as stack:
        house = stack.enter_context(opened(settings_of(folder), writable=True))
        kinds = list(layouts(chosen.url, chosen.layouts, chosen.shards))
        for layout in kinds:
            stack.callback(layout.gateway.close)
            stack.callback(layout.gateway.remove_everything)
            stack.enter_context(closing(layout.log))
        times = staged(house, cast("EventLog", Fan(kinds)), corpus.path, corpus.kind)
        size = corpus.path.stat().st_size
        print(f"\n{corpus.name}: {times.events:,} events, {times.hits:,} hits, {times.findings:,} findings")
        print(f"  {'':<48}{'B/event':>9}{'merged':>9}{'events/s':>10}{'CPU µs':>8}")
        print(f"  {'the log itself':<48}{size / times.records:9.0f}")
        embedded = sum(partition.bytes for partition in house.log.partitions(ACCESS))
        commit = times.spent["commit"]
        print(f"  {'SQLite':<48}{embedded / times.events:9.0f}{'':>9}{_speed(commit, times.events)}")
        for layout in kinds:
            written = layout.bytes()
            layout.merge()
            sizes = f"{written / times.events:9.0f}{layout.bytes() / times.events:9.0f}"
            print(f"  {layout.name:<48}{sizes}{_speed(layout.spent, times.events)}", flush=True)


def _shorten(path: Path, records: int) -> None:
    with path.open("rb") as file:
        lines = b"".join(islice(file, records))
    path.write_bytes(lines)


def _speed(spent: Spent, events: int) -> str:
    return f"{events / spent.wall_s:10,.0f}{spent.cpu_s / events * 1e6:8.1f}"


def main() -> None:
    """Measure the chosen corpora."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=100_000, help="lines of each corpus")
    options.add_argument("--url", default=os.environ.get("SECMON_ES_URL", "http://127.0.0.1:9200"))
    options.add_argument("--corpus", default="", help="only corpora whose kind holds this text")
    options.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    options.add_argument("--shards", type=int, default=1)
    chosen = options.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with TemporaryDirectory() as folder:
        for number, corpus in enumerate(corpora(Path(folder), chosen.records)):
            if chosen.corpus in corpus.kind:
                _shorten(corpus.path, chosen.records)
                report(corpus, Path(folder) / str(number), chosen)


if __name__ == "__main__":
    main()
