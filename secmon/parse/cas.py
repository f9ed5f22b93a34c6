"""Audit trail of Apereo CAS (single sign-on) to ECS events, in both of its text layouts.

Source: Inspektr's Slf4jLoggingAuditTrailManager. Block layout: `Audit trail record BEGIN`, a rule of "=", lines
`WHO: …`, `WHAT: …`, `ACTION: …` and so on, a rule. One-line layout (useSingleLine):
`WHEN|APPLICATION|WHAT|ACTION|WHO|CLIENT|SERVER`. Before both stands what the logger's pattern adds, by default the
time in milliseconds. Java's zone name CST means +08:00 here. Samples: test_corpora/cas.audit/.
"""

import re
from datetime import datetime

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record, format_time, parse_time
from secmon.parse.address import is_ip, source_of, url_of
from secmon.parse.frame import block_framer
from secmon.parse.kind import Kind
from secmon.parse.times import java_date, rfc3339_time

NAME = "cas.audit"
MODULE = "cas"

_ISO = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d"
_JAVA = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z][A-Z0-9:+-]* \d{4}"
_STARTS = re.compile(rf"{_ISO}|{_JAVA}\||<?Audit trail record BEGIN".encode(), re.ASCII)
_PREFIX = re.compile(rf"({_ISO}(?:[.,]\d{{1,9}})?(?:Z|[+-]\d\d:?\d\d)?) (?:[^\n|]*? - )?<?", re.ASCII)
_BEGIN = "Audit trail record BEGIN"
_FIELD = re.compile(r"^([A-Z][A-Z_ -]{1,40}): ?(.*)$", re.MULTILINE)
_ONE_LINE = re.compile(rf"(?:{_JAVA}|{_ISO}[^|\n]*)\|", re.ASCII)
_ACTION = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)
_SERVICE = re.compile(r"(?:ST|PT)-\S+ for (\S.*)", re.DOTALL)
_GRANTED = re.compile(r"\bService Access (Granted|Denied)\b", re.IGNORECASE)
_NOBODY = frozenset({"", "-", "audit:unknown", "[unknown]", "unknown"})
# Fields that stand before what a client can write. A user name with a line break in it could add lines behind
# them; so of these the first counts, of those that follow the name the last.
_BEFORE_NAME = frozenset({"WHO", "WHEN"})
_MISSING = "audit record without an action"


def parse(record: Record, context: ParseContext) -> list[Event] | Dropped:
    """Return one event a record; what the log holds beside the audit trail is an event with `message`.

    Raises:
        ParseError: an audit record without an action or time, or whose fields cannot be told apart.
    """
    text = record.text.rstrip("\r\n >")
    if not text.strip():
        return Dropped("blank")
    prefix = _PREFIX.match(text)
    stamp, body = (prefix[1], text[prefix.end() :]) if prefix else ("", text.removeprefix("<"))
    try:
        if body.startswith(_BEGIN):
            return [_audited(_block(body), stamp, context)]
        if _ONE_LINE.match(body):
            return [_audited(_one_line(body), stamp, context)]
        timestamp = rfc3339_time(stamp, context.zone) if stamp else format_time(context.now)
    except ValueError as error:
        raise ParseError(str(error), where=record.where) from error  # the text is this module's or times' own
    event = _event(timestamp) | {"event.category": ["web"], "message": body}
    return [event]


