"""Model values to rows and back."""

import re
from datetime import date
from sys import intern
from typing import NamedTuple

import orjson

from secmon.errors import StoreError
from secmon.model.batch import Batch, BatchRow, Counts, EventFinding
from secmon.model.event import to_micros
from secmon.model.hit import Hit, Level
from secmon.store.sqlite.hit_detail import unpacked
from secmon.store.values import finding_from, to_datetime, to_moment

_LEVELS = tuple(Level)
_KEY = re.compile(r"[0-9a-f]{16}")  # model.ids.key_id


def event_key(event_id: str) -> bytes | None:
    """Return the 16 bytes of an event id, None if it is none."""
    try:
        key = bytes.fromhex(event_id)
    except ValueError:
        return None
    return key if len(key) == 16 and len(event_id) == 32 else None  # noqa: PLR2004  see model.ids


def required_key(event_id: str) -> bytes:
    """Return the 16 bytes of an event id.

    Raises:
        StoreError: it is none.
    """
    key = event_key(event_id)
    if key is None:
        raise StoreError("an event id has 32 hex digits", hint="please report this")
    return key


def counts_to_json(counts: Counts) -> str:
    """Return the accounting of a batch as JSON."""
    return orjson.dumps(
        {
            "received": counts.received,
            "stored": counts.stored,
            "duplicate": counts.duplicate,
            "dead_lettered": counts.dead_lettered,
            "dropped": dict(counts.dropped),
            "events": counts.events,
        },
        option=orjson.OPT_SORT_KEYS,
    ).decode()


class StoredBatch(NamedTuple):
    """Columns of table `batch` behind `stream`."""

    number: int
    source: str
    generation: str
    epoch: int
    offset_from: int
    offset_to: int
    ruleset: str
    received_at: int
    counts: str
    hits: int
    first_event: int | None
    last_event: int | None
    state: str


BATCH_COLUMNS = ", ".join(StoredBatch._fields)


def batch_to_row(batch: Batch, first: int | None, last: int | None) -> StoredBatch:
    """Return the row that remembers a batch."""
    return StoredBatch(
        number=batch.number,
        source=batch.source,
        generation=batch.generation,
        epoch=batch.epoch,
        offset_from=batch.offset_from,
        offset_to=batch.offset_to,
        ruleset=batch.ruleset,
        received_at=to_micros(batch.received_at),
        counts=counts_to_json(batch.counts),
        hits=len(batch.hits),
        first_event=first,
        last_event=last,
        state=batch.state,
    )


def batch_from_row(row: StoredBatch, day: date, retention: str) -> BatchRow:
    """Return what a row remembers."""
    return BatchRow(
        source=row.source,
        generation=row.generation,
        number=row.number,
        epoch=row.epoch,
        day=day,
        retention=retention,
        offset_from=row.offset_from,
        offset_to=row.offset_to,
        ruleset=row.ruleset,
        received_at=to_datetime(row.received_at),
        counts=Counts(**orjson.loads(row.counts)),
        hits=row.hits,
        first_event=to_moment(row.first_event),
        last_event=to_moment(row.last_event),
        state=row.state,
    )


def key_column(key: str) -> bytes | str:
    """Return a correlation key as table `hit_key` holds it: the bytes of its hex digits, if that is what it is."""
    return bytes.fromhex(key) if _KEY.fullmatch(key) else key


class HitRow(NamedTuple):
    """A hit as the queries give it: dictionary numbers already resolved."""

    time: int
    event_id: bytes
    rule: str
    rule_digest: str
    level: int
    alert: str | None
    unit: str | None
    asset: str | None
    detail: bytes
    suppressed: str | None
    shape: str | None


def hit_from_row(row: HitRow) -> Hit:
    """Return the hit of a row."""
    group, keys, captured, signature = unpacked(row.shape, row.detail)
    return Hit(
        event_id=row.event_id.hex(),
        rule_id=intern(row.rule),  # windows hold many hits of few rules, units and assets
        rule_digest=intern(row.rule_digest),
        level=_LEVELS[row.level],
        at=to_datetime(row.time),
        alert_id=row.alert,
        group=group,
        keys=keys,
        captured=captured,
        signature=signature,
        unit_id=None if row.unit is None else intern(row.unit),
        asset_id=None if row.asset is None else intern(row.asset),
        suppressed_by=row.suppressed,
    )


class FindingRow(NamedTuple):
    """A finding as the queries give it."""

    time: int
    event_id: bytes
    data_class: str
    unit: str | None
    asset: str | None
    detail: bytes


def finding_from_row(row: FindingRow) -> EventFinding:
    """Return the finding of a row."""
    finding = finding_from(row.data_class, orjson.loads(row.detail))
    return EventFinding(row.event_id.hex(), to_datetime(row.time), row.unit, row.asset, finding)
