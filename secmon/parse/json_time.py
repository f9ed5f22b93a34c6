"""Times as they stand in JSON: RFC 3339, seconds or milliseconds since 1970, and what Windows PowerShell writes."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from secmon.model.event import format_time
from secmon.parse.times import rfc3339_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# From here on a number is an epoch in seconds (1973 … 2286), from there on in milliseconds.
_LEAST_SECONDS, _LEAST_MILLISECONDS = 1e8, 1e10
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
# What Windows PowerShell's ConvertTo-Json makes of a time: milliseconds since 1970.
_DOTNET = re.compile(r"/Date\((-?\d{1,15})\)/", re.ASCII)
# The form that `format_time` writes, and most shippers too.
_CANONICAL = len("2026-09-07T00:01:09.424Z")


def json_time(value: object, zone: tzinfo) -> str | None:
    """Return `@timestamp` of a JSON value, None where it is no time. A text without offset is in `zone`."""
    if isinstance(value, str):
        return _text_time(value, zone)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number_time(value)
    return None


def _text_time(value: str, zone: tzinfo) -> str | None:
    try:
        if len(value) == _CANONICAL and value[23] == "Z" and value[19] == "." and value[10] == "T" and value[7] == "-":
            datetime.fromisoformat(value)
            return value
        return rfc3339_time(value, zone)
    except ValueError:
        pass
    if found := _DOTNET.fullmatch(value):
        return _since_epoch(int(found[1]) / 1000)
    return _number_time(float(value)) if _NUMBER.fullmatch(value) else None


def _number_time(value: float) -> str | None:
    if value >= _LEAST_MILLISECONDS:
        return _since_epoch(value / 1000)
    return _since_epoch(value) if value >= _LEAST_SECONDS else None


def _since_epoch(seconds: float) -> str | None:
    try:
        return format_time(_EPOCH + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        return None
