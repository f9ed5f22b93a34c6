"""A `RecordQuery` as SQL over the tables of documents."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apsw
import orjson

from secmon.errors import StoreError
from secmon.model.access import Scope
from secmon.model.record import RecordQuery
from secmon.model.text import words
from secmon.store.sqlite.connection import fetch, fetch_one
from secmon.store.sqlite.selection import Where
from secmon.store.values import is_storable

# Up to here a filter's documents are collected first; above, the order is walked and each document asked.
_FEW = 10_000
_HAS_KEY = "SELECT 1 FROM document_key k WHERE k.document = d.seq AND k.name = ?"
_NUL = "\0"


class NothingMatchesError(Exception):
    """A condition that no document meets; ends the building of a query, never leaves the store."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place behind a page: the order key's value there (None in the part without it) and the id."""

    value: str | None
    id: str

    def text(self) -> str:
        """Return it as the opaque text of `Page.cursor`."""
        return base64.urlsafe_b64encode(orjson.dumps([self.value, self.id])).decode()


def parse_cursor(text: str) -> Cursor | None:
    """Return the place that a cursor names, None for the start.

    Raises:
        StoreError: it was not made by `Cursor.text`.
    """
    if not text:
        return None
    try:
        value, id_ = orjson.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise StoreError("this is not a cursor of this list", hint="start again without it") from error
    if not isinstance(id_, str) or not isinstance(value, str | None):
        raise StoreError("this is not a cursor of this list", hint="start again without it")
    return Cursor(value, id_)


def conditions(connection: apsw.Connection, query: RecordQuery, scope: Scope) -> Where:
    """Return the conditions of a query on table `document` (as d), without order and place.

    Raises:
        NothingMatchesError: no document can meet them.
    """
    where = Where()
    where.add("d.kind = ?", askable(query.kind))
    in_scope(where, scope)
    for name, accepted in query.equals.items():
        values = [value for value in accepted if is_storable(value)]
        if not values:
            raise NothingMatchesError
        one_of = f"value IN ({', '.join('?' * len(values))})"
        ask = f"SELECT document FROM document_key WHERE kind = ? AND name = ? AND {one_of}"  # noqa: S608  places only
        if _is_few(connection, ask, (query.kind, askable(name), *values)):
            where.add(f"d.seq IN ({ask})", query.kind, name, *values)
        else:
            where.add(f"EXISTS ({_HAS_KEY} AND k.{one_of})", name, *values)
    for name, (low, high) in query.ranges.items():
        bounds = [("k.value >= ?", low), ("k.value < ?", high)]
        given = [(text, askable(value)) for text, value in bounds if value is not None]
        texts = "".join(f" AND {text}" for text, _ in given)
        where.add(f"EXISTS ({_HAS_KEY}{texts})", askable(name), *(value for _, value in given))
    if query.text:
        phrase = words(query.text)
        if not phrase:
            raise NothingMatchesError
        where.add("says(d.body, ?)", " ".join(phrase))
    return where


def in_scope(where: Where, scope: Scope) -> None:
    """Add the condition that a document (as d) is visible: of some unit in sight, or anything for the root."""
    if scope.units is None:
        return
    units = tuple(sorted(unit for unit in scope.units if is_storable(unit) and _NUL not in unit))
    if not units:
        raise NothingMatchesError
    seen = "SELECT 1 FROM document_unit u WHERE u.document = d.seq AND u.unit IN (SELECT value FROM carray(?))"
    where.add(f"EXISTS ({seen})", apsw.carray(units))


def page(connection: apsw.Connection, query: RecordQuery, where: Where, size: int) -> list[Any]:
    """Return up to `size` rows (order value, id, version, body, seq) behind the query's cursor, in order."""
    place = parse_cursor(query.after)
    rows: list[Any] = []
    for ask, values in _parts(query, where, place):
        rows += fetch(connection, ask, (*values, size - len(rows)))
        if len(rows) == size:
            break
    return rows


def _parts(query: RecordQuery, where: Where, place: Cursor | None) -> Iterator[tuple[str, list[Any]]]:
    """Yield the questions that give the order: documents with the key first, then those without it, by id."""
    direction, beyond = ("DESC", "<") if query.descending else ("ASC", ">")
    if query.order and (place is None or place.value is not None):
        behind = Where()
        if place is not None:
            behind.add(f"(o.value, o.id) {beyond} (?, ?)", place.value, place.id)
        ask = (
            "SELECT o.value, d.id, d.version, d.body, d.seq FROM document_key o INDEXED BY document_key_value "  # noqa: S608  constants
            "CROSS JOIN document d ON d.seq = o.document WHERE o.kind = ? AND o.name = ? "
            f"AND {behind.sql()} AND {where.sql()} ORDER BY o.value {direction}, o.id {direction} LIMIT ?"
        )
        yield ask, [query.kind, askable(query.order), *behind.values, *where.values]
    behind = Where()
    if query.order:
        behind.add(f"NOT EXISTS ({_HAS_KEY})", query.order)
    if place is not None and not (query.order and place.value is not None):
        behind.add(f"d.id {beyond} ?", place.id)
    ask = (
        "SELECT NULL, d.id, d.version, d.body, d.seq FROM document d "  # noqa: S608  built from constants
        f"WHERE {where.sql()} AND {behind.sql()} ORDER BY d.id {direction} LIMIT ?"
    )
    yield ask, [*where.values, *behind.values]


def askable(text: str) -> str:
    """Return the text, if it can stand in the store at all.

    Raises:
        NothingMatchesError: it holds a lone surrogate, so nothing stored equals it.
    """
    if not is_storable(text):
        raise NothingMatchesError
    return text


def _is_few(connection: apsw.Connection, ask: str, values: tuple[str, ...]) -> bool:
    count: int = fetch_one(connection, f"SELECT count(*) FROM ({ask} LIMIT ?)", (*values, _FEW + 1))  # noqa: S608
    return count <= _FEW
