"""Batches of the partitions as they were committed, in the order of their commits.

A commit appends: its events, hits and findings have consecutive row numbers behind those of all earlier commits of the
partition. So its events are counted off, and its findings looked for by halves, without an index of their own.
"""

import heapq
from collections.abc import Iterator, Sequence
from operator import itemgetter

import apsw
import orjson

from secmon.errors import NotFoundError
from secmon.model.access import ROOT
from secmon.model.batch import Batch, BatchRow, StoredEvent
from secmon.store.replay import batch_again, stored_event
from secmon.store.sqlite import rows
from secmon.store.sqlite.block import unpack
from secmon.store.sqlite.connection import fetch, fetch_one, store_errors
from secmon.store.sqlite.outcomes import Outcomes
from secmon.store.sqlite.partition import Reading

_PAGE = 1_000


def commits(readings: Sequence[Reading], after: int, upto: int) -> Iterator[tuple[BatchRow, str]]:
    """Yield batch rows of some partitions behind a commit up to another, each with the mark behind it."""
    numbered = heapq.merge(*(_commits_of(reading, after, upto) for reading in readings), key=itemgetter(0))
    return ((row, str(number)) for number, row in numbered)


def _commits_of(reading: Reading, after: int, upto: int) -> Iterator[tuple[int, BatchRow]]:
    ask = (
        f"SELECT commit_number, {rows.BATCH_COLUMNS} FROM batch "  # noqa: S608  constants
        "WHERE commit_number > ? AND commit_number <= ? ORDER BY commit_number LIMIT ?"
    )
    while True:
        with store_errors(reading.path), reading.pool.lease(reading.path) as connection:
            page = [] if connection is None else fetch(connection, ask, (after, upto, _PAGE))
        for row in page:
            yield row[0], rows.batch_from_row(rows.StoredBatch(*row[1:]), reading.name.day, reading.name.retention)
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def contents(reading: Reading, row: BatchRow) -> Batch:
    """Return the batch of a row as it was committed.

    Raises:
        NotFoundError: it is not there.
    """
    stream = f"{row.source}:{row.generation}"
    with store_errors(reading.path), reading.pool.lease(reading.path) as connection:
        ask = "SELECT commit_number FROM batch WHERE stream = ? AND number = ?"
        number = None if connection is None else fetch_one(connection, ask, (stream, row.number))
        if connection is None or number is None:
            raise NotFoundError("this batch is not there", where=row.source, hint="its partition was dropped")
        events = _events(connection, number, str(reading.path))
        first = _first_finding(connection, number)
        behind = _first_finding(connection, number + 1)
    outcomes = Outcomes(reading.path, reading.pool)
    hits = [hit for _, hit in outcomes.hits_of_commits(number - 1, number, ROOT)]
    return batch_again(row, events, hits, outcomes.findings_between(first, behind))


def _events(connection: apsw.Connection, number: int, where: str) -> list[StoredEvent]:
    first, behind = _span(connection, number)
    ask = "SELECT seq, id, time, digest FROM event WHERE seq >= ? AND seq < ? ORDER BY seq"
    keys = fetch(connection, ask, (first, behind))
    ask = (
        "SELECT first, data FROM block WHERE first < ?2 "
        "AND first >= (SELECT coalesce(max(first), 0) FROM block WHERE first <= ?1) ORDER BY first"
    )
    bodies: dict[int, bytes] = {}
    for start, data in fetch(connection, ask, (first, behind)) if keys else ():
        bodies.update(enumerate(unpack(data, where=where), start))
    return [stored_event(id_, time, digest, bodies[seq], orjson.loads(bodies[seq])) for seq, id_, time, digest in keys]


def _span(connection: apsw.Connection, number: int) -> tuple[int, int]:
    """Return the row numbers of a commit's events, half-open.

    Should a commit have passed over events that were there already, the account runs ahead of the rows; the last commit
    takes what is left, so that no event is ever left out.
    """
    total, last = fetch(connection, "SELECT events, last_commit FROM facts")[0]
    ask = "SELECT coalesce(sum(json_extract(counts, '$.events')), 0) FROM batch WHERE commit_number < ?"
    start = min(fetch_one(connection, ask, (number,)), total)
    end = total if number == last else min(fetch_one(connection, ask, (number + 1,)), total)
    return start + 1, end + 1


def _first_finding(connection: apsw.Connection, number: int) -> int:
    """Return the lowest row number of a finding of this commit or a later one."""
    low, high = 1, fetch_one(connection, "SELECT coalesce(max(seq), 0) + 1 FROM finding")
    while low < high:
        middle = (low + high) // 2
        if fetch_one(connection, "SELECT commit_number FROM finding WHERE seq >= ? LIMIT 1", (middle,)) < number:
            low = middle + 1
        else:
            high = middle
    return int(low)
