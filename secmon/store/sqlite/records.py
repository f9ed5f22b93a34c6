"""The port `Records` over SQLite: all documents in `control.db`."""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import orjson

from secmon.errors import ConflictError, NotFoundError, StoreError, StoreUnavailableError
from secmon.model.access import Access, Scope
from secmon.model.record import REMOVABLE_KINDS, Document, Page, RecordQuery
from secmon.store.matching import says
from secmon.store.sqlite.connection import fetch, fetch_one, open_writer, store_errors, transaction, write_back
from secmon.store.sqlite.documents import Cursor, NothingMatchesError, askable, conditions, in_scope, page
from secmon.store.sqlite.integrity import file_problems
from secmon.store.sqlite.pool import ReaderPool
from secmon.store.sqlite.schema import CONTROL
from secmon.store.sqlite.selection import Where
from secmon.store.values import is_storable


class SqliteRecords:
    """Documents of one database. Any thread may use it; changes go through one connection, one after another.

    Args:
        path: `STATE/control.db`; made by the first change.
        writable: whether this process holds the writer's lock.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self._path = path
        self._writable = writable
        self._pool = ReaderPool(CONTROL, prepare=_teach)
        self._lock = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._wal_pages = 0

    def close(self) -> None:
        """Close all connections; what was changed is durable without it."""
        self._pool.close()  # first: the last one out removes the log, and a reader cannot
        with self._lock:
            self._forget_writer()

    def get(self, access: Access, kind: str, id: str) -> Document | None:  # noqa: A002
        """Return a document, read by id (never stale), or None if it is not there or out of scope."""
        with store_errors(self._path), self._pool.lease(self._path) as connection:
            return None if connection is None else _read(connection, kind, id, access.scope)

    def create(self, access: Access, document: Document) -> Document:
        """Store a new document and return it with version 1; see `ports.Records`."""
        del access  # whoever may call a use case may add what it adds; reading is what the scope bounds
        with self._change() as connection:
            created = _insert(connection, document)
        if created is None:
            raise _taken(document)
        return created

    def create_all(self, access: Access, documents: Sequence[Document]) -> int:
        """Store new documents at once, pass over those whose id is taken, and return how many were stored."""
        del access
        with self._change() as connection:
            return sum(_insert(connection, document) is not None for document in documents)

    def restore(self, access: Access, documents: Sequence[Document]) -> int:
        """Store documents of another store as they are, each under its version; see `ports.Records`."""
        del access
        with self._change() as connection:
            return sum(_insert(connection, one, max(one.version, 1)) is not None for one in documents)

    def kinds(self, access: Access) -> tuple[str, ...]:
        """Return the kinds of which there is a document, sorted; to the root only."""
        with store_errors(self._path), self._pool.lease(self._path) as connection:
            if connection is None or not access.scope.is_root:
                return ()
            return tuple(kind for (kind,) in fetch(connection, "SELECT DISTINCT kind FROM document ORDER BY kind"))

    def replace(self, access: Access, document: Document) -> Document:
        """Replace the version `document.version` and return the next one; see `ports.Records`."""
        body = _encode(document)
        with self._change() as connection:
            found = _row(connection, document.kind, document.id, access.scope)
            if found is None:
                raise NotFoundError("there is no such {kind}", values={"kind": document.kind})
            seq, version, _ = found
            if version != document.version:
                raise ConflictError(
                    "the {kind} was changed meanwhile", hint="read it again", values={"kind": document.kind}
                )
            connection.execute("UPDATE document SET version = version + 1, body = ? WHERE seq = ?", (body, seq))
            connection.execute("DELETE FROM document_key WHERE document = ?", (seq,))
            connection.execute("DELETE FROM document_unit WHERE document = ?", (seq,))
            _index(connection, seq, document)
        return _with_version(document, version + 1)

    def delete(self, access: Access, kind: str, id: str) -> None:  # noqa: A002
        """Remove a document; nothing happens if it is not there. Only `REMOVABLE_KINDS` are removed.

        Raises:
            StoreError: documents of this kind are kept.
        """
        if kind not in REMOVABLE_KINDS:
            raise StoreError("a {kind} is never removed", hint="replace it instead", values={"kind": kind})
        with self._change() as connection:
            found = _row(connection, kind, id, access.scope)
            if found is not None:
                connection.execute("DELETE FROM document_key WHERE document = ?", (found[0],))
                connection.execute("DELETE FROM document_unit WHERE document = ?", (found[0],))
                connection.execute("DELETE FROM document WHERE seq = ?", (found[0],))

    def find(self, access: Access, query: RecordQuery) -> Page:
        """Return one page of the documents in scope."""
        size = max(query.limit, 1)
        with store_errors(self._path), self._pool.lease(self._path) as connection:
            if connection is None:
                return Page(())
            try:
                rows = page(connection, query, conditions(connection, query, access.scope), size + 1)
            except NothingMatchesError:
                return Page(())
            documents = tuple(
                _document(connection, query.kind, id_, (seq, version, body))
                for _, id_, version, body, seq in rows[:size]
            )
        more = len(rows) > size
        return Page(documents, Cursor(rows[size - 1][0], rows[size - 1][1]).text() if more else "")

    def count(self, access: Access, query: RecordQuery, *, by: str = "") -> dict[str, int]:
        """Return counts by the value of one key ("" where absent); by="" gives {"": total}."""
        value = "(SELECT k.value FROM document_key k WHERE k.document = d.seq AND k.name = ?)" if by else "?"
        counts: dict[str, int] = {} if by else {"": 0}
        with store_errors(self._path), self._pool.lease(self._path) as connection:
            if connection is None:
                return counts
            try:
                where = conditions(connection, query, access.scope)
                name = askable(by)
            except NothingMatchesError:
                return counts
            ask = f"SELECT {value} AS text, count(*) FROM document d WHERE {where.sql()} GROUP BY 1"  # noqa: S608
            for text, number in fetch(connection, ask, (name, *where.values)):
                counts[text or ""] = counts.get(text or "", 0) + number
        return counts

    def check(self, access: Access, *, deep: bool = False) -> list[str]:
        """Return the problems of the database's own integrity; empty is good. `deep` reads everything."""
        del access  # nothing of a document is told
        try:
            with store_errors(self._path), self._pool.lease(self._path) as connection:
                if connection is None:
                    return []
                fetch_one(connection, "SELECT count(*) FROM document")
                return file_problems(connection, str(self._path)) if deep else []
        except StoreError as error:
            return [str(error)]

    @contextlib.contextmanager
    def _change(self) -> Iterator[apsw.Connection]:
        """Run one change as a transaction of its own, durable on the disk when it ends."""
        if not self._writable:
            raise StoreError("the store was opened for reading", where=str(self._path), hint="take the writer lock")
        with self._lock:
            try:
                with store_errors(self._path):
                    connection = self._writer or self._open_writer()
                    with transaction(connection):
                        yield connection
                    with contextlib.suppress(apsw.Error):  # durable already; the log is moved after a later change
                        write_back(connection, self._wal_pages)
            except StoreUnavailableError:
                self._forget_writer()  # a connection that failed once is not trusted again
                raise

    def _open_writer(self) -> apsw.Connection:
        connection = self._writer = open_writer(self._path, CONTROL)
        connection.set_wal_hook(self._note_wal)
        return connection

    def _note_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _forget_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.close()


