"""Indicators of threat intelligence (威胁情报): values that were seen in attacks, in one form that can be compared.

Text that looks different and means the same is one value: case, a trailing dot, forms of IPv6, IDN and punycode,
default ports and escapes of URLs. Sources: RFC 5952 (IPv6), RFC 3490 (IDNA), RFC 3986 section 6.2 (URLs).
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

MAX_VALUE = 4096
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PORTS: Mapping[str, int] = {"http": 80, "https": 443, "ftp": 21}
_MAX_NAME = 253
_MAX_LABEL_CHARS = 63
# What IDNA takes for a dot (RFC 3490, section 3.1).
_DOTS = re.compile("[.\u3002\uff0e\uff61]")


class Kind(StrEnum):
    """What an indicator is; a block of addresses is one of its address kind."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DOMAIN = "domain"
    URL = "url"
    HASH = "hash"
    EMAIL = "email"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0 (FIRST): who may learn of it; "" where nothing is said."""

    UNMARKED = ""
    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    AMBER_STRICT = "amber+strict"
    RED = "red"


def tlp_of(text: str) -> Tlp:
    """Return what a marking says, in any usual form; TLP 1.0's WHITE is CLEAR."""
    word = text.strip().lower().removeprefix("tlp:").removeprefix("tlp_").replace("white", "clear").replace("_", "+")
    return Tlp(word) if word in set(Tlp) else Tlp.UNMARKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """One value that was seen in attacks.

    Args:
        kind: what it is.
        value: its value in the one form of `normalised`; of an address block with its length, of a domain with all that
            lies below it with a leading "*.".
        source: who says so: the file, or the feed that it names.
        name: what is said of it, or "".
        confidence: 0 … 100.
        tlp: who may learn of it.
        since: from when it counts; None for always.
        until: when it ends, exclusive; None for never.
    """

    kind: Kind
    value: str
    source: str
    name: str = ""
    confidence: int = 50
    tlp: Tlp = Tlp.UNMARKED
    since: datetime | None = None
    until: datetime | None = None

    def holds_at(self, at: datetime) -> bool:
        """Tell whether it counts at a time."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def normalised(kind: Kind, text: str) -> str | None:
    """Return a value in the one form that is compared, None if it is no such value. Addresses are single ones."""
    if len(text) > MAX_VALUE:
        return None
    text = text.strip()
    if kind in {Kind.IPV4, Kind.IPV6}:
        address = address_of(text)
        return str(address) if address is not None and _kind_of(address) is kind else None
    if kind is Kind.DOMAIN:
        return _domain(text)
    if kind is Kind.URL:
        return _url(text)
    if kind is Kind.EMAIL:
        local, at, domain = text.rpartition("@")
        host = _domain(domain)
        return f"{local.lower()}@{host}" if at and local and host and not any(c.isspace() for c in local) else None
    text = text.lower()
    return text if _HASH.fullmatch(text) else None


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def address_of(text: str) -> Address | None:
    """Return an address; one of IPv4 mapped into IPv6 is that of IPv4."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network_of(text: str) -> Network | None:
    """Return a block of addresses, None if it is none, or so wide that it names no one (under /8, in IPv6 /16)."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    return network if network.prefixlen >= (8 if network.version == 4 else 16) else None  # noqa: PLR2004  IPv4


def _kind_of(address: Address) -> Kind:
    return Kind.IPV4 if address.version == 4 else Kind.IPV6  # noqa: PLR2004  IPv4


def _domain(text: str) -> str | None:
    name = text.rstrip(".").lower()
    if len(name) > _MAX_NAME:
        return None
    if not name.isascii():
        if max(map(len, _DOTS.split(name))) > _MAX_LABEL_CHARS:  # the codec's time grows with the square of a label
            return None
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return None
    labels = name.split(".")
    if len(name) > _MAX_NAME or len(labels) < 2 or labels[-1].isdigit():  # noqa: PLR2004  a name and its top
        return None
    return name if all(map(_LABEL.fullmatch, labels)) else None


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in _PORTS or not host:
        return None
    address = address_of(host)
    name = _domain(host) if address is None else f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
    if name is None:
        return None
    place = name if port in {None, _PORTS[scheme]} else f"{name}:{port}"
    query = f"?{_escapes(parts.query)}" if parts.query else ""
    return f"{scheme}://{place}{_escapes(parts.path) or '/'}{query}"


def _escapes(text: str) -> str:
    """Return text with escapes in capitals, and none where none is needed."""

    def one(found: re.Match[str]) -> str:
        sign = chr(int(found[1], 16))
        return sign if sign in _UNRESERVED else f"%{found[1].upper()}"

    return _ESCAPE.sub(one, text)


def indicator_value(kind: Kind, text: str) -> str | None:
    """Return the value of an indicator in the one form: as `normalised`, also blocks of addresses and `*.` domains."""
    text = text.strip()
    if len(text) > MAX_VALUE:
        return None
    if kind in {Kind.IPV4, Kind.IPV6} and "/" in text:
        network = network_of(text)
        if network is None or (network.version == 4) != (kind is Kind.IPV4):  # noqa: PLR2004  IPv4
            return None
        return str(network) if network.num_addresses > 1 else str(network.network_address)
    if kind is Kind.DOMAIN and text.startswith("*."):
        name = _domain(text[2:])
        return f"*.{name}" if name else None
    return normalised(kind, text)


_DEFANGED = re.compile(r"[\[({](\.|dot|:|://|@|at)[\])}]", re.IGNORECASE)
_SCHEME = re.compile(r"\A(h)(?:xx|\*\*)(ps?:)", re.IGNORECASE)


def refanged(text: str) -> str:
    """Return a value as it is meant: bulletins make it harmless to click ("hxxp://bad[.]example[.]net", "a[at]b")."""
    text = _DEFANGED.sub(lambda found: {"dot": ".", "at": "@"}.get(found[1].lower(), found[1]), text.strip())
    return _SCHEME.sub(r"\1tt\2", text)


def guessed_kind(text: str) -> Kind | None:
    """Return what kind of indicator a text is, None if it is none."""
    return next((kind for kind in _GUESSES if indicator_value(kind, text) is not None), None)


_GUESSES = (Kind.IPV4, Kind.IPV6, Kind.URL, Kind.HASH, Kind.EMAIL, Kind.DOMAIN)