def _block(body: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for found in _FIELD.finditer(body):
        name = found[1].replace("_", " ")
        if name not in fields or name not in _BEFORE_NAME:
            fields[name] = found[2].rstrip("\r")
    return fields


def _one_line(body: str) -> dict[str, str]:
    """Split at the bars.

    WHAT and WHO are a client's to choose and may hold bars: then the action is looked for, and a record with two of
    them is refused rather than believed.
    """
    parts = body.split("|")
    actions = [at for at in range(3, len(parts) - 3) if _ACTION.fullmatch(parts[at])]
    if not actions:
        raise ValueError(_MISSING)
    if len(actions) > 1:
        raise ValueError("audit record whose fields cannot be told apart")
    at = actions[0]
    return {
        "WHEN": parts[0],
        "APPLICATION": parts[1],
        "WHAT": "|".join(parts[2:at]),
        "ACTION": parts[at],
        "WHO": parts[at + 1],
        "CLIENT IP ADDRESS": parts[at + 2],
        "SERVER IP ADDRESS": parts[at + 3],
    }


def _event(timestamp: str) -> Event:
    return {
        "@timestamp": timestamp,
        "event.kind": "event",
        "event.type": ["info"],
        "event.dataset": NAME,
        "event.module": MODULE,
    }


def _audited(fields: dict[str, str], stamp: str, context: ParseContext) -> Event:
    action, what = fields.get("ACTION", "").strip(), fields.get("WHAT", "")
    if not _ACTION.fullmatch(action):
        raise ValueError(_MISSING)
    event = _event(_time(fields.get("WHEN", ""), stamp, context))
    event["event.action"] = action
    event |= _meaning(action, what)
    name = fields.get("WHO", "").strip()
    if name not in _NOBODY:
        event["user.name"] = name
    event |= source_of((fields.get("CLIENT IP ADDRESS") or fields.get("CLIENT IP") or "").strip())
    server = (fields.get("SERVER IP ADDRESS") or fields.get("SERVER IP") or "").strip()
    if server:
        event["server.address"] = server
        if is_ip(server):
            event["server.ip"] = server
    if application := fields.get("APPLICATION", "").strip():
        event["service.name"] = application
    if agent := fields.get("USER AGENT", "").strip():
        event["user_agent.original"] = agent
    if service := _SERVICE.fullmatch(what):
        event |= url_of(service[1])
    if what:
        event["message"] = what
    return event


def _meaning(action: str, what: str) -> Event:
    """Return category and outcome: the outcome only where the record tells it."""
    fields: Event = {}
    if action.startswith("AUTHENTICATION_"):
        fields["event.category"] = ["authentication"]
    if action.endswith("_SUCCESS"):
        fields["event.outcome"] = "success"
    elif action.endswith(("_FAILED", "_NOT_CREATED", "_NOT_VALIDATED")):
        fields["event.outcome"] = "failure"
    elif access := _GRANTED.search(what):
        fields["event.outcome"] = "success" if access[1].lower() == "granted" else "failure"
    if "event.category" in fields and "event.outcome" in fields:
        fields["event.type"] = ["start"]
    return fields


def _time(when: str, stamp: str, context: ParseContext) -> str:
    """Return the time of the record: WHEN, to the millisecond of the logger's stamp where that is the same second.

    WHEN of the older layout names its zone but has whole seconds; the stamp has milliseconds but no zone.
    """
    when = when.strip().partition("[")[0]
    if not when:
        if not stamp:
            raise ValueError("audit record without a time")
        return rfc3339_time(stamp, context.zone)
    if when[0].isdigit():
        return rfc3339_time(when, context.zone)
    moment = java_date(when, context.zone)
    if stamp:
        logged = parse_time(rfc3339_time(stamp, moment.tzinfo or context.zone))
        if _second(logged) == _second(moment):
            return format_time(logged)
    return format_time(moment)


def _second(moment: datetime) -> int:
    return int(moment.timestamp())


def recognise(sample: list[str]) -> float:
    """Return the share of records that are audit records in either layout."""
    texts = [text for text in sample if text.strip()]
    if not texts:
        return 0.0
    return sum(map(_is_audit, texts)) / len(texts)


def _is_audit(text: str) -> bool:
    prefix = _PREFIX.match(text)
    body = text[prefix.end() :] if prefix else text.removeprefix("<")
    return body.startswith(_BEGIN) or (_ONE_LINE.match(body) is not None and body.count("|") > 5)  # noqa: PLR2004


CAS = Kind(
    name=NAME,
    dataset=NAME,
    module=MODULE,
    frame=block_framer(_STARTS),
    parse=parse,
    recognise=recognise,
)
