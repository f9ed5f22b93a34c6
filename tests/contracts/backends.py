"""The stores that the contract suite runs against: one line a store."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from secmon.ports import EventLog, Records
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.mapping import IndexSettings
from secmon.store.elasticsearch.records import ElasticsearchRecords
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.store.sqlite.records import SqliteRecords


@dataclass(frozen=True, slots=True)
class Opened:
    """Both ports of one store, and how to close them."""

    log: EventLog
    records: Records
    close: Callable[[], None]


class OpenStore(Protocol):
    """Opens the store of a state folder; what was committed there before is there again."""

    def __call__(self, state: Path, *, writable: bool) -> Opened: ...


def _sqlite(state: Path, *, writable: bool) -> Opened:
    log = SqliteEventLog(state / "events", writable=writable)
    records = SqliteRecords(state / "control.db", writable=writable)

    def close() -> None:
        log.close()
        records.close()

    return Opened(log, records, close)


def _elasticsearch(state: Path, *, writable: bool) -> Opened:
    settings = settings_of(state)
    log = ElasticsearchEventLog(settings, writable=writable)
    records = ElasticsearchRecords(settings, writable=writable)

    def close() -> None:
        log.close()
        records.close()

    return Opened(log, records, close)


def settings_of(state: Path) -> ElasticsearchSettings:
    """Return the settings of the store that stands for a state folder: a prefix of its own on the one server.

    Nothing becomes visible by itself, so that nothing depends on waiting (`refresh_interval: -1`). SECMON_ES_URL may
    name several nodes, parted by commas: each index has a copy then.
    """
    urls = tuple(os.environ["SECMON_ES_URL"].split(","))
    prefix = "contract-" + hashlib.sha256(str(state).encode()).hexdigest()[:12]
    indices = IndexSettings(replicas=min(len(urls) - 1, 1), refresh_interval=os.environ.get("SECMON_ES_REFRESH", "-1"))
    # How busy the machine is today is no property of the code: other tests kill and start clusters meanwhile.
    return ElasticsearchSettings(urls=urls, prefix=prefix, indices=indices, timeout_s=180.0)


def remove_store(name: str, state: Path) -> None:
    """Remove what the store of a folder keeps outside of it."""
    if name == "elasticsearch":
        gateway = Gateway(settings_of(state))
        gateway.remove_everything()
        gateway.close()


BACKENDS: dict[str, OpenStore] = {
    "sqlite": _sqlite,
    "elasticsearch": _elasticsearch,
}
IS_LONG = "SECMON_FAULT_LOOPS" in os.environ
"""`make faults`: the use cases of detection run on each store as a whole. CI has their short forms, in this folder."""


@contextmanager
def store_of(name: str, state: Path, *, writable: bool = True) -> Iterator[Opened]:
    """Open the store of a folder and close it again."""
    opened = BACKENDS[name](state, writable=writable)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def empty_store(name: str) -> Iterator[Opened]:
    """Open a store of its own, gone afterwards: for property tests, which need one for each example."""
    with TemporaryDirectory() as folder:
        try:
            with store_of(name, Path(folder)) as opened:
                yield opened
        finally:
            remove_store(name, Path(folder))
