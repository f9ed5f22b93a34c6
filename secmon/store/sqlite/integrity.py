"""What a store can tell about its own soundness, and the digest of what it holds."""

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby

import apsw
import orjson

from secmon.errors import StoreError
from secmon.model.event import Event
from secmon.store.canonical import event_line, finding_line, hit_line, set_digest
from secmon.store.sqlite.block import BlockCache, unpack
from secmon.store.sqlite.connection import fetch, fetch_one, store_errors
from secmon.store.sqlite.outcomes import Outcomes
from secmon.store.sqlite.partition import Reading

_MAX_PROBLEMS = 20
_COUNTS = {
    "events": "SELECT coalesce(sum(events), 0) FROM block INDEXED BY block_span",
    "hits": "SELECT count(*) FROM hit",
    "findings": "SELECT count(*) FROM finding",
    "last_commit": "SELECT coalesce(max(commit_number), 0) FROM batch",
}


def digest(readings: Sequence[Reading]) -> dict[str, str]:
    """Return SHA-256 (hex) of the sorted sets "events", "hits" and "findings" of all partitions."""
    outcomes = [Outcomes(reading.path, reading.pool) for reading in readings]
    events = heapq.merge(*(_event_lines(reading) for reading in readings))
    hits = heapq.merge(
        *(((hit.event_id, hit.rule_id, hit_line(hit)) for hit in part.hits_by_id()) for part in outcomes)
    )
    findings = heapq.merge(*(_finding_lines(part) for part in outcomes))
    return {
        "events": set_digest(line for _, line in events),
        "hits": set_digest(line for _, _, line in hits),
        "findings": set_digest(line for _, line in findings),
    }


def problems(reading: Reading, *, deep: bool) -> list[str]:
    """Return what is wrong with one partition; empty is good."""
    try:
        found = _accounting(reading)
        return found + _contents(reading) if deep and not found else found
    except StoreError as error:
        return [str(error)]


def file_problems(connection: apsw.Connection, where: str) -> list[str]:
    """Return what SQLite's own check of pages, indexes and constraints says; reads the whole file."""
    texts = [text for (text,) in fetch(connection, f"PRAGMA integrity_check({_MAX_PROBLEMS})")]
    # SQLite names pages, tables and indexes, never a value.
    return [] if texts == ["ok"] else [f"{where}: {' '.join(text.split())}" for text in texts]


def _event_lines(reading: Reading) -> Iterator[tuple[bytes, bytes]]:
    """Yield (event id, line) by event id."""
    cache = BlockCache()
    for key, digest_ in reading.keys_by_id():
        body = reading.body(key, cache)
        if body is not None:
            event: Event = orjson.loads(body)
            yield key.id, event_line(key.id.hex(), digest_.hex(), event)


def _finding_lines(part: Outcomes) -> Iterator[tuple[str, bytes]]:
    """Yield (event id, line) by event id, then line."""
    for event_id, group in groupby(part.findings_by_id(), key=lambda found: found.event_id):
        for line in sorted(map(finding_line, group)):
            yield event_id, line


def _accounting(reading: Reading) -> list[str]:
    """Compare what the partition says about itself with its tables."""
    found = []
    with store_errors(reading.path), reading.pool.lease(reading.path) as connection:
        if connection is None:
            return []
        for name, counted in _COUNTS.items():
            said = fetch_one(connection, f"SELECT {name} FROM facts")  # noqa: S608  constants
            there = fetch_one(connection, counted)
            if said != there:
                found.append(f"{reading.path}: {name}: {said} are accounted for, {there} are there")
        rows = fetch_one(connection, "SELECT coalesce(max(seq), 0) FROM event")
        if rows != fetch_one(connection, "SELECT events FROM facts"):
            found.append(f"{reading.path}: the rows of events do not match the account")
    return found


def _contents(reading: Reading) -> list[str]:
    """Read everything: SQLite's own check, then each block against the rows of its events."""
    with store_errors(reading.path), reading.pool.lease(reading.path) as connection:
        if connection is None:
            return []
        found = file_problems(connection, str(reading.path))
        blocks = fetch(connection, "SELECT first, events FROM block INDEXED BY block_span ORDER BY first")
    for first, events in blocks:
        if len(found) >= _MAX_PROBLEMS:
            break
        found += _block_problems(reading, first, events)
    return found


def _block_problems(reading: Reading, first: int, events: int) -> list[str]:
    place = f"{reading.path}: block {first}"
    with store_errors(reading.path), reading.pool.lease(reading.path) as connection:
        if connection is None:
            return []
        data: bytes = fetch_one(connection, "SELECT data FROM block WHERE first = ?", (first,))
        ask = "SELECT id FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq"
        ids = fetch(connection, ask, (first, first + events - 1))
    try:
        bodies = unpack(data, where=place)
        named = [orjson.loads(body).get("event.id") for body in bodies]
    except StoreError as error:
        return [str(error)]
    except (orjson.JSONDecodeError, AttributeError):
        return [f"{place}: a body is not a JSON object"]
    if len(bodies) != events:
        return [f"{place}: {events} events are accounted for, {len(bodies)} are there"]
    if [id_.hex() for (id_,) in ids] != named:
        return [f"{place}: bodies and rows name different events"]
    return []
