"""Checkpoints as documents: how far each stream is committed."""

from dataclasses import replace

import msgspec

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.model.access import Access
from secmon.model.record import Document, RecordQuery
from secmon.model.stream import Checkpoint

KIND = "checkpoint"
_PAGE = 500


def load(house: Installation, access: Access, source: str, generation: str) -> Checkpoint | None:
    """Return one stream's checkpoint, or None."""
    document = house.records.get(access, KIND, _id(source, generation))
    return _checkpoint(document) if document else None


def load_all(house: Installation, access: Access, source: str | None = None) -> list[Checkpoint]:
    """Return all checkpoints, or those of one source, by id."""
    equals = {"source": (source,)} if source is not None else {}
    return list(map(_checkpoint, every(house.records, access, RecordQuery(kind=KIND, equals=equals, limit=_PAGE))))


def kind_of(house: Installation, access: Access, source: str) -> str:
    """Return the kind of a source's records, as its first stream has it; "" if nothing of it was ever read."""
    found = house.records.find(access, RecordQuery(kind=KIND, equals={"source": (source,)}, limit=1)).documents
    return _checkpoint(found[0]).kind if found else ""


def save(house: Installation, access: Access, checkpoint: Checkpoint) -> Checkpoint:
    """Compare-and-swap: store the checkpoint over the version it was read with.

    Raises:
        ConflictError: somebody else moved the stream meanwhile; nothing of ours counts.
    """
    document = Document(
        kind=KIND,
        id=_id(checkpoint.source, checkpoint.generation),
        version=checkpoint.version,
        body=to_body(checkpoint),
        keys={"source": checkpoint.source},
    )
    saved = house.records.replace(access, document) if checkpoint.version else house.records.create(access, document)
    return replace(checkpoint, version=saved.version)


def to_body(checkpoint: Checkpoint) -> dict[str, object]:
    """Return a checkpoint as a JSON object, without its version."""
    body: dict[str, object] = msgspec.to_builtins(checkpoint)
    del body["version"]
    return body


def from_body(body: object, version: int) -> Checkpoint:
    """Return the checkpoint a JSON object holds."""
    return msgspec.convert({**body, "version": version} if isinstance(body, dict) else body, Checkpoint)


def _checkpoint(document: Document) -> Checkpoint:
    return from_body(document.body, document.version)


def _id(source: str, generation: str) -> str:
    return f"{source}:{generation}"
