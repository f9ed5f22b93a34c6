"""The port `EventLog` over Elasticsearch: one index per kind, ingest day and retention class."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime
from itertools import islice

from secmon.errors import AccessError, StoreError
from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow, EventFinding, Partition
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.model.questions import EventQuery, FindingQuery, HitQuery, Profile
from secmon.model.search import Budget, Survey
from secmon.store.elasticsearch import integrity, packs, replay, searching, tally
from secmon.store.elasticsearch.asking import finding_conditions, hit_conditions, ids_condition, scanned
from secmon.store.elasticsearch.batches import PAGE, Batches
from secmon.store.elasticsearch.bulk import BulkWriter
from secmon.store.elasticsearch.encode import event_of, finding_of, is_event_id
from secmon.store.elasticsearch.gateway import WRITING, ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.snapshot import Source, Views
from secmon.store.elasticsearch.writing import BatchWriter
from secmon.store.partition_name import partition_name
from secmon.store.surveying import Surveyor
from secmon.store.values import is_storable

_IDS_AT_ONCE = 1_000
_HIT_ORDER: tuple[Source, ...] = ({"at": "asc"}, {"event": "asc"}, {"rule": "asc"})
_FINDING_ORDER: tuple[Source, ...] = ({"at": "asc"}, {"event": "asc"}, {"mark": "asc"})


class ElasticsearchEventLog:
    """Events, hits and findings in the partitions of one cluster. Any thread may use it.

    Args:
        settings: where the cluster is.
        writable: whether this process may write.
    """

    def __init__(self, settings: ElasticsearchSettings, *, writable: bool) -> None:
        self._gateway = Gateway(settings)
        self._writable = writable
        self._batches = Batches(self._gateway)
        self._views = Views(self._gateway, self._batches)
        self._bulk = BulkWriter(self._gateway)
        self._writer = BatchWriter(self._gateway, self._batches, self._bulk)

    def close(self) -> None:
        """Close all connections; what was committed is durable without it."""
        self._bulk.close()
        self._gateway.close()

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        """Make a batch durable: all of it or nothing; see `ports.EventLog`."""
        self._check_writable(access)
        return self._writer.commit(batch)

    def batch(self, access: Access, *, day: date, retention: str, stream: str, number: int) -> BatchRow | None:
        """Return the row of one batch if it was made durable, None otherwise."""
        if not access.scope.is_root:
            return None
        return self._batches.row(partition_name(day, retention), stream, number)

    def fence(
        self, access: Access, *, day: date, retention: str, stream: str, number: int, epoch: int
    ) -> BatchRow | None:
        """Keep attempts of an earlier epoch from making a batch durable; return its row if it is; see the port."""
        self._check_writable(access)
        self._gateway.install()
        return self._batches.fence(partition_name(day, retention), stream, number, epoch)

    def batches(self, access: Access, *, since: datetime | None = None) -> Iterator[BatchRow]:
        """Yield batch rows by (partition, stream, number); they belong to no unit, so the root sees them."""
        return self._batches.rows(since=since) if access.scope.is_root else iter(())

    def batches_of(self, access: Access, stream: str) -> Iterator[BatchRow]:
        """Yield the batch rows of one stream by number, of all partitions that are still there."""
        seen = access.scope.is_root and is_storable(stream)
        return self._batches.rows(stream=stream) if seen else iter(())

    def together(self, access: Access) -> AbstractContextManager[None]:
        """Let the reads of a block share their view of the indices; see `ports.EventLog`."""
        del access  # each read in it has its own
        return self._views.shared()

    def events(self, access: Access, query: EventQuery, *, budget: Budget | None = None) -> Iterator[Event]:
        """Yield events in order; only those in scope; see `ports.EventLog`."""
        return searching.events(self._views, access.scope, query, budget)

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
        surveyor = Surveyor(fields, interval_s * 1_000_000, utc_offset_s * 1_000_000)
        query = replace(query, after=None, limit=None)
        return searching.survey(self._views, access.scope, query, surveyor, size=size, budget=budget)

    def events_by_id(self, access: Access, ids: Sequence[str]) -> list[Event]:
        """Return the events with these ids, in this order; those out of scope or gone are left out."""
        found = {str(event["event.id"]): event for event in map(event_of, self._by_id(access, ids))}
        return [found[one] for one in map(str.lower, ids) if one in found]

    def digests(self, access: Access, ids: Sequence[str]) -> dict[str, bytes]:
        """Return event id → digest of its raw record (16 bytes), of the events in scope that are there."""
        sources = self._by_id(access, ids)
        return {source["event.id"]: bytes.fromhex(source["store"]["digest"]) for source in sources}

    def _by_id(self, access: Access, ids: Sequence[str]) -> Iterator[Source]:
        wanted = sorted({one.lower() for one in ids if is_event_id(one.lower())})
        for start in range(0, len(wanted), _IDS_AT_ONCE):
            condition = ids_condition(wanted[start : start + _IDS_AT_ONCE])
            yield from self._views.walk("events", access.scope, [condition], ({"event.id": "asc"},))

    def count(self, access: Access, query: EventQuery, *, by: str = "") -> dict[str, int]:
        """Return counts of events by the text of one field ("" where absent); by="" gives {"": total}."""
        return tally.count(self._views, access.scope, replace(query, limit=None), by=by)

    def profile(
        self, access: Access, query: EventQuery, *, by: str = "", utc_offset_s: int = 0, ids: int = 20
    ) -> Profile:
        """Return the profile of the events in scope; see `ports.EventLog`."""
        query = replace(query, ascending=True, limit=None)
        return tally.profile(self._views, access.scope, query, by=by, utc_offset_s=utc_offset_s, ids=ids)

    def hits(self, access: Access, query: HitQuery) -> Iterator[Hit]:
        """Yield hits by (`at`, event id, rule id); only those in scope."""
        limit = None if query.upto else query.limit
        walk = self._views.walk("hits", access.scope, hit_conditions(query), _HIT_ORDER, limit=limit)
        if query.upto:
            upto = _commit_of(query.upto)
            walk = (source for source, place in self._views.placed(walk) if place is not None and place <= upto)
        return islice(packs.in_order(walk, packs.by_time, packs.Wanted.of(query, access.scope)), query.limit)

    def count_suppressed(
        self, access: Access, query: HitQuery, *, utc_offset_s: int = 0
    ) -> dict[tuple[str, date], int]:
        """Return how many suppressed hits there are, by what suppresses them and calendar day of their `at`."""
        return tally.count_suppressed(self._views, access.scope, query, utc_offset_s=utc_offset_s)

    def hits_since(self, access: Access, mark: str, *, limit: int = 50_000) -> tuple[list[Hit], str]:
        """Return hits of batches committed after `mark`, whole batches at a time, and the mark behind them."""
        _root_only(access)  # where a page ends tells how many hits all units have
        after = _commit_of(mark)
        upto = self._views.upto("hits")  # what the view of a block does not hold belongs to the next block
        if after > upto and after > self._batches.checkpoint():
            raise StoreError(
                "the mark lies behind the last commit",
                where=self._gateway.url,
                hint="records and batches must come from the same snapshot",
            )
        commits = self._batches.commits(after, upto, limit=limit)
        if not commits:
            return [], mark
        order = {commit.token: place for place, commit in enumerate(commits) if commit.hits}
        found = [
            (order[source["batch"]], hit)
            for tokens in _pieces(list(order), PAGE)
            for source in self._views.walk("hits", access.scope, [{"terms": {"batch": tokens}}], _HIT_ORDER)
            for hit in packs.hits_of(source)
        ]
        found.sort(key=lambda pair: (pair[0], *packs.by_time(pair[1])))
        return [hit for _, hit in found], str(commits[-1].seq_no)

    def commits(self, access: Access, *, after: str = "", upto: str = "") -> Iterator[tuple[BatchRow, str]]:
        """Yield what counts in the order of its commits, each batch row with the mark right behind it."""
        _root_only(access)
        highest = self._batches.checkpoint()
        last = min(_commit_of(upto), highest) if upto else highest
        if last < 0:
            return iter(())
        return ((row, str(place)) for row, place in self._batches.in_order(_commit_of(after), last))

    def contents(self, access: Access, row: BatchRow) -> Batch:
        """Return the batch of a row as it was committed; see `ports.EventLog`."""
        _root_only(access)
        return replay.contents(self._gateway, self._batches, row)

    def findings(self, access: Access, query: FindingQuery) -> Iterator[EventFinding]:
        """Yield findings by (`at`, event id); only those in scope."""
        conditions = finding_conditions(query)
        walk = self._views.walk("findings", access.scope, conditions, _FINDING_ORDER, limit=query.limit)
        return islice(map(finding_of, walk), query.limit)

    def count_findings(self, access: Access, query: FindingQuery) -> dict[str, int]:
        """Return counts of findings by class."""
        with self._views.take("findings") as snapshot:
            sources = [{"class": {"terms": {"field": "class"}}}]
            buckets = snapshot.buckets(access.scope, finding_conditions(query), sources)
            return {bucket["key"]["class"]: bucket["doc_count"] for bucket in buckets}

    def partitions(self, access: Access) -> list[Partition]:
        """Return all partitions, oldest first; their sums are over all units, so the root sees them."""
        if not access.scope.is_root:
            return []
        return integrity.partitions(self._gateway, self._batches, self._views)

    def drop_partition(self, access: Access, day: date, retention: str) -> None:
        """Remove one partition as a whole; readers that are in it finish or find nothing more."""
        self._check_writable(access)
        partition = partition_name(day, retention)
        # Should the process die before the batches are forgotten, the partition is still listed, and dropped again.
        self._gateway.check_rights(WRITING)
        self._gateway.remove_partition(partition)
        self._batches.forget(partition)

    def digest(self, access: Access) -> dict[str, str]:
        """Return SHA-256 (hex) of the sorted sets "events", "hits" and "findings"."""
        _root_only(access)
        return integrity.digest(self._views, access.scope)

    def check(self, access: Access, *, deep: bool = False) -> list[str]:
        """Return the problems of the store's own integrity; empty is good. `deep` reads everything."""
        _root_only(access)
        return integrity.problems(self._gateway, self._batches, self._views, deep=deep)

    def _check_writable(self, access: Access) -> None:
        _root_only(access)
        if not self._writable:
            raise StoreError("the store was opened for reading", where=self._gateway.url, hint="take the writer lock")


def _root_only(access: Access) -> None:
    if not access.scope.is_root:
        raise AccessError("only the root of the unit tree may do this", where="events")


def _commit_of(mark: str) -> int:
    """Return the sequence number of a mark; -1 stands before everything."""
    if mark == "":
        return -1
    if not (mark.isascii() and mark.isdecimal() and len(mark) < 20):  # noqa: PLR2004  digits of a 64-bit number
        raise StoreError("this is not a mark of this store", where="events", hint="start again with an empty mark")
    return int(mark)


def _pieces(tokens: list[str], size: int) -> Iterator[list[str]]:
    return (tokens[start : start + size] for start in range(0, len(tokens), size))
