"""Hits and findings of one partition, a page at a time."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import apsw

from secmon.errors import StoreError
from secmon.model.access import Scope
from secmon.model.batch import EventFinding
from secmon.model.event import to_micros
from secmon.model.hit import Hit
from secmon.model.questions import FindingQuery, HitQuery
from secmon.store.sqlite import rows
from secmon.store.sqlite.connection import fetch, store_errors
from secmon.store.sqlite.dictionary import find_exact
from secmon.store.sqlite.pool import ReaderPool
from secmon.store.sqlite.schema import FIELD_ASSET, FIELD_CLASS, FIELD_RULE, FIELD_SUPPRESSED, FIELD_UNIT
from secmon.store.sqlite.selection import Where, numbers
from secmon.store.sqlite.tally import DAY_MICROS
from secmon.store.values import is_storable

_PAGE = 4_096
_SMALL_PAGE = 64
_HITS = (
    "SELECT h.time, h.event_id, r.text, d.text, h.level, h.alert, u.text, a.text, h.detail, s.text, p.text "
    "FROM hit h "
    "JOIN word r ON r.id = h.rule JOIN word d ON d.id = h.rule_digest "
    "LEFT JOIN word u ON u.id = h.unit LEFT JOIN word a ON a.id = h.asset "
    "LEFT JOIN word s ON s.id = h.suppressed LEFT JOIN word p ON p.id = h.shape WHERE "
)
# The index of keys has the time in it: of a key no hits are looked at but those of the time that is asked for.
_HITS_OF_KEY = _HITS.replace("FROM hit h ", "FROM hit_key k CROSS JOIN hit h ON h.seq = k.hit ")
_FINDINGS = (
    "SELECT f.mark, f.time, f.event_id, c.text, u.text, a.text, f.detail FROM finding f "
    "JOIN word c ON c.id = f.class "
    "LEFT JOIN word u ON u.id = f.unit LEFT JOIN word a ON a.id = f.asset WHERE "
)
_LEAST = -(2**63)
_MAX_MARK_DIGITS = 18  # what SQLite's integers hold for certain


class _NothingMatches(Exception):  # noqa: N818  not an error: it ends the building of a query
    """A condition that no row of this partition meets."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Hits and findings of one partition, read through a pool of connections."""

    path: Path
    pool: ReaderPool

    def hits(self, query: HitQuery, scope: Scope) -> Iterator[Hit]:
        """Yield hits by (time, event id, rule id)."""
        if len(query.keys) <= 1:
            yield from self._hits(query, scope, _PAGE)
            return
        # Key by key, as their index has them: who stops early has not made SQLite sort all of them.
        size = max(_SMALL_PAGE, _PAGE // len(query.keys))
        walks = [self._hits(replace(query, keys=(key,)), scope, size) for key in dict.fromkeys(query.keys)]
        every = heapq.merge(*walks, key=attrgetter("at", "event_id", "rule_id"))
        for _, same in groupby(every, key=attrgetter("event_id", "rule_id")):
            yield next(same)

    def _hits(self, query: HitQuery, scope: Scope, size: int) -> Iterator[Hit]:
        after: tuple[int, bytes, str] = (_LEAST, b"", "")
        while True:
            page = self._hit_page(query, scope, after, size)
            yield from map(rows.hit_from_row, page)
            if len(page) < size:
                return
            after = (page[-1].time, page[-1].event_id, page[-1].rule)

    def _hit_page(self, query: HitQuery, scope: Scope, after: tuple[int, bytes, str], size: int) -> list[rows.HitRow]:
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            if connection is None:
                return []
            try:
                where = _hit_conditions(connection, query, scope)
                for key in query.keys:  # one at most
                    where.add("k.key = ?", rows.key_column(_askable(key)))
            except _NothingMatches:
                return []
            time, ask = ("k.time", _HITS_OF_KEY) if query.keys else ("h.time", _HITS)
            _in_time(where, time, query.since, query.until)
            where.add(f"{time} >= ? AND ({time}, h.event_id, r.text) > (?, ?, ?)", after[0], *after)
            ask = f"{ask} {where.sql()} ORDER BY {time}, h.event_id, r.text LIMIT ?"
            return [rows.HitRow(*row) for row in fetch(connection, ask, (*where.values, size))]

    def count_suppressed(self, query: HitQuery, scope: Scope, offset: int) -> list[tuple[str, int, int]]:
        """Return (what suppresses, number of the day from 1970-01-01, hits); `offset` is the calendar's, in µs."""
        day = f"(h.time + ?1 - ((h.time + ?1) % {DAY_MICROS} + {DAY_MICROS}) % {DAY_MICROS}) / {DAY_MICROS}"
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            if connection is None:
                return []
            try:
                where = _hit_conditions(connection, query, scope)
            except _NothingMatches:
                return []
            _in_time(where, "h.time", query.since, query.until)
            if query.keys:
                keys = [rows.key_column(key) for key in query.keys if is_storable(key)]
                places = ", ".join("?" * len(keys))
                where.add(f"h.seq IN (SELECT hit FROM hit_key WHERE key IN ({places}))", *keys)  # noqa: S608  constants
            ask = (
                f"SELECT s.text, {day}, count(*) FROM hit h JOIN word s ON s.id = h.suppressed "  # noqa: S608  constants
                f"WHERE {where.sql()} GROUP BY 1, 2"
            )
            return fetch(connection, ask, (offset, *where.values))

    def hits_by_id(self) -> Iterator[Hit]:
        """Yield all hits by (event id, rule id)."""
        after: tuple[bytes, str] = (b"", "")
        while True:
            with store_errors(self.path), self.pool.lease(self.path) as connection:
                if connection is None:
                    return
                ask = f"{_HITS} h.event_id >= ? AND (h.event_id, r.text) > (?, ?) ORDER BY h.event_id, r.text LIMIT ?"
                page = [rows.HitRow(*row) for row in fetch(connection, ask, (after[0], *after, _PAGE))]
            yield from map(rows.hit_from_row, page)
            if len(page) < _PAGE:
                return
            after = (page[-1].event_id, page[-1].rule)

    def commits(self, after: int, upto: int, limit: int) -> list[tuple[int, int]]:
        """Return (commit number, hits) of batches with hits behind `after`, up to `upto`, lowest first.

        Each has one hit at least, so `limit` batches are enough for `limit` hits; one more tells that there are more.
        """
        ask = (
            "SELECT commit_number, hits FROM batch WHERE commit_number > ? AND commit_number <= ? AND hits > 0 "
            "ORDER BY commit_number LIMIT ?"
        )
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            return [] if connection is None else fetch(connection, ask, (after, upto, limit + 1))

    def hits_of_commits(self, after: int, upto: int, scope: Scope) -> list[tuple[int, Hit]]:
        """Return (commit number, hit) of the commits behind `after`, up to `upto`."""
        ask = _HITS.replace("SELECT ", "SELECT h.commit_number, ", 1)
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            if connection is None:
                return []
            where = Where()
            where.add("h.commit_number > ? AND h.commit_number <= ?", after, upto)
            try:
                _in_scope(connection, where, "h.unit", scope)
            except _NothingMatches:
                return []
            found = fetch(connection, f"{ask} {where.sql()} ORDER BY h.commit_number, h.seq", where.values)
            return [(row[0], rows.hit_from_row(rows.HitRow(*row[1:]))) for row in found]

    def findings(self, query: FindingQuery, scope: Scope) -> Iterator[EventFinding]:
        """Yield findings by (time, event id)."""
        after: tuple[int, bytes, bytes] = (_LEAST, b"", b"")
        while True:
            page = self._finding_page(query, scope, after)
            for row in page:
                yield rows.finding_from_row(rows.FindingRow(*row[1:]))
            if len(page) < _PAGE:
                return
            after = (page[-1][1], page[-1][2], page[-1][0])

    def _finding_page(self, query: FindingQuery, scope: Scope, after: tuple[int, bytes, bytes]) -> list[Any]:
        """Return rows of (mark, columns of `FindingRow`)."""
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            if connection is None:
                return []
            try:
                where = _finding_conditions(connection, query, scope)
            except _NothingMatches:
                return []
            where.add("f.time >= ? AND (f.time, f.event_id, f.mark) > (?, ?, ?)", after[0], *after)
            ask = f"{_FINDINGS} {where.sql()} ORDER BY f.time, f.event_id, f.mark LIMIT ?"
            return fetch(connection, ask, (*where.values, _PAGE))

    def findings_by_id(self) -> Iterator[EventFinding]:
        """Yield all findings by event id."""
        after: tuple[bytes, bytes] = (b"", b"")
        while True:
            with store_errors(self.path), self.pool.lease(self.path) as connection:
                if connection is None:
                    return
                ask = f"{_FINDINGS} (f.event_id, f.mark) > (?, ?) ORDER BY f.event_id, f.mark LIMIT ?"
                page = fetch(connection, ask, (*after, _PAGE))
            for row in page:
                yield rows.finding_from_row(rows.FindingRow(*row[1:]))
            if len(page) < _PAGE:
                return
            after = (page[-1][2], page[-1][0])

    def findings_between(self, first: int, behind: int) -> list[EventFinding]:
        """Return the findings with these row numbers, half-open: in the order in which they came."""
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            if connection is None:
                return []
            page = fetch(connection, f"{_FINDINGS} f.seq >= ? AND f.seq < ? ORDER BY f.seq", (first, behind))
        return [rows.finding_from_row(rows.FindingRow(*row[1:])) for row in page]

    def count_findings(self, query: FindingQuery, scope: Scope) -> dict[str, int]:
        """Return counts of findings by class."""
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            if connection is None:
                return {}
            try:
                where = _finding_conditions(connection, query, scope)
            except _NothingMatches:
                return {}
            ask = (
                "SELECT c.text, count(*) FROM finding f JOIN word c ON c.id = f.class "  # noqa: S608  constants
                f"WHERE {where.sql()} GROUP BY c.text"
            )
            return dict(fetch(connection, ask, where.values))


def _hit_conditions(connection: apsw.Connection, query: HitQuery, scope: Scope) -> Where:
    """Return the conditions on hits but for their time and keys."""
    where = Where()
    _in_scope(connection, where, "h.unit", scope)
    if query.upto:
        where.add("h.commit_number <= ?", commit_of(query.upto))
    if query.rule_ids:
        _one_of(connection, where, "h.rule", FIELD_RULE, query.rule_ids)
    if query.asset_id:
        _one_of(connection, where, "h.asset", FIELD_ASSET, (query.asset_id,))
    if query.alert_id:
        where.add("h.alert = ?", _askable(query.alert_id))
    if query.suppressed is not None:
        where.add("h.suppressed IS NOT NULL" if query.suppressed else "h.suppressed IS NULL")
    if query.suppressed_by:
        _one_of(connection, where, "h.suppressed", FIELD_SUPPRESSED, (query.suppressed_by,))
    return where


def _finding_conditions(connection: apsw.Connection, query: FindingQuery, scope: Scope) -> Where:
    where = Where()
    _in_time(where, "f.time", query.since, query.until)
    _in_scope(connection, where, "f.unit", scope)
    if query.data_class:
        _one_of(connection, where, "f.class", FIELD_CLASS, (query.data_class,))
    if query.asset_id:
        _one_of(connection, where, "f.asset", FIELD_ASSET, (query.asset_id,))
    if query.event_ids:
        keys = tuple(key for key in map(rows.event_key, query.event_ids) if key is not None)
        if not keys:
            raise _NothingMatches
        where.add("f.event_id IN (SELECT value FROM carray(?))", apsw.carray(keys))
    return where


def _in_time(where: Where, column: str, since: datetime | None, until: datetime | None) -> None:
    if since is not None:
        where.add(f"{column} >= ?", to_micros(since))
    if until is not None:
        where.add(f"{column} < ?", to_micros(until))


def _in_scope(connection: apsw.Connection, where: Where, column: str, scope: Scope) -> None:
    if scope.units is not None:
        _one_of(connection, where, column, FIELD_UNIT, tuple(scope.units))


def _one_of(connection: apsw.Connection, where: Where, column: str, field: int, texts: Sequence[str]) -> None:
    found = find_exact(connection, field, texts)
    if not found:
        raise _NothingMatches
    where.add(f"{column} IN (SELECT value FROM carray(?))", numbers(found))  # noqa: S608  constants


def _askable(text: str) -> str:
    if not is_storable(text):
        raise _NothingMatches
    return text


def commit_of(mark: str) -> int:
    """Return the number of the last commit before a mark; 0 of "", which stands before everything.

    Raises:
        StoreError: it is no mark of this store.
    """
    if mark == "":
        return 0
    if not (mark.isascii() and mark.isdecimal() and len(mark) <= _MAX_MARK_DIGITS):
        raise StoreError("this is not a mark of this store", where="events", hint="start again with an empty mark")
    return int(mark)


def in_commit_order(parts: Sequence[list[tuple[int, int]]], limit: int) -> tuple[int, bool]:
    """Return the last commit of the shortest prefix with `limit` hits, and whether it is a true prefix.

    Args:
        parts: (commit number, hits) of each partition, lowest first.
        limit: hits that are enough.
    """
    total = last = 0
    for number, hits in heapq.merge(*parts):
        if total >= limit:
            return last, True
        total, last = total + hits, number
    return last, False