def _teach(connection: apsw.Connection) -> None:
    """Give a connection the one meaning of text search (`model.text`)."""
    connection.create_scalar_function("says", _says, 2, deterministic=True)


def _says(*arguments: Any) -> bool:
    body, phrase = arguments
    return isinstance(body, bytes) and isinstance(phrase, str) and says(orjson.loads(body), phrase.split(" "))


def _row(connection: apsw.Connection, kind: str, id_: str, scope: Scope) -> tuple[int, int, bytes] | None:
    """Return (seq, version, body) of a visible document, or None."""
    where = Where()
    try:
        where.add("d.kind = ? AND d.id = ?", askable(kind), askable(id_))
        in_scope(where, scope)
    except NothingMatchesError:
        return None
    found = fetch(connection, f"SELECT d.seq, d.version, d.body FROM document d WHERE {where.sql()}", where.values)  # noqa: S608
    return found[0] if found else None


def _read(connection: apsw.Connection, kind: str, id_: str, scope: Scope) -> Document | None:
    found = _row(connection, kind, id_, scope)
    return None if found is None else _document(connection, kind, id_, found)


def _document(connection: apsw.Connection, kind: str, id_: str, row: tuple[int, int, bytes]) -> Document:
    seq, version, body = row
    keys = fetch(connection, "SELECT name, value FROM document_key WHERE document = ? ORDER BY name", (seq,))
    units = fetch(connection, "SELECT unit FROM document_unit WHERE document = ? ORDER BY unit", (seq,))
    return Document(
        kind=kind,
        id=id_,
        body=orjson.loads(body),
        version=version,
        keys=dict(keys),
        unit_ids=tuple(unit for (unit,) in units),
    )


def _insert(connection: apsw.Connection, document: Document, version: int = 1) -> Document | None:
    """Store a new document; None if its id is taken."""
    body = _encode(document)
    connection.execute(
        "INSERT OR IGNORE INTO document (kind, id, version, body) VALUES (?, ?, ?, ?)",
        (document.kind, document.id, version, body),
    )
    if not connection.changes():
        return None
    _index(connection, connection.last_insert_rowid(), document)
    return _with_version(document, version)


def _index(connection: apsw.Connection, seq: int, document: Document) -> None:
    connection.executemany(
        "INSERT INTO document_key VALUES (?, ?, ?, ?, ?)",
        [(seq, name, value, document.kind, document.id) for name, value in document.keys.items()],
    )
    connection.executemany(
        "INSERT INTO document_unit VALUES (?, ?)", [(seq, unit) for unit in sorted(set(document.unit_ids))]
    )


def _encode(document: Document) -> bytes:
    if not _all_storable((document.kind, document.id, *document.keys, *document.keys.values(), *document.unit_ids)):
        raise StoreError("a name of the {kind} holds a lone surrogate", values={"kind": document.kind})
    if any("\0" in unit for unit in document.unit_ids):
        raise StoreError("a unit id holds a NUL", hint="see the register of units")
    try:
        return orjson.dumps(document.body)
    except TypeError as error:
        raise StoreError(
            "the {kind} cannot be written as JSON", hint="please report this", values={"kind": document.kind}
        ) from error


def _all_storable(texts: Iterable[str]) -> bool:
    return all(map(is_storable, texts))


def _with_version(document: Document, version: int) -> Document:
    return Document(
        kind=document.kind,
        id=document.id,
        body=orjson.loads(orjson.dumps(document.body)),
        version=version,
        keys=dict(document.keys),
        unit_ids=tuple(sorted(set(document.unit_ids))),
    )


def _taken(document: Document) -> ConflictError:
    return ConflictError("there is such a {kind} already", hint="read it", values={"kind": document.kind})
