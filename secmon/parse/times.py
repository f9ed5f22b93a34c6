"""Stamps to times: the text forms that several formats share.

All functions return `@timestamp` as `model.event.format_time` writes it, and raise ValueError for a day or an hour
that does not exist. Logs repeat their stamps many times a second, so results are cached by stamp; the caches are
bounded and hold only what the arguments determine.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from secmon.model.event import format_time

_STAMPS = 4096
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
# A clock may run ahead of ours by this much before we take its stamp for one of last year.
CLOCK_SKEW = timedelta(days=1)
_LONGEST = 64
# 29 February comes every fourth year, but not in 1900 or 2100.
_LEAP_GAP_YEARS = 8


@lru_cache(maxsize=_STAMPS)
def clf_time(stamp: str) -> str:
    """Read the time of the Common Log Format: `07/Sep/2026:08:01:09 +0800`."""
    if len(stamp) != len("07/Sep/2026:08:01:09 +0800") or stamp[20] != " ":
        raise ValueError("not a Common Log Format time")
    month = _MONTHS.get(stamp[3:6])
    if month is None:
        raise ValueError("no such month")
    return _utc_text(_iso(f"{stamp[7:11]}-{month:02d}-{stamp[:2]}T{stamp[12:20]}{stamp[21:]}"))


@lru_cache(maxsize=_STAMPS)
def rfc3339_time(stamp: str, zone: tzinfo) -> str:
    """Read `2026-09-07T08:01:09.424+08:00` or `2026-09-07 08:01:09,424`; without an offset it is in `zone`."""
    moment = _iso(stamp.replace(",", ".", 1))
    return _utc_text(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))


@lru_cache(maxsize=_STAMPS)
def bsd_time(stamp: str, zone: tzinfo, now: datetime) -> str:
    """Read the time of BSD syslog (RFC 3164, section 4.1.2), which has no year: `Sep  7 08:01:09`.

    The year is the latest in which the day exists and the time is not in the future (`CLOCK_SKEW`): a December
    line received in January is of last year, 29 February of the last leap year.
    """
    latest = now + CLOCK_SKEW
    year = latest.astimezone(zone).year
    for candidate in range(year, max(year - _LEAP_GAP_YEARS, 0), -1):
        moment = _bsd_moment(stamp, candidate, zone)
        if moment is not None and moment <= latest:
            return format_time(moment)
    raise ValueError("no such date")


_BSD = re.compile(r"([A-Z][a-z]{2}) ([ \d]?\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?", re.ASCII)


def _bsd_moment(stamp: str, year: int, zone: tzinfo) -> datetime | None:
    found = _BSD.fullmatch(stamp)
    month = _MONTHS.get(found[1]) if found else None
    if found is None or month is None:
        return None
    micros = int((found[6] or "").ljust(6, "0"))
    try:
        local = datetime(year, month, int(found[2]), int(found[3]), int(found[4]), int(found[5]), micros, tzinfo=zone)
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# What Java writes for a zone, in the sense it has where our logs come from: CST is China Standard Time.
_JAVA_ZONES: dict[str, tzinfo] = {
    "CST": timezone(timedelta(hours=8)),
    "HKT": timezone(timedelta(hours=8)),
    "UTC": UTC,
    "GMT": UTC,
    "Z": UTC,
}
_JAVA = re.compile(
    r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d\d:\d\d:\d\d) ([A-Z]{1,5})([+-]\d\d:\d\d)? (\d{4})", re.ASCII
)


@lru_cache(maxsize=_STAMPS)
def java_date(stamp: str, zone: tzinfo) -> datetime:
    """Read `java.util.Date.toString()`: `Mon Sep 07 08:01:09 CST 2026`, as an aware time, not converted to UTC.

    CST is +08:00; a zone name that says nothing certain is taken for `zone`.
    """
    found = _JAVA.fullmatch(stamp)
    month = _MONTHS.get(found[1]) if found else None
    if found is None or month is None:
        raise ValueError("not a Java date")
    if found[5]:
        return _iso(f"{found[6]}-{month:02d}-{found[2]}T{found[3]}{found[5]}")
    local = _iso(f"{found[6]}-{month:02d}-{found[2]}T{found[3]}")
    return local.replace(tzinfo=_JAVA_ZONES.get(found[4], zone))


def _iso(text: str) -> datetime:
    """Read ISO 8601; Python's own message would quote the record, and takes fractions of any length."""
    if len(text) > _LONGEST:  # the readers above are remembered by their text
        raise ValueError("no such time")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("no such time") from None


def _utc_text(moment: datetime) -> str:
    try:
        return format_time(moment)
    except OverflowError as error:
        raise ValueError("no such time") from error
