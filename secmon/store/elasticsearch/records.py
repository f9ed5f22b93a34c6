"""The port `Records` over Elasticsearch: all documents in one index of one shard.

A document is read and changed by its `_id`, which needs no refresh; a replacement is conditioned on the version in its
body and on Elasticsearch's own sequence number of what was read, so that of two swaps one wins. Lists refresh the index
first: what was acknowledged is found.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from secmon.errors import ConflictError, NotFoundError, StoreError
from secmon.model.access import Access, Scope
from secmon.model.ids import text_digest
from secmon.model.record import REMOVABLE_KINDS, Document, Page, RecordQuery
from secmon.model.text import words
from secmon.store.elasticsearch.asking import in_ranges, is_key, is_rough, record_conditions, within
from secmon.store.elasticsearch.bulk import Action, BulkWriter, refuse_poison
from secmon.store.elasticsearch.changes import Changes
from secmon.store.elasticsearch.failures import CONFLICT, NOT_FOUND
from secmon.store.elasticsearch.fields import MAX_TEXT
from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from secmon.store.elasticsearch.words import indexed_words
from secmon.store.matching import says
from secmon.store.values import is_storable

Source = dict[str, Any]

_PAGE = 1_000
_ATTEMPTS = 5
_STORED = {"excludes": ["words"]}


class _Read(NamedTuple):
    """A document as it lies in the index, and the version that a change has to meet."""

    document: Document
    seq_no: int
    primary_term: int
    token: str

    @property
    def condition(self) -> dict[str, Any]:
        return {"if_seq_no": self.seq_no, "if_primary_term": self.primary_term}


class ElasticsearchRecords:
    """Documents of one cluster. Any thread may use it.

    Args:
        settings: where the cluster is.
        writable: whether this process may write.
    """

    def __init__(self, settings: ElasticsearchSettings, *, writable: bool) -> None:
        self._gateway = Gateway(settings)
        self._bulk = BulkWriter(self._gateway)
        self._index = self._gateway.names.records
        self._changes = Changes(self._gateway, self._index)
        self._writable = writable

    def close(self) -> None:
        """Close all connections; what was changed is durable without it."""
        self._bulk.close()
        self._gateway.close()

    def get(self, access: Access, kind: str, id: str) -> Document | None:  # noqa: A002
        """Return a document, read by id (never stale), or None if it is not there or out of scope."""
        found = self._read(access.scope, kind, id)
        return None if found is None else found.document

    def create(self, access: Access, document: Document) -> Document:
        """Store a new document and return it with version 1; see `ports.Records`."""
        del access  # whoever may call a use case may add what it adds; reading is what the scope bounds
        self._prepare()
        created, body = _stored(document, 1)
        if not self._changes.put(_id(document.kind, document.id), body, op_type="create"):
            raise ConflictError("there is such a {kind} already", hint="read it", values={"kind": document.kind})
        return created

    def create_all(self, access: Access, documents: Sequence[Document]) -> int:
        """Store new documents at once, pass over those whose id is taken, and return how many were stored."""
        return self.restore(access, [replace(document, version=1) for document in documents])

    def restore(self, access: Access, documents: Sequence[Document]) -> int:
        """Store documents of another store as they are, each under its version; see `ports.Records`."""
        del access
        self._prepare()
        actions = []
        for document in documents:
            identity = _id(document.kind, document.id)
            _, body = _stored(document, max(document.version, 1))
            actions.append(Action(identity, f'{{"create":{{"_id":"{identity}"}}}}'.encode(), orjson.dumps(body)))
        outcome = self._bulk.write(self._index, actions)
        refuse_poison(outcome, self._gateway.url)
        return len(actions) - len(outcome.taken)

    def kinds(self, access: Access) -> tuple[str, ...]:
        """Return the kinds of which there is a document, sorted; to the root only."""
        if not access.scope.is_root:
            return ()
        self._gateway.refresh(self._index)
        found: list[str] = []
        after: Source = {}
        while True:
            composite: Source = {
                "composite": {"size": _PAGE, "sources": [{"kind": {"terms": {"field": "kind"}}}], **after}
            }
            answer = self._search({"size": 0, "aggs": {"kinds": composite}})
            buckets = answer["aggregations"]["kinds"]["buckets"] if answer and "aggregations" in answer else []
            found += [bucket["key"]["kind"] for bucket in buckets]
            if len(buckets) < _PAGE:
                return tuple(sorted(found))
            after = {"after": buckets[-1]["key"]}

    def replace(self, access: Access, document: Document) -> Document:
        """Replace the version `document.version` and return the next one; see `ports.Records`."""
        self._prepare()
        replaced, body = _stored(document, document.version + 1)
        found = self._read(access.scope, document.kind, document.id)
        if found is None:
            raise NotFoundError("there is no such {kind}", values={"kind": document.kind})
        identity = _id(document.kind, document.id)
        if found.document.version == document.version:
            done = self._changes.put(identity, body, **found.condition)
        else:
            done = self._changes.was_done(identity, body, found.token)
        if not done:
            raise ConflictError(
                "the {kind} was changed meanwhile", hint="read it again", values={"kind": document.kind}
            )
        return replaced

    def delete(self, access: Access, kind: str, id: str) -> None:  # noqa: A002
        """Remove a document; nothing happens if it is not there. Only `REMOVABLE_KINDS` are removed.

        Raises:
            StoreError: documents of this kind are kept.
            ConflictError: it keeps changing.
        """
        if kind not in REMOVABLE_KINDS:
            raise StoreError("a {kind} is never removed", hint="replace it instead", values={"kind": kind})
        self._prepare()
        path = f"/{self._index}/_doc/{_id(kind, id)}"
        for _ in range(_ATTEMPTS):
            found = self._read(access.scope, kind, id)
            if found is None:
                return
            answer = self._gateway.write("DELETE", path, expect=(CONFLICT, NOT_FOUND), **found.condition)
            if answer.status != CONFLICT:
                return
        raise ConflictError("the {kind} keeps changing", hint="try again", values={"kind": kind})

    def find(self, access: Access, query: RecordQuery) -> Page:
        """Return one page of the documents in scope."""
        size = max(query.limit, 1)
        found: list[tuple[list[Any], Document]] = []
        for place, document in self._walk(access.scope, query, size + 1):
            if len(found) == size:
                return Page(tuple(one for _, one in found), _cursor_text(query, found[-1][0]))
            found.append((place, document))
        return Page(tuple(one for _, one in found))

    def count(self, access: Access, query: RecordQuery, *, by: str = "") -> dict[str, int]:
        """Return counts by the value of one key ("" where absent); by="" gives {"": total}."""
        if query.text or is_rough(query):
            return self._count_read(access.scope, query, by)
        counts: dict[str, int] = {} if by else {"": 0}
        if by and not is_key(by):
            return counts
        self._gateway.refresh(self._index)
        bounded = within(access.scope, "records", record_conditions(query))
        if not by:
            answer = self._search({"size": 0, "track_total_hits": True, "query": bounded})
            return {"": answer["hits"]["total"]["value"] if answer else 0}
        after: Source = {}
        while True:
            sources = [{"value": {"terms": {"field": f"keys.{by}", "missing_bucket": True}}}]
            composite: Source = {"composite": {"size": _PAGE, "sources": sources, **after}}
            answer = self._search({"size": 0, "query": bounded, "aggs": {"values": composite}})
            buckets = answer["aggregations"]["values"]["buckets"] if answer and "aggregations" in answer else []
            for bucket in buckets:
                text = bucket["key"]["value"] or ""
                counts[text] = counts.get(text, 0) + bucket["doc_count"]
            if len(buckets) < _PAGE:
                return counts
            after = {"after": buckets[-1]["key"]}

    def check(self, access: Access, *, deep: bool = False) -> list[str]:
        """Return the problems of the index's own integrity; empty is good. `deep` reads everything."""
        del access  # nothing of a document is told
        try:
            self._gateway.refresh(self._index)
            body: Source = {"size": _PAGE, "sort": ["kind", "id"], "_source": ["kind", "id"]}
            while deep and (answer := self._search(body)) and (hits := answer["hits"]["hits"]):
                wrong = sum(hit["_id"] != _id(hit["_source"]["kind"], hit["_source"]["id"]) for hit in hits)
                if wrong:
                    return [f"{self._index}: {wrong} documents lie under the id of another"]
                body["search_after"] = hits[-1]["sort"]
        except StoreError as error:
            return [str(error)]
        return []

    def _count_read(self, scope: Scope, query: RecordQuery, by: str) -> dict[str, int]:
        counts: dict[str, int] = {} if by else {"": 0}
        for _, document in self._walk(scope, query, _PAGE):
            text = document.keys.get(by, "") if by else ""
            counts[text] = counts.get(text, 0) + 1
        return counts

    def _walk(self, scope: Scope, query: RecordQuery, size: int) -> Iterator[tuple[list[Any], Document]]:
        """Yield (place, document) in the query's order, behind its cursor.

        No point in time is held: a page is one search, and its last place is unique, so that a list goes on where it
        ended however long its reader waits.
        """
        self._gateway.refresh(self._index)
        direction = "desc" if query.descending else "asc"
        sort: list[Source] = [{"id": direction}]
        if is_key(query.order):
            sort.insert(0, {f"keys.{query.order}": {"order": direction, "missing": "_last"}})
        body: Source = {
            "size": min(size, _PAGE), "sort": sort, "_source": _STORED,
            "query": within(scope, "records", record_conditions(query)),
        }  # fmt: skip
        place = _parse_cursor(query)
        if place:
            body["search_after"] = place[-len(sort) :]
        phrase, rough = words(query.text), is_rough(query)
        while True:
            answer = self._search(body)
            hits = answer["hits"]["hits"] if answer else []
            for hit in hits:
                document = _document(hit["_source"])
                if (not phrase or says(document.body, phrase)) and (not rough or in_ranges(document.keys, query)):
                    yield hit["sort"], document
            if len(hits) < body["size"]:
                return
            body["search_after"] = hits[-1]["sort"]

    def _search(self, body: Source) -> Source | None:
        return self._gateway.search(f"/{self._index}/_search", body)

    def _read(self, scope: Scope, kind: str, id_: str) -> _Read | None:
        """Return a document by its id, if it is in scope: the only way to one that no query bounds."""
        if not is_storable(kind) or not is_storable(id_):
            return None
        answer = self._gateway.read("GET", f"/{self._index}/_doc/{_id(kind, id_)}", expect=(NOT_FOUND,))
        if answer.status == NOT_FOUND:
            return None
        document = _document(answer.body["_source"])
        if scope.units is not None and scope.units.isdisjoint(document.unit_ids):
            return None
        token = answer.body["_source"].get("token", "")
        return _Read(document, answer.body["_seq_no"], answer.body["_primary_term"], token)

    def _prepare(self) -> None:
        if not self._writable:
            raise StoreError("the store was opened for reading", where=self._gateway.url, hint="take the writer lock")
        self._gateway.prepare_writing()


