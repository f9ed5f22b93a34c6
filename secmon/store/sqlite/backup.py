"""Copies of a running store that belong together, and bringing files of older versions up to date.

Documents and partitions are separate databases, so their copies must be of one moment. Batches have one dense number
over all partitions: if none was committed between the moment when the documents were fixed by a read transaction and
the moment when the partitions in use were, no document is older than a batch, or younger.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

import apsw
import orjson

from secmon.errors import ConflictError, StoreError
from secmon.store.partition_name import PartitionName
from secmon.store.sqlite.connection import fetch, fetch_one, open_reader, open_writer, store_errors
from secmon.store.sqlite.folder import PartitionFolder
from secmon.store.sqlite.partition_file import partition_path, partitions_in, sync_folder
from secmon.store.sqlite.schema import CONTROL, PARTITION, Schema

CONTROL_FILE: Final = "control.db"
EVENTS: Final = "events"
_ATTEMPTS: Final = 200
_PAGES: Final = 1_024
_IN_USE: Final = timedelta(days=2)
_VERSION_AT: Final = slice(60, 64)
"""`user_version` in a database's first page (https://www.sqlite.org/fileformat.html, 1.3)."""


def backup(state: Path, target: Path) -> None:
    """Copy the store of a state folder, in use or not; keys are not copied.

    Args:
        state: the state folder.
        target: a folder that is not there yet.

    Raises:
        ConflictError: the store is written without a pause.
        StoreError: something cannot be read or written, or the target is there already.
    """
    with store_errors(target):
        if target.exists():
            raise ConflictError("the target holds something else", where=str(target), hint="name a new folder")
        (target / EVENTS).mkdir(mode=0o700, parents=True)
        with _fixed(state) as (connections, partitions):
            for path, connection in connections.items():
                _copy(connection, target / path.relative_to(state))
            for name in partitions:
                path = partition_path(state / EVENTS, name)
                reader = open_reader(path, PARTITION)
                if reader is not None:  # else retention dropped it meanwhile
                    with contextlib.closing(reader):
                        _copy(reader, target / EVENTS / path.name)
        floor = state / EVENTS / "commit.floor"
        if floor.exists():
            (target / EVENTS / floor.name).write_bytes(floor.read_bytes())
        _write_anchor(target)
        sync_folder(target / EVENTS)
        sync_folder(target)


@contextlib.contextmanager
def _fixed(state: Path) -> Iterator[tuple[dict[Path, apsw.Connection], list[PartitionName]]]:
    """Yield path → connection of what is in use, each in a read transaction of one common moment, and what is not."""
    folder = PartitionFolder(state / EVENTS, writable=False)
    try:
        for _ in range(_ATTEMPTS):
            with ExitStack() as stack:
                before, names = folder.highest_commit(), folder.names()
                newest = names[-1].day if names else None
                used = [name for name in names if newest and name.day >= newest - _IN_USE]
                found = {state / CONTROL_FILE: stack.enter_context(_reading(state / CONTROL_FILE, CONTROL))}
                for path in (partition_path(state / EVENTS, one) for one in used):
                    found[path] = stack.enter_context(_reading(path, PARTITION))
                if folder.names() == names and folder.highest_commit() == before:
                    yield found, [name for name in names if name not in used]
                    return
        raise ConflictError("the store is written without a pause", where=str(state), hint="choose a quiet hour")
    finally:
        folder.close()


@contextlib.contextmanager
def _reading(path: Path, schema: Schema) -> Iterator[apsw.Connection]:
    connection = open_reader(path, schema)
    if connection is None:
        raise StoreError("nothing is stored here yet", where=str(path), hint="check `secmon.state`")
    try:
        connection.execute("BEGIN")
        fetch(connection, "SELECT count(*) FROM sqlite_schema")  # the first question fixes what is seen
        yield connection
    finally:
        connection.close()


def _copy(source: apsw.Connection, target: Path) -> None:
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    with contextlib.closing(apsw.Connection(str(target))) as copy, copy.backup("main", source, "main") as step:
        while not step.done:
            step.step(_PAGES)


def _write_anchor(target: Path) -> None:
    """Write the heads of the audit chain and of the coverage ledger as the copied documents know them."""
    with contextlib.closing(apsw.Connection(str(target / CONTROL_FILE))) as connection:
        body = fetch_one(connection, "SELECT body FROM document WHERE kind = 'audit_head'")
        ledger = fetch_one(connection, "SELECT body FROM document WHERE kind = 'mark' AND id = 'coverage'")
    if body is not None:
        head = orjson.loads(body)
        (target / "audit.head").write_text(f"{head['number']} {head['hash']}\n", encoding="utf-8")
    covered = orjson.loads(ledger) if ledger is not None else {"number": 0, "pending": []}
    if covered["number"] and not covered["pending"]:  # else what it names is written when somebody goes on
        text = f"{covered['number']} {covered['digest']}\n"
        (target / "coverage.head").write_text(text, encoding="utf-8")


def migrate(state: Path) -> list[str]:
    """Bring all databases of a state folder to the current schema; return the names of those that were older.

    The caller holds the writer's lock. Each file changes in one transaction: killed anywhere, it is as before or after.

    Raises:
        StoreError: one is damaged, or made by a newer secmon.
    """
    folder = state / EVENTS
    paths = {partition_path(folder, name): PARTITION for name in partitions_in(folder)}
    changed = []
    for path, schema in ({state / CONTROL_FILE: CONTROL} | paths).items():
        if 0 < _version(path) < schema.version:
            open_writer(path, schema).close()
            changed.append(path.name)
    return changed


def _version(path: Path) -> int:
    """Return the schema version that a file's first page tells; 0 if it is not there or empty."""
    with store_errors(path):
        try:
            with path.open("rb") as file:
                return int.from_bytes(file.read(_VERSION_AT.stop)[_VERSION_AT], "big")
        except FileNotFoundError:
            return 0
