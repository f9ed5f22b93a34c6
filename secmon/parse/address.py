"""Addresses and URLs as ECS fields: what several formats share."""

import ipaddress
import re
from functools import lru_cache

from secmon.model.event import Event

MAX_PORT = 65_535
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://", re.ASCII)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s/?#@\[\]]+)(?::(\d{1,5}))?", re.ASCII)


# No address is longer, a zone index aside; a longer text is no use as a key of a cache.
_MAX_CACHED = 64


def is_ip(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address, without a zone index (which no address type stores)."""
    return len(text) <= _MAX_CACHED and _is_ip(text)


@lru_cache(maxsize=8192)
def _is_ip(text: str) -> bool:
    if _IPV4.fullmatch(text):  # four times as fast as ipaddress
        return True
    if ":" not in text or "%" in text:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def canonical_ip(text: str) -> str | None:
    """Return an IP address in its short form, None for any other text; IPv4 inside IPv6 as IPv4, without zone."""
    return _canonical_ip(text) if len(text) <= _MAX_CACHED else _canonical_ip.__wrapped__(text)


@lru_cache(maxsize=8192)
def _canonical_ip(text: str) -> str | None:
    if _IPV4.fullmatch(text):
        return text
    try:
        found = ipaddress.IPv6Address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return str(found.ipv4_mapped or found)


def source_of(text: str) -> Event:
    """Return `source.address`, and `source.ip` or `source.domain` beside it; nothing for "-" or an empty text."""
    if text in {"", "-"}:
        return {}
    if is_ip(text):
        return {"source.ip": text, "source.address": text}
    return {"source.domain": text, "source.address": text}


def port_of(text: str) -> int | None:
    """Return a port number, or None for anything that is none."""
    return port if text.isascii() and text.isdigit() and len(text) <= 5 and (port := int(text)) <= MAX_PORT else None  # noqa: PLR2004


def host_port(text: str) -> Event:
    """Return `url.domain` and `url.port` of `host`, `host:port` or `[IPv6]:port`; nothing for anything else."""
    found = _HOST_PORT.fullmatch(text)
    if found is None:
        return {}
    fields: Event = {"url.domain": found[1].lower()}
    if found[2] and (port := port_of(found[2])) is not None:
        fields["url.port"] = port
    return fields


def url_of(target: str) -> Event:
    """Return the ECS `url.*` fields of a request target (RFC 9112, section 3.2) or a whole URL, nothing decoded.

    `url.original` is always there; a path only if there is one: "*" and "host:port" have none.
    """
    fields: Event = {"url.original": target}
    if target.startswith("/"):
        path = target
    elif scheme := _SCHEME.match(target):
        authority, path = _authority(target[scheme.end() :])
        user, _, host = authority.rpartition("@")
        fields["url.scheme"] = scheme[1].lower()
        fields |= host_port(host)
        if user:
            fields["url.username"] = user.partition(":")[0]
    else:
        return fields
    path, has_query, query = path.partition("?")
    if path:
        fields["url.path"] = path
    if has_query:
        fields["url.query"] = query
    return fields


def _authority(text: str) -> tuple[str, str]:
    end = min((at for at in map(text.find, "/?#") if at >= 0), default=len(text))
    return text[:end], text[end:]
