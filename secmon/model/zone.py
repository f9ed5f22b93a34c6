"""Time zones as text: an IANA name such as Asia/Shanghai, or an offset such as +08:00."""

from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_OFFSET_CHARS = len("+08:00")


def zone_of(text: str) -> tzinfo:
    """Return the zone a text names.

    Raises:
        ValueError: it names none.
    """
    try:
        return _offset(text) if text[:1] in {"+", "-"} else ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("no time zone; take a name such as Asia/Shanghai or +08:00") from None


def zone_text(zone: tzinfo) -> str:
    """Return a text that `zone_of` turns into this zone again."""
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    offset = zone.utcoffset(None)
    minutes = round((offset or timedelta()).total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _offset(text: str) -> tzinfo:
    if len(text) != _OFFSET_CHARS or text[3] != ":":
        raise ValueError("not an offset")
    span = timedelta(hours=int(text[1:3]), minutes=int(text[4:]))
    return timezone(-span if text[0] == "-" else span)
