"""Taking over one store by another: embedded to Elasticsearch or back, through the two ports.

Batches are committed again in the order of their commits, documents restored under their versions; then everything is
compared. The source is only read. A document "move" in the target says whose copy it is and how far it got, so that a
move that died goes on, and nobody takes a half for the whole.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

import orjson

from secmon.app import audit
from secmon.app.installation import Installation
from secmon.app.paging import every, pages
from secmon.errors import ConflictError, StoreError
from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow
from secmon.model.event import format_time
from secmon.model.record import REMOVABLE_KINDS, Body, Document, RecordQuery
from secmon.ports import Records

KIND: Final = "move"
HERE: Final = "here"
MARK: Final = "mark"
MOVING, VERIFIED, DONE = "moving", "verified", "done"
_OWN: Final = frozenset({KIND, "installation"})
"""Kinds that each store has of its own: which move filled it, which keys it was made with (the same, see `wiring`)."""
_STAYS: Final = _OWN | REMOVABLE_KINDS
"""Kinds that are not moved; whoever was logged in logs in again."""
_PAGE: Final = 100
_SAVE_EVERY: Final = 20
"""Batches between two notes of how far it got; committing one again changes nothing."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a move is.

    Args:
        step: "events", "documents" or "verify".
        done: events, documents or comparisons so far.
        total: how many there are.
    """

    step: str
    done: int
    total: int


Tell = Callable[[Progress], None]


def refuse_unfinished(records: Records, access: Access) -> None:
    """Refuse a store that a move has not finished.

    Raises:
        StoreError: it holds a part of another store only.
    """
    document = records.get(access, KIND, HERE)
    if document is not None and document.body["state"] != DONE:
        raise StoreError(
            "a move into this store was not finished", where=KIND, hint="run the same `secmon store move` again"
        )


def move(source: Installation, target: Installation, access: Access, *, tell: Tell = lambda _: None) -> Body:
    """Bring everything of one store into another, compare both, and say what was moved.

    The caller keeps writers away from both. Doing it again goes on where it ended; after the end it changes nothing.

    Raises:
        ConflictError: the target holds something else; or the source was written since the move began.
        StoreError: the copy is not the same; nothing may use it.
        StoreUnavailableError: one of the stores cannot be used now; do it again later.
    """
    state = _state(source, access)
    document = _begun(target, access, state)
    if document.body["state"] == DONE:
        return {"moved": False, **document.body["result"]}
    if document.body["state"] == MOVING:
        document = _batches(source, target, access, document, tell)
        _documents(source, target, access, tell)
        result = _verified(source, target, access, tell)
        if _state(source, access) != state:
            raise _written()
        document = _noted(target, access, document, {"state": VERIFIED, "result": result})
    _finish(target, access, document)
    return {"moved": True, **document.body["result"]}


def _state(source: Installation, access: Access) -> str:
    """Return a digest of what the source holds: equal as long as nobody writes there."""
    sha = hashlib.sha256()
    for row, mark in source.log.commits(access):
        sha.update(orjson.dumps([row.day, row.retention, row.source, row.generation, row.number, row.offset_to, mark]))
    for kind in _kinds(source, access):
        for document in every(source.records, access, _of_kind(kind)):
            sha.update(orjson.dumps([kind, document.id, document.version]))
    return sha.hexdigest()


def _begun(target: Installation, access: Access, state: str) -> Document:
    """Return the target's note of this move; write it if nothing is there yet."""
    document = target.records.get(access, KIND, HERE)
    if document is None:
        if not _OWN.issuperset(target.records.kinds(access)) or any(True for _ in target.log.commits(access)):
            raise ConflictError("the target holds something else", where="--to", hint="name an empty store")
        body: Body = {"state": MOVING, "source": state, "began": format_time(target.clock.now()), "mark": ""}
        return target.records.create(access, Document(kind=KIND, id=HERE, body=body))
    if document.body["source"] != state:
        raise _written()
    return document


def _noted(target: Installation, access: Access, document: Document, changes: Body) -> Document:
    return target.records.replace(access, replace(document, body={**document.body, **changes}))


def _written() -> ConflictError:
    return ConflictError(
        "the source is not what it was when the move began",
        where="--to",
        hint="it was written meanwhile, or the target belongs to another; empty the target and move again",
    )


def _batches(source: Installation, target: Installation, access: Access, document: Document, tell: Tell) -> Document:
    """Commit the batches again; each is whole there, or not at all."""
    total, done = sum(one.events for one in source.log.partitions(access)), 0
    for number, (row, mark, batch) in enumerate(_read_ahead(source, access, document.body["mark"]), start=1):
        target.log.commit(access, batch)
        done += row.counts.events
        if number % _SAVE_EVERY == 0:
            document = _noted(target, access, document, {"mark": mark})
            tell(Progress("events", done, total))
    tell(Progress("events", total, total))
    return document


