"""Read-only connections, kept open for the next question; any thread may ask."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from secmon.store.sqlite.connection import open_reader
from secmon.store.sqlite.schema import Schema

# Each connection holds about three file descriptors; the usual limit of a process is 1,024.
MAX_IDLE = 64


class ReaderPool:
    """Lends read connections. A lease is short: a page of rows, never a whole walk, so that no log is pinned.

    Args:
        schema: what the databases hold.
        prepare: what a new connection is told first.
        max_idle: connections that stay open.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        prepare: Callable[[apsw.Connection], None] = lambda _connection: None,
        max_idle: int = MAX_IDLE,
    ) -> None:
        self._schema = schema
        self._prepare = prepare
        self._max_idle = max_idle
        self._lock = threading.Lock()
        # (path, inode, serial) → connection, the longest unused first
        self._idle: OrderedDict[tuple[Path, int, int], apsw.Connection] = OrderedDict()
        self._serial = 0

    @contextmanager
    def lease(self, path: Path) -> Iterator[apsw.Connection | None]:
        """Lend a connection for one read; None if there is no such database (any more).

        Raises:
            StoreError: it cannot be read.
        """
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            self.discard(path)
            yield None
            return
        connection = self._take(path, inode) or self._open(path)
        if connection is None:
            yield None
            return
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._give_back(path, inode, connection)

    def discard(self, path: Path) -> None:
        """Close what is idle on a database."""
        with self._lock:
            keys = [key for key in self._idle if key[0] == path]
            connections = [self._idle.pop(key) for key in keys]
        for connection in connections:
            connection.close()

    def close(self) -> None:
        """Close everything that is idle."""
        with self._lock:
            connections = list(self._idle.values())
            self._idle.clear()
        for connection in connections:
            connection.close()

    def _open(self, path: Path) -> apsw.Connection | None:
        connection = open_reader(path, self._schema)
        if connection is not None:
            self._prepare(connection)
        return connection

    def _take(self, path: Path, inode: int) -> apsw.Connection | None:
        with self._lock:
            for key in reversed(self._idle):
                if key[0] == path and key[1] == inode:
                    return self._idle.pop(key)
        return None

    def _give_back(self, path: Path, inode: int, connection: apsw.Connection) -> None:
        surplus = []
        with self._lock:
            self._serial += 1
            self._idle[path, inode, self._serial] = connection
            while len(self._idle) > self._max_idle:
                surplus.append(self._idle.popitem(last=False)[1])
        for old in surplus:
            old.close()
