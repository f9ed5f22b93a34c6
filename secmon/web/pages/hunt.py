"""Searching events (日志检索): the query, how the answer spreads over time and values, the events themselves."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import urlencode

from anyio import from_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import search
from secmon.app.installation import Installation
from secmon.errors import QueryError
from secmon.model.event import Event, from_micros, parse_time, to_micros
from secmon.model.query import AnyOf, quoted
from secmon.model.query_text import MAX_LENGTH, parse_query
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import page
from secmon.web.respond import html, ordered_event, respond, told, wants_json

PAGE = 50
SECONDS = 10.0
"""Most time of one page; what is found by then is shown, and that it is not all."""
RANGES = {"1h": "最近 1 小时", "24h": "最近 24 小时", "7d": "最近 7 天", "30d": "最近 30 天", "183d": "最近半年"}
FIELDS = ("event.dataset", "event.action", "event.outcome", "user.name", "source.ip", "host.name")
AROUND = timedelta(minutes=15)
_TOP = 8
_BARS = 60
_STEPS_S = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 43_200, 86_400, 604_800)
_LOOK_EVERY_S = 0.2
_MICRO = timedelta(microseconds=1)
_SUMMARY = ("event.dataset", "event.action", "event.outcome", "user.name", "source.ip", "host.name", "url.path")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the address asks for, as it stands in the form."""

    text: str
    range: str
    since: datetime
    until: datetime
    has_ends: bool
    field: str
    cursor: str


@page
def hunt(request: Request, visitor: Visitor) -> Response:
    """Search, if the address asks for something; else show how to ask."""
    house, query = daemon_of(request).house, request.query_params
    if "q" not in query:
        return respond(request, visitor, "hunt.html.j2", {"events": []}, title="日志检索", **_form(house, None, query))
    try:
        asked = _asked(house, query)
        wanted = _wanted(house, asked, _abandoned(request))
        search.note(house, visitor.access, wanted)
        found = search.search(house, visitor.access, wanted)
    except QueryError as error:
        if wants_json(request):
            raise
        shown = _form(house, None, query) | {"problem": _told(error)}
        return html(
            request, "hunt.html.j2", {"data": {"events": []}, "title": "日志检索", "visitor": visitor, **shown}, 400
        )
    data = search.row(found) | {"query": asked.text}
    shown = _form(house, asked, query) | {
        "found": found,
        "bars": _bars(asked, found, wanted.interval_s, house) if found.survey else None,
        "narrow": _narrowing(asked, house),
        "rows": [ordered_event(event) for event in found.events],
        "summary": _SUMMARY,
        "older": _older(asked, found.reached, house) if found.reached else "",
        "seconds": int(SECONDS),
    }
    return respond(request, visitor, "hunt.html.j2", data, title="日志检索", **shown)


def _told(error: QueryError) -> str:
    """Return what is wrong with a query and where in it."""
    place, _, column = error.where.partition(":")
    text = told(QueryError(error.problem, hint=error.hint, values=error.values))
    return f"第 {column} 个字符：{text}" if place == "query" else text


def _asked(house: Installation, query: QueryParams) -> _Asked:
    """Return what the address asks for.

    Raises:
        QueryError: a time that is none.
    """
    now = house.clock.now()
    chosen = query.get("range", "")
    chosen = chosen if chosen in RANGES else search.DEFAULT_SINCE
    until = search.time_from(query.get("until", ""), now, house.zone, is_end=True)
    since = search.time_from(query.get("since", ""), now, house.zone)
    end = until or now
    start = since or search.time_from(chosen, end, house.zone) or end
    return _Asked(
        text=query.get("q", "").strip()[: MAX_LENGTH + 1],
        range=chosen,
        since=min(start, end),
        until=end,
        has_ends=bool(since or until),
        field=query.get("field", "").strip()[:200],
        cursor=query.get("cursor", "")[:200],
    )


def _wanted(house: Installation, asked: _Asked, abandoned: Callable[[], bool]) -> search.Search:
    is_first = not asked.cursor
    fields = tuple(dict.fromkeys((*([asked.field] if asked.field else []), *FIELDS)))
    return search.Search(
        where=parse_query(asked.text, zone=house.zone),
        since=asked.since,
        until=asked.until,
        limit=PAGE,
        cursor=asked.cursor,
        interval_s=_interval_s(asked.until - asked.since) if is_first else 0,
        fields=search.countable(fields) if is_first else (),
        size=_TOP,
        seconds=SECONDS,
        abandoned=abandoned,
    )


def _interval_s(length: timedelta) -> int:
    """Return an interval of which a few dozen make up a time range."""
    wanted = length.total_seconds() / _BARS
    whole = next((step for step in _STEPS_S if step >= wanted), 0)
    return whole or ceil(wanted / _STEPS_S[-1]) * _STEPS_S[-1]