def _read_ahead(source: Installation, access: Access, after: str) -> Iterator[tuple[BatchRow, str, Batch]]:
    """Yield batches in the order of their commits; the next one is read while one is written."""
    with ThreadPoolExecutor(1) as thread:
        before = None
        for row, mark in source.log.commits(access, after=after):
            ahead = (row, mark, thread.submit(source.log.contents, access, row))
            if before is not None:
                yield before[0], before[1], before[2].result()
            before = ahead
        if before is not None:
            yield before[0], before[1], before[2].result()


def _documents(source: Installation, target: Installation, access: Access, tell: Tell) -> None:
    """Restore all documents under their versions; marks as those of the target."""
    kinds = _kinds(source, access)
    total = sum(source.records.count(access, RecordQuery(kind=kind))[""] for kind in kinds)
    done = 0
    for kind in kinds:
        for page in pages(source.records, access, _of_kind(kind)):
            target.records.restore(access, [_translated(source, target, access, one) for one in page.documents])
            done += len(page.documents)
            tell(Progress("documents", done, total))


def _translated(source: Installation, target: Installation, access: Access, document: Document) -> Document:
    """Return a document as the target needs it: a mark is the store's own, and stands behind as many commits there.

    So the next tick of the evaluation begins where the last one ended: no hit is missed, none counted twice.
    """
    if document.kind != MARK or not document.body["mark"]:
        return document
    behind = sum(1 for _ in source.log.commits(access, upto=document.body["mark"]))
    mark = ""
    for number, (_, place) in enumerate(target.log.commits(access), start=1):
        if number > behind:
            break
        mark = place
    return replace(document, body={**document.body, "mark": mark})


def _verified(source: Installation, target: Installation, access: Access, tell: Tell) -> Body:
    """Compare both stores and return what was moved.

    Raises:
        StoreError: they differ, or the target is not whole.
    """
    counts = {"batches": _compare_batches(source, target, access)}
    tell(Progress("verify", 1, 3))
    counts["documents"] = _compare_documents(source, target, access)
    tell(Progress("verify", 2, 3))
    digest = source.log.digest(access)
    if target.log.digest(access) != digest:
        raise _differs("events, hits or findings")
    problems = target.log.check(access) + target.records.check(access)
    if problems:
        raise StoreError("the target is not whole", where="--to", hint="run `secmon store check --deep` on it")
    tell(Progress("verify", 3, 3))
    partitions = target.log.partitions(access)
    for name in ("events", "hits", "findings"):
        counts[name] = sum(getattr(one, name) for one in partitions)
    return {**counts, "partitions": len(partitions), "digest": digest}


def _compare_batches(source: Installation, target: Installation, access: Access) -> int:
    number = 0
    for old, new in zip_longest(source.log.commits(access), target.log.commits(access)):
        if old is None or new is None or _given(old[0]) != _given(new[0]):
            raise _differs("batches")
        number += 1
    return number


def _given(row: BatchRow) -> BatchRow:
    """Return a row without what a store works out by itself from the events and hits that are new to it."""
    return replace(row, hits=0, first_event=None, last_event=None)


def _compare_documents(source: Installation, target: Installation, access: Access) -> int:
    kinds = _kinds(source, access)
    if kinds != _kinds(target, access):
        raise _differs("documents")
    number = 0
    for kind in kinds:
        here, there = (every(one.records, access, _of_kind(kind)) for one in (source, target))
        for old, new in zip_longest(here, there):
            if old is None or new is None or _translated(source, target, access, old) != new:
                raise _differs("documents")
            number += 1
    return number


def _differs(what: str) -> StoreError:
    return StoreError(
        "after the move the {what} of the two stores are not the same",
        where="--to",
        hint="empty the target and move again; if it happens again, please report it",
        values={"what": what},
    )


def _finish(target: Installation, access: Access, document: Document) -> None:
    """Write the move into the target's audit chain, once, and open the target for use."""
    if "audit" not in document.body:
        head = target.records.get(access, "audit_head", audit.CHAIN)
        document = _noted(target, access, document, {"audit": int(head.body["number"]) if head else 0})
    behind = {"number": (f"{document.body['audit'] + 1:012d}", None)}
    if not target.records.count(access, RecordQuery(kind="audit", ranges=behind))[""]:
        counts: Body = {key: one for key, one in document.body["result"].items() if key != "digest"}
        audit.append(target, access, "store.move", document.body["source"], counts)
    _noted(target, access, document, {"state": DONE, "ended": format_time(target.clock.now())})


def _kinds(house: Installation, access: Access) -> tuple[str, ...]:
    return tuple(kind for kind in house.records.kinds(access) if kind not in _STAYS)


def _of_kind(kind: str) -> RecordQuery:
    return RecordQuery(kind=kind, limit=_PAGE)
