"""What a store holds as the batch that brought it: for another store to take over."""

from collections.abc import Sequence

from secmon.model.batch import INDEXED_FIELDS, Batch, BatchRow, EventFinding, StoredEvent
from secmon.model.event import LIST_SEPARATOR, Event, Value
from secmon.model.hit import Hit


def stored_event(identity: bytes, time: int, digest: bytes, body: bytes, event: Event) -> StoredEvent:
    """Return an event as a store takes it.

    Args:
        identity: the 16 bytes of its id.
        time: its `@timestamp` in microseconds since the epoch.
        digest: 16 bytes of the keyed digest of its raw record.
        body: the event as JSON.
        event: the same, parsed.
    """
    return StoredEvent(identity, time, digest, body, tuple(_column(event.get(name)) for name in INDEXED_FIELDS))


def _column(value: Value | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return LIST_SEPARATOR.join(map(str, value)) if isinstance(value, list) else str(value)


def batch_again(
    row: BatchRow, events: Sequence[StoredEvent], hits: Sequence[Hit], findings: Sequence[EventFinding]
) -> Batch:
    """Return the batch that a row remembers, with what came in it."""
    return Batch(
        source=row.source,
        generation=row.generation,
        number=row.number,
        epoch=row.epoch,
        day=row.day,
        retention=row.retention,
        offset_from=row.offset_from,
        offset_to=row.offset_to,
        ruleset=row.ruleset,
        received_at=row.received_at,
        counts=row.counts,
        state=row.state,
        events=tuple(events),
        hits=tuple(hits),
        findings=tuple(findings),
    )
