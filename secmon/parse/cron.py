"""Messages of cron and crontab: `(user) CMD (command)`. Source: log_it() in misc.c of Vixie cron and cronie."""

import re

from secmon.model.event import Event
from secmon.parse.programs import Program, meaning, program, user


def _run(found: re.Match[str]) -> Event:
    event = meaning("process", "start", action="CMD") | user(found[1])
    return event | {"process.command_line": found[2]}


def _edit(found: re.Match[str]) -> Event:
    kind = "access" if found[2] == "LIST" else "change"
    event = meaning("configuration", kind, action=found[2]) | user(found[1])
    return event | (user(found[3], prefix="user.target") if found[3] != found[1] else {})


_EDIT = (r"\(([^()]*)\) (LIST|BEGIN EDIT|END EDIT|REPLACE|DELETE|RELOAD) \((.*)\)", _edit)
CRON: Program = program("cron", "syslog", ((r"\(([^()]*)\) CMD \((.*)\)", _run), _EDIT))
CRONTAB: Program = program("crontab", "syslog", (_EDIT,))
