"""What counts: one document a batch, and the order of commits.

Elasticsearch can condition a write on one document only. So an attempt to commit a batch first writes its intent (the
batch's document, not committed, with the token of the attempt), then events, hits and findings that carry this token,
and last replaces the intent, if nobody touched it meanwhile, by the committed form. That one write decides. Readers
leave out the tokens that are not committed; and because a reader's views of the indices are taken one after the other,
also those that were committed after it began (`unsettled`).

The index has one shard, so the sequence number of the deciding write is the place of a batch in the order of commits.
Numbers up to the global checkpoint are all there; a later one may become visible before an earlier one. Marks of
`hits_since` therefore never go beyond the checkpoint as it was before the index was refreshed.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

import orjson

from secmon.errors import ConflictError, StoreError, StoreUnavailableError
from secmon.model.batch import Batch, BatchRow, Counts
from secmon.model.event import to_micros
from secmon.store.elasticsearch.failures import CONFLICT, NOT_FOUND
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.naming import KINDS, Kind
from secmon.store.partition_name import PartitionName
from secmon.store.values import to_datetime

Source = dict[str, Any]

PAGE: Final = 1_000
_TOKEN_BYTES: Final = 12
_ATTEMPTS: Final = 5
_SETTLING_ATTEMPTS: Final = 12
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ORDER = ["day", "retention", "stream", "number"]


class Intent(NamedTuple):
    """The right to write under a token: the version of the batch's document that the commit replaces."""

    id: str
    token: str
    seq_no: int
    primary_term: int
    source: Source


class Commit(NamedTuple):
    """One committed batch in the order of commits."""

    seq_no: int
    token: str
    hits: int


