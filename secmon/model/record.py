"""Documents: small versioned records (alerts, registers, checkpoints, users, bulletins, audit entries …)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# JSON object; each kind has one module of `app` that knows its shape.
Body = dict[str, Any]

# Kinds whose documents may be removed: what only opens a door for a while. Everything else is kept.
REMOVABLE_KINDS = frozenset({"session", "invitation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of one document.

    Args:
        kind: such as "alert" or "checkpoint".
        id: unique within its kind.
        version: 1 for a new document, raised by each replacement.
        body: its content as a JSON object.
        keys: texts by which it can be found and sorted (compared as text; times as RFC 3339).
        unit_ids: units whose scope may see it; empty means the root only.
    """

    kind: str
    id: str
    body: Body
    version: int = 0
    keys: Mapping[str, str] = field(default_factory=dict)
    unit_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Which documents to list.

    Args:
        kind: their kind.
        equals: key → accepted values; all keys must match.
        ranges: key → (from, to), from inclusive, to exclusive, either may be None.
        text: words that must stand in the body (one meaning on every store: `model.text`).
        order: key to sort by; documents without it come last; ties by id.
        descending: sort direction.
        limit: most documents to return.
        after: cursor of the previous page, from `Page.cursor`.
    """

    kind: str
    equals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    text: str = ""
    order: str = ""
    descending: bool = False
    limit: int = 100
    after: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of documents; `cursor` is empty on the last one."""

    documents: tuple[Document, ...]
    cursor: str = ""
