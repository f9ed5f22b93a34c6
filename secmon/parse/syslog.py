"""Syslog lines to ECS events; programs that say something about security are read further.

Formats: RFC 5424; RFC 3164 (BSD syslog), from the wire with its priority or from a file without; rsyslog's file
format with RFC 3339 stamps (RSYSLOG_FileFormat). A line without any header, such as the second line of a stack
trace, is an event with `message` at the time of its receipt. Samples: test_corpora/syslog/.
"""

import re

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record, format_time
from secmon.parse import accounts, cron, pam, rfc5424, sshd, sudo, systemd
from secmon.parse.frame import frame_lines
from secmon.parse.kind import Kind
from secmon.parse.programs import MAX_INTERPRETED, Program
from secmon.parse.times import bsd_time, rfc3339_time

NAME = "syslog"

# process name → how its messages are read.
PROGRAMS: dict[str, Program] = {
    "sshd": sshd.PROGRAM,
    "sshd-session": sshd.PROGRAM,
    "sshd-auth": sshd.PROGRAM,
    "sudo": sudo.SUDO,
    "su": sudo.SU,
    "su-l": sudo.SU,
    "useradd": accounts.USERADD,
    "usermod": accounts.USERMOD,
    "userdel": accounts.USERDEL,
    "groupadd": accounts.GROUPADD,
    "groupmod": accounts.GROUPMOD,
    "groupdel": accounts.GROUPDEL,
    "gpasswd": accounts.GPASSWD,
    "passwd": accounts.PASSWD,
    "chpasswd": accounts.CHPASSWD,
    "CRON": cron.CRON,
    "cron": cron.CRON,
    "crond": cron.CRON,
    "CROND": cron.CRON,
    "crontab": cron.CRONTAB,
    "systemd": systemd.SYSTEMD,
    "systemd-logind": systemd.LOGIND,
    "rsyslogd": systemd.RSYSLOGD,
    "auditd": systemd.AUDITD,
}

_PRIORITY = re.compile(r"<(\d{1,4})>", re.ASCII)
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_BSD = r"[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d(?:\.\d{1,6})?"
# A host never ends with a colon: that is a tag without a host in front. A tag has no blank (RFC 3164, 4.1.3).
_HEADER = re.compile(
    rf"(?:({_BSD})|({_ISO})) (?:(\S*[^\s:]) )?([^\s:\[]{{1,128}})(?:\[([^\]\s]{{0,128}})\])?:(?: (.*)|$)",
    re.DOTALL | re.ASCII,
)
_NO_TAG = re.compile(rf"(?:({_BSD})|({_ISO})) (\S+)(?: (.*)|$)", re.DOTALL | re.ASCII)

# fmt: off
_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)
# fmt: on
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_PRIORITIES: tuple[Event, ...] = tuple(
    {
        "log.syslog.priority": facility * 8 + severity,
        "log.syslog.facility.code": facility,
        "log.syslog.facility.name": facility_name,
        "log.syslog.severity.code": severity,
        "log.syslog.severity.name": severity_name,
    }
    for facility, facility_name in enumerate(_FACILITIES)
    for severity, severity_name in enumerate(_SEVERITIES)
)


def parse(record: Record, context: ParseContext) -> list[Event] | Dropped:
    """Return one event a line.

    Raises:
        ParseError: a priority above 191, a date of no year, or a version 1 header that RFC 5424 does not allow.
    """
    text = record.text
    if not text.strip():
        return Dropped("blank")
    start, priority = 0, None
    if text[0] == "<" and (found := _PRIORITY.match(text)):
        priority, start = int(found[1]), found.end()
        if priority >= len(_PRIORITIES):
            raise ParseError("no such syslog priority", where=record.where)
    try:
        if text.startswith("1 ", start) and rfc5424.STARTS.match(text, start):
            event = _from_5424(text, start, context)
        else:
            event = _from_3164(text, start, context)
    except ValueError as error:
        raise ParseError(str(error), where=record.where) from error  # the text is times' or rfc5424's own
    if priority is not None:
        event |= _PRIORITIES[priority]
    return [event]


def _from_3164(text: str, start: int, context: ParseContext) -> Event:
    found = _HEADER.match(text, start)
    if found is not None:
        bsd, iso, host, tag, pid, message = found.groups()
    elif found := _NO_TAG.match(text, start):
        bsd, iso, host, message = found.groups()
        tag = pid = None
    else:
        return _event(format_time(context.now), None, None, None, text[start:])
    timestamp = bsd_time(bsd, context.zone, context.now) if bsd else rfc3339_time(iso, context.zone)
    return _event(timestamp, host, tag, pid, message or "")


def _from_5424(text: str, start: int, context: ParseContext) -> Event:
    header = rfc5424.read(text, start)
    timestamp = rfc3339_time(header.stamp, context.zone) if header.stamp else format_time(context.now)
    event = _event(timestamp, header.host, header.app, header.procid, header.message)
    event["log.syslog.version"] = "1"
    if header.host:
        event["log.syslog.hostname"] = header.host
    if header.app:
        event["log.syslog.appname"] = header.app
    if header.procid:
        event["log.syslog.procid"] = header.procid
    if header.msgid:
        event["log.syslog.msgid"] = header.msgid
    event |= header.structured_data
    return event


def _event(timestamp: str, host: str | None, tag: str | None, pid: str | None, message: str) -> Event:
    """Return the event of one message, read as its program's messages are."""
    event: Event = {
        "@timestamp": timestamp,
        "event.kind": "event",
        "event.category": ["host"],
        "event.type": ["info"],
        "event.dataset": NAME,
        "event.module": NAME,
    }
    if message:
        event["message"] = message
    if host and host != "-":
        event["host.name"] = host
    if not tag:
        return event
    event["process.name"] = tag
    if pid and pid.isascii() and pid.isdigit() and len(pid) <= 18:  # noqa: PLR2004  what an ECS long holds
        event["process.pid"] = int(pid)
    program = PROGRAMS.get(tag)
    if program is not None:
        event["event.module"] = program.module
        event["event.dataset"] = program.dataset
    event |= _interpreted(message, program)
    return event


def _interpreted(message: str, program: Program | None) -> Event:
    """Return the fields that PAM or the program add."""
    if len(message) > MAX_INTERPRETED:
        return {}
    fields = pam.read(message) if message.startswith("pam_") else None
    if fields is None and program is not None:
        fields = program.read(message)
    return fields or {}


def recognise(sample: list[str]) -> float:
    """Return the share of lines with a syslog header."""
    lines = [text for text in sample if text.strip()]
    if not lines:
        return 0.0
    return 0.9 * sum(map(_has_header, lines)) / len(lines)


def _has_header(text: str) -> bool:
    found = _PRIORITY.match(text)
    start = found.end() if found else 0
    return bool(rfc5424.STARTS.match(text, start) or _HEADER.match(text, start))


SYSLOG = Kind(name=NAME, dataset=NAME, module=NAME, frame=frame_lines, parse=parse, recognise=recognise)
