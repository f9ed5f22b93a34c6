"""Events, hits and findings as documents, and back.

An event's document is its body as the pipeline wrote it, with one object `store` put before it: where all fields are
of the table and all values are plain, not a byte of the body is rewritten. Whatever an index could not tell exactly
(a truth value, a text with U+001F, a list with a value twice, a text longer than Lucene takes, a name that no field can
have) is kept in `store.odd` as it was, and `store.scan` names the fields for which reading decides.
"""

from typing import Any, Final, NamedTuple

import orjson

from secmon.model.batch import EventFinding, StoredEvent
from secmon.model.event import LIST_SEPARATOR, Event, Value, to_micros, value_texts
from secmon.model.hit import Hit, Level
from secmon.store.elasticsearch.fields import KNOWN, LONG_TEXTS, MAX_TEXT, STORE, is_plain
from secmon.store.elasticsearch.words import indexed_words
from secmon.store.values import finding_detail, finding_from, finding_mark, mark_of, to_datetime, to_json

Source = dict[str, Any]

ANY_FIELD: Final = "*"
"""In `store.scan`: a field whose own name cannot stand there."""


class Item(NamedTuple):
    """One document on its way into an index.

    Args:
        id: its `_id`.
        head: the first part of its JSON up to the token of the attempt.
        tail: the rest behind it.
    """

    id: str
    head: bytes
    tail: bytes

    def document(self, token: bytes) -> bytes:
        """Return the document under the token of an attempt."""
        return self.head + token + self.tail


def event_item(stored: StoredEvent) -> Item:
    """Return an event's document."""
    event: Event = orjson.loads(stored.body)
    plain = len(stored.body) <= MAX_TEXT and KNOWN.issuperset(event) and b"\\u001f" not in stored.body
    if plain:
        for value in event.values():
            if value.__class__ is not str and value.__class__ is not int and not _is_plain_list(value):
                plain = False
                break
    own: Source = {}
    body = stored.body if plain else _rewritten(event, own)
    more = b"," + orjson.dumps(own)[1:-1] if own else b""
    tail = b'","time":%d,"digest":"%b","words":"%b"%b},%b' % (
        stored.time, stored.digest.hex().encode(), indexed_words(stored.body), more, body[1:],
    )  # fmt: skip
    return Item(stored.id.hex(), b'{"store":{"batch":"', tail)


def _is_plain_list(value: Value) -> bool:
    """Tell whether an index tells all of a list: texts or whole numbers, each once."""
    if not isinstance(value, list) or not value:
        return False
    return all(item.__class__ is str or item.__class__ is int for item in value) and len(set(map(str, value))) == len(
        value
    )


def _rewritten(event: Event, own: Source) -> bytes:
    """Return the JSON of the fields that stand at the top; put all others into `own`."""
    top: Source = {}
    rest: Source = {}
    odd: Source = {}
    scan: list[str] = []
    for name, value in event.items():
        if name in LONG_TEXTS:
            top[name] = value
            continue
        texts = value_texts(value)
        plain = is_plain(name)
        if plain and texts and all(len(text) <= MAX_TEXT for text in texts):
            exact = _tells_all(value, texts)
            (top if name in KNOWN else rest)[name] = value if exact else list(texts)
            if not exact:
                odd[name] = value
            if len(set(texts)) < len(texts):
                scan.append(name)
        else:
            odd[name] = value
            scan.append(name if plain else ANY_FIELD)
    own.update({key: value for key, value in (("rest", rest), ("odd", odd), ("scan", scan)) if value})
    return orjson.dumps(top)


def _tells_all(value: Value, texts: tuple[str, ...]) -> bool:
    """Tell whether a value can stand in an index as it is: what Elasticsearch makes of it are its texts."""
    items = value if isinstance(value, list) else [value]
    return len(items) == len(texts) and all(item.__class__ is int or item.__class__ is str for item in items)


def event_of(source: Source) -> Event:
    """Return the event that a document holds."""
    own = source.pop(STORE)
    if "rest" in own:
        source.update(own["rest"])
    if "odd" in own:
        source.update(own["odd"])
    return source


def hit_id(hit: Hit) -> str:
    """Return the `_id` of a hit that has a document of its own."""
    return hit.event_id + mark_of(hit.rule_id.encode()).hex()


def hit_item(hit: Hit) -> Item:
    """Return a hit's document.

    Raises:
        StoreError: it cannot be written as JSON.
    """
    document = {
        "at": to_micros(hit.at), "event": hit.event_id, "rule": hit.rule_id, "alert": hit.alert_id, "keys": hit.keys,
        "unit": hit.unit_id, "asset": hit.asset_id, "suppressed": hit.suppressed_by,
        "hit": {
            "rule_digest": hit.rule_digest, "level": hit.level.value, "group": hit.group, "captured": hit.captured,
            "signature": hit.signature,
        },
    }  # fmt: skip
    return document_item(hit_id(hit), document)


def hit_of(source: Source) -> Hit:
    """Return the hit that a document holds."""
    detail = source["hit"]
    return Hit(
        event_id=source["event"],
        rule_id=source["rule"],
        rule_digest=detail["rule_digest"],
        level=Level(detail["level"]),
        at=to_datetime(source["at"]),
        alert_id=source["alert"],
        group=detail["group"],
        keys=tuple(source["keys"]),
        captured=detail["captured"],
        signature=detail["signature"],
        unit_id=source["unit"],
        asset_id=source["asset"],
        suppressed_by=source.get("suppressed"),  # hits of schema 1 have none
    )


def finding_item(found: EventFinding) -> Item:
    """Return a finding's document.

    Raises:
        StoreError: it cannot be written as JSON.
    """
    finding = found.finding
    detail = finding_detail(finding)
    mark = finding_mark(finding.data_class, to_json(detail)).hex()
    document = {
        "at": to_micros(found.at), "event": found.event_id, "class": finding.data_class, "unit": found.unit_id,
        "asset": found.asset_id, "mark": mark, "finding": detail,
    }  # fmt: skip
    return document_item(found.event_id + mark, document)


def finding_of(source: Source) -> EventFinding:
    """Return the finding that a document holds."""
    finding = finding_from(source["class"], source["finding"])
    return EventFinding(source["event"], to_datetime(source["at"]), source["unit"], source["asset"], finding)


def is_event_id(text: str) -> bool:
    """Tell whether a text is an event id: 32 lower-case hex digits."""
    return len(text) == 32 and set(text) <= set("0123456789abcdef")  # noqa: PLR2004  model.ids


def document_item(identity: str, document: Source) -> Item:
    """Return a document that is not an event's.

    Raises:
        StoreError: it cannot be written as JSON.
    """
    return Item(identity, b'{"batch":"', b'",' + to_json(document)[1:])


# value_texts parts texts at U+001F; a body without that escape has none.
assert LIST_SEPARATOR == "\x1f"  # noqa: S101  a constant that the quick test above relies on
