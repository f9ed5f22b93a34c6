"""Searching events: what a person asks for in the query language, within a time range, a limit and a time."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from secmon.app import audit
from secmon.app.installation import Installation
from secmon.errors import QueryError, SearchStoppedError
from secmon.model.access import Access
from secmon.model.event import Event, format_time, from_micros, parse_time
from secmon.model.query import EVERYTHING, TEXT_FIELDS, TIMESTAMP, During, Query, required
from secmon.model.query_range import moment
from secmon.model.query_text import parse_query
from secmon.model.questions import EventQuery
from secmon.model.search import Budget, Survey

MAX_LIMIT: Final = 10_000
MAX_BUCKETS: Final = 2_000
MAX_FIELDS: Final = 10
MAX_VALUES: Final = 1_000
DEFAULT_SINCE: Final = "24h"
ALL_TIME: Final = "all"

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])", re.ASCII)
_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for.

    Args:
        where: the query.
        since: earliest `@timestamp`; None for no bound.
        until: `@timestamp` before which; None for no bound.
        limit: events of a page; 0 for none.
        cursor: of an earlier page, behind which to go on.
        interval_s: length of an interval of the histogram; 0 for none.
        fields: whose most frequent values are wanted.
        size: values of a field.
        seconds: most time.
        abandoned: tells whether nobody waits any more.
    """

    where: Query = EVERYTHING
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    cursor: str = ""
    interval_s: int = 0
    fields: tuple[str, ...] = ()
    size: int = 10
    seconds: float = 60.0
    abandoned: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found, newest first.

    Args:
        events: a page of events.
        cursor: of the next page; empty if there is none.
        survey: how all of them spread; None if nobody asked.
        scanning: what the store's indices could not answer (`ports.EventLog.unindexed`): events were read for it.
        read: how many were read.
        complete: False if the time was up before everything was looked at; then there may be more.
        reached: how far back the search came, if it is not complete: for events, else for the survey.
    """

    events: tuple[Event, ...] = ()
    cursor: str = ""
    survey: Survey | None = None
    scanning: tuple[str, ...] = ()
    read: int = 0
    complete: bool = True
    reached: datetime | None = None


def search(house: Installation, access: Access, wanted: Search) -> Found:
    """Return the events in scope that match, newest first.

    Raises:
        QueryError: the cursor is none, or the intervals are too many.
    """
    query = _query(wanted)
    _check_intervals(wanted, query)
    scanning = house.log.unindexed(access, query, fields=wanted.fields)
    budget = Budget(house.clock.monotonic_s, wanted.seconds, wanted.abandoned)
    events, complete = _page(house, access, query, budget) if wanted.limit else ([], True)
    reached, survey = None if complete else budget.reached, None
    if wanted.interval_s or wanted.fields:
        survey = _survey(house, access, wanted, query, budget)
        complete = complete and survey.complete
        reached = reached or budget.reached
    has_more = len(events) > wanted.limit
    events = events[: wanted.limit]
    return Found(
        events=tuple(events),
        cursor=_cursor_of(events[-1]) if has_more else "",
        survey=survey,
        scanning=scanning,
        read=budget.read,
        complete=complete,
        reached=None if complete else reached,
    )


def _page(house: Installation, access: Access, query: EventQuery, budget: Budget) -> tuple[list[Event], bool]:
    """Return a page, one event longer than asked for if there are more, and whether the search came to its end."""
    found: list[Event] = []
    try:
        found.extend(house.log.events(access, query, budget=budget))
    except SearchStoppedError:
        return found, False
    return found, True


def _survey(house: Installation, access: Access, wanted: Search, query: EventQuery, budget: Budget) -> Survey:
    offset = house.clock.now().astimezone(house.zone).utcoffset() or timedelta()
    return house.log.survey(
        access,
        query,
        interval_s=wanted.interval_s,
        utc_offset_s=int(offset.total_seconds()),
        fields=wanted.fields,
        size=wanted.size,
        budget=budget,
    )


def unindexed(house: Installation, access: Access, wanted: Search) -> tuple[str, ...]:
    """Return what the store can answer only by reading: it will be scanning."""
    return house.log.unindexed(access, _query(wanted), fields=wanted.fields)


def note(house: Installation, access: Access, wanted: Search) -> None:
    """Write into the audit chain that somebody searched, and which time; not what: it may be a pupil's name."""
    details: dict[str, object] = {"limit": wanted.limit, "statistics": len(wanted.fields)}
    for name, bound in (("since", wanted.since), ("until", wanted.until)):
        details[name] = format_time(bound) if bound else ""
    audit.append(house, access, "search", "events", details)


def _query(wanted: Search) -> EventQuery:
    """Return the question to the store; a time range that the query itself names narrows it."""
    since, until = wanted.since, wanted.until
    for leaf in required(wanted.where):
        if isinstance(leaf, During) and leaf.field == TIMESTAMP:
            if leaf.since is not None and (since is None or since < _moment(leaf.since)):
                since = _moment(leaf.since)
            if leaf.until is not None and (until is None or _moment(leaf.until) < until):
                until = _moment(leaf.until)
    return EventQuery(
        since=since,
        until=until,
        where=wanted.where,
        after=_after(wanted.cursor) if wanted.cursor else None,
        ascending=False,
        limit=min(wanted.limit, MAX_LIMIT) + 1,
    )


