"""Readers of single values: each turns what stands in the file into ours, or says in a ValueError what it must be."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from secmon.model.retention import CLASSES, SECURITY

MIN_RETENTION_DAYS = CLASSES[SECURITY].least_days
MAX_RETENTION_DAYS = 36_500

MASK_POLICIES = ("partial", "token", "drop", "keep")

_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_REFRESH = re.compile(r"-1|[1-9][0-9]{0,5}(?:ms|s|m)")
_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,79}")
_MAX_SHARDS = 64
_MAX_REPLICAS = 8
_MAX_PERCENT = 100
_MAX_PORT = 65_535


def text(value: object) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004  one error class for every bad value
    return value


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def path(value: object) -> Path:
    """Read a path; ~ is the user's home folder."""
    read = text(value)
    if not read or "\0" in read:
        raise ValueError("must be a path")
    try:
        return Path(read).expanduser()
    except RuntimeError:
        raise ValueError("must be a path: nobody knows that home folder") from None


def paths(value: object) -> tuple[Path, ...]:
    """Read a list of paths."""
    return tuple(map(path, texts(value)))


def optional_path(value: object) -> Path | None:
    """Read a path; an empty text is none."""
    return path(value) if value else None


def zone(value: object) -> ZoneInfo:
    """Read the name of a time zone."""
    try:
        return ZoneInfo(text(value))
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a time zone such as Asia/Shanghai") from None


def optional_zone(value: object) -> ZoneInfo | None:
    """Read the name of a time zone; an empty text is none."""
    return zone(value) if value else None


def duration(value: object) -> timedelta:
    """Read a duration such as 30s."""
    found = _DURATION.fullmatch(text(value))
    if not found:
        raise ValueError("must be a duration such as 30s, 10m, 1h or 7d")
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise ValueError("must be a shorter duration") from None


def timeout(value: object) -> timedelta:
    """Read how long something may take: one second to ten minutes."""
    read = duration(value)
    if not timedelta(seconds=1) <= read <= timedelta(minutes=10):
        raise ValueError("must be 1s to 10m")
    return read


def retention(value: object) -> int:
    """Read days of retention."""
    days = whole(value)
    if days < MIN_RETENTION_DAYS:
        raise ValueError("must be at least 180: the law asks for six months (网络安全法)")
    if days > MAX_RETENTION_DAYS:
        raise ValueError("must be at most 36500: a hundred years")
    return days


def whole(value: object) -> int:
    """Read a whole number from 0 on."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError("must be a whole number")
    return number


def percent(value: object) -> int:
    """Read a whole number from 0 to 100."""
    if (number := whole(value)) > _MAX_PERCENT:
        raise ValueError("must be 0 to 100")
    return number


def shards(value: object) -> int:
    """Read how many primary shards an index of events has."""
    if not 1 <= (number := whole(value)) <= _MAX_SHARDS:
        raise ValueError("must be 1 to 64")
    return number


def replicas(value: object) -> int:
    """Read how many copies there are beside each primary shard."""
    if (number := whole(value)) > _MAX_REPLICAS:
        raise ValueError("must be 0 to 8")
    return number


def one_of(*choices: str) -> Callable[[object], str]:
    """Return the reader of one of some words."""

    def check(value: object) -> str:
        if value not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return str(value)

    return check


def source_kind(value: object) -> str:
    """Read a kind of records."""
    from secmon.parse.registry import KINDS  # noqa: PLC0415  all parsers: only a file with sources needs them

    name = text(value)
    if name not in KINDS:
        raise ValueError("must be one of " + ", ".join(sorted(KINDS)))
    return name


def listen(value: object) -> tuple[str, int]:
    """Read HOST:PORT."""
    host, _, port = text(value).rpartition(":")
    if not host or not port.isdigit() or int(port) > _MAX_PORT:
        raise ValueError("must be HOST:PORT such as 127.0.0.1:8640")
    return host.strip("[]"), int(port)


def urls(value: object) -> tuple[str, ...]:
    """Read the addresses of a cluster's nodes; they are shown, so credentials may not stand in them."""
    return tuple(_url(one) for one in texts(value))


def _url(one: str) -> str:
    try:
        parts = urlsplit(one)
        port, host = parts.port, parts.hostname
    except ValueError:
        parts, port, host = urlsplit(""), None, None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or not one.isprintable():
        raise ValueError("must be a list of addresses such as https://127.0.0.1:9200")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must be without credentials: name a file with them in api_key_file or password_file")
    if port is None:  # the client wants it said
        one = parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{443 if parts.scheme == 'https' else 9200}").geturl()
    return one.rstrip("/")


def prefix(value: object) -> str:
    """Read the first part of names of indices."""
    read = text(value)
    if not _PREFIX.fullmatch(read):
        raise ValueError("must be a lower-case word of a-z, digits, - and _, at most 80 long")
    return read


def refresh_interval(value: object) -> str:
    """Read how often Elasticsearch makes documents visible by itself."""
    read = text(value)
    if not _REFRESH.fullmatch(read):
        raise ValueError("must be a time such as 1s, 30s or 1m, or -1 for never")
    return read