def _id(kind: str, id_: str) -> str:
    """Return the `_id` of a document: any kind and id give one of 64 hex digits."""
    return text_digest([kind, id_])


def _document(source: Source) -> Document:
    return Document(
        kind=source["kind"],
        id=source["id"],
        body=source["body"],
        version=source["version"],
        keys=source["keys"],
        unit_ids=tuple(source["units"]),
    )


def _stored(document: Document, version: int) -> tuple[Document, Source]:
    """Return a document as it will be read, and its JSON object for the index.

    Raises:
        StoreError: a name holds what no store takes, or the body is no JSON.
    """
    kind, names = document.kind, (document.kind, document.id, *document.keys.values(), *document.unit_ids)
    if not all(map(is_storable, (*names, *document.keys))):
        raise StoreError("a name of the {kind} holds a lone surrogate", values={"kind": kind})
    if any(len(name) > MAX_TEXT for name in names):
        raise StoreError("a key of the {kind} is too long", values={"kind": kind})
    if not all(map(is_key, document.keys)):
        raise StoreError("the name of a key of the {kind} is not allowed", values={"kind": kind})
    if any("\0" in unit for unit in document.unit_ids):
        raise StoreError("a unit id holds a NUL", hint="see the register of units")
    try:
        text = orjson.dumps(document.body)
    except TypeError as error:
        raise StoreError(
            "the {kind} cannot be written as JSON", hint="please report this", values={"kind": kind}
        ) from error
    body = orjson.loads(text)
    units = sorted(set(document.unit_ids))
    source = {
        "kind": kind, "id": document.id, "version": version, "keys": dict(document.keys), "units": units, "body": body,
        "words": indexed_words(text).decode(),
    }  # fmt: skip
    stored = Document(
        kind=kind,
        id=document.id,
        body=orjson.loads(text),
        version=version,
        keys=dict(document.keys),
        unit_ids=tuple(units),
    )
    return stored, source


def _cursor_text(query: RecordQuery, place: list[Any]) -> str:
    """Return the place behind a page as the opaque text of `Page.cursor`: the order key's value and the id."""
    value, id_ = place if is_key(query.order) else (None, place[0])
    return base64.urlsafe_b64encode(orjson.dumps([value, id_])).decode()


def _parse_cursor(query: RecordQuery) -> list[Any] | None:
    """Return the place that a query's cursor names, None for the start.

    Raises:
        StoreError: it was not made by `_cursor_text`.
    """
    if not query.after:
        return None
    try:
        value, id_ = orjson.loads(base64.b64decode(query.after, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise StoreError("this is not a cursor of this list", hint="start again without it") from error
    if not isinstance(id_, str) or not isinstance(value, str | None):
        raise StoreError("this is not a cursor of this list", hint="start again without it")
    return [value, id_]
