"""Events that are ECS already: NDJSON by beats, agents and other monitors, nested or dotted.

Format: Elastic Common Schema, one JSON object a line. What happens to a sender's fields:

- Nested objects become dotted names, fields that ECS marks as array become lists (a list of one value of any other
  field becomes that value), null and empty are left out. Numbers and booleans keep their type.
- `@timestamp` is required: RFC 3339, or milliseconds since 1970; without an offset it is in the source's zone.
- Fields that are ours are moved to `secmon.sent.<name>` (ecs_reserved).
- Categorisation is checked: unknown values of `event.kind` and `event.outcome` are moved to `secmon.sent.<name>`,
  since rules and reports decide by them.
- Beyond the bounds of json_text.flatten the record is malformed; values deeper than 32 levels are kept as JSON text.
"""

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record, Value
from secmon.parse.ecs_arrays import is_array
from secmon.parse.ecs_reserved import SENT, set_aside
from secmon.parse.frame import frame_lines
from secmon.parse.json_text import flatten, is_blank, load_object, text_of
from secmon.parse.json_time import json_time
from secmon.parse.kind import Kind
from secmon.parse.url_text import add_meaning

# ECS 9.5, allowed values; fields that decide must hold one of them.
_ALLOWED = {
    "event.kind": frozenset(("alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal")),
    "event.outcome": frozenset(("failure", "success", "unknown")),
}
# Always text: the product routes, groups and joins by them.
_TEXTS = ("event.dataset", "event.module", "event.action", "event.code")


def parse_ecs(record: Record, context: ParseContext) -> list[Event] | Dropped:
    """Read one ECS document.

    Raises:
        ParseError: it is not a JSON object, has no time that can be read, or breaks a bound.
    """
    if is_blank(record.text):
        return Dropped("blank")
    event = set_aside(flatten(load_object(record), record))
    time = json_time(event.get("@timestamp"), context.zone)
    if time is None:
        raise ParseError("no @timestamp that can be read", where=record.where, hint="RFC 3339 is expected")
    shape(event)
    add_meaning(event)
    event["@timestamp"] = time
    _categorise(event)
    return [event]


def shape(event: Event) -> None:
    """Give every field the shape that ECS gives it: a list, or one value."""
    for name, value in event.items():
        if isinstance(value, list):
            if len(value) == 1 and not is_array(name):
                event[name] = value[0]
        elif is_array(name):
            event[name] = [value]


def _categorise(event: Event) -> None:
    for name, allowed in _ALLOWED.items():
        value = event.get(name)
        if value is not None and (not isinstance(value, str) or value not in allowed):
            event[SENT + name] = value
            del event[name]
    for name in _TEXTS:
        value = event.get(name)
        if value is not None and not isinstance(value, str):
            event[name] = text_of(_first(value))
    event.setdefault("event.kind", "event")
    event.setdefault("event.category", ["host"])
    event.setdefault("event.type", ["info"])
    event.setdefault("event.dataset", ECS.dataset)
    event.setdefault("event.module", ECS.module)


def _first(value: Value) -> object:
    return value[0] if isinstance(value, list) else value


# What stands in ECS documents and hardly in other JSON with an "@timestamp".
_SIGNS = ('"ecs', '"event.', '"event":', '"host.', '"source.', '"data_stream')
# Below the kinds that know their own JSON better.
_SURE, _LIKELY = 0.9, 0.6


def recognise(texts: list[str]) -> float:
    """Tell how sure it is that these records are ECS documents."""
    return sum(map(_marks, texts)) / len(texts) if texts else 0.0


def _marks(text: str) -> float:
    if '"@timestamp"' not in text or not text.lstrip().startswith("{"):
        return 0.0
    return _SURE if any(sign in text for sign in _SIGNS) else _LIKELY


ECS = Kind(name="ecs", dataset="ecs", module="ecs", frame=frame_lines, parse=parse_ecs, recognise=recognise)