def _abandoned(request: Request) -> Callable[[], bool]:
    """Return a test whether the browser went away, which it asks now and then only."""
    looked_at, is_gone = time.monotonic(), False

    def abandoned() -> bool:
        nonlocal looked_at, is_gone
        if not is_gone and time.monotonic() - looked_at > _LOOK_EVERY_S:
            is_gone = from_thread.run(request.is_disconnected)
            looked_at = time.monotonic()
        return is_gone

    return abandoned


def _form(house: Installation, asked: _Asked | None, query: QueryParams) -> dict[str, Any]:
    """Return what stands in the form."""
    ends = (_local(house, asked.since), _local(house, asked.until)) if asked and asked.has_ends else ("", "")
    return {
        "ranges": RANGES,
        "form": {
            "q": query.get("q", "")[: MAX_LENGTH + 1],
            "range": asked.range if asked else search.DEFAULT_SINCE,
            "since": ends[0],
            "until": ends[1],
            "field": asked.field if asked else "",
        },
        "asked": asked,
        "found": None,
        "problem": "",
    }


def _local(house: Installation, moment: datetime) -> str:
    """Return a time as the form writes it; up to the next second, so that nothing falls out of a range."""
    micros = timedelta(microseconds=moment.microsecond)
    whole = moment + timedelta(seconds=1) - micros if micros else moment
    return whole.astimezone(house.zone).strftime("%Y-%m-%dT%H:%M:%S")


def _address(house: Installation, asked: _Asked, **changes: str) -> str:
    """Return the address of this search with changes."""
    kept = {"q": asked.text, "field": asked.field}
    if asked.has_ends:
        kept |= {"since": _local(house, asked.since), "until": _local(house, asked.until)}
    else:
        kept["range"] = asked.range
    return "/hunt?" + urlencode({name: value for name, value in (kept | changes).items() if value or name == "q"})


def _narrowing(asked: _Asked, house: Installation) -> Callable[[str, str | None, bool], str]:
    """Return what makes the address of a narrower search: (field, value, or None for absent; whether to exclude it)."""
    either = isinstance(parse_query(asked.text, zone=house.zone), AnyOf)
    head = f"({asked.text})" if either else asked.text

    def narrow(name: str, value: str | None, exclude: bool) -> str:  # noqa: FBT001  a template calls it
        condition = f"{name}:*" if value is None else f"{name}:{quoted(value)}"
        negated = exclude != (value is None)
        condition = f"not {condition}" if negated else condition
        return _address(house, asked, q=f"{head} and {condition}" if head else condition)

    return narrow


def _bars(asked: _Asked, found: search.Found, interval_s: int, house: Installation) -> list[dict[str, Any]]:
    """Return the histogram with its empty intervals: start, events, height in percent, address of this interval."""
    buckets = found.survey.buckets if found.survey else {}
    step = interval_s * 1_000_000
    offset = house.clock.now().astimezone(house.zone).utcoffset() or timedelta()
    offset_micros = offset // timedelta(microseconds=1)
    first, last = to_micros(asked.since), to_micros(asked.until)
    start = first - (first + offset_micros) % step
    most = max(buckets.values(), default=0)
    bars: list[dict[str, Any]] = []
    for at in range(start, last, step):
        count = buckets.get(at, 0)
        bars.append(
            {
                "at": _text(at),
                "x": 10 * len(bars),
                "count": count,
                "height": max(1.5, round(100 * count / most, 1)) if count else 0,
                "href": _address(house, asked, since=_iso(house, at), until=_iso(house, at + step)),
            }
        )
    return bars


def _text(micros: int) -> str:
    return from_micros(micros).astimezone(UTC).isoformat()


def _iso(house: Installation, micros: int) -> str:
    return from_micros(micros).astimezone(house.zone).strftime("%Y-%m-%dT%H:%M:%S")


def _older(asked: _Asked, reached: datetime, house: Installation) -> str:
    """Return the address that goes on with what was not looked at; its first second was looked at in part."""
    return _address(house, asked, since=_local(house, asked.since), until=_local(house, reached + _MICRO))


def around(house: Installation, event: Event | Mapping[str, object]) -> list[tuple[str, str]]:
    """Return (field, address of a search for events of the same user, address or host around it) of an event."""
    at = parse_time(str(event["@timestamp"]))
    ends = {"since": _local(house, at - AROUND), "until": _local(house, at + AROUND)}
    found = []
    for name in ("user.name", "source.ip", "host.name"):
        value = event.get(name)
        if isinstance(value, str):
            found.append((name, "/hunt?" + urlencode({"q": f"{name}:{quoted(value)}", **ends})))
    return found


ROUTES = [Route("/hunt", hunt)]
