"""Windows events as JSON, one object a line: winlogbeat, flat (nxlog, OTRF) and nested (evtx_dump).

Formats: [MS-EVEN6] 2.2.13 (the event's XML), winlogbeat's exported fields, nxlog's im_msvistalog fields. Samples:
test_corpora/windows.json/. How the shapes are read: windows_shapes; what events mean: windows_fields.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.frame import frame_lines
from secmon.parse.json_text import is_blank, load_exact, load_object
from secmon.parse.json_time import json_time
from secmon.parse.kind import Kind
from secmon.parse.windows_fields import describe
from secmon.parse.windows_shapes import attribute_of, check_bounds, read_flat, read_nested, read_winlogbeat

# What evtx_dump and our own framer write first.
_NESTED_START = '{"Event":'


def parse_windows_json(record: Record, context: ParseContext) -> list[Event] | Dropped:
    """Read one Windows event.

    Raises:
        ParseError: it is not JSON, not a Windows event, has no time, or breaks a bound.
    """
    text = record.text
    if is_blank(text):
        return Dropped("blank")
    if text.startswith(_NESTED_START):
        return [parse_nested(load_exact(record), record)]
    members = load_object(record)
    if "EventID" in members:
        event, exact = read_flat(members)
        if not exact:
            members = load_exact(record)
            event, _ = read_flat(members)
        time = _flat_time(members, context)
    elif "Event" in members or "System" in members:
        return [parse_nested(load_exact(record), record)]
    elif "winlog" in members or any(name.startswith("winlog.") for name in members):
        event = read_winlogbeat(members, record)
        time = json_time(event.pop("@timestamp", None), context.zone)
    else:
        raise ParseError("not a Windows event", where=record.where, hint="EventID, Event or winlog is expected")
    return [_finished(event, time, record)]


def parse_nested(members: dict[str, Any], record: Record) -> Event:
    """Read one event of the nested shape.

    Raises:
        ParseError: it has no System or no time, or breaks a bound.
    """
    inner = members.get("Event", members)
    system = inner.get("System") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(system, dict):
        raise ParseError("not a Windows event", where=record.where, hint="Event and System are expected")
    time = json_time(attribute_of(system, "TimeCreated", "SystemTime"), UTC)
    return _finished(read_nested(inner), time, record)


def _finished(event: Event, time: str | None, record: Record) -> Event:
    check_bounds(event, record)
    if time is None:
        raise ParseError("no time of the event that can be read", where=record.where)
    if "event.code" not in event:
        raise ParseError("no event id", where=record.where)
    event["@timestamp"] = time
    describe(event)
    return event


# Windows writes SystemTime in UTC, with or without saying so; shippers write local time. In this order: the log's
# own time, the shipper's copies of it, its time of arrival, and what Sysmon says.
_TIME_NAMES = ("TimeCreated", "EventTime", "@timestamp")


def _flat_time(members: Mapping[str, Any], context: ParseContext) -> str | None:
    time = json_time(members.get("SystemTime"), UTC)
    if time is not None:
        return time
    for name in _TIME_NAMES:
        time = json_time(members.get(name), context.zone)
        if time is not None:
            return time
    return json_time(members.get("UtcTime"), UTC)


_SHAPES = re.compile(r'"EventID"|"event_id"|"winlog\.|"winlog"')
_SIGNS = re.compile(r'"Channel"|"Provider|"SourceName"|"EventData"|"System"|provider_name"|channel"|computer_name"')


def recognise(texts: list[str]) -> float:
    """Tell how sure it is that these records are Windows events: the share that shows the marks of one."""
    if not texts:
        return 0.0
    marked = sum(1 for text in texts if text.lstrip().startswith("{") and _SHAPES.search(text) and _SIGNS.search(text))
    return marked / len(texts)


WINDOWS_JSON = Kind(
    name="windows.json",
    dataset="windows.other",
    module="windows",
    frame=frame_lines,
    parse=parse_windows_json,
    recognise=recognise,
)
