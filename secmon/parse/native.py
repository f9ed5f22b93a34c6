"""JSON lines whose fields are called as rules call them: nothing is mapped, split or merged.

For `secmon detect --source native`. Nested objects become dotted names, as in ECS documents.
"""

from datetime import UTC, tzinfo
from typing import Any

import orjson

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record, Scalar
from secmon.parse.encoding import decode
from secmon.parse.frame import frame_lines
from secmon.parse.json_text import MAX_FIELDS, flatten, is_blank, load_object
from secmon.parse.json_time import json_time
from secmon.parse.kind import Kind

# A float from here on need not be the integer it equals.
_MAX_EXACT = 2**53
_PLAIN = frozenset({str, int, type(None)})
_FLAT = _PLAIN | {bool, float}

# Name → whether a time without offset is UTC; in this order.
_TIMES = (
    ("@timestamp", False),
    ("SystemTime", True),
    ("TimeCreated", False),
    ("EventTime", False),
    ("timestamp", False),
    ("UtcTime", True),
)

TIMES = frozenset(name for name, _ in _TIMES)
"""The fields that may say when an event happened."""


def read_native(raw: bytes) -> Event | Dropped:
    """Read one line.

    Booleans and huge fractions become the texts by which Sigma compares them.

    Raises:
        ParseError: it is not a JSON object, or breaks a bound; the caller knows where.
    """
    try:
        members = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _read_unusual(raw)
    if type(members) is not dict:
        raise ParseError("not a JSON object", hint="one object a line is expected")
    return event_of(members)


def read_members(raw: bytes) -> dict[str, Any]:
    """Return the members of a line that was skimmed (`parse.skim`), of which `event_of` makes an event."""
    try:
        members: dict[str, Any] = orjson.loads(raw)
    except orjson.JSONDecodeError:  # numbers beyond the range of a float
        return load_object(Record(raw.decode(), ""))
    return members


def _read_unusual(raw: bytes) -> Event | Dropped:
    text, encoding = decode(raw)
    if is_blank(text):
        return Dropped("blank")
    return event_of(load_object(Record(text, "", encoding)))


def event_of(members: dict[str, Any]) -> Event:
    """Return the event of an object: of some of its members, what they give to it.

    Raises:
        ParseError: it breaks a bound.
    """
    kinds = set(map(type, members.values()))
    if kinds <= _FLAT and len(members) <= MAX_FIELDS:
        return members if kinds <= _PLAIN else _settled_event(members)
    return _settled_event(flatten(members, Record("", "")))


def _settled_event(event: Event) -> Event:
    """Write as texts what Python would take for an equal number."""
    for name, value in event.items():
        if type(value) not in _PLAIN:
            event[name] = [_settled(item) for item in value] if isinstance(value, list) else _settled(value)
    return event


def _settled(item: Scalar) -> Scalar:
    if isinstance(item, bool):
        return "true" if item else "false"
    return str(item) if isinstance(item, float) and abs(item) >= _MAX_EXACT else item


def native_time(event: Event, zone: tzinfo) -> str | None:
    """Return when an event happened, None if it does not say so in one of the usual fields."""
    for name, is_utc in _TIMES:
        if (time := json_time(event.get(name), UTC if is_utc else zone)) is not None:
            return time
    return None


def parse_native(record: Record, context: ParseContext) -> list[Event] | Dropped:
    """Read one record, for those who have no use for its bytes.

    Raises:
        ParseError: as for `read_native`, or it has no time.
    """
    try:
        event = read_native(record.text.encode("utf-8", "surrogatepass"))
    except ParseError as error:
        error.where = record.where
        raise
    if isinstance(event, Dropped):
        return event
    time = native_time(event, context.zone)
    if time is None:
        raise ParseError("no time of the event that can be read", where=record.where)
    return [event | {"@timestamp": time}]


def _unknown(texts: list[str]) -> float:
    del texts  # whoever wants native fields says so
    return 0.0


NATIVE = Kind(
    name="native", dataset="native", module="native", frame=frame_lines, parse=parse_native, recognise=_unknown
)
