"""How values of Windows events become ECS values: one small writer a kind of value.

A writer takes the event under construction and a text that is neither empty nor "-", and sets the ECS fields that
the text tells; it sets none where the text is not what its name promises (the verbatim field keeps it anyway).
"""

from collections.abc import Callable
from functools import lru_cache

from secmon.model.event import Event
from secmon.parse.address import MAX_PORT, canonical_ip

Write = Callable[[Event, str], None]

# Longest text worth keeping in a cache: an address with a zone, the four hashes of Sysmon.
_MAX_CACHED = 300
_MAX_PID = 2**32


def text(field: str) -> Write:
    """Copy the text."""

    def write(event: Event, value: str) -> None:
        event[field] = value

    return write


_NULL_SID = "S-1-0-0"


def sid(field: str) -> Write:
    """Security identifier; the null SID says that there is none."""

    def write(event: Event, value: str) -> None:
        if value != _NULL_SID:
            event[field] = value

    return write


def texts(field: str) -> Write:
    """Copy the text into a field that ECS marks as array."""

    def write(event: Event, value: str) -> None:
        event[field] = [value]

    return write


def pid(field: str) -> Write:
    """Process id, decimal (Sysmon) or hexadecimal (`0x1f4`, Security log); 0 says that there is none."""

    def write(event: Event, value: str) -> None:
        number = _number(value)
        if number is not None and 0 < number < _MAX_PID:
            event[field] = number

    return write


def port(field: str) -> Write:
    """Port number; 0 says that there is none."""

    def write(event: Event, value: str) -> None:
        number = _number(value)
        if number is not None and 0 < number <= MAX_PORT:
            event[field] = number

    return write


def address(field: str) -> Write:
    """IP address in its short form; IPv4 inside IPv6 as IPv4. "LOCAL" and other words are no address."""

    def write(event: Event, value: str) -> None:
        if len(value) <= _MAX_CACHED and (ip := canonical_ip(value)):
            event[field] = ip

    return write


def executable(prefix: str) -> Write:
    """Full path of a program and its last part."""
    path_field, name_field = f"{prefix}.executable", f"{prefix}.name"

    def write(event: Event, value: str) -> None:
        event[path_field] = value
        event[name_field] = value.rpartition("\\")[2]

    return write


def file(prefix: str) -> Write:
    """Full path of a file and its last part."""
    path_field, name_field = f"{prefix}.path", f"{prefix}.name"

    def write(event: Event, value: str) -> None:
        event[path_field] = value
        event[name_field] = value.rpartition("\\")[2]

    return write


def path_only(field: str) -> Write:
    r"""A name that may be a path in a file system: `C:\…` or `\\…`, not a key, a token or a directory object."""

    def write(event: Event, value: str) -> None:
        if value[1:3] == ":\\" or value.startswith(("\\\\", "\\Device\\HarddiskVolume")):
            event[field] = value

    return write


def account(prefix: str) -> Write:
    r"""`DOMAIN\name`, as Sysmon writes an account."""
    name_field, domain_field = f"{prefix}.name", f"{prefix}.domain"

    def write(event: Event, value: str) -> None:
        domain, separator, name = value.partition("\\")
        if separator:
            event[domain_field] = domain
            event[name_field] = name
        else:
            event[name_field] = value

    return write


def hashes(prefix: str) -> Write:
    """`SHA1=…,MD5=…,SHA256=…,IMPHASH=…`, as Sysmon writes them."""
    targets = {
        "MD5": f"{prefix}.hash.md5",
        "SHA1": f"{prefix}.hash.sha1",
        "SHA256": f"{prefix}.hash.sha256",
        "IMPHASH": f"{prefix}.pe.imphash",
    }

    @lru_cache(maxsize=4096)
    def read(value: str) -> tuple[tuple[str, str], ...]:
        pairs = (part.partition("=") for part in value.split(","))
        return tuple((targets[kind], digest.lower()) for kind, _, digest in pairs if digest and kind in targets)

    def write(event: Event, value: str) -> None:
        if len(value) <= _MAX_CACHED:
            event.update(read(value))

    return write


def registry(event: Event, value: str) -> None:
    r"""`HKLM\…\Key\Value`: Sysmon does not say where the key ends, so only path and hive are told apart."""
    event["registry.path"] = value
    hive, separator, key = value.partition("\\")
    if separator:
        event["registry.hive"] = hive
        event["registry.key"] = key


_REGISTRY_TYPES = {"CreateKey": "creation", "DeleteKey": "deletion", "DeleteValue": "deletion"}


def registry_type(event: Event, value: str) -> None:
    """What Sysmon's event 12 did: one id for creating and deleting."""
    event["event.type"] = [_REGISTRY_TYPES.get(value, "change")]


_TRANSPORTS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "ipv6-icmp"}


def transport(event: Event, value: str) -> None:
    """Transport protocol by name (Sysmon) or IANA number (filtering platform)."""
    event["network.transport"] = _TRANSPORTS.get(value, value.lower())


_INITIATED = {"true": "egress", "false": "ingress"}


def direction(event: Event, value: str) -> None:
    """Who opened the connection, seen from the host (Sysmon's `Initiated`)."""
    if known := _INITIATED.get(value.lower()):
        event["network.direction"] = known


def status_outcome(event: Event, value: str) -> None:
    """NTSTATUS or Kerberos status: zero is success."""
    number = _number(value)
    if number is not None:
        event["event.outcome"] = "success" if number == 0 else "failure"


# Longest number that is read: 64 bits, decimal or hexadecimal.
_MAX_DIGITS = 20


def _number(value: str) -> int | None:
    """Read a decimal or 0x… number; None where it is neither."""
    if len(value) > _MAX_DIGITS or not value.isascii():
        return None
    if value.isdigit():
        return int(value)
    if value.startswith(("0x", "0X")) and value[2:].isalnum():
        try:
            return int(value, 16)
        except ValueError:
            return None
    return None
