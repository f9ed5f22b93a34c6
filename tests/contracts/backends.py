"""The stores that the contract suite runs against: one line a store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from secmon.ports import EventLog, Records
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


BACKENDS: dict[str, OpenStore] = {
    "sqlite": _sqlite,
}


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
    with TemporaryDirectory() as folder, store_of(name, Path(folder)) as opened:
        yield opened
