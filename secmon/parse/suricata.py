"""Suricata: EVE JSON, one event a line, all event types.

Format: Suricata user guide, "EVE JSON Output" (fields of 5.0 to 8.0). What has an ECS name goes there
(suricata_fields), the rest stays flat under `suricata.eve.<path>`. Counters of `stats` events, a thousand and more,
are kept as one JSON text under `suricata.eve.stats`. Samples: test_corpora/suricata.eve/.
"""

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record, Value
from secmon.parse.address import url_of
from secmon.parse.frame import frame_lines
from secmon.parse.json_text import compact, flatten, is_blank, load_object
from secmon.parse.json_time import json_time
from secmon.parse.kind import Kind
from secmon.parse.suricata_fields import FIELDS, PROTOCOL, TYPES
from secmon.parse.url_text import add_meaning

EVE = "suricata.eve."
_VERDICTS = {"allowed": "allowed", "pass": "allowed", "blocked": "denied", "drop": "denied", "reject": "denied"}
_VERDICT_FIELDS = (EVE + "alert.action", EVE + "verdict.action")
_TARGET, _FILE = EVE + "http.url", EVE + "fileinfo.filename"
# Events whose destination is always the server; a fileinfo or an alert may go the other way.
_TO_SERVER = frozenset(("http", "http2", "tls", "quic"))
# Two fields of a flow that together are a third.
_SUMS = (
    ("network.bytes", "source.bytes", "destination.bytes"),
    ("network.packets", "source.packets", "destination.packets"),
)


def parse_eve(record: Record, context: ParseContext) -> list[Event] | Dropped:
    """Read one EVE event.

    Raises:
        ParseError: it is not a JSON object, lacks `event_type` or a readable `timestamp`, or breaks a bound.
    """
    if is_blank(record.text):
        return Dropped("blank")
    members = load_object(record)
    event_type = members.get("event_type")
    time = json_time(members.get("timestamp"), context.zone)
    if not isinstance(event_type, str) or not event_type:
        raise ParseError("not an EVE event", where=record.where, hint="event_type is expected")
    if time is None:
        raise ParseError("no timestamp that can be read", where=record.where)
    if event_type == "stats" and "stats" in members:
        members["stats"] = compact(members["stats"])
    kind, category, types = TYPES.get(event_type, PROTOCOL)
    event: Event = {
        "@timestamp": time,
        "event.kind": kind,
        "event.category": list(category),
        "event.type": list(types),
        "event.action": event_type,
        "event.dataset": SURICATA.dataset,
        "event.module": SURICATA.module,
    }
    del members["timestamp"]
    for name, value in flatten(members, record).items():
        _place(event, name, value)
    _complete(event)
    return [event]


def _place(event: Event, name: str, value: Value) -> None:
    known = FIELDS.get(name)
    if known is not None:
        field, convert = known
        converted = convert(value)
        if converted is not None:
            present = event.get(field)
            if isinstance(present, list) and isinstance(converted, list):
                present.extend(converted)  # type: ignore[arg-type]  # both come from the same converter
            elif present is None:
                event[field] = converted
            else:
                event[EVE + name] = value
            return
    event[EVE + name] = value


def _complete(event: Event) -> None:
    """Add what follows from several fields, or gives more than one."""
    for total, there, back in _SUMS:
        parts = event.get(there), event.get(back)
        if total not in event and isinstance(parts[0], int) and isinstance(parts[1], int):
            event[total] = parts[0] + parts[1]
    target = event.get(_TARGET)
    if isinstance(target, str):
        del event[_TARGET]
        event |= {name: value for name, value in url_of(target).items() if name not in event}
        add_meaning(event)
    path = event.get(_FILE)
    if isinstance(path, str):
        del event[_FILE]
        event["file.path"] = path
        event["file.name"] = path.rpartition("/")[2]
    if "tls.version" in event:
        event["tls.version_protocol"] = "tls"
    domain = event.get("url.domain", event.get("tls.client.server_name"))
    if domain is not None and event["event.action"] in _TO_SERVER:
        event["destination.domain"] = domain
    _judge(event)


def _judge(event: Event) -> None:
    """Add what Suricata did with the packet: it let it pass, or it did not."""
    types = event["event.type"]
    for place in _VERDICT_FIELDS:
        verdict = event.get(place)
        known = _VERDICTS.get(verdict) if isinstance(verdict, str) else None
        if known is not None and isinstance(types, list) and known not in types:
            types.append(known)


_SIGNS = ('"event_type"', '"flow_id"', '"src_ip"', '"dest_ip"', '"proto"', '"stats"')


def recognise(texts: list[str]) -> float:
    """Tell how sure it is that these records are EVE events: the share that shows the marks of one."""
    if not texts:
        return 0.0
    marked = sum(
        1
        for text in texts
        if text.lstrip().startswith("{") and _SIGNS[0] in text and any(sign in text for sign in _SIGNS[1:])
    )
    return marked / len(texts)


SURICATA = Kind(
    name="suricata.eve",
    dataset="suricata.eve",
    module="suricata",
    frame=frame_lines,
    parse=parse_eve,
    recognise=recognise,
)
