"""Events and the records they come from.

An event is a flat dict of dotted ECS names: one string is Sigma field, column and JSON key. A field that ECS
marks as an array always holds a list; a field without a value is absent, never None. `@timestamp` is a string
in the one form of `format_time`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

Scalar = str | int | float | bool
Value = Scalar | list[Scalar] | list[str]
Event = dict[str, Value]

ECS_VERSION = "9.5.0"

LIST_SEPARATOR = "\x1f"
"""Between the values of a list in an indexed column (`batch.StoredEvent.columns`)."""

DropReason = Literal["blank", "header"]


class Frame(NamedTuple):
    """One record cut out of a stream of bytes, not decoded yet.

    `raw` is without its line end; `offset` counts bytes of the uncompressed stream; `number` and `line` count
    from 1 (`line` is 0 where the format has no lines); `truncated` tells that the record was longer than the
    limit and `raw` is only its head.
    """

    raw: bytes
    offset: int
    number: int
    line: int
    truncated: bool = False


class Record(NamedTuple):
    """One decoded record, as a parser takes it.

    Args:
        text: its text (`parse.encoding` says how bytes become text).
        where: "source:record N" or "path:record N", for error messages.
        encoding: "utf-8", "gb18030" or "escaped" (undecodable bytes stand as escapes).
    """

    text: str
    where: str
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class ParseContext:
    """What a parser may know beside the record.

    Args:
        zone: time zone of the source's clock, for stamps that carry none.
        now: when the record was received, for stamps without a year.
    """

    zone: tzinfo
    now: datetime


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that carries nothing: a blank line or a comment header. It is counted, not stored."""

    reason: DropReason


def value_texts(value: Value) -> tuple[str, ...]:
    """Return the texts that a field's value is compared by: each item of a list; U+001F separates values too."""
    items = value if isinstance(value, list) else (value,)
    return tuple(part for item in items for part in _text(item).split(LIST_SEPARATOR))


def _text(item: object) -> str:
    return item if isinstance(item, str) else str(item)


def format_time(moment: datetime) -> str:
    """Return an aware time as RFC 3339 UTC: milliseconds, or microseconds where they say more."""
    utc = moment.astimezone(UTC)
    # isoformat and cutting off "+00:00" is twice as fast as strftime, and fills years up to four digits.
    return utc.isoformat(timespec="microseconds" if utc.microsecond % 1000 else "milliseconds")[:-6] + "Z"


def parse_time(text: str) -> datetime:
    """Return the aware UTC time of an RFC 3339 string.

    Raises:
        ValueError: it is not one, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset from UTC")
    return moment.astimezone(UTC)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(moment: datetime) -> int:
    """Return whole microseconds since 1970-01-01T00:00:00Z, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(micros: int) -> datetime:
    """Return the aware UTC time of whole microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=micros)
