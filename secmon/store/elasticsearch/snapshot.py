"""Reading what is committed, and nothing else: one view of an alias, and the attempts it must leave out."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from secmon.errors import StoreUnavailableError
from secmon.model.access import Scope
from secmon.model.search import Budget
from secmon.store.elasticsearch.asking import Query, within
from secmon.store.elasticsearch.batches import Batches
from secmon.store.elasticsearch.failures import NOT_FOUND, TooLargeError
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.naming import Kind

Source = dict[str, Any]

FIRST_PAGE: Final = 100
MAX_PAGES: Final[dict[Kind, int]] = {"events": 2_000, "hits": 500, "findings": 2_000}
"""Packs of hits may follow on single ones: a page of nothing but packs still has to be held."""
BUCKETS: Final = 1_000
_AT_ONCE: Final = 500
"""Documents whose batches are looked up at once."""
_MOST_PLACES: Final = 50_000
"""Of commits that a block remembers: some megabytes."""
KEEP_ALIVE: Final = "5m"
# The words are for searching only; they are as long as the event itself.
_FIELDS: Final = {"excludes": ["store.words"]}


@dataclass(slots=True)
class Snapshot:
    """A point in time of one kind of documents; open it with `Views.take`.

    Args:
        kind: which documents.
        pit: Elasticsearch's name of the point in time; each answer may rename it; "" while there is no partition.
        upto: the global checkpoint of the index of batches when it was taken: all that was decided by then is in it.
        without: tokens of attempts that do not count in it.
        budget: what the search may take that reads it; None for no bound but the usual time-out.
    """

    gateway: Gateway
    kind: Kind
    pit: str
    upto: int
    without: Sequence[str]
    budget: Budget | None = None
    is_lost: bool = False
    """A partition was dropped under it."""

    def search(self, scope: Scope, conditions: Sequence[Query], body: Source) -> Source:
        """Search within a scope.

        Raises:
            StoreUnavailableError: a partition was dropped since the snapshot was taken; a new one has to be taken.
        """
        answer = self.try_search(scope, conditions, body)
        if answer is None:
            raise StoreUnavailableError("a partition was dropped meanwhile", where=self.gateway.url, hint="ask again")
        return answer

    def try_search(self, scope: Scope, conditions: Sequence[Query], body: Source) -> Source | None:
        """Search within a scope; None if a partition was dropped since.

        Raises:
            SearchStoppedError: the budget is used up. Elasticsearch was told the time that was left, and it cancels the
                search when the connection is closed.
        """
        if not self.pit:
            return {"hits": {"total": {"value": 0, "relation": "eq"}, "hits": []}}
        query = within(scope, self.kind, conditions, without=self.without)
        asked = {**body, "query": query, "pit": {"id": self.pit, "keep_alive": KEEP_ALIVE}}
        if self.budget is None:
            answer = self.gateway.search("/_search", asked)
        else:
            self.budget.check()
            try:
                answer = self.gateway.search("/_search", asked, timeout_s=self.budget.left_s())
            except StoreUnavailableError:
                self.budget.check()
                raise
        if answer is None:
            self.is_lost = True
        else:
            self.pit = answer["pit_id"]
        return answer

    def buckets(
        self, scope: Scope, conditions: Sequence[Query], sources: Sequence[Source], **more: Any
    ) -> Iterator[Source]:
        """Yield all buckets of a composite aggregation, a page at a time: nothing is cut off.

        Args:
            scope: whose documents.
            conditions: what they meet.
            sources: of the aggregation.
            more: what is aggregated in each bucket: `aggs={…}`.
        """
        after: Source = {}
        while True:
            composite: Source = {"composite": {"size": BUCKETS, "sources": list(sources), **after}}
            answer = self.search(scope, conditions, {"size": 0, "aggs": {"page": {**composite, **more}}})
            page = answer["aggregations"]["page"]["buckets"] if "aggregations" in answer else []
            yield from page
            if len(page) < BUCKETS:
                return
            after = {"after": page[-1]["key"]}


@dataclass(slots=True)
class _Shared:
    """What the reads of a block share: a snapshot of each kind, and the places of commits that were looked up."""

    snapshots: dict[Kind, Snapshot] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Views:
    """Takes snapshots; any thread may."""

    gateway: Gateway
    batches: Batches
    _mine: threading.local = field(default_factory=threading.local)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Let all snapshots without a budget that this thread takes in the block be one of each kind.

        To take one costs six requests, more than most questions to it. A block within a block stands apart.
        """
        outer, mine = self._shared, _Shared()
        self._mine.shared = mine
        try:
            yield
        finally:
            self._mine.shared = outer
            for snapshot in mine.snapshots.values():
                self._close(snapshot)

    @property
    def _shared(self) -> _Shared | None:
        held: _Shared | None = getattr(self._mine, "shared", None)
        return held

    def upto(self, kind: Kind) -> int:
        """Return up to which place of the commits a read sees everything that begins now."""
        snapshot = self._shared.snapshots.get(kind) if self._shared else None
        return snapshot.upto if snapshot is not None else self.batches.checkpoint()

    def placed(self, walk: Iterator[Source]) -> Iterator[tuple[Source, int | None]]:
        """Yield documents, each with the place of its batch in the order of commits; None if it has none yet."""
        places = self._shared.places if self._shared else {}
        while page := list(islice(walk, _AT_ONCE)):
            tokens = {source["batch"] for source in page}
            if len(places) > _MOST_PLACES:
                places.clear()
            if unknown := tokens - places.keys():
                places.update(self.batches.places(unknown))
            yield from ((source, places.get(source["batch"])) for source in page)

    @contextmanager
    def take(self, kind: Kind, budget: Budget | None = None) -> Iterator[Snapshot]:
        """Take a snapshot of everything that is committed now.

        The order matters: what is decided by `upto` was written before, so the refreshed view holds all of it; what
        began later, or is not decided, is known only after the view was taken, and is left out by its token.
        """
        snapshot = self._begin(kind, budget)
        try:
            yield snapshot
        finally:
            self._end(snapshot)

    def _begin(self, kind: Kind, budget: Budget | None) -> Snapshot:
        shared = self._shared if budget is None else None
        if shared is None:
            return self._open(kind, budget)
        held = shared.snapshots
        if kind in held and held[kind].is_lost:
            self._close(held.pop(kind))
        if kind not in held:
            held[kind] = self._open(kind)
        return held[kind]

    def _end(self, snapshot: Snapshot) -> None:
        """Close a snapshot, unless others of the block go on with it."""
        if self._shared is None or self._shared.snapshots.get(snapshot.kind) is not snapshot:
            self._close(snapshot)

    def _open(self, kind: Kind, budget: Budget | None = None) -> Snapshot:
        alias = self.gateway.names.alias(kind)
        upto = self.batches.checkpoint()
        self.gateway.refresh(alias)
        # Not `ignore_unavailable`: it would make an empty view of an alias that the credentials may not read any more.
        answer = self.gateway.read("POST", f"/{alias}/_pit", expect=(NOT_FOUND,), keep_alive=KEEP_ALIVE)
        pit = "" if answer.status == NOT_FOUND else answer.body["id"]
        return Snapshot(self.gateway, kind, pit, upto, self.batches.unsettled(upto) if upto >= 0 else (), budget)

    def _close(self, snapshot: Snapshot) -> None:
        if snapshot.pit:
            self.gateway.write("DELETE", "/_pit", {"id": snapshot.pit}, expect=(NOT_FOUND,))

    def walk(
        self,
        kind: Kind,
        scope: Scope,
        conditions: Sequence[Query],
        sort: Sequence[Source],
        *,
        limit: int | None = None,
        after: Sequence[Any] = (),
        budget: Budget | None = None,
    ) -> Iterator[Source]:
        """Yield the documents that meet all conditions, in order; a page at a time.

        If a partition is dropped under the walk, it goes on in a new snapshot behind the last document.

        Args:
            kind: which documents.
            scope: whose.
            conditions: what they meet.
            sort: their order.
            limit: how many will be taken, as far as the asker knows.
            after: sort values behind which to begin.
            budget: what it may take.

        Raises:
            SearchStoppedError: the budget is used up.
            TooLargeError: the cluster has no memory for a single document.
        """
        most = MAX_PAGES[kind]
        body: Source = {"sort": list(sort), "_source": _FIELDS, "size": min(limit or FIRST_PAGE, most)}
        if after:
            body["search_after"] = list(after)
        snapshot = self._begin(kind, budget)
        try:
            while True:
                try:
                    answer = snapshot.try_search(scope, conditions, body)
                except TooLargeError:
                    if body["size"] == 1:
                        raise
                    # Whoever sends the largest documents that are allowed keeps nobody from reading them.
                    body["size"] = most = max(body["size"] // 4, 1)
                    continue
                if answer is None:
                    self._end(snapshot)
                    snapshot = self._begin(kind, budget)
                    continue
                hits = answer["hits"]["hits"]
                for hit in hits:
                    yield hit["_source"]
                if len(hits) < body["size"]:
                    return
                body["search_after"] = hits[-1]["sort"][: len(sort)]
                # A pack is as much as some hundred hits.
                has_packs = kind == "hits" and any("pack" in hit["_source"] for hit in hits)
                body["size"] = min(FIRST_PAGE if has_packs else body["size"] * 4, most)
        finally:
            self._end(snapshot)