@dataclass(frozen=True, slots=True)
class Batches:
    """The documents of all batches of one installation.

    Args:
        gateway: the way to the cluster.
        sleep: waits some seconds.
    """

    gateway: Gateway
    sleep: Callable[[float], None] = time.sleep

    @property
    def _index(self) -> str:
        return self.gateway.names.batches

    def open(self, batch: Batch, ids: Mapping[Kind, Sequence[str]]) -> Intent | BatchRow:
        """Announce an attempt; or return the row of the batch, if an earlier attempt was committed.

        Raises:
            ConflictError: an attempt of a later epoch is under way: this writer was replaced.
        """
        return self._announced(batch, _token(batch, ids))

    def fence(self, partition: PartitionName, stream: str, number: int, epoch: int) -> BatchRow | None:
        """Announce an attempt that nobody will decide; return the batch's row if an earlier one was committed.

        Every attempt that was announced before finds another version than its own when it decides; one of an earlier
        epoch cannot announce itself any more. An attempt of the same epoch can, and takes the fence's place.

        Raises:
            ConflictError: an attempt of a later epoch is under way.
        """
        source, _, generation = stream.partition(":")
        nothing = Batch(
            source=source, generation=generation, number=number, epoch=epoch, day=partition.day,
            retention=partition.retention, offset_from=0, offset_to=0, ruleset="", received_at=_NEVER, counts=Counts(),
        )  # fmt: skip
        found = self._announced(nothing, _token(nothing, dict.fromkeys(KINDS, ())))
        return found if isinstance(found, BatchRow) else None

    def _announced(self, batch: Batch, token: str) -> Intent | BatchRow:
        identity = batch_id(PartitionName(batch.day, batch.retention), batch.stream, batch.number)
        condition: dict[str, Any] = {"op_type": "create"}  # as nearly always: nobody was here before
        dead: list[str] = []
        for _ in range(_ATTEMPTS):
            intent = _source(batch, token, dead)
            answer = self.gateway.write(
                "PUT", f"/{self._index}/_doc/{identity}", intent, expect=(CONFLICT,), **condition
            )
            if answer.status != CONFLICT:
                return Intent(identity, token, answer.body["_seq_no"], answer.body["_primary_term"], intent)
            source, seq_no, term = self._get(identity)
            if source is None:
                condition, dead = {"op_type": "create"}, []
                continue
            if source["committed"]:
                return row_of(source)
            if source["row"]["epoch"] > batch.epoch:
                raise _replaced(batch)
            dead = sorted({*source["dead"], source["token"]} - {token})
            condition = {"if_seq_no": seq_no, "if_primary_term": term}
        raise _replaced(batch)

    def commit(self, intent: Intent, batch: Batch, new: Mapping[Kind, int]) -> BatchRow:
        """Make an attempt count.

        Args:
            intent: of the attempt.
            batch: the batch.
            new: how many events, hits and findings carry its token.

        Raises:
            ConflictError: another writer announced an attempt of the same batch meanwhile; nothing of ours counts.
        """
        source = {**intent.source, "committed": True, "new": dict(new)}
        answer = self.gateway.write(
            "PUT", f"/{self._index}/_doc/{intent.id}", source, expect=(CONFLICT,),
            if_seq_no=intent.seq_no, if_primary_term=intent.primary_term,
        )  # fmt: skip
        if answer.status == CONFLICT:
            raise _replaced(batch)
        return row_of(source)

    def row(self, partition: PartitionName, stream: str, number: int) -> BatchRow | None:
        """Return one committed batch, read by id (never stale), or None."""
        source = self.source(partition, stream, number)
        return None if source is None else row_of(source)

    def _get(self, identity: str) -> tuple[Source | None, int, int]:
        """Return a batch's document, its place and the term of its primary; what counts, only once it is durable.

        A primary answers with what it has written itself, before its copies have it; should it die then, the answer
        was never true. Up to the global checkpoint everything is on all copies that may become the primary.

        Raises:
            StoreUnavailableError: it does not become durable.
        """
        before: tuple[int, int] | None = None
        for attempt in range(_SETTLING_ATTEMPTS):
            answer = self.gateway.read("GET", f"/{self._index}/_doc/{identity}", expect=(NOT_FOUND,))
            if answer.status == NOT_FOUND:
                return None, 0, 0
            source, seq_no, term = answer.body["_source"], answer.body["_seq_no"], answer.body["_primary_term"]
            if not source["committed"] or before == (seq_no, term):
                return source, seq_no, term
            # Asked again behind the checkpoint: the primary that answered first may be gone, and its place another's.
            before = (seq_no, term) if self.checkpoint() >= seq_no else None
            if before is None:
                self.sleep(min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S))
        raise StoreUnavailableError(
            "a batch does not become durable",
            where=self.gateway.url,
            hint="a copy is slow or away; see `secmon doctor`",
        )

    def checkpoint(self) -> int:
        """Return the sequence number up to which everything is decided and durable; -1 if there is nothing.

        Raises:
            StoreUnavailableError: the cluster cannot say now; without it nobody knows what counts.
        """
        for _ in range(_SETTLING_ATTEMPTS):
            answer = self.gateway.read("GET", f"/{self._index}/_stats/docs", expect=(NOT_FOUND,), level="shards")
            if answer.status == NOT_FOUND:
                return -1
            shards = answer.body["indices"].get(self._index, {}).get("shards", {})
            reached = [
                int(copy["seq_no"]["global_checkpoint"])
                for copies in shards.values()
                for copy in copies
                if copy["routing"]["primary"]
            ]
            if reached:
                return reached[0]
            # The index was made this moment, or its primary is moving to another node.
            self.gateway.wait_for(self._index)
        raise StoreUnavailableError(
            "the index of batches has no primary shard", where=self.gateway.url, hint="see `secmon doctor`"
        )

    def unsettled(self, upto: int) -> list[str]:
        """Return the tokens that do not count for a reader that began when `checkpoint` was `upto`."""
        self.gateway.refresh(self._index)
        conditions = [
            {"term": {"committed": False}},
            {"range": {"_seq_no": {"gt": upto}}},
            {"exists": {"field": "dead"}},
        ]
        tokens: list[str] = []
        for hit in self._walk({"bool": {"should": conditions, "minimum_should_match": 1}}, ["_seq_no"], seq_no=True):
            source = hit["_source"]
            tokens += source["dead"]
            if not source["committed"] or hit["_seq_no"] > upto:
                tokens.append(source["token"])
        return tokens

    def places(self, tokens: Iterable[str]) -> dict[str, int]:
        """Return token → place in the order of commits, of those of these tokens that count."""
        wanted = sorted(tokens)
        found: dict[str, int] = {}
        if wanted:
            self.gateway.refresh(self._index)
        for start in range(0, len(wanted), PAGE):
            mine = {"terms": {"token": wanted[start : start + PAGE]}}
            query = {"bool": {"filter": [{"term": {"committed": True}}, mine]}}
            found.update(
                {hit["_source"]["token"]: hit["_seq_no"] for hit in self._walk(query, ["_seq_no"], seq_no=True)}
            )
        return found

    def commits(self, after: int, upto: int, *, limit: int) -> list[Commit]:
        """Return batches in the order of their commits until there are `limit` hits in them; at most a page."""
        self.gateway.refresh(self._index)
        span = {"range": {"_seq_no": {"gt": after, "lte": upto}}}
        query = {"bool": {"filter": [{"term": {"committed": True}}, span]}}
        found: list[Commit] = []
        total = 0
        body = {
            "size": PAGE,
            "query": query,
            "sort": ["_seq_no"],
            "seq_no_primary_term": True,
            "_source": ["token", "hits"],
        }
        answer = self.gateway.search(f"/{self._index}/_search", body)
        for hit in answer["hits"]["hits"] if answer else ():
            if total >= limit:
                break
            found.append(Commit(hit["_seq_no"], hit["_source"]["token"], hit["_source"]["hits"]))
            total += found[-1].hits
        return found

    def in_order(self, after: int, upto: int) -> Iterator[tuple[BatchRow, int]]:
        """Yield the rows of batches in the order of their commits, each with its place in it."""
        self.gateway.refresh(self._index)
        span = {"range": {"_seq_no": {"gt": after, "lte": upto}}}
        query = {"bool": {"filter": [{"term": {"committed": True}}, span]}}
        return ((row_of(hit["_source"]), hit["_seq_no"]) for hit in self._walk(query, ["_seq_no"], seq_no=True))

    def source(self, partition: PartitionName, stream: str, number: int) -> Source | None:
        """Return the document of one committed batch, read by id (never stale), or None."""
        source, _, _ = self._get(batch_id(partition, stream, number))
        return source if source is not None and source["committed"] else None

    def rows(self, *, since: datetime | None = None, stream: str | None = None) -> Iterator[BatchRow]:
        """Yield committed batches by (day, retention class, stream, number); of one stream by number."""
        for source in self.sources(since=since, stream=stream):
            yield row_of(source)

    def sources(self, *, since: datetime | None = None, stream: str | None = None) -> Iterator[Source]:
        """Yield the documents of committed batches, sorted as `rows`."""
        self.gateway.refresh(self._index)
        conditions: list[Source] = [{"term": {"committed": True}}]
        if since is not None:
            conditions.append({"range": {"received_at": {"gte": to_micros(since)}}})
        if stream is not None:
            conditions.append({"term": {"stream": stream}})
        order = _ORDER if stream is None else ["number", "day", "retention"]
        return (hit["_source"] for hit in self._walk({"bool": {"filter": conditions}}, order))

    def partitions(self) -> list[PartitionName]:
        """Return the partitions that any attempt wrote to, oldest first."""
        self.gateway.refresh(self._index)
        found: list[PartitionName] = []
        sources = [{name: {"terms": {"field": name}}} for name in ("day", "retention")]
        after: Source = {}
        while True:
            aggregation: Source = {"composite": {"size": PAGE, "sources": sources, **after}}
            answer = self.gateway.search(f"/{self._index}/_search", {"size": 0, "aggs": {"partitions": aggregation}})
            buckets = answer["aggregations"]["partitions"]["buckets"] if answer else []
            for bucket in buckets:
                key = bucket["key"]
                found.append(PartitionName(date.fromisoformat(key["day"]), key["retention"]))
            if len(buckets) < PAGE:
                return sorted(found)
            after = {"after": buckets[-1]["key"]}

    def forget(self, partition: PartitionName) -> None:
        """Remove the documents of all batches of a partition, whose indices are gone already."""
        self.gateway.refresh(self._index)
        conditions = [{"term": {"day": partition.day.isoformat()}}, {"term": {"retention": partition.retention}}]
        ids = [hit["_id"] for hit in self._walk({"bool": {"filter": conditions}}, ["stream", "number"], source=False)]
        for start in range(0, len(ids), PAGE):
            lines = b"".join(b'{"delete":{"_id":"' + one.encode() + b'"}}\n' for one in ids[start : start + PAGE])
            self.gateway.lines(f"/{self._index}/_bulk", lines)

    def _walk(self, query: Source, sort: list[str], *, seq_no: bool = False, source: bool = True) -> Iterator[Source]:
        """Yield all hits of a query. Its sort keys are unique, so that pages join without a point in time."""
        body: Source = {
            "size": PAGE, "query": query, "sort": sort, "_source": source,
            "seq_no_primary_term": seq_no,
        }  # fmt: skip
        while True:
            answer = self.gateway.search(f"/{self._index}/_search", body)
            hits = answer["hits"]["hits"] if answer else []
            yield from hits
            if len(hits) < PAGE:
                return
            body["search_after"] = hits[-1]["sort"]


