"""Ids that do not depend on a clock or a parsed value (docs/architecture: design of the data's way, rules 3 and 8).

Event id: 16 bytes, written as 32 hex digits =
partition day (2, days since 2020-01-01; 0 where there is no store) · stream (6, of SHA-256 over source id and
generation) · byte offset of the record in the uncompressed stream (6) · number of the event in its record (2).
It sorts by arrival within a stream.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from secmon.model.event import Value

PARTITION_EPOCH = date(2020, 1, 1)
MAX_OFFSET = (1 << 48) - 1
MAX_SUB_INDEX = (1 << 16) - 1


def partition_number(day: date) -> int:
    """Return the number of a partition day: days since 2020-01-01."""
    return (day - PARTITION_EPOCH).days


def partition_day(number: int) -> date:
    """Return the day of a partition number."""
    return PARTITION_EPOCH + timedelta(days=number)


def day_of_id(event_id: str) -> date:
    """Return the partition day that an event id carries."""
    return partition_day(int(event_id[:4], 16))


def place_of_id(event_id: str) -> str:
    """Return the part of an event id that tells its place in a stream, whatever day it was received on.

    Among events of one time it decides which came first: so no correlation depends on the day of arrival.
    """
    return event_id[4:]


def stream_of_id(event_id: str) -> str:
    """Return the 12 hex digits that name the stream of an event."""
    return event_id[4:16]


def stream_name(source: str, generation: str) -> str:
    """Return the 12 hex digits that stand for a stream in the ids of its events."""
    return stream_prefix(None, source, generation)[2:].hex()


def stream_prefix(day: date | None, source: str, generation: str) -> bytes:
    """Return the first 8 bytes that all event ids of one stream and partition day share.

    Args:
        day: the partition day, None where there is no store.
        source: the source's id.
        generation: the generation's id.
    """
    number = partition_number(day) if day is not None else 0
    stream = hashlib.sha256(f"{source}\0{generation}".encode()).digest()[:6]
    return number.to_bytes(2, "big") + stream


def event_id(prefix: bytes, offset: int, sub_index: int = 0) -> bytes:
    """Return the 16 bytes of an event id.

    Raises:
        OverflowError: the offset is ≥ 2^48 or the sub-index ≥ 2^16.
    """
    return prefix + offset.to_bytes(6, "big") + sub_index.to_bytes(2, "big")


def offset_of_id(identity: bytes) -> int:
    """Return the byte offset of the record that the 16 bytes of an event id carry."""
    return int.from_bytes(identity[8:14], "big")


def generation_of_head(head: bytes) -> str:
    """Return the generation id of an imported file: 64 hex of SHA-256 over its first 64 KiB uncompressed."""
    return hashlib.sha256(head).hexdigest()


GENERATION_HEAD_BYTES = 64 * 1024


def canonical_group(group: Mapping[str, Value]) -> str:
    """Return one text for a group key: sorted `name=value` pairs, separated so that no value can forge another."""
    parts = []
    for name in sorted(group):
        value = group[name]
        texts = [str(v) for v in value] if isinstance(value, list) else [str(value)]
        parts.append("\x1f".join([name, *texts]))
    return "\x1e".join(parts)


def window_start(moment: datetime, window: timedelta) -> datetime:
    """Return `moment` floored to a multiple of `window` since the Unix epoch."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        return epoch + ((moment - epoch) // window) * window
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)  # the very first window begins before dates do


def alert_id(rule_id: str, group: Mapping[str, Value], start: datetime) -> str:
    """Return the id of an alert: 32 hex of SHA-256 over rule, group values and start of the grouping window."""
    text = f"{rule_id}\x1d{canonical_group(group)}\x1d{int(start.timestamp())}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def key_id(rule_id: str, group: Mapping[str, Value]) -> str:
    """Return the 16 hex digits that name one group key of one correlation rule."""
    return hashlib.sha256(f"{rule_id}\x1d{canonical_group(group)}".encode()).hexdigest()[:16]


def text_digest(parts: Sequence[str]) -> str:
    """Return 64 hex of SHA-256 over texts that cannot be shifted into each other."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode()
        sha.update(len(data).to_bytes(8, "big"))
        sha.update(data)
    return sha.hexdigest()
