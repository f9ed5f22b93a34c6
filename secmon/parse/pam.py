"""Messages of PAM modules, which every program may write: `pam_unix(sshd:auth): authentication failure; …`.

Source: Linux-PAM's modules (pam_unix, pam_tally2, pam_faillock) and SSSD's pam_sss.
"""

import re
from collections.abc import Callable

from secmon.model.event import Event
from secmon.parse.address import source_of
from secmon.parse.programs import meaning, user

_HEAD = re.compile(r"(pam_\w+)\(([^:)]{1,64}):(\w+)\): (.*)", re.DOTALL | re.ASCII)
# Everything is asked from the left; `user` stands last and runs to the end, so that a name cannot forge the rest.
_FAILURE = re.compile(
    r"authentication failure; logname=(\S*) uid=(\d*) euid=\d* tty=(\S*) ruser=(\S*) rhost=(\S*)(?:  ?user=(.*))?",
    re.DOTALL | re.ASCII,
)
_SESSION = re.compile(
    r"session (opened|closed) for user (.+?)(?:\(uid=\d+\))?(?: by (.*?)(?:\(uid=(\d+)\))?)?", re.DOTALL | re.ASCII
)
_LOCKED = re.compile(
    r"(?:user (\S+) \(\d+\) tally \d+, deny \d+|Consecutive login failures for user (\S+) account temporarily locked)",
    re.ASCII,
)
_PASSWORD = re.compile(r"password changed for (.+)", re.DOTALL)
_UNKNOWN = re.compile(r"check pass; user unknown")
# Programs that act for one user as another: `ruser` is who asked, `user` who they wanted to be.
_ESCALATING = frozenset({"su", "su-l", "sudo", "sudo-i", "polkit-1"})

# Programs that log each attempt themselves: PAM's line about it says the same once more.
_TELL_THEMSELVES = frozenset({"sshd", "su", "su-l", "sudo", "sudo-i"})


def read(message: str) -> Event | None:
    """Return the fields that a PAM message adds, None where it is not interpreted."""
    head = _HEAD.fullmatch(message)
    if head is None:
        return None
    _, service, _, text = head.groups()
    for pattern, reading in _READINGS:
        found = pattern.fullmatch(text)
        if found is not None:
            return reading(found, service)
    return None


def failure(found: re.Match[str], service: str) -> Event:
    """Return the fields of an `authentication failure; logname=…` message."""
    logname, _, _, asker, host, wanted = found.groups()
    kind = "info" if service in _TELL_THEMSELVES else "start"
    event = meaning("authentication", kind, action="authentication failure", outcome="failure") | source_of(host)
    if service in _ESCALATING:
        actor = asker or logname
        return event | user(actor) | (user(wanted, prefix="user.effective") if wanted != actor else {})
    return event | user(wanted)


def _session(found: re.Match[str], service: str) -> Event:
    verb, name, actor, actor_id = found.groups()
    kind = "start" if verb == "opened" else "end"
    event = meaning("session", kind, action=f"session {verb}", outcome="success" if kind == "start" else "")
    if service in _ESCALATING and actor:
        return event | user(actor) | ({"user.id": actor_id} if actor_id else {}) | user(name, prefix="user.effective")
    return event | user(name)


def _locked(found: re.Match[str], service: str) -> Event:
    del service
    return meaning("authentication", "info", action="account locked", outcome="failure") | user(found[1] or found[2])


def _password(found: re.Match[str], service: str) -> Event:
    del service
    event = meaning("iam", "user", "change", action="password changed", outcome="success")
    return event | user(found[1], prefix="user.target")


def _unknown(found: re.Match[str], service: str) -> Event:
    del found, service
    return meaning("authentication", "info", action="check pass", outcome="failure") | {"event.reason": "user unknown"}


_READINGS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], Event]], ...] = (
    (_SESSION, _session),
    (_FAILURE, failure),
    (_LOCKED, _locked),
    (_PASSWORD, _password),
    (_UNKNOWN, _unknown),
)
FAILURE = _FAILURE
