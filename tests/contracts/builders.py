"""Builders of events, hits, findings and batches: each shows only what matters to a test."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from secmon.model.access import Access, Principal, Role, Scope
from secmon.model.batch import INDEXED_FIELDS, Batch, Counts, EventFinding, StoredEvent
from secmon.model.event import Event, Value, format_time, to_micros
from secmon.model.hit import Finding, Hit, Level, Minor
from secmon.model.ids import alert_id, event_id, stream_prefix, window_start

DAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
GENERATION = "ab" * 32
KEY, OTHER_KEY = "1f" * 8, "2e" * 8
"""Keys of correlations, as `model.ids.key_id` makes them."""
ROOT_ACCESS = Access(Principal("job:test", frozenset(Role)), Scope())


def access_to(*units: str) -> Access:
    """Return the access of somebody who sees exactly these units."""
    return Access(Principal("user:test", frozenset(Role)), Scope(frozenset(units)))


def identity(offset: int, *, source: str = "web", sub_index: int = 0, day: date = DAY) -> str:
    """Return the id of the event at an offset of a source."""
    return event_id(stream_prefix(day, source, GENERATION), offset, sub_index).hex()


def event_at(
    offset: int, at: datetime = NOON, *, source: str = "web", day: date = DAY, sub_index: int = 0, **fields: Value
) -> Event:
    """Return an event; `user_name="mori"` sets the field `user.name`."""
    return {
        "@timestamp": format_time(at),
        "event.id": identity(offset, source=source, day=day, sub_index=sub_index),
        "event.kind": "event",
        "event.dataset": "nginx.access",
        "event.ingested": format_time(NOON),
        **{name.replace("_", ".", 1): value for name, value in fields.items()},
    }


def stored(event: Event) -> StoredEvent:
    """Return an event as a store takes it; its digest depends on its content alone."""
    content = orjson.dumps({name: value for name, value in event.items() if name != "event.ingested"})
    return StoredEvent(
        id=bytes.fromhex(str(event["event.id"])),
        time=to_micros(datetime.fromisoformat(str(event["@timestamp"]))),
        digest=hashlib.sha256(content).digest()[:16],
        body=orjson.dumps(event),
        columns=tuple(_column(event.get(name)) for name in INDEXED_FIELDS),
    )


def _column(value: Value | None) -> str | None:
    if value is None:
        return None
    return "\x1f".join(map(str, value)) if isinstance(value, list) else str(value)


def hit_on(event: Event, *, rule: str = "rule-a", level: Level = Level.HIGH, **more: Any) -> Hit:
    """Return a hit of a rule on an event, in the alert of its hour and user."""
    at = datetime.fromisoformat(str(event["@timestamp"]))
    group: dict[str, Value] = {"user.name": event.get("user.name", "")}
    values: dict[str, Any] = {
        "event_id": str(event["event.id"]),
        "rule_id": rule,
        "rule_digest": "d" * 64,
        "level": level,
        "at": at,
        "alert_id": alert_id(rule, group, window_start(at, timedelta(hours=1))),
        "group": group,
        "keys": (),
        "captured": {"source.ip": event.get("source.ip", "192.0.2.1")},
        "signature": "0123456789abcdef",
        "unit_id": event.get("unit.id"),
        "asset_id": event.get("asset.id"),
    }
    return Hit(**{**values, **more})


def silent_on(event: Event, **more: Any) -> Hit:
    """Return a hit of a rule that only serves correlations: it belongs to no alert."""
    return hit_on(event, **{"alert_id": None, "keys": (KEY,), **more})


def finding_in(event: Event, *, data_class: str = "cn_id18", path: str = "message", **more: Any) -> EventFinding:
    """Return a finding of a class in an event."""
    values: dict[str, Any] = {
        "data_class": data_class,
        "level": "L3",
        "candidate": False,
        "minor": Minor.UNDER_14,
        "path": path,
        "span": (3, 21),
        "confidence": 0.97,
        "masked": "1101***********0015",
        "digest": "e" * 32,
        "trace": ("validator:cn_id18",),
    }
    return EventFinding(
        event_id=str(event["event.id"]),
        at=datetime.fromisoformat(str(event["@timestamp"])),
        unit_id=_text(event.get("unit.id")),
        asset_id=_text(event.get("asset.id")),
        finding=Finding(**{**values, **more}),
    )


def _text(value: Value | None) -> str | None:
    return None if value is None else str(value)


def batch_of(
    events: Sequence[Event] = (),
    *,
    number: int = 1,
    source: str = "web",
    day: date = DAY,
    retention: str = "security",
    hits: Sequence[Hit] = (),
    findings: Sequence[EventFinding] = (),
    dropped: Mapping[str, int] | None = None,
    received_at: datetime = NOON,
    state: str = "",
) -> Batch:
    """Return a batch of these events."""
    records = len(events) + sum((dropped or {}).values())
    return Batch(
        source=source,
        generation=GENERATION,
        number=number,
        epoch=1,
        day=day,
        retention=retention,
        offset_from=(number - 1) * 100_000,
        offset_to=number * 100_000,
        ruleset="f" * 64,
        received_at=received_at,
        counts=Counts(received=records, stored=len(events), dropped=dict(dropped or {}), events=len(events)),
        state=state,
        events=tuple(stored(event) for event in events),
        hits=tuple(hits),
        findings=tuple(findings),
    )
