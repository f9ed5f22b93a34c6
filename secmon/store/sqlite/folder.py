"""The folder of all partitions: which there are, what they hold, who writes them, how they go."""

import contextlib
import os
import threading
from datetime import date, datetime
from pathlib import Path

from secmon.errors import ConflictError, StoreError, StoreUnavailableError
from secmon.model.batch import Batch, BatchRow
from secmon.store.partition_name import PartitionName, partition_name
from secmon.store.sqlite.connection import store_errors
from secmon.store.sqlite.partition import Facts, Reading
from secmon.store.sqlite.partition_file import partition_path, partitions_in, sync_folder, unlink_partition
from secmon.store.sqlite.pool import ReaderPool
from secmon.store.sqlite.schema import PARTITION
from secmon.store.sqlite.writer import PartitionWriter

# Writers stay open on the partitions in use: a day or two times the retention classes.
_MAX_WRITERS = 4
_FLOOR_FILE = "commit.floor"

_BatchName = tuple[PartitionName, str, int]
"""Partition, stream and number of a batch."""


class PartitionFolder:
    """Partitions of one folder.

    Commits have dense numbers over all partitions, so that a mark is one number. The highest one survives the
    removal of its partition in the file `commit.floor`.

    Args:
        folder: `STATE/events`; made by the first commit.
        writable: whether this process holds the writer's lock; then nobody else changes the folder.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self._folder = folder
        self._writable = writable
        self._lock = threading.Lock()
        self._writers: dict[PartitionName, PartitionWriter] = {}
        self._last_commit: int | None = None
        # Facts that only this process can change; `_changes` tells a reader that what it read is old already.
        self._known: dict[PartitionName, Facts] = {}
        self._changes = 0
        # Batch → the epoch below which no attempt at it counts any more. In memory: all attempts that can still be
        # under way are of this process, for it holds the writer's lock.
        self._fences: dict[_BatchName, int] = {}
        self.pool = ReaderPool(PARTITION)

    def close(self) -> None:
        """Close all connections; what was committed is durable without it."""
        self.pool.close()  # first: the last one out removes the log, and a reader cannot
        with self._lock:
            writers, self._writers = list(self._writers.values()), {}
            for writer in writers:
                writer.close()

    def names(self) -> list[PartitionName]:
        """Return the partitions that are there, oldest first."""
        return partitions_in(self._folder)

    def reading(self, name: PartitionName) -> Reading:
        """Return one partition for reading; it need not be there."""
        return Reading(partition_path(self._folder, name), name, self.pool)

    def facts(self, name: PartitionName) -> Facts | None:
        """Return what a partition says about itself; None if it is gone."""
        with self._lock:
            known, changes = self._known.get(name), self._changes
        if known is not None:
            return known
        facts = self.reading(name).facts()
        if facts is not None and self._writable:
            with self._lock:
                if changes == self._changes:
                    self._known[name] = facts
        return facts

    def holding(self, since: datetime | None, until: datetime | None) -> list[tuple[Facts, Reading]]:
        """Return the partitions that can hold something of a time range, oldest first."""
        found = []
        for name in self.names():
            facts = self.facts(name)
            if facts is not None and facts.may_hold(since, until):
                found.append((facts, self.reading(name)))
        return found

    def highest_commit(self) -> int:
        """Return the number of the last commit that is visible now: all lower ones are visible too."""
        highest = self._floor()
        for name in self.names():
            facts = self.facts(name)
            if facts is not None:
                highest = max(highest, facts.last_commit)
        return highest

    def commit(self, batch: Batch) -> BatchRow:
        """Make a batch durable: all of it or nothing.

        Raises:
            StoreError: it contradicts what is stored; nothing of it is.
            StoreUnavailableError: it cannot be written now; nothing of it is.
            ConflictError: a later epoch has fenced it off; nothing of it is stored.
        """
        name = partition_name(batch.day, batch.retention)
        this = (name, batch.stream, batch.number)
        if self._last_commit is None:
            self._last_commit = self.highest_commit()
        with self._lock:
            if self._fences.get(this, batch.epoch) > batch.epoch:
                raise _replaced(batch.stream)
            writer = self._writer(name)
            try:
                row, is_new = writer.commit(batch, self._last_commit + 1)
            except StoreUnavailableError:
                # A connection that failed once is not trusted again: the next commit opens the file anew.
                del self._writers[name]
                with contextlib.suppress(StoreError):
                    writer.close()
                raise
            if is_new:
                self._last_commit += 1
                self._changes += 1
                self._known.pop(name, None)
            self._fences.pop(this, None)  # it is durable: whoever tries again is given this row
        return row

    def fence(self, name: PartitionName, stream: str, number: int, epoch: int) -> BatchRow | None:
        """Keep attempts of an earlier epoch from making a batch durable; return its row if it is already.

        Raises:
            ConflictError: a later epoch has it.
        """
        self._require_writable()
        this = (name, stream, number)
        with self._lock:
            row = self.reading(name).batch(stream, number)
            if row is None:
                if self._fences.get(this, epoch) > epoch:
                    raise _replaced(stream)
                self._fences[this] = epoch
        return row

    def drop(self, day: date, retention: str) -> None:
        """Remove one partition; nothing happens if it is not there."""
        self._require_writable()
        name = partition_name(day, retention)
        facts = self.facts(name)
        if facts is not None and facts.last_commit >= self.highest_commit():
            self._raise_floor(facts.last_commit)
        with self._lock:
            writer = self._writers.pop(name, None)
            if writer is not None:
                writer.close()
            self._changes += 1
            self._known.pop(name, None)
            path = partition_path(self._folder, name)
            self.pool.discard(path)
            if self._folder.exists():
                unlink_partition(path)

    def _writer(self, name: PartitionName) -> PartitionWriter:
        writer = self._writers.pop(name, None)
        if writer is None:
            self._require_writable()
            self._make_folder()
            while len(self._writers) >= _MAX_WRITERS:
                self._writers.pop(next(iter(self._writers))).close()
            writer = PartitionWriter(partition_path(self._folder, name), name)
        self._writers[name] = writer  # the last one used stands last
        return writer

    def _make_folder(self) -> None:
        with store_errors(self._folder):
            if not self._folder.exists():
                self._folder.mkdir(mode=0o700, parents=True)
                sync_folder(self._folder.parent)

    def _require_writable(self) -> None:
        if not self._writable:
            raise StoreError(
                "the store was opened for reading", where=str(self._folder), hint="take the writer lock first"
            )

    def _floor(self) -> int:
        path = self._folder / _FLOOR_FILE
        with store_errors(path):
            try:
                text = path.read_text(encoding="ascii")
            except FileNotFoundError:
                return 0
            except UnicodeDecodeError:
                text = ""
        if not text.strip().isdecimal():
            raise StoreError("the file does not hold a number", where=str(path), hint="put it back from a backup")
        return int(text)

    def _raise_floor(self, number: int) -> None:
        path = self._folder / _FLOOR_FILE
        with store_errors(path):
            fresh = path.with_suffix(".new")
            with fresh.open("w", encoding="ascii") as file:
                file.write(f"{number}\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync_folder(self._folder)


def _replaced(stream: str) -> ConflictError:
    source = stream.partition(":")[0]
    return ConflictError("another writer took the stream over", where=source, hint="nothing of this attempt counts")
