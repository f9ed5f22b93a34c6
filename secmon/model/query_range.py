"""Ranges of a query: both ends are numbers, times or addresses, and say so by how they are written."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

from secmon.errors import QueryError
from secmon.model.event import to_micros
from secmon.model.query import TIMESTAMP, Addresses, During, Leaf, Numbers, number_of, number_of_address

_TIME: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<part>\.\d{1,6})?)?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


class End(NamedTuple):
    """One end of a range.

    Args:
        text: the bound; empty if this end is open.
        column: where it stands, from 0.
        excluded: the bound itself does not belong to the range.
    """

    text: str
    column: int
    excluded: bool


def query_failure(at: int, problem: str, hint: str, **values: object) -> QueryError:
    """Return the error for the character at this place, from 0."""
    return QueryError(problem, where=f"query:{at + 1}", hint=hint, values=values)


def between(field: str, low: End, high: End, zone: tzinfo) -> Leaf:
    """Return the condition of a range of which one end is not open.

    Raises:
        QueryError: the ends are not of one kind, or there is no such day or time.
    """
    given = [end for end in (low, high) if end.text]
    kinds: tuple[tuple[Callable[[str], object], Callable[[str, End, End, tzinfo], Leaf]], ...] = (
        (number_of, _numbers),
        (_address, _addresses),
        (_TIME.fullmatch, _during),
    )
    for fits, build in kinds[2:] if field == TIMESTAMP else kinds:
        if all(fits(end.text) is not None for end in given):
            return build(field, low, high, zone)
    raise query_failure(
        given[0].column, "a range goes over numbers, times or addresses", "for texts write a pattern with * such as a*"
    )


def moment(text: str, column: int, zone: tzinfo) -> tuple[int, int] | None:
    """Return the span of a day, hour, minute, second or fraction in µs, its end excluded; None if it is no time.

    Raises:
        QueryError: there is no such day or time.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    clock = f"{found['hour'] or '00'}:{found['minute'] or '00'}:{found['second'] or '00'}{found['part'] or ''}"
    offset = "+00:00" if found["zone"] == "Z" else found["zone"] or ""
    try:
        start = datetime.fromisoformat(f"{found['day']}T{clock}{offset}")
        micros = to_micros(start if offset else start.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise query_failure(column, "there is no such day or time", "write 2026-09-07 or 2026-09-07T08:00") from None
    return micros, micros + _length(found)


def network(text: str) -> tuple[int, int] | None:
    """Return first and last address of a network, or of one IPv6 address, which may be written in several ways."""
    if "/" not in text and ":" not in text:
        return None
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    return number_of_address(found.network_address), number_of_address(found.broadcast_address)


def _length(found: re.Match[str]) -> int:
    """Return the length in µs of the span that a time names."""
    if found["part"]:
        return int(10 ** (7 - len(found["part"])))
    units = {"second": "seconds", "minute": "minutes", "hour": "hours", "day": "days"}
    unit = next(units[name] for name in units if found[name])
    return timedelta(**{unit: 1}) // timedelta(microseconds=1)


def _address(text: str) -> int | None:
    try:
        return number_of_address(ip_address(text))
    except ValueError:
        return None


def _numbers(field: str, low: End, high: End, zone: tzinfo) -> Leaf:
    del zone

    def number(text: str) -> Decimal | None:
        return number_of(text) if text else None

    return Numbers(field=field, low=number(low.text), high=number(high.text), above=low.excluded, below=high.excluded)


def _addresses(field: str, low: End, high: End, zone: tzinfo) -> Leaf:
    del zone
    first = _address(low.text) if low.text else None
    last = _address(high.text) if high.text else None
    return Addresses(
        field=field,
        low=0 if first is None else first + low.excluded,
        high=(1 << 128) - 1 if last is None else last - high.excluded,
    )


def _during(field: str, low: End, high: End, zone: tzinfo) -> Leaf:
    since = moment(low.text, low.column, zone) if low.text else None
    until = moment(high.text, high.column, zone) if high.text else None
    # A day, minute or second belongs to a range as a whole, or not at all.
    return During(
        field=field,
        since=None if since is None else since[low.excluded],
        until=None if until is None else until[not high.excluded],
    )