def _moment(micros: int) -> datetime:
    try:
        return from_micros(micros)
    except OverflowError:
        return _EARLIEST if micros < 0 else datetime.max.replace(tzinfo=UTC)


def _check_intervals(wanted: Search, query: EventQuery) -> None:
    if not wanted.interval_s:
        return
    if query.since is None or query.until is None:
        raise QueryError("a histogram needs a time range", hint="give --since and --until")
    if (query.until - query.since).total_seconds() / wanted.interval_s > MAX_BUCKETS:
        raise QueryError(
            "the intervals are too short for this time range",
            hint="at most {most} intervals",
            values={"most": MAX_BUCKETS},
        )


def _cursor_of(event: Event) -> str:
    return f"{event['@timestamp']}/{event['event.id']}"


def _after(cursor: str) -> tuple[datetime, str]:
    time, _, identity = cursor.partition("/")
    if re.fullmatch("[0-9a-f]{32}", identity) is None:
        raise QueryError("this is not a cursor of a search", hint="start again without it")
    try:
        return parse_time(time), identity
    except (ValueError, OverflowError):
        raise QueryError("this is not a cursor of a search", hint="start again without it") from None


def time_from(text: str, now: datetime, zone: tzinfo, *, is_end: bool = False) -> datetime | None:
    """Return the time that a text means: "24h" or "7d" ago, a day or time of the zone, RFC 3339; None for "" and "all".

    Args:
        text: as a person wrote it.
        now: the present.
        zone: of times that name none.
        is_end: a day is meant up to its end.

    Raises:
        QueryError: it means no time.
    """
    if text in {"", ALL_TIME}:
        return None
    if length := _LENGTH.fullmatch(text):
        ago = timedelta(seconds=int(length[1]) * _UNITS[length[2]])
        return now - ago if ago < now - _EARLIEST else _EARLIEST
    span = moment(text, 0, zone)
    if span is None:
        raise QueryError("this is not a time", hint="write 24h, 7d, 2026-09-07 or 2026-09-07T08:00+08:00")
    is_day = len(text) == len("2026-09-07")
    return _moment(span[is_end and is_day])


def length_from(text: str) -> int:
    """Return the seconds that "30s", "5m", "1h" or "1d" means.

    Raises:
        QueryError: it means no length of time.
    """
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise QueryError("this is not a length of time", hint="write 30s, 5m, 1h or 1d")
    return int(found[1]) * _UNITS[found[2]]


def countable(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return fields whose values can be counted.

    Raises:
        QueryError: they are too many, or texts that are different in every event.
    """
    if len(fields) > MAX_FIELDS:
        raise QueryError("statistics of too many fields", hint="at most {most}", values={"most": MAX_FIELDS})
    if not TEXT_FIELDS.isdisjoint(fields):
        raise QueryError("the values of message and event.original are not counted", hint="choose another field")
    return tuple(dict.fromkeys(fields))


def run_begin(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do the first part of `search`: read the query, keep in the audit chain that it was asked."""
    wanted = _wanted(house, args)
    _check_intervals(wanted, _query(wanted))
    note(house, access, wanted)
    told = {"scanning": list(unindexed(house, access, wanted))}
    bounds = {"since": wanted.since, "until": wanted.until}
    return told | {name: format_time(bound) for name, bound in bounds.items() if bound is not None}


def run_search(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `search`."""
    return row(search(house, access, _wanted(house, args)))


def _wanted(house: Installation, args: Mapping[str, Any]) -> Search:
    now = house.clock.now()
    interval = args.get("interval") or ""
    until = time_from(args.get("until") or "", now, house.zone, is_end=True)
    return Search(
        where=parse_query(args.get("query") or "", zone=house.zone),
        since=time_from(args.get("since") or DEFAULT_SINCE, now, house.zone),
        until=now if until is None and interval else until,
        limit=min(int(args.get("limit", 100)), MAX_LIMIT),
        cursor=args.get("cursor") or "",
        interval_s=length_from(interval) if interval else 0,
        fields=countable(tuple(args.get("fields") or ())),
        size=min(int(args.get("size") or 10), MAX_VALUES),
        seconds=float(args.get("seconds") or 60.0),
    )


def row(found: Found) -> dict[str, Any]:
    """Return what was found as plain data; what is not known is absent."""
    told: dict[str, Any] = {
        "events": list(found.events),
        "cursor": found.cursor,
        "complete": found.complete,
        "scanning": list(found.scanning),
        "read": found.read,
    }
    if found.reached is not None:
        told["reached"] = format_time(found.reached)
    if found.survey is not None:
        told["count"] = found.survey.count
        told["histogram"] = [{"at": format_time(_moment(at)), "count": n} for at, n in found.survey.buckets.items()]
        told["statistics"] = [
            {
                "field": name,
                "values": [{"value": text, "count": count} for text, count in top.values],
                "absent": top.absent,
                "exact": top.exact,
            }
            for name, top in found.survey.top.items()
        ]
    return told
