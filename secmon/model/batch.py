"""Batches: what goes into the store at once, and the exact accounting of it.

received = stored + duplicate + dead-lettered + dropped(reason) + in flight, in records, at any moment.
Events per record is another counter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from secmon.model.hit import Finding, Hit

# Fields that stores keep as columns of their own, so that they can be asked without opening an event: what people look
# for, and what the catalogues in frameworks/ ask about months of events.
INDEXED_FIELDS = (
    "event.dataset",
    "event.action",
    "event.outcome",
    "event.code",
    "host.name",
    "user.name",
    "source.ip",
    "url.path",
    "unit.id",
    "asset.id",
    "event.category",
    "event.type",
    "process.name",
    "winlog.channel",
    "http.response.status_code",
    "destination.port",
    "network.protocol",
    "tls.version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Accounting of records; `dropped` is by reason."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    dead_lettered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    events: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        dropped = dict(self.dropped)
        for reason, count in other.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
        return Counts(
            received=self.received + other.received,
            stored=self.stored + other.stored,
            duplicate=self.duplicate + other.duplicate,
            dead_lettered=self.dead_lettered + other.dead_lettered,
            dropped=dropped,
            events=self.events + other.events,
        )

    @property
    def in_flight(self) -> int:
        """What was received and is not settled yet."""
        settled = self.stored + self.duplicate + self.dead_lettered + sum(self.dropped.values())
        return self.received - settled


class StoredEvent(NamedTuple):
    """One event as a store takes it; a tuple, because there are thousands in a batch and all cross processes.

    Args:
        id: 16 bytes (`ids.event_id`).
        time: `@timestamp` in microseconds since the epoch.
        digest: 16 bytes of the keyed digest of its raw record.
        body: the event as JSON.
        columns: its values of `INDEXED_FIELDS`, None where absent; lists are joined by U+001F.
    """

    id: bytes
    time: int
    digest: bytes
    body: bytes
    columns: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class EventFinding:
    """A finding together with the event it stands in.

    Args:
        event_id: 32 hex digits.
        at: the event's `@timestamp`.
    """

    event_id: str
    at: datetime
    unit_id: str | None
    asset_id: str | None
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that could not become an event.

    Args:
        id: the event id its first event would have had, 32 hex.
        place: "source:record N".
        raw: its bytes; sealed by the vault before they are stored.
        masked: its text after masking, at most 500 characters.
        path: `log.file.path` of its stream; empty for none.
        truncated: the record was longer than the limit, `raw` is its head.
    """

    id: str
    source: str
    kind: str
    generation: str
    offset: int
    number: int
    line: int
    place: str
    received_at: datetime
    problem: str
    raw: bytes
    masked: str
    path: str = ""
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Processed records of one stream, from one offset to another, ready to be committed.

    Args:
        source: the source's id.
        generation: the generation's id.
        number: dense number of the batch within its stream, from 1.
        epoch: the fencing epoch of the stream's checkpoint.
        day: partition day.
        retention: retention class, such as "security".
        offset_from: offset of its first byte.
        offset_to: offset behind its last byte.
        ruleset: digest of the rule set that was applied.
        counts: accounting of this batch.
        state: the stream's checkpoint after this batch as JSON, opaque to stores: recovery rolls forward with it.
    """

    source: str
    generation: str
    number: int
    epoch: int
    day: date
    retention: str
    offset_from: int
    offset_to: int
    ruleset: str
    received_at: datetime
    counts: Counts
    state: str = ""
    events: tuple[StoredEvent, ...] = ()
    hits: tuple[Hit, ...] = ()
    findings: tuple[EventFinding, ...] = ()

    @property
    def stream(self) -> str:
        """Name of its stream."""
        return f"{self.source}:{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """What a store remembers of a batch: a row of the coverage ledger."""

    source: str
    generation: str
    number: int
    epoch: int
    day: date
    retention: str
    offset_from: int
    offset_to: int
    ruleset: str
    received_at: datetime
    counts: Counts
    hits: int
    first_event: datetime | None
    last_event: datetime | None
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One unit of retention: ingest day × retention class; `first`/`last` prune queries by `@timestamp`."""

    day: date
    retention: str
    events: int
    hits: int
    findings: int
    first: datetime | None
    last: datetime | None
    bytes: int
