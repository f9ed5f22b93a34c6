"""Messages of OpenSSH's server.

Source: auth.c (auth_log, auth_maxtries_exceeded), packet.c (sshpkt_vfatal, ssh_packet_read_poll2), session.c and
kex.c of OpenSSH 6 to 10; since 9.8 the process is named "sshd-session". One decision about one attempt is one event
with action `ssh_login`; what surrounds it (invalid user, closed connections) has actions of its own, so that
counting failures counts each attempt once.
"""

import re

from secmon.model.event import Event
from secmon.parse import pam
from secmon.parse.programs import Program, Reading, meaning, program, source, user

# A user name is what a client sent: it may hold blanks and even " from 10.0.0.1 port 22". Names are therefore
# greedy, and what follows is anchored to the end of the message.
_ADDRESS = r"([0-9A-Za-z.:_%-]+)"
_FROM = rf"{_ADDRESS} port (\d{{1,5}})"
_PREAUTH = r"(?: \[preauth\])?"


def _login(found: re.Match[str]) -> Event:
    verdict, method, invalid, name, address, port, key = found.groups()
    outcome = "success" if verdict == "Accepted" else "failure"
    event = meaning("authentication", "start", action="ssh_login", outcome=outcome)
    event |= user(name) | source(address, port) | {"system.auth.ssh.method": method}
    if invalid:
        event["event.reason"] = "invalid user"
    if key:
        event["system.auth.ssh.signature"] = key
    return event


def _invalid_user(found: re.Match[str]) -> Event:
    event = meaning("authentication", "info", action="ssh_invalid_user", outcome="failure")
    return event | user(found[1]) | source(found[2], found[3]) | {"event.reason": "invalid user"}


def _before_login(found: re.Match[str]) -> Event:
    """Read how a connection ended before its user had proved anything."""
    invalid, name, address, port, reason = found.groups()
    event = meaning("authentication", "end", action="ssh_closed_before_login", outcome="failure")
    event |= user(name) | source(address, port)
    if reason or invalid == "invalid":
        event["event.reason"] = reason or "invalid user"
    return event


def _too_many(found: re.Match[str]) -> Event:
    event = meaning("authentication", "info", action="ssh_max_attempts", outcome="failure")
    event |= user(found[1]) | source(found[2], found[3])
    return event | {"event.reason": "maximum authentication attempts exceeded"}


def _not_allowed(found: re.Match[str]) -> Event:
    event = meaning("authentication", "info", action="ssh_user_not_allowed", outcome="failure")
    return event | user(found[1]) | source(found[2], None) | {"event.reason": found[3]}


def _pam_failure(found: re.Match[str]) -> Event:
    event = meaning("authentication", "info", action="ssh_pam_failure", outcome="failure")
    return event | user(found[2]) | source(found[3], None) | {"event.reason": found[1]}


def _more_failures(found: re.Match[str]) -> Event | None:
    failure = pam.FAILURE.fullmatch("authentication failure" + found[2])
    if failure is None:
        return None
    return pam.failure(failure, "sshd") | {"event.action": "ssh_more_failures", "event.type": ["info"]}


def _logged_out(found: re.Match[str]) -> Event:
    return meaning("session", "end", action="ssh_disconnected") | user(found[1]) | source(found[2], found[3])


def _session(found: re.Match[str]) -> Event:
    verb, name, address, port = found.groups()
    event = meaning("session", "start" if verb == "Starting" else "end", action=f"{verb} session")
    return event | user(name) | source(address, port)


def _network(action: str, *types: str) -> Reading:
    def read(found: re.Match[str]) -> Event:
        groups = found.groupdict()
        event = meaning("network", *types, action=action) | source(groups["address"], groups.get("port"))
        reason = _PREPOSITION.sub("", groups.get("reason") or "")
        return event | ({"event.reason": reason} if reason else {})

    return read


def _process(action: str, kind: str) -> Reading:
    return lambda _: meaning("process", kind, action=action) | {"service.name": "sshd"}


_NAMED = rf"(?P<address>{_ADDRESS[1:-1]})(?: port (?P<port>\d{{1,5}}))?"
_PREPOSITION = re.compile(r"(?:: Connection)? (?:from|for|with)$")
_ENDED = r"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting)"
_EXCEEDED = "error: maximum authentication attempts exceeded"
_NO_LOGIN = (
    r"Did not receive identification string from|Bad protocol version identification '.*' from"
    r"|Unable to negotiate with|(?:fatal: )?Timeout before authentication for"
    r"|(?:banner exchange|kex_exchange_identification): Connection from"
)
_MAPPING = r".*?\[?(?P<address>[0-9a-fA-F.:]{2,45})\]? (?:failed|maps).*"
_TABLE: tuple[tuple[str, Reading], ...] = (
    (rf"(Accepted|Failed) (\S+) for (invalid user )?(.*) from {_FROM}(?: ssh\d?)?(?:: (.*))?", _login),
    (rf"Invalid user (.*) from {_ADDRESS}(?: port (\d{{1,5}}))?", _invalid_user),
    (rf"{_ENDED} (authenticating|invalid) user (.*) {_FROM}(?:: ([^:]*?))?{_PREAUTH}", _before_login),
    (rf"(?:Connection (?:closed|reset) by|Disconnected from) {_NAMED}{_PREAUTH}", _network("ssh_closed", "end")),
    (rf"Received disconnect from {_NAMED}:\d+:(?: (?P<reason>.*?))?{_PREAUTH}", _network("ssh_disconnect", "end")),
    (rf"Disconnected from user (.*) {_FROM}", _logged_out),
    (rf"{_EXCEEDED} for (?:invalid user )?(.*) from {_FROM}(?: ssh\d?)?{_PREAUTH}", _too_many),
    (r"User (.*) from (\S+) not allowed because (.+)", _not_allowed),
    (r"error: PAM: (.{1,80}?) for (?:illegal user )?(.*) from (\S+)", _pam_failure),
    (r"PAM (\d+) more authentication failures?(;.*)", _more_failures),
    (rf"Connection from {_NAMED}(?: on .*)?", _network("ssh_connection", "connection", "start")),
    (rf"(?:error: )?(?P<reason>{_NO_LOGIN}) {_NAMED}(?:[: ].*)?", _network("ssh_no_login", "connection", "end")),
    (r"(?:reverse mapping checking getaddrinfo for|Address) " + _MAPPING, _network("ssh_reverse_mapping", "info")),
    (rf"(Starting) session: .{{1,80}}? for (.*) from {_FROM} id \d+", _session),
    (rf"(Close) session: user (.*) from {_FROM} id \d+", _session),
    (r"Server listening on .*", _process("started", "start")),
    (r"Received signal \d+; terminating\.?", _process("stopped", "end")),
)

PROGRAM: Program = program("sshd", "sshd", _TABLE)
