"""Windows events as records, in the shapes in which they travel."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.windows_json import parse_windows_json

SHANGHAI = timezone(timedelta(hours=8))
CONTEXT = ParseContext(SHANGHAI, datetime(2026, 9, 8, tzinfo=UTC))
TIME = "2026-09-07T00:01:09.424Z"
NESTED = f'{{"Event":{{"System":{{"EventID":1,"TimeCreated":{{"SystemTime":"{TIME}"}}}},'


def parse(text: str) -> Event:
    result = parse_windows_json(Record(text, "log:record 1"), CONTEXT)
    assert not isinstance(result, Dropped)
    (event,) = result
    return event


def flat(**fields: Any) -> Event:
    members = {"EventID": 4624, "Channel": "Security", "SystemTime": TIME, **fields}
    return parse(json.dumps(members, ensure_ascii=False))


def nested(data: Any, *, part: str = "EventData", code: Any = 4624, system: dict[str, Any] | None = None) -> Event:
    about = {"EventID": code, "TimeCreated": {"#attributes": {"SystemTime": TIME}}, "Channel": "Security"}
    return parse(json.dumps({"Event": {"System": about | (system or {}), part: data}}))


def sysmon(code: int, **data: Any) -> Event:
    return flat(EventID=code, Channel="Microsoft-Windows-Sysmon/Operational", **data)
