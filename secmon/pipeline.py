"""In which order a batch goes: decode and parse → finish → enrich → classify and mask → detect → encode.

Pure: the same frames under the same stages give the same result, whichever process works them.
Masking stands before detection and storage, so that rules, evidence and back-tests read the same event for ever.
"""

import hmac
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Protocol

import orjson

from secmon.errors import ParseError
from secmon.model.asset import Asset, AssetRegister
from secmon.model.batch import INDEXED_FIELDS, Counts, DeadLetter, EventFinding, StoredEvent
from secmon.model.event import (
    ECS_VERSION,
    Dropped,
    Event,
    Frame,
    ParseContext,
    Record,
    Scalar,
    Value,
    format_time,
    from_micros,
    parse_time,
    to_micros,
)
from secmon.model.hit import Finding, Hit
from secmon.model.ids import event_id, offset_of_id
from secmon.parse.encoding import decode
from secmon.parse.kind import Kind
from secmon.sigma.hits import make_hits
from secmon.sigma.intel import Indicators
from secmon.sigma.rule import Rule, RuleSet
from secmon.sigma.seen import FieldWatch, Shown
from secmon.sigma.suppressor import Suppressor

DIGEST_BYTES = 16
MAX_MASKED_LINE = 500
_STAMPS = 4096


class Matcher(Protocol):
    """What finds the rules an event satisfies: `sigma.index.Engine`, or the definition in `sigma.match`."""

    def match(self, event: Event) -> Sequence[Rule]:
        """Return the rules, by rule id."""
        ...


class Classifying(Protocol):
    """What finds and masks personal data: `classify.classifier.Classifier`."""

    def classify_events(self, events: Sequence[Event]) -> list[tuple[Event, list[Finding]]]:
        """Return each event masked, with its findings."""
        ...

    def mask_text(self, text: str) -> str:
        """Return a text masked by the same policy."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What is the same for all batches of one stream.

    Args:
        source: the source's id.
        generation: the generation's id.
        kind: how its bytes are read.
        zone: time zone of its clock.
        place: path or name of the stream, for `log.file.path`; empty for none.
        asset: id of the asset that an event belongs to where the register cannot tell.
        unit: id of the unit likewise.
    """

    source: str
    generation: str
    kind: Kind
    zone: tzinfo
    place: str = ""
    asset: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What the batches of all streams share.

    Args:
        register: assets and how events find theirs.
        classifier: masks and finds; None leaves events as they are (`secmon detect` without `--classify`).
        engine: matches rules.
        ruleset: the rules it matches.
        record_key: key of `event.hash`.
        suppressor: says which hits raise no alert; None where nothing suppresses any.
        fields: notes which fields that rules look at there are; None notes nothing.
    """

    register: AssetRegister
    classifier: Classifying | None
    engine: Matcher | None
    ruleset: RuleSet | None
    record_key: bytes
    suppressor: Suppressor | None = None
    indicators: Indicators | None = None
    fields: FieldWatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """What became of some frames; the counts add up: received = stored + dead-lettered + dropped.

    Args:
        prefix: first 8 bytes of their event ids.
        received_at: when they were received.
        ruleset: digest of the rules that its events met.
        seen: log source → how many of the events are of it, and which fields that its rules look at stand in any.
    """

    events: tuple[StoredEvent, ...]
    hits: tuple[Hit, ...]
    findings: tuple[EventFinding, ...]
    dead_letters: tuple[DeadLetter, ...]
    counts: Counts
    prefix: bytes
    received_at: datetime
    ruleset: str = ""
    encodings: dict[str, int] = field(default_factory=dict)
    seen: dict[str, Shown] = field(default_factory=dict)

    @property
    def first(self) -> datetime | None:
        """Earliest `@timestamp`."""
        return from_micros(min(event.time for event in self.events)) if self.events else None

    @property
    def last(self) -> datetime | None:
        """Latest `@timestamp`."""
        return from_micros(max(event.time for event in self.events)) if self.events else None

    @property
    def skew_s(self) -> float:
        """Seconds from the latest `@timestamp` to its receipt; negative where the sender's clock is ahead."""
        latest = max((event.time for event in self.events), default=None)
        return 0.0 if latest is None else (to_micros(self.received_at) - latest) / 1e6


