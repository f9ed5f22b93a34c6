"""What every store makes of values alike: times, texts, JSON, and findings."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson

from secmon.errors import StoreError
from secmon.model.event import from_micros, to_micros
from secmon.model.hit import Finding, Minor

_MARK_BYTES: Final = 12
_FIRST_MICROS: Final = to_micros(datetime.min.replace(tzinfo=UTC))
_LAST_MICROS: Final = to_micros(datetime.max.replace(tzinfo=UTC))


def to_datetime(micros: int) -> datetime:
    """Return the aware time of whole microseconds since 1970; what no calendar holds becomes its edge."""
    return from_micros(min(max(micros, _FIRST_MICROS), _LAST_MICROS))


def to_moment(micros: int | None) -> datetime | None:
    """Return `to_datetime`, None for None."""
    return None if micros is None else to_datetime(micros)


def calendar_day(number: int) -> date:
    """Return the day that lies `number` days behind 1970-01-01."""
    return date(1970, 1, 1) + timedelta(days=number)


def is_storable(text: str) -> bool:
    """Tell whether a text can stand in a store: a lone surrogate cannot, a question with one finds nothing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def to_json(value: object) -> bytes:
    """Return a value as JSON with sorted keys.

    Raises:
        StoreError: it cannot be written as JSON.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # lone surrogates, integers beyond 64 bits: the pipeline escapes them before
        raise StoreError("a value cannot be written as JSON", hint="please report this") from error


def mark_of(content: bytes) -> bytes:
    """Return 12 bytes that tell one content from others of the same event."""
    return hashlib.blake2b(content, digest_size=_MARK_BYTES).digest()


def finding_detail(finding: Finding) -> dict[str, Any]:
    """Return what of a finding no query asks for."""
    return {
        "level": finding.level, "candidate": finding.candidate, "minor": finding.minor, "path": finding.path,
        "span": finding.span, "confidence": finding.confidence, "masked": finding.masked, "digest": finding.digest,
        "trace": finding.trace,
    }  # fmt: skip


def finding_mark(data_class: str, detail: bytes) -> bytes:
    """Return what tells a finding from the others of its event; `detail` is `finding_detail` as JSON."""
    return mark_of(data_class.encode() + b"\0" + detail)


def finding_from(data_class: str, detail: Mapping[str, Any]) -> Finding:
    """Return the finding whose detail was kept as JSON."""
    span = detail["span"]
    return Finding(
        data_class=data_class,
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
