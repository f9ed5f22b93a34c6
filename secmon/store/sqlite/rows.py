"""Model values to rows and back."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from secmon.errors import StoreError
from secmon.model.batch import Batch, BatchRow, Counts, EventFinding
from secmon.model.event import to_micros
from secmon.model.hit import Finding, Hit, Level, Minor
from secmon.store.sqlite.hit_detail import unpacked

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MICROS = to_micros(datetime.min.replace(tzinfo=UTC))
_LAST_MICROS = to_micros(datetime.max.replace(tzinfo=UTC))
_LEVELS = tuple(Level)
MARK_BYTES = 12
_KEY = re.compile(r"[0-9a-f]{16}")  # model.ids.key_id


def to_datetime(micros: int) -> datetime:
    """Return the aware time of whole microseconds since 1970; what no calendar holds becomes its edge."""
    return _EPOCH + timedelta(microseconds=min(max(micros, _FIRST_MICROS), _LAST_MICROS))


def to_moment(micros: int | None) -> datetime | None:
    """Return `to_datetime`, None for None."""
    return None if micros is None else to_datetime(micros)


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
        rule_id=row.rule,
        rule_digest=row.rule_digest,
        level=_LEVELS[row.level],
        at=to_datetime(row.time),
        alert_id=row.alert,
        group=group,
        keys=keys,
        captured=captured,
        signature=signature,
        unit_id=row.unit,
        asset_id=row.asset,
        suppressed_by=row.suppressed,
    )


def finding_detail(finding: Finding) -> bytes:
    """Return what of a finding no query asks for, as JSON with sorted keys."""
    return _json(
        {
            "level": finding.level,
            "candidate": finding.candidate,
            "minor": finding.minor,
            "path": finding.path,
            "span": finding.span,
            "confidence": finding.confidence,
            "masked": finding.masked,
            "digest": finding.digest,
            "trace": finding.trace,
        }
    )


def finding_mark(data_class: str, detail: bytes) -> bytes:
    """Return what tells this finding from the others of its event."""
    return hashlib.blake2b(data_class.encode() + b"\0" + detail, digest_size=MARK_BYTES).digest()


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
    detail: Mapping[str, Any] = orjson.loads(row.detail)
    span = detail["span"]
    finding = Finding(
        data_class=row.data_class,
        level=detail["level"],
        candidate=detail["candidate"],
        minor=Minor(detail["minor"]),
        path=detail["path"],
        span=None if span is None else (span[0], span[1]),
        confidence=detail["confidence"],
        masked=detail["masked"],
        digest=detail["digest"],
        trace=tuple(detail["trace"]),
    )
    return EventFinding(row.event_id.hex(), to_datetime(row.time), row.unit, row.asset, finding)


def _json(value: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # lone surrogates, integers beyond 64 bits: the pipeline escapes them before
        raise StoreError("a value cannot be written as JSON", hint="please report this") from error
