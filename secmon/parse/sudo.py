"""Messages of sudo and su: who became whom, and to run what.

Source: sudo's lib/eventlog (new_logline), format `user : [reason ;] TTY=… ; PWD=… ; USER=… ; COMMAND=…`;
shadow-utils' and util-linux's su.
"""

import re

from secmon.model.event import Event
from secmon.parse.programs import Program, Reading, meaning, program, user

_REASON_MAX = 200
_WRONG_PASSWORD = re.compile(r"\d+ incorrect password attempts?")
_KEYS = frozenset({"HOST", "TTY", "CHROOT", "PWD", "USER", "GROUP", "TSID", "ENV"})
_COMMAND = "COMMAND="


def _read_sudo(message: str) -> Event | None:
    name, _, rest = message.strip().partition(" : ")
    reason, details = _details(rest)
    command = details.get("COMMAND")
    if not name or command is None:
        return None
    if not reason:
        event = meaning("process", "start", action="sudo_command", outcome="success")
    elif _WRONG_PASSWORD.fullmatch(reason):
        event = meaning("authentication", "start", action="sudo_command", outcome="failure")
    else:
        event = meaning("process", "info", action="sudo_command", outcome="failure")
    event |= user(name) | user(details.get("USER"), prefix="user.effective")
    event |= {"process.command_line": command, "process.executable": command.split(" ", 1)[0]}
    optional = (
        ("event.reason", reason),
        ("process.working_directory", details.get("PWD")),
        ("system.auth.sudo.tty", details.get("TTY")),
        ("user.effective.group.name", details.get("GROUP")),
    )
    return event | {field: value for field, value in optional if value}


def _details(text: str) -> tuple[str, dict[str, str]]:
    """Return the reason of a refusal, if any, and the `KEY=value` parts; the command runs to the end.

    Working folder and command are the caller's to choose. The first COMMAND= counts: one that is forged in the
    folder's name only lengthens the command that is shown, and none in the arguments can hide what ran.
    """
    reason, details, at = "", {}, 0
    while at < len(text):
        if text.startswith(_COMMAND, at):
            details["COMMAND"] = text[at + len(_COMMAND) :]
            break
        end = text.find(" ; ", at)
        part = text[at:end] if end >= 0 else text[at:]
        key, equals, value = part.partition("=")
        if equals and key in _KEYS:
            details.setdefault(key, value)
        elif at == 0:
            reason = part[:_REASON_MAX]
        at = end + 3 if end >= 0 else len(text)
    return reason, details


SUDO = Program("sudo", "sudo", _read_sudo)


def _became(outcome: str, kind: str = "start") -> Reading:
    def read(found: re.Match[str]) -> Event:
        groups = found.groupdict()
        event = meaning("authentication", kind, action="su", outcome=outcome)
        event |= user(groups["actor"]) | user(groups["target"], prefix="user.effective")
        return event | ({"system.auth.su.tty": groups["tty"]} if groups.get("tty") else {})

    return read


SU: Program = program(
    "su",
    "su",
    (
        (r"\(to (?P<target>\S+)\) (?P<actor>.+) on (?P<tty>\S+)", _became("success")),
        (r"FAILED SU \(to (?P<target>.+)\) (?P<actor>\S+) on (?P<tty>\S+)", _became("failure")),
        (r"Successful su for (?P<target>.+) by (?P<actor>\S+)", _became("success")),
        (r"FAILED su for (?P<target>.+) by (?P<actor>\S+)", _became("failure")),
        (r"'su (?P<target>\S+)' failed for (?P<actor>.+) on (?P<tty>\S+)", _became("failure")),
        # shadow-utils' su writes one of these beside each of the lines above.
        (r"\+ (?P<tty>\S+) (?P<actor>[^\s:]+):(?P<target>\S+)", _became("success", "info")),
        (r"- (?P<tty>\S+) (?P<actor>[^\s:]+):(?P<target>\S+)", _became("failure", "info")),
    ),
)
