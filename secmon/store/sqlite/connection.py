"""Opening SQLite the one way we trust it, and turning its failures into our own errors.

WAL, synchronous=FULL and no automatic checkpoints: the writer alone moves the log back into the database. SQLite
before 3.51.3 can lose commits when a checkpoint of one connection overlaps a commit of another (the "WAL-reset
bug", https://www.sqlite.org/wal.html), so an older library is refused; Python's own `sqlite3` is never used.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from secmon.errors import StoreError, StoreUnavailableError
from secmon.store.sqlite.schema import Schema

MINIMUM_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_MS = 5_000
WRITER_CACHE_KIB = 32 * 1024
# The log is written back in the background of commits once it holds this many pages (16 MiB).
CHECKPOINT_PAGES = 4_096
# After a write-back the log's file is cut to this size, so that one long reader does not cost the disk for ever.
WAL_LIMIT_BYTES = 64 * 1024 * 1024

# What SQLite takes: int, float, str, bytes, None and `apsw.carray`.
Values = Sequence[Any]

_UNAVAILABLE = (
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.AuthError,
    apsw.NoMemError,
    apsw.ProtocolError,
)
_CORRUPT = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)
_REMEDIES = {
    apsw.FullError: ("the disk is full", "free space; the store goes on by itself"),
    apsw.ReadOnlyError: ("the file may not be written", "check owner and mode of the file and its folder"),
    apsw.CantOpenError: ("the file cannot be opened", "check owner and mode of the file and its folder"),
    apsw.BusyError: ("another process keeps the file locked", "see `secmon doctor`, check writer_lock"),
    apsw.LockedError: ("another connection keeps a table locked", "see `secmon doctor`, check writer_lock"),
    apsw.IOError: ("reading or writing failed", "check free space, limits and the disk; see `secmon doctor`"),
}


def check_library() -> None:
    """Refuse a SQLite library with the WAL-reset bug.

    Raises:
        StoreError: it is older than `MINIMUM_SQLITE`.
    """
    version = apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")) < MINIMUM_SQLITE:
        raise StoreError(
            "SQLite {version} can corrupt a database (WAL-reset bug)",
            where="apsw",
            hint="install apsw 3.54.1 or newer with its own SQLite",
            values={"version": version},
        )


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn failures of SQLite and of the file system into `StoreError`s that name the file, never a value.

    Raises:
        StoreUnavailableError: full disk, missing rights, locks, input/output errors: may pass, try again.
        StoreError: the file is damaged, or SQLite refuses the request.
    """
    try:
        yield
    except _CORRUPT as error:
        raise StoreError(
            "the database is damaged",
            where=str(path),
            hint="see `secmon store check --deep`, then put the file back from a backup",
        ) from error
    except _UNAVAILABLE as error:
        problem, hint = _REMEDIES.get(type(error), ("the database cannot be used now", "see `secmon doctor`"))
        raise StoreUnavailableError(problem, where=str(path), hint=hint) from error
    except apsw.Error as error:
        raise StoreError(
            "SQLite refused the request: {kind}",
            where=str(path),
            hint="please report this",
            values={"kind": type(error).__name__},
        ) from error
    except UnicodeEncodeError as error:
        raise StoreError("a text holds a lone surrogate", where=str(path)) from error
    except OSError as error:
        raise StoreUnavailableError(
            "the file system says: {reason}",
            where=str(path),
            hint="see `secmon doctor`",
            values={"reason": os.strerror(error.errno or 0)},
        ) from error


def open_writer(path: Path, schema: Schema) -> apsw.Connection:
    """Open a database for writing; make it, or bring it to the current schema, if need be.

    Raises:
        StoreError: it is damaged, of something else, or made by a newer secmon.
        StoreUnavailableError: it cannot be opened or written now.
    """
    check_library()
    with store_errors(path):
        connection = apsw.Connection(str(path))
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.pragma("trusted_schema", 0)
            connection.pragma("cell_size_check", 1)
            _known_version(connection, path, schema)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            connection.pragma("wal_autocheckpoint", 0)
            connection.pragma("journal_size_limit", WAL_LIMIT_BYTES)
            connection.pragma("cache_size", -WRITER_CACHE_KIB)
            _migrate(connection, schema)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reader(path: Path, schema: Schema) -> apsw.Connection | None:
    """Open a database for reading only; None if it is not there, or was never completely made.

    Raises:
        StoreError: it is damaged, of something else, or of another schema.
        StoreUnavailableError: it cannot be opened now.
    """
    check_library()
    if not path.exists():
        return None
    with store_errors(path):
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        except apsw.CantOpenError:
            if not path.exists():
                return None  # dropped between the two steps
            raise
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.pragma("trusted_schema", 0)
            connection.pragma("query_only", 1)
            version = _known_version(connection, path, schema)
        except apsw.ReadOnlyError as error:
            connection.close()
            if getattr(error, "extendedresult", 0) != apsw.SQLITE_READONLY_ROLLBACK:
                raise
            version = 0  # there is a rollback journal only before WAL is switched on, and nothing is stored before
        except BaseException:
            connection.close()
            raise
    if version == 0:
        connection.close()  # its maker was stopped before its first commit
        return None
    if version < schema.version:
        connection.close()
        raise StoreError("the database has an old schema", where=str(path), hint="start `secmon up` once")
    return connection


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[apsw.Connection]:
    """Run a block in one write transaction: all of it, durable on the disk, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back already; a failed COMMIT leaves the transaction open.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def fetch(connection: apsw.Connection, sql: str, values: Values = ()) -> list[Any]:
    """Return all rows of a question as tuples; the question says what they hold."""
    return connection.execute(sql, tuple(values)).fetchall()


def fetch_one(connection: apsw.Connection, sql: str, values: Values = ()) -> Any:
    """Return the only value of the only row, None if there is no row; for questions that cannot have more rows."""
    return connection.execute(sql, tuple(values)).get


def write_back(connection: apsw.Connection, wal_pages: int) -> None:
    """Move the log into the database if it has grown; never waits for readers."""
    if wal_pages >= CHECKPOINT_PAGES:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _known_version(connection: apsw.Connection, path: Path, schema: Schema) -> int:
    """Return how many steps of the schema a database has seen; 0 if it is empty."""
    # One question, one moment: between two of them another process may make the tables.
    (found,) = fetch(
        connection,
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), "
        "(SELECT count(*) FROM sqlite_schema)",
    )
    application, version, tables = found
    if (version or tables) and application != schema.application_id:
        raise StoreError("this is not a database of secmon", where=str(path), hint="check `secmon.state`")
    if version > schema.version:
        raise StoreError(
            "the database was made by a newer secmon (schema {found}, known {known})",
            where=str(path),
            hint="install that version again",
            values={"found": version, "known": schema.version},
        )
    return int(version)


def _migrate(connection: apsw.Connection, schema: Schema) -> None:
    """Apply the missing steps in one transaction: killed anywhere, the file is as before or as after."""
    if connection.pragma("user_version") == schema.version:
        return
    with transaction(connection):
        # Asked again under the lock: another process may have been faster.
        for script in schema.migrations[connection.pragma("user_version") :]:
            connection.execute(script)
        connection.pragma("application_id", schema.application_id)
        connection.pragma("user_version", schema.version)