@dataclass(slots=True)
class Parsed:
    """Frames after parsing: events with the frame they came from, and what became of the others."""

    events: list[tuple[Event, Frame, int]] = field(default_factory=list)
    malformed: list[tuple[Frame, str, ParseError]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    records: int = 0


def parse_frames(frames: Sequence[Frame], lane: Lane, *, now: datetime) -> Parsed:
    """Decode and parse frames; each record yields events, one malformed entry, or a counted drop."""
    parsed, context, parse = Parsed(), ParseContext(lane.zone, now), lane.kind.parse
    where = lane.place or lane.source
    for frame in frames:
        text, encoding = decode(frame.raw)
        parsed.encodings[encoding] += 1
        try:
            result = parse(Record(text, f"{where}:record {frame.number}", encoding), context)
        except ParseError as error:
            parsed.malformed.append((frame, text, error))
            continue
        if isinstance(result, Dropped):
            parsed.dropped[result.reason] += 1
            continue
        parsed.records += 1
        for sub_index, event in enumerate(result):
            _finish(event, frame, lane, text, encoding)
            parsed.events.append((event, frame, sub_index))
    return parsed


def _finish(event: Event, frame: Frame, lane: Lane, text: str, encoding: str) -> None:
    """Add what every event has, whatever its parser."""
    kind = lane.kind
    event.setdefault("event.kind", "event")
    event.setdefault("event.dataset", kind.dataset)
    event.setdefault("event.module", kind.module)
    event["ecs.version"] = ECS_VERSION
    event["event.original"] = text
    if lane.place:
        event["log.file.path"] = lane.place
    if encoding != "utf-8":
        event["secmon.encoding"] = encoding
    if frame.truncated:
        event["log.flags"] = ["truncated"]


def process(frames: Sequence[Frame], lane: Lane, stages: Stages, *, prefix: bytes, received_at: datetime) -> Processed:
    """Take frames through all stages.

    Args:
        frames: records of one stream, in order.
        lane: the stream.
        stages: what all streams share.
        prefix: first 8 bytes of their event ids (`ids.stream_prefix`).
        received_at: when they were received.
    """
    parsed = parse_frames(frames, lane, now=received_at)
    events, ids = enrich(parsed, lane, stages.register, prefix=prefix, received_at=received_at)
    findings: list[EventFinding] = []
    if stages.classifier is not None:
        events, findings = classify(events, stages.classifier)
    hits = detect(events, stages)
    stored = encode(events, ids, [frame.raw for _, frame, _ in parsed.events], stages.record_key)
    return Processed(
        events=tuple(stored),
        hits=tuple(hits),
        findings=tuple(findings),
        dead_letters=tuple(
            _dead_letter(frame, text, error.problem, lane, stages, prefix=prefix, received_at=received_at)
            for frame, text, error in parsed.malformed
        ),
        prefix=prefix,
        received_at=received_at,
        ruleset=stages.ruleset.digest if stages.ruleset is not None else "",
        counts=Counts(
            received=len(frames),
            stored=parsed.records,
            dead_lettered=len(parsed.malformed),
            dropped=dict(parsed.dropped),
            events=len(stored),
        ),
        encodings=dict(parsed.encodings),
        seen=stages.fields.of(events) if stages.fields is not None else {},
    )


def set_aside(
    result: Processed, ids: Collection[bytes], frames: Sequence[Frame], lane: Lane, stages: Stages, *, problem: str
) -> Processed:
    """Return a result without the records that some events belong to; these records become dead letters.

    Args:
        result: what became of the frames.
        ids: ids of events in it.
        frames: the frames.
        lane: the stream.
        stages: what all streams share.
        problem: what the dead letters say.
    """
    offsets = {offset_of_id(identity) for identity in ids}
    refused = [frame for frame in frames if frame.offset in offsets]
    letters = [
        _dead_letter(
            frame, decode(frame.raw)[0], problem, lane, stages, prefix=result.prefix, received_at=result.received_at
        )
        for frame in refused
    ]
    gone = {event.id.hex() for event in result.events if offset_of_id(event.id) in offsets}
    counts = replace(
        result.counts,
        stored=result.counts.stored - len(refused),
        dead_lettered=result.counts.dead_lettered + len(refused),
        events=result.counts.events - len(gone),
    )
    return replace(
        result,
        events=tuple(event for event in result.events if event.id.hex() not in gone),
        hits=tuple(hit for hit in result.hits if hit.event_id not in gone),
        findings=tuple(one for one in result.findings if one.event_id not in gone),
        dead_letters=(*result.dead_letters, *letters),
        counts=counts,
    )


def enrich(
    parsed: Parsed, lane: Lane, register: AssetRegister, *, prefix: bytes, received_at: datetime
) -> tuple[list[Event], list[bytes]]:
    """Give each event its id, the time of its receipt, its asset and its unit; return events and ids."""
    ingested = format_time(received_at)
    events: list[Event] = []
    ids: list[bytes] = []
    for event, frame, sub_index in parsed.events:
        identity = event_id(prefix, frame.offset, sub_index)
        event["event.id"] = identity.hex()
        event["event.ingested"] = ingested
        _assign(event, lane, register)
        events.append(event)
        ids.append(identity)
    return events, ids


def _assign(event: Event, lane: Lane, register: AssetRegister) -> None:
    """Name the asset and the unit an event belongs to (`Unit` tree and `Asset` register)."""
    asset: Asset | None = register.find(event) if register.assets else None
    if asset is None and lane.asset:
        asset = register.assets.get(lane.asset)
    if asset is not None:
        event["asset.id"] = asset.id
        event["unit.id"] = asset.unit
    elif lane.unit:
        event["unit.id"] = lane.unit


def classify(events: Sequence[Event], classifier: Classifying) -> tuple[list[Event], list[EventFinding]]:
    """Return the events masked, and what was found in them."""
    masked: list[Event] = []
    findings: list[EventFinding] = []
    for event, found in classifier.classify_events(events):
        masked.append(event)
        if found:
            at = parse_time(str(event["@timestamp"]))
            unit, asset = _text(event, "unit.id"), _text(event, "asset.id")
            findings.extend(EventFinding(str(event["event.id"]), at, unit, asset, finding) for finding in found)
    return masked, findings


def _text(event: Event, name: str) -> str | None:
    value = event.get(name)
    return None if value is None else str(value)


def detect(events: Sequence[Event], stages: Stages) -> list[Hit]:
    """Return the hits of masked events, in order of events."""
    hits: list[Hit] = []
    if stages.engine is not None and stages.ruleset is not None:
        match = stages.engine.match
        for event in events:
            if rules := match(event):
                if stages.indicators is not None:
                    rules = stages.indicators.narrowed(event, rules)
                found = make_hits(stages.ruleset, event, rules)
                hits.extend(found if stages.suppressor is None else stages.suppressor.annotated(event, found))
    return hits


def encode(
    events: Sequence[Event], ids: Sequence[bytes], raws: Sequence[bytes], record_key: bytes
) -> list[StoredEvent]:
    """Return events as stores take them; `raws` are the records they come from."""
    digests = [_digest(record_key, raw) for raw in raws]
    return [_encode(event, identity, digest) for event, identity, digest in zip(events, ids, digests, strict=True)]


def _digest(key: bytes, raw: bytes) -> bytes:
    """Keyed: a plain hash of a short line could be guessed."""
    return hmac.digest(key, raw, "sha256")[:DIGEST_BYTES]


def _encode(event: Event, identity: bytes, digest: bytes) -> StoredEvent:
    event["event.hash"] = digest.hex()
    try:
        body = orjson.dumps(event)
    except TypeError:
        # Lone surrogates out of JSON escapes, or integers beyond 64 bits: kept visible, never lost.
        event = {name: _storable(value) for name, value in event.items()}
        body = orjson.dumps(event)
    values = map(event.get, INDEXED_FIELDS)
    columns = tuple([value if value is None or value.__class__ is str else _column(value) for value in values])
    return StoredEvent(identity, _micros(str(event["@timestamp"])), digest, body, columns)


@lru_cache(maxsize=_STAMPS)
def _micros(stamp: str) -> int:
    """Return an `@timestamp` in microseconds since the epoch; logs repeat theirs many times a second."""
    return to_micros(datetime.fromisoformat(stamp))


def _storable(value: Value) -> Value:
    if isinstance(value, list):
        return [_storable_scalar(item) for item in value]
    return _storable_scalar(value)


def _storable_scalar(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def _column(value: Value) -> str:
    """Return a value that is no text as the text of its column."""
    return "\x1f".join(map(str, value)) if isinstance(value, list) else str(value)


def _dead_letter(
    frame: Frame, text: str, problem: str, lane: Lane, stages: Stages, *, prefix: bytes, received_at: datetime
) -> DeadLetter:
    masked = stages.classifier.mask_text(text) if stages.classifier is not None else ""
    return DeadLetter(
        id=event_id(prefix, frame.offset).hex(),
        source=lane.source,
        kind=lane.kind.name,
        generation=lane.generation,
        offset=frame.offset,
        number=frame.number,
        line=frame.line,
        place=f"{lane.source}:record {frame.number}",
        received_at=received_at,
        problem=problem,
        raw=frame.raw,
        masked=masked[:MAX_MASKED_LINE],
        path=lane.place,
        truncated=frame.truncated,
    )