def batch_id(partition: PartitionName, stream: str, number: int) -> str:
    """Return the `_id` of a batch's document."""
    text = f"{partition.retention}\0{partition.day.isoformat()}\0{stream}\0{number}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def row_of(source: Source) -> BatchRow:
    """Return what a batch's document remembers."""
    row = source["row"]
    return BatchRow(
        source=row["source"],
        generation=row["generation"],
        number=source["number"],
        epoch=row["epoch"],
        day=date.fromisoformat(source["day"]),
        retention=source["retention"],
        offset_from=row["offset_from"],
        offset_to=row["offset_to"],
        ruleset=row["ruleset"],
        received_at=to_datetime(source["received_at"]),
        counts=Counts(**row["counts"]),
        hits=source["hits"],
        first_event=None if row["first"] is None else to_datetime(row["first"]),
        last_event=None if row["last"] is None else to_datetime(row["last"]),
        state=row["state"],
    )


def _source(batch: Batch, token: str, dead: list[str]) -> Source:
    times = [event.time for event in batch.events]
    counts = batch.counts
    source: Source = {
        "day": batch.day.isoformat(), "retention": batch.retention, "stream": batch.stream, "number": batch.number,
        "received_at": to_micros(batch.received_at), "committed": False, "token": token, "dead": dead,
        "hits": len(batch.hits), "new": dict.fromkeys(KINDS, 0),
        "row": {
            "source": batch.source, "generation": batch.generation, "epoch": batch.epoch,
            "offset_from": batch.offset_from, "offset_to": batch.offset_to, "ruleset": batch.ruleset,
            "counts": {
                "received": counts.received, "stored": counts.stored, "duplicate": counts.duplicate,
                "dead_lettered": counts.dead_lettered, "dropped": dict(counts.dropped), "events": counts.events,
            },
            "first": min(times, default=None), "last": max(times, default=None), "state": batch.state,
        },
    }  # fmt: skip
    try:
        orjson.dumps(source)
    except TypeError as error:
        raise StoreError("a value cannot be written as JSON", where=batch.source, hint="please report this") from error
    return source


def _token(batch: Batch, ids: Mapping[Kind, Sequence[str]]) -> str:
    """Return the token of an attempt: the same for the same documents of the same batch under the same epoch."""
    digest = hashlib.blake2b(digest_size=_TOKEN_BYTES)
    digest.update(f"{batch.stream}\0{batch.number}\0{batch.epoch}\0{batch.day}\0{batch.retention}\0".encode())
    for event in batch.events:
        digest.update(event.digest)
    for kind in KINDS:
        digest.update(f"\0{kind}\0".encode())
        digest.update("".join(ids[kind]).encode())
    return digest.hexdigest()


def _replaced(batch: Batch) -> ConflictError:
    return ConflictError(
        "another writer took the stream over", where=batch.source, hint="nothing of this attempt counts"
    )
