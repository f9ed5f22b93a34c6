"""Where a partition lies: `events/<retention class>-<day>.db`."""

import os
import re
from datetime import date
from pathlib import Path

from secmon.store.partition_name import RETENTION_PATTERN, PartitionName
from secmon.store.sqlite.connection import store_errors

_NAME = re.compile(rf"({RETENTION_PATTERN})-(\d{{4}}-\d\d-\d\d)\.db")
_SIDE_FILES = ("-wal", "-shm")


def partition_path(folder: Path, name: PartitionName) -> Path:
    """Return the path of its database."""
    return folder / f"{name.retention}-{name.day.isoformat()}.db"


def partitions_in(folder: Path) -> list[PartitionName]:
    """Return the partitions that lie in a folder, oldest first; files that are none are passed over."""
    try:
        files = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError:
        with store_errors(folder):
            raise
    found = []
    for file in files:
        parts = _NAME.fullmatch(file)
        if parts is None:
            continue
        try:
            found.append(PartitionName(date.fromisoformat(parts[2]), parts[1]))
        except ValueError:
            continue  # "2026-02-30"
    return sorted(found)


def partition_bytes(path: Path) -> int:
    """Return the size of the database with its log."""
    total = 0
    for side in ("", "-wal"):
        try:
            total += path.with_name(path.name + side).stat().st_size
        except FileNotFoundError:
            continue
    return total


def unlink_partition(path: Path) -> None:
    """Remove the files for ever. Readers that hold them open keep reading what they hold."""
    with store_errors(path):
        # The database first: without it nobody can open the others any more. If we are killed in between, SQLite
        # itself throws away the log it finds beside a new, empty database.
        for side in ("", *_SIDE_FILES):
            Path(f"{path}{side}").unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make additions and removals in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
