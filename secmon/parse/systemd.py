"""Services that start and stop, and logins that systemd keeps: a stopped auditd or rsyslog is a gap in the evidence.

Source: job messages of systemd (src/core/job.c: before v247 the description only, later `unit - description`),
src/login/logind-session.c, rsyslogd's own start and exit lines, auditd.c.
"""

import re

from secmon.model.event import Event
from secmon.parse.programs import Program, Reading, meaning, program, user

# Descriptions of units that write logs, where systemd does not name the unit.
_UNITS = {
    "Security Auditing Service": "auditd",
    "System Logging Service": "rsyslog",
    "Journal Service": "systemd-journald",
    "OpenBSD Secure Shell server": "sshd",
    "OpenSSH server daemon": "sshd",
}
_VERBS = "Started|Starting|Stopped|Stopping|Failed to start|Failed to stop"
_DONE = {"Started": "start", "Stopped": "end"}


def _job(found: re.Match[str]) -> Event:
    verb, unit, description = found.groups()
    outcome = "success" if verb in _DONE else "failure" if verb.startswith("Failed") else ""
    event = meaning("process", _DONE.get(verb, "info"), action=verb, outcome=outcome)
    return event | {"service.name": unit or _UNITS.get(description, description)}


def _deactivated(found: re.Match[str]) -> Event:
    unit, text = found.groups()
    outcome = "success" if text.startswith("Deactivated") or text == "Succeeded." else "failure"
    return meaning("process", "end", action=text.split(" ", 1)[0].rstrip("."), outcome=outcome) | {"service.name": unit}


SYSTEMD: Program = program(
    "systemd",
    "syslog",
    (
        (
            rf"({_VERBS}) (?!target |Session )(?:(\S+)\.service(?: - (?=.)|\.?$))?(.*?)\.{{0,3}}",
            _job,
        ),
        (r"(\S+)\.service: (Deactivated successfully\.|Succeeded\.|Failed with result .*)", _deactivated),
    ),
)


def _session(kind: str, action: str) -> Reading:
    return lambda found: meaning("session", kind, action=action) | user(found.groupdict().get("name"))


LOGIND: Program = program(
    "systemd-logind",
    "syslog",
    (
        (r"New session \S+ of user '?(?P<name>[^\s']+?)'?(?: with class .*)?\.", _session("start", "New session")),
        (r"Removed session \S+\.", _session("end", "Removed session")),
        (r"Session \S+ logged out\..*", _session("end", "logged out")),
    ),
)


def _own(service: str, kind: str, action: str) -> Reading:
    return lambda _: meaning("process", kind, action=action) | {"service.name": service}


RSYSLOGD: Program = program(
    "rsyslogd",
    "syslog",
    (
        (r"(?:\[origin .*\] )?exiting on signal \d+\.", _own("rsyslog", "end", "exiting")),
        (r"(?:\[origin .*\] )?start", _own("rsyslog", "start", "start")),
    ),
)
AUDITD: Program = program(
    "auditd",
    "syslog",
    (
        (r"The audit daemon is exiting\.?", _own("auditd", "end", "exiting")),
        (r"Init complete, .*", _own("auditd", "start", "Init complete")),
    ),
)
