"""Index templates: made from the table of fields, by what the free core of Elasticsearch has.

`dynamic: false` everywhere: no document can add a field, so no sender can fill the cluster's state or bring two types
for one name. No scripts, no ingest pipelines, no lifecycle policies; retention deletes whole indices.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from secmon.store.elasticsearch.fields import ADDRESSES, LONG_TEXTS, NUMBERS, TIMESTAMP, WORDS
from secmon.store.elasticsearch.naming import KINDS, Kind, Names

Json = dict[str, Any]

VERSION = 4
"""Raised whenever a template changes; stands in each index's `_meta`. New fields of events stand in `fields.ADDED`."""

_WORD: Json = {"type": "keyword"}
# Never met: `fields.MAX_TEXT` is shorter.
_FLAT: Json = {"type": "flattened", "ignore_above": 8_191}
_NOT_INDEXED: Json = {"type": "object", "enabled": False}
_KEPT: Json = {"type": "keyword", "index": False, "doc_values": False}
# Words are cut by `model.text` before they come here, so the analysis only splits at spaces: the one meaning of text
# search, where `standard` analysis would keep "a.example.edu.cn" and "192.0.2.1" together. No positions: a phrase is
# decided by reading the candidates.
_TEXT: Json = {"type": "text", "analyzer": "whitespace", "index_options": "docs", "norms": False}
_ADDRESS: Json = {"type": "keyword", "fields": {"ip": {"type": "ip", "ignore_malformed": True}}}
_NUMBER: Json = {"type": "keyword", "fields": {"number": {"type": "long", "ignore_malformed": True, "coerce": False}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """What an operator chooses for the indices of partitions.

    Args:
        shards: primary shards of an index of events; hits and findings have one.
        replicas: copies beside the primary; 1 lets a cluster lose a node.
        refresh_interval: how often Elasticsearch makes documents visible by itself; readers do not depend on it.
        codec: "default" (LZ4) or "best_compression" (deflate).
    """

    shards: int = 1
    replicas: int = 1
    refresh_interval: str = "30s"
    codec: str = "best_compression"


def event_mapping() -> Json:
    """Return the mapping of events."""
    properties: Json = {
        "store": {
            "properties": {
                "time": {"type": "long"},
                "batch": _WORD,
                "digest": _KEPT,
                "scan": _WORD,
                "words": _TEXT,
                "rest": _FLAT,
                "odd": _NOT_INDEXED,
            }
        },
        TIMESTAMP: {"type": "date", "ignore_malformed": True},
    }
    for names, kind in ((WORDS, _WORD), (ADDRESSES, _ADDRESS), (NUMBERS, _NUMBER)):
        for name in sorted(names):
            _place(properties, name, kind)
    for name in sorted(LONG_TEXTS - {TIMESTAMP}):
        _place(properties, name, _KEPT)
    return _mapping(properties)


def _place(properties: Json, dotted: str, kind: Json) -> None:
    *objects, leaf = dotted.split(".")
    for name in objects:
        properties = properties.setdefault(name, {"properties": {}})["properties"]
    properties[leaf] = kind


def _mapping(properties: Json) -> Json:
    return {"dynamic": False, "date_detection": False, "properties": properties}


_HITS = _mapping(
    {
        "at": {"type": "long"}, "event": _WORD, "rule": _WORD, "alert": _WORD, "keys": _WORD, "unit": _WORD,
        "asset": _WORD, "suppressed": _WORD, "batch": _WORD, "hit": _NOT_INDEXED,
        # Of packs: the end of their span, how many hits they hold, their last event, the hits.
        "last": {"type": "long"}, "count": {"type": "long"}, "last_event": _WORD, "pack": _NOT_INDEXED,
    }
)  # fmt: skip
_FINDINGS = _mapping(
    {
        "at": {"type": "long"}, "event": _WORD, "class": _WORD, "unit": _WORD, "asset": _WORD, "batch": _WORD,
        "mark": _WORD, "finding": _NOT_INDEXED,
    }
)  # fmt: skip
_BATCHES = _mapping(
    {
        "day": _WORD, "retention": _WORD, "stream": _WORD, "number": {"type": "long"}, "received_at": {"type": "long"},
        "committed": {"type": "boolean"}, "token": _WORD, "dead": _WORD, "hits": {"type": "long"},
        "new": {"properties": {kind: {"type": "long"} for kind in KINDS}}, "row": _NOT_INDEXED,
    }
)  # fmt: skip
_RECORDS = _mapping(
    {
        "kind": _WORD, "id": _WORD, "version": {"type": "long"}, "keys": _FLAT,
        "units": _WORD, "words": _TEXT, "body": _NOT_INDEXED,
    }
)  # fmt: skip


def mapping_of(kind: str) -> Json:
    """Return the current mapping of an index: of a `Kind`, of "batches" or of "records"."""
    fixed = {"hits": _HITS, "findings": _FINDINGS, "batches": _BATCHES, "records": _RECORDS}
    return {**(event_mapping() if kind == "events" else fixed[kind]), "_meta": _meta()}


def _meta() -> Json:
    return {"secmon": {"schema": VERSION}}


def schema_of(meta: Json | None) -> int:
    """Return the version that a mapping's `_meta` tells; 0 if it tells none."""
    own = (meta or {}).get("secmon")
    found = own.get("schema") if isinstance(own, dict) else own
    return found if isinstance(found, int) else 0


def template(names: Names, kind: Kind, settings: IndexSettings) -> Json:
    """Return the index template of one kind of partition indices."""
    index: Json = {
        "number_of_shards": settings.shards if kind == "events" else 1,
        "number_of_replicas": settings.replicas,
        "refresh_interval": settings.refresh_interval,
        "codec": settings.codec,
    }
    made: Json = {
        "index_patterns": [f"{names.alias(kind)}-*"],
        "priority": 500,
        "template": {"settings": {"index": index}, "mappings": mapping_of(kind), "aliases": {names.alias(kind): {}}},
    }
    # The digest tells whether what is installed is exactly this, whatever the server adds when it shows a template.
    digest = hashlib.sha256(orjson.dumps(made, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    return {**made, "_meta": {"secmon": VERSION, "digest": digest}}


def single_index(names: Names, index: str, settings: IndexSettings) -> Json:
    """Return the body that makes the index of batches or of documents: one shard each."""
    mapping = mapping_of("batches" if index == names.batches else "records")
    chosen = {
        "number_of_shards": 1,
        "number_of_replicas": settings.replicas,
        "refresh_interval": settings.refresh_interval,
    }
    return {"settings": {"index": chosen}, "mappings": mapping}
