"""The port `EventLog` over SQLite: one database per ingest day and retention class."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import orjson

from secmon.errors import AccessError, StoreError
from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow, EventFinding, Partition
from secmon.model.event import Event, value_texts
from secmon.model.hit import Hit
from secmon.model.ids import day_of_id
from secmon.model.questions import EventQuery, FindingQuery, HitQuery, Profile
from secmon.model.search import Budget, Survey
from secmon.store.partition_name import PartitionName, partition_name
from secmon.store.sqlite import integrity, replay, rows
from secmon.store.sqlite.block import BlockCache
from secmon.store.sqlite.folder import PartitionFolder
from secmon.store.sqlite.merge import merged
from secmon.store.sqlite.outcomes import Outcomes, commit_of, in_commit_order
from secmon.store.sqlite.partition import Facts, Reading
from secmon.store.sqlite.partition_file import partition_bytes
from secmon.store.sqlite.searching import Walk, scanned, span_of
from secmon.store.sqlite.selection import columns_answer
from secmon.store.sqlite.tally import Tally
from secmon.store.surveying import Surveyor
from secmon.store.values import calendar_day, is_storable, to_moment


class SqliteEventLog:
    """Events, hits and findings in the partitions of one folder.

    Args:
        folder: `STATE/events`; made by the first commit.
        writable: whether this process holds the writer's lock.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self._folder = PartitionFolder(folder, writable=writable)

    def close(self) -> None:
        """Close all connections; what was committed is durable without it."""
        self._folder.close()

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        """Make a batch durable: all of it or nothing; see `ports.EventLog`."""
        _root_only(access)
        return self._folder.commit(batch)

    def batch(self, access: Access, *, day: date, retention: str, stream: str, number: int) -> BatchRow | None:
        """Return the row of one batch if it was made durable, None otherwise."""
        if not access.scope.is_root:
            return None
        return self._folder.reading(partition_name(day, retention)).batch(stream, number)

    def fence(
        self, access: Access, *, day: date, retention: str, stream: str, number: int, epoch: int
    ) -> BatchRow | None:
        """Keep attempts of an earlier epoch from making a batch durable; return its row if it is; see the port."""
        _root_only(access)
        return self._folder.fence(partition_name(day, retention), stream, number, epoch)

    def batches(self, access: Access, *, since: datetime | None = None) -> Iterator[BatchRow]:
        """Yield batch rows by (partition, stream, number); they belong to no unit, so the root sees them."""
        if access.scope.is_root:
            for name in self._folder.names():
                yield from self._folder.reading(name).batches(since=since)

    def batches_of(self, access: Access, stream: str) -> Iterator[BatchRow]:
        """Yield the batch rows of one stream by number, of all partitions that are still there."""
        if access.scope.is_root and is_storable(stream):
            parts = (self._folder.reading(name).batches(stream=stream) for name in self._folder.names())
            yield from heapq.merge(*parts, key=lambda row: row.number)

    def together(self, access: Access) -> AbstractContextManager[None]:
        """Change nothing: to begin a read costs nothing here; see `ports.EventLog`."""
        del access
        return nullcontext()

    def events(self, access: Access, query: EventQuery, *, budget: Budget | None = None) -> Iterator[Event]:
        """Yield events in order; only those in scope; see `ports.EventLog`."""
        return self._walk(access, query, budget).events()

    def unindexed(self, access: Access, query: EventQuery, *, fields: Sequence[str] = ()) -> tuple[str, ...]:
        """Return what only reading every event answers; the same for every asker."""
        del access
        return scanned(query, fields)

    def survey(
        self,
        access: Access,
        query: EventQuery,
        *,
        interval_s: int = 0,
        utc_offset_s: int = 0,
        fields: Sequence[str] = (),
        size: int = 10,
        budget: Budget | None = None,
    ) -> Survey:
        """Return how the events in scope spread over time and values; see `ports.EventLog`."""
        walk = self._walk(access, replace(query, after=None, limit=None), budget)
        return walk.survey(Surveyor(fields, interval_s * 1_000_000, utc_offset_s * 1_000_000), size)

    def _walk(self, access: Access, query: EventQuery, budget: Budget | None = None) -> Walk:
        return Walk(self._folder.holding(query.since, query.until), query, access.scope, budget)

    def events_by_id(self, access: Access, ids: Sequence[str]) -> list[Event]:
        """Return the events with these ids, in this order; those out of scope or gone are left out."""
        cache, found = BlockCache(), dict[bytes, Event]()
        for reading, identities in self._by_partition(ids):
            keys = reading.keys_of_ids(identities, access.scope)
            for key in sorted(keys.values(), key=lambda key: key.seq):
                body = reading.body(key, cache)
                if body is not None:
                    found[key.id] = orjson.loads(body)
        return [found[key] for key in map(rows.event_key, ids) if key in found]

    def digests(self, access: Access, ids: Sequence[str]) -> dict[str, bytes]:
        """Return event id → digest of its raw record (16 bytes), of the events in scope that are there."""
        found: dict[str, bytes] = {}
        for reading, identities in self._by_partition(ids):
            for identity, digest in reading.digests(identities, access.scope).items():
                found[identity.hex()] = digest
        return found

    def _by_partition(self, ids: Sequence[str]) -> Iterator[tuple[Reading, list[bytes]]]:
        """Yield the partitions of the days that the ids name, each with its ids."""
        by_day: dict[date, set[bytes]] = {}
        for text in ids:
            if (identity := rows.event_key(text)) is not None:
                by_day.setdefault(day_of_id(text), set()).add(identity)
        for name in self._folder.names():
            if name.day in by_day:
                yield self._folder.reading(name), sorted(by_day[name.day])

    def count(self, access: Access, query: EventQuery, *, by: str = "") -> dict[str, int]:
        """Return counts of events by the text of one field ("" where absent); by="" gives {"": total}."""
        counts: dict[str, int] = {} if by else {"": 0}
        query = replace(query, limit=None)
        if not columns_answer(query, by):
            for event in self.events(access, query):
                for text in value_texts(event[by]) if by in event else ("",):
                    counts[text] = counts.get(text, 0) + 1
            return counts
        for _, reading in self._folder.holding(query.since, query.until):
            for value, number in reading.count(query, access.scope, by=by).items():
                counts[value or ""] = counts.get(value or "", 0) + number
        return counts

    def profile(
        self, access: Access, query: EventQuery, *, by: str = "", utc_offset_s: int = 0, ids: int = 20
    ) -> Profile:
        """Return the profile of the events in scope; see `ports.EventLog`."""
        tally = Tally(by, utc_offset_s * 1_000_000)
        query = replace(query, ascending=True, limit=None)
        if not columns_answer(query, by):
            earliest: list[str] = []
            for event in self.events(access, query):
                tally.add_event(event)
                if len(earliest) < ids:
                    earliest.append(str(event["event.id"]))
            return tally.profile(earliest)
        parts = self._folder.holding(query.since, query.until)
        filled = []
        for facts, reading in parts:
            if found := reading.tally(query, access.scope, by=by, offset=tally.offset):
                tally.add(found)
                filled.append((facts, reading))
        few = replace(query, limit=ids)
        keys = merged(
            [(span_of(facts), partial(reading.keys, few, access.scope)) for facts, reading in filled],
            key=lambda key: (key.time, key.id),
            descending=False,
        )
        return tally.profile(key.id.hex() for key in islice(keys, ids))

    def hits(self, access: Access, query: HitQuery) -> Iterator[Hit]:
        """Yield hits by (`at`, event id, rule id); only those in scope."""
        parts = [
            (span_of(facts), partial(self._outcomes(reading.name).hits, query, access.scope))
            for facts, reading in self._folder.holding(query.since, query.until)
        ]
        walk = merged(parts, key=lambda hit: (hit.at, hit.event_id, hit.rule_id), descending=False)
        return islice(walk, query.limit)

    def count_suppressed(
        self, access: Access, query: HitQuery, *, utc_offset_s: int = 0
    ) -> dict[tuple[str, date], int]:
        """Return how many suppressed hits there are, by what suppresses them and calendar day of their `at`."""
        counts: Counter[tuple[str, date]] = Counter()
        query = replace(query, upto="")
        for _, reading in self._folder.holding(query.since, query.until):
            found = self._outcomes(reading.name).count_suppressed(query, access.scope, utc_offset_s * 1_000_000)
            for name, day, number in found:
                counts[name, calendar_day(day)] += number
        return dict(counts)

    def hits_since(self, access: Access, mark: str, *, limit: int = 50_000) -> tuple[list[Hit], str]:
        """Return hits of batches committed after `mark`, whole batches at a time, and the mark behind them."""
        _root_only(access)  # where a page ends tells how many hits all units have
        after = commit_of(mark)
        # Commits are numbered in their order: whatever is not above this number is visible in every partition that
        # is opened from now on. Without the bound a reader could see a late commit and miss an earlier one.
        upto = self._folder.highest_commit()
        if after > upto:
            raise StoreError(
                "the mark lies behind the last commit",
                where="events",
                hint="control.db and events/ must come from the same backup",
            )
        if after == upto:
            return [], mark
        parts = [
            self._outcomes(name)
            for name in self._folder.names()
            if (facts := self._folder.facts(name)) is not None and facts.last_commit > after
        ]
        last, is_prefix = in_commit_order([part.commits(after, upto, limit) for part in parts], limit)
        upto = last if is_prefix else upto
        found = [pair for part in parts for pair in part.hits_of_commits(after, upto, access.scope)]
        found.sort(key=lambda pair: pair[0])
        return [hit for _, hit in found], str(upto)

    def commits(self, access: Access, *, after: str = "", upto: str = "") -> Iterator[tuple[BatchRow, str]]:
        """Yield what counts in the order of its commits, each batch row with the mark right behind it."""
        _root_only(access)
        highest = self._folder.highest_commit()  # what is not above it is visible in whatever is opened from now on
        last = min(commit_of(upto), highest) if upto else highest
        return replay.commits([self._folder.reading(name) for name in self._folder.names()], commit_of(after), last)

    def contents(self, access: Access, row: BatchRow) -> Batch:
        """Return the batch of a row as it was committed; see `ports.EventLog`."""
        _root_only(access)
        return replay.contents(self._folder.reading(partition_name(row.day, row.retention)), row)

    def findings(self, access: Access, query: FindingQuery) -> Iterator[EventFinding]:
        """Yield findings by (`at`, event id); only those in scope."""
        parts = [
            (span_of(facts), partial(self._outcomes(reading.name).findings, query, access.scope))
            for facts, reading in self._folder.holding(query.since, query.until)
        ]
        walk = merged(parts, key=lambda found: (found.at, found.event_id), descending=False)
        return islice(walk, query.limit)

    def count_findings(self, access: Access, query: FindingQuery) -> dict[str, int]:
        """Return counts of findings by class."""
        counts: dict[str, int] = {}
        for _, reading in self._folder.holding(query.since, query.until):
            for name, number in self._outcomes(reading.name).count_findings(query, access.scope).items():
                counts[name] = counts.get(name, 0) + number
        return counts

    def partitions(self, access: Access) -> list[Partition]:
        """Return all partitions, oldest first; their sums are over all units, so the root sees them."""
        found = []
        for name in self._folder.names() if access.scope.is_root else ():
            facts, reading = self._folder.facts(name), self._folder.reading(name)
            if facts is not None:
                found.append(_partition(name, facts, partition_bytes(reading.path)))
        return found

    def drop_partition(self, access: Access, day: date, retention: str) -> None:
        """Remove one partition as a whole; readers that are in it finish or find nothing more."""
        _root_only(access)
        self._folder.drop(day, retention)

    def digest(self, access: Access) -> dict[str, str]:
        """Return SHA-256 (hex) of the sorted sets "events", "hits" and "findings"."""
        _root_only(access)
        return integrity.digest([self._folder.reading(name) for name in self._folder.names()])

    def check(self, access: Access, *, deep: bool = False) -> list[str]:
        """Return the problems of the store's own integrity; empty is good. `deep` reads everything."""
        _root_only(access)
        return [
            problem
            for name in self._folder.names()
            for problem in integrity.problems(self._folder.reading(name), deep=deep)
        ]

    def _outcomes(self, name: PartitionName) -> Outcomes:
        return Outcomes(self._folder.reading(name).path, self._folder.pool)


def _root_only(access: Access) -> None:
    if not access.scope.is_root:
        raise AccessError("only the root of the unit tree may do this", where="events")


def _partition(name: PartitionName, facts: Facts, size: int) -> Partition:
    return Partition(
        day=name.day,
        retention=name.retention,
        events=facts.events,
        hits=facts.hits,
        findings=facts.findings,
        first=to_moment(facts.first),
        last=to_moment(facts.last),
        bytes=size,
    )
