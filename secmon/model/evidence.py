"""Evidence: what a result, a report line or a paragraph rests on, with its own digest.

It is a record of its own and outlives the events it names (the chain from log line to report line must not break).
"""

from dataclasses import dataclass
from datetime import datetime

from secmon.model.canonical import Plain, canonical_digest
from secmon.model.event import format_time

MAX_EVIDENCE_EVENTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a result or a paragraph rests on. It outlives the events it names.

    Args:
        id: "EV-" and 16 hex digits of its digest.
        query: what was asked, in words a person can repeat.
        since: start of the period looked at, inclusive.
        until: end of it, exclusive.
        event_ids: at most `MAX_EVIDENCE_EVENTS`.
        masked_sample: one masked record or value; empty where none may be shown.
    """

    id: str
    kind: str
    query: str
    since: datetime
    until: datetime
    count: int
    digest: str
    event_ids: tuple[str, ...] = ()
    masked_sample: str = ""

    def to_json(self) -> dict[str, Plain]:
        """Return the object of contracts.md §3 `report`."""
        return {
            "evidence.id": self.id,
            "kind": self.kind,
            "query": self.query,
            "from": format_time(self.since),
            "to": format_time(self.until),
            "count": self.count,
            "digest": self.digest,
            "event.ids": list(self.event_ids),
            "masked_sample": self.masked_sample,
        }


def make_evidence(
    *,
    kind: str,
    query: str,
    since: datetime,
    until: datetime,
    count: int,
    event_ids: tuple[str, ...] = (),
    masked_sample: str = "",
    detail: Plain = None,
) -> Evidence:
    """Return evidence with its digest: SHA-256 over its content and `detail` (what it also rests on)."""
    ids = event_ids[:MAX_EVIDENCE_EVENTS]
    content: dict[str, Plain] = {
        "kind": kind,
        "query": query,
        "from": format_time(since),
        "to": format_time(until),
        "count": count,
        "event.ids": list(ids),
        "masked_sample": masked_sample,
        "detail": detail,
    }
    digest = canonical_digest(content)
    return Evidence(
        id=f"EV-{digest[:16]}",
        kind=kind,
        query=query,
        since=since,
        until=until,
        count=count,
        digest=digest,
        event_ids=ids,
        masked_sample=masked_sample,
    )
