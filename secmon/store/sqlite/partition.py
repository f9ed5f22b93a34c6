"""Reading one partition: pages of keys, blocks on demand, counts. Every read is a short transaction of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import apsw

from secmon.errors import StoreError
from secmon.model.access import Scope
from secmon.model.batch import BatchRow
from secmon.model.event import LIST_SEPARATOR, to_micros
from secmon.model.query import EVERYTHING
from secmon.model.questions import EventQuery
from secmon.model.search import Budget
from secmon.store.partition_name import PartitionName
from secmon.store.sqlite import rows
from secmon.store.sqlite.block import BlockCache, unpack
from secmon.store.sqlite.conditions import NUMBER_OF, WordSets
from secmon.store.sqlite.connection import fetch, fetch_one, store_errors
from secmon.store.sqlite.pool import ReaderPool
from secmon.store.sqlite.schema import COLUMNS, FIELD_UNIT
from secmon.store.sqlite.selection import Selection, column_of, numbers, select
from secmon.store.sqlite.shares import Shares, shares, texts_of_blocks
from secmon.store.sqlite.tally import DAY_MICROS, TallyRow
from secmon.store.sqlite.writer import batch_row

_FIRST_PAGE = 128
_MAX_PAGE = 4_096
# Steps of SQLite's machine between two looks at the budget: a millisecond or so.
_STEPS = 20_000
_SELECTIVE_PAGE = 20_000
_BLOCK_OF = "(SELECT max(b.first) FROM block b INDEXED BY block_span WHERE b.first <= e.seq)"
_EVENTS_OF_BLOCKS = (
    "block b INDEXED BY block_span CROSS JOIN event e ON e.seq BETWEEN b.first AND b.first + b.events - 1"
)


class Facts(NamedTuple):
    """What a partition says about itself: counts, earliest and latest `@timestamp` (µs), last commit."""

    events: int
    hits: int
    findings: int
    first: int | None
    last: int | None
    last_commit: int

    def may_hold(self, since: datetime | None, until: datetime | None) -> bool:
        """Tell whether something of this time range can lie there."""
        if self.first is None or self.last is None:
            return False
        return (since is None or self.last >= to_micros(since)) and (until is None or self.first < to_micros(until))


class EventKey(NamedTuple):
    """Where an event lies; sorts by time, then id."""

    time: int
    id: bytes
    seq: int
    block: int


class _Place(NamedTuple):
    """Where a page of keys begins, how long it may be, and what the pages before it learnt."""

    after: EventKey | None
    size: int
    words: WordSets
    is_first: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """One partition, to be read through a pool of connections.

    Args:
        path: its file.
        name: its name.
        pool: lends connections.
        budget: what the search may take that reads it; None for no bound.
    """

    path: Path
    name: PartitionName
    pool: ReaderPool
    budget: Budget | None = None

    @contextmanager
    def lease(self) -> Iterator[apsw.Connection | None]:
        """Lend a connection for one read within the budget; None if the partition is gone.

        Raises:
            StoreError: it cannot be read.
            SearchStoppedError: the budget is used up; SQLite was interrupted.
        """
        with store_errors(self.path), self.pool.lease(self.path) as connection:
            if connection is None or self.budget is None:
                yield connection
            else:
                with _interrupted(connection, self.budget):
                    yield connection

    def facts(self) -> Facts | None:
        """Return what the partition says about itself; None if it is gone."""
        with self.lease() as connection:
            if connection is None:
                return None
            ask = "SELECT events, hits, findings, first, last, last_commit FROM facts"
            found = fetch(connection, ask)
        if not found:
            raise StoreError("the facts of the partition are missing", where=str(self.path), hint="see a backup")
        return Facts(*found[0])

    def keys(self, query: EventQuery, scope: Scope) -> Iterator[EventKey]:
        """Yield the keys of the events that SQL cannot rule out, in the order of the query."""
        size, after = _FIRST_PAGE, _key_behind(query)
        first, words = True, WordSets()
        while True:
            page, full = self._page(query, scope, _Place(after, size, words, is_first=first))
            yield from page
            if not full:
                return
            after, size, first = page[-1], min(size * 2, _MAX_PAGE), False

    def _page(self, query: EventQuery, scope: Scope, place: "_Place") -> tuple[list[EventKey], bool]:
        """Return keys behind a place, and whether there may be more."""
        after, size = place.after, place.size
        with self.lease() as connection:
            if connection is None or (selection := select(connection, query, scope, place.words)) is None:
                return [], False
            direction, beyond = ("ASC", ">") if query.ascending else ("DESC", "<")
            where = selection.on_event
            if after is not None:
                where.add(f"e.time {beyond}= ? AND (e.time, e.id) {beyond} (?, ?)", after.time, after.time, after.id)
            if selection.selective:
                # Each page sorts all candidates again: small ones only where the asker wants few events.
                size = size if query.limit is not None and place.is_first else _SELECTIVE_PAGE
                table = _EVENTS_OF_BLOCKS
                conditions = f"{selection.on_block.sql()} AND {where.sql()}"
                values = [*selection.on_block.values, *where.values]
            else:
                table, conditions, values = "event e INDEXED BY event_time", where.sql(), where.values
            ask = (
                f"SELECT e.time, e.id, e.seq, {_BLOCK_OF} FROM {table} WHERE {conditions} "  # noqa: S608  constants
                f"ORDER BY e.time {direction}, e.id {direction} LIMIT ?"
            )
            page = [EventKey(*row) for row in fetch(connection, ask, (*values, size))]
            return page, len(page) == size

    def body(self, key: EventKey, cache: BlockCache) -> bytes | None:
        """Return the body of an event; None if the partition is gone."""
        bodies = cache.get(self.path, key.block)
        if bodies is None:
            with self.lease() as connection:
                if connection is None:
                    return None
                data = fetch_one(connection, "SELECT data FROM block WHERE first = ?", (key.block,))
            if data is None:
                return None
            bodies = unpack(data, where=str(self.path))
            cache.put(self.path, key.block, bodies)
        position = key.seq - key.block
        if position >= len(bodies):
            raise StoreError("a block of events is too short", where=str(self.path), hint="see `secmon store check`")
        return bodies[position]

    def keys_of_ids(self, ids: Sequence[bytes], scope: Scope) -> dict[bytes, EventKey]:
        """Return id → key of those of these events that are here and in scope."""
        ask = (
            f"SELECT e.time, e.id, e.seq, {_BLOCK_OF}, w.text FROM event e "  # noqa: S608  built from constants
            f"LEFT JOIN word w ON w.id = e.{COLUMNS[FIELD_UNIT]} WHERE e.id IN (SELECT value FROM carray(?))"
        )
        if not ids:
            return {}
        with self.lease() as connection:
            if connection is None:
                return {}
            found = fetch(connection, ask, (apsw.carray(tuple(ids)),))
        return {row[1]: EventKey(*row[:4]) for row in found if scope.sees(row[4])}

    def digests(self, ids: Sequence[bytes], scope: Scope) -> dict[bytes, bytes]:
        """Return id → digest of those of these events that are here and in scope."""
        keys = self.keys_of_ids(ids, scope)
        if not keys:
            return {}
        ask = "SELECT id, digest FROM event WHERE id IN (SELECT value FROM carray(?))"
        with self.lease() as connection:
            return {} if connection is None else dict(fetch(connection, ask, (apsw.carray(tuple(keys)),)))

    def keys_by_id(self) -> Iterator[tuple[EventKey, bytes]]:
        """Yield (key, digest) of all events by id."""
        ask = (
            f"SELECT e.time, e.id, e.seq, {_BLOCK_OF}, e.digest FROM event e "  # noqa: S608  built from constants
            "WHERE e.id > ? ORDER BY e.id LIMIT ?"
        )
        after = b""
        while True:
            with self.lease() as connection:
                if connection is None:
                    return
                page = fetch(connection, ask, (after, _MAX_PAGE))
            for row in page:
                yield EventKey(*row[:4]), row[4]
            if len(page) < _MAX_PAGE:
                return
            after = page[-1][1]

    def count(self, query: EventQuery, scope: Scope, *, by: str) -> dict[str | None, int]:
        """Return counts of events by the text of an indexed field, None where absent, without opening a body."""
        counts: dict[str | None, int] = {}
        for row in self.tally(query, scope, by=by, offset=0):
            for part in (None,) if row.text is None else row.text.split(LIST_SEPARATOR):
                counts[part] = counts.get(part, 0) + row.events
        return counts

    def intervals(self, query: EventQuery, scope: Scope, *, length: int, offset: int) -> list[tuple[int, int]]:
        """Return start of an interval (µs) and its events, from columns alone.

        Args:
            query: which events; without fields that only a body answers.
            scope: whose.
            length: length of an interval in µs.
            offset: µs east of UTC of the clock whose midnight they are counted from.
        """
        with self.lease() as connection:
            if connection is None or (selection := select(connection, query, scope)) is None:
                return []
            # Rounded down before 1970 too: `%` of SQLite goes towards zero.
            ask = (
                "SELECT e.time - ((e.time + ?1) % ?2 + ?2) % ?2 AS start, count(*) "  # noqa: S608  constants
                f"FROM {_EVENTS_OF_BLOCKS} WHERE {selection.on_block.sql()} AND {selection.on_event.sql()} GROUP BY 1"
            )
            return fetch(connection, ask, (offset, length, *selection.on_block.values, *selection.on_event.values))

    def tally(self, query: EventQuery, scope: Scope, *, by: str, offset: int) -> list[TallyRow]:
        """Return counts and times of events by the text of an indexed field and day, without opening a body.

        Args:
            query: which events; without fields that only a body answers.
            scope: whose.
            by: an indexed field, or empty.
            offset: µs east of UTC of the calendar.
        """
        with self.lease() as connection:
            if connection is None or (selection := select(connection, query, scope)) is None:
                return []
            counted: list[TallyRow] = []
            if query.where == EVERYTHING:
                counted, rest = _tally_blocks(connection, shares(connection, query, scope), by, offset)
                if not rest:
                    return counted
                selection.on_block.add("b.first IN (SELECT value FROM carray(?))", numbers(rest))
            return counted + _tally_rows(connection, selection, by, offset)

    def batch(self, stream: str, number: int) -> BatchRow | None:
        """Return the row of one batch, or None."""
        with self.lease() as connection:
            return None if connection is None else batch_row(connection, self.name, stream, number)

    def batches(self, *, since: datetime | None = None, stream: str | None = None) -> Iterator[BatchRow]:
        """Yield batch rows by (stream, number); of one stream, if it is named."""
        after: tuple[str, int] = (stream or "", -1)
        ask = (
            f"SELECT stream, {rows.BATCH_COLUMNS} FROM batch WHERE (stream, number) > (?, ?) "  # noqa: S608  constants
            f"AND received_at >= ? AND {'1' if stream is None else 'stream = ?1'} ORDER BY stream, number LIMIT ?"
        )
        earliest = -(2**63) if since is None else to_micros(since)
        while True:
            with self.lease() as connection:
                if connection is None:
                    return
                page = fetch(connection, ask, (*after, earliest, _MAX_PAGE))
            for row in page:
                yield rows.batch_from_row(rows.StoredBatch(*row[1:]), self.name.day, self.name.retention)
            if len(page) < _MAX_PAGE:
                return
            after = (page[-1][0], page[-1][1])


def _key_behind(query: EventQuery) -> EventKey | None:
    """Return the place behind which a query goes on."""
    if query.after is None:
        return None
    moment, identity = query.after
    return EventKey(to_micros(moment), bytes.fromhex(identity), 0, 0)


@contextmanager
def _interrupted(connection: apsw.Connection, budget: Budget) -> Iterator[None]:
    """Let SQLite stop in the middle of a question when the budget is used up."""
    connection.set_progress_handler(budget.is_over, _STEPS)
    try:
        yield
    except apsw.InterruptError:
        budget.stop()
    finally:
        connection.set_progress_handler(None)


def _tally_blocks(connection: apsw.Connection, found: Shares, by: str, offset: int) -> tuple[list[TallyRow], list[int]]:
    """Return the counts of the blocks that match whole, and the blocks whose rows have to be looked at."""
    texts = texts_of_blocks(connection, NUMBER_OF[by]) if by else {}
    counted: list[TallyRow] = []
    rest = [block.first for block in found.mixed]
    for block in found.whole:
        day = (block.since + offset) // DAY_MICROS
        if texts is None or day != (block.until + offset) // DAY_MICROS:
            rest.append(block.first)
            continue
        # The times are those of the block: a tally keeps them for all texts together.
        said = texts.get(block.first, ())
        counted += [TallyRow(text, day, events, block.since, block.until) for text, events in said]
        if silent := block.events - sum(events for _, events in said):
            counted.append(TallyRow(None, day, silent, block.since, block.until))
    return counted, rest


def _tally_rows(connection: apsw.Connection, selection: Selection, by: str, offset: int) -> list[TallyRow]:
    column = f"e.{column_of(by)}" if by else "NULL"
    # Rounded down before 1970 too: `%` and `/` of SQLite go towards zero.
    day = f"(e.time + ?1 - ((e.time + ?1) % {DAY_MICROS} + {DAY_MICROS}) % {DAY_MICROS}) / {DAY_MICROS}"
    ask = (
        "SELECT (SELECT w.text FROM word w WHERE w.id = g.word), g.day, g.number, g.first, g.last FROM ("  # noqa: S608  constants
        f"SELECT {column} AS word, {day} AS day, count(*) AS number, min(e.time) AS first, max(e.time) AS last "
        f"FROM {_EVENTS_OF_BLOCKS} WHERE {selection.on_block.sql()} AND {selection.on_event.sql()} GROUP BY 1, 2) g"
    )
    values = (offset, *selection.on_block.values, *selection.on_event.values)
    return [TallyRow(*row) for row in fetch(connection, ask, values)]
