"""Coverage: which source was evaluated in which hour, what was not run and why; down to the rules of one window."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import coverage as ledger
from secmon.app.coverage_sheets import SHEET, documents, load_head, not_run_list
from secmon.app.installation import Installation
from secmon.errors import NotFoundError, SecmonError
from secmon.model.access import Access, job_access
from secmon.model.coverage import EVERY, WINDOW, CoverageState
from secmon.model.event import format_time, parse_time
from secmon.model.record import Body
from secmon.triage.sight import CARDS
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import choice, page
from secmon.web.respond import respond
from secmon.web.sight import source_names_in_sight

DAYS = 31
HOUR, DAY = "hour", "day"
# What a day shows of its hours: the first of these that any of them is.
_WORST = (CoverageState.NOT_RUN, CoverageState.RE_EVALUATED, CoverageState.NO_DATA, CoverageState.EVALUATED)
_ACCESS = job_access("console")


@page
def matrix(request: Request, visitor: Visitor) -> Response:
    """Show sources × hours of a day, or × days of a month; the address holds the whole state of the page."""
    house, query = daemon_of(request).house, request.query_params
    unit = choice(query.get("unit", HOUR), (HOUR, DAY), "unit")
    day = _day(query.get("day", ""), house)
    until = ledger.closed_until(house, _ACCESS)
    columns = _columns(day, unit, house)
    visible = source_names_in_sight(house, visitor)
    wanted = ledger.CoverageFilter(since=columns[0][0], until=columns[-1][1], sources=visible)
    found = {(row["source"], hour): row for hour, row in ledger.by_hour(house, _ACCESS, wanted)} if until else {}
    names = sorted({*(source for source, _ in found), *(house.sources if visible is None else visible)})
    rows = [{"source": name, "cells": [_cell(found, name, span) for span in columns]} for name in names]
    data = {
        "unit": unit,
        "day": day.isoformat(),
        "until": format_time(until) if until else "",
        "columns": [format_time(since) for since, _ in columns],
        "sources": rows,
        "reasons": _reasons(rows),
        "not_run": _not_run(house, _ACCESS),
    }
    days = {"before": (day - timedelta(days=1)).isoformat(), "after": (day + timedelta(days=1)).isoformat()}
    return respond(
        request,
        visitor,
        "coverage.html.j2",
        data,
        title="覆盖",
        heads=[_head(since, unit, house) for since, _ in columns],
        links={name: [_link(name, span, unit, house) for span in columns] for name in names},
        days=days,
        alert_rules=list(CARDS.values()),
        active=house.ruleset.by_id,
    )


@page
def window(request: Request, visitor: Visitor) -> Response:
    """Show one window of a source: its row, and every rule that its events met."""
    house, query = daemon_of(request).house, request.query_params
    source, since = query.get("source", ""), _moment(query.get("from", ""))
    visible = source_names_in_sight(house, visitor)
    wanted = ledger.CoverageFilter(source=source, since=since, until=since + WINDOW, sources=visible)
    found = ledger.windows(house, _ACCESS, wanted)
    if not source or not found:
        raise NotFoundError("no such window", hint="it is not closed yet, or the source had none")
    every = ledger.rows(house, _ACCESS, wanted)
    quiet = [_without_place(one) for one in ledger.suppressions(house, _ACCESS, found[0])]
    data = {"row": found[0], "rules": [one for one in every if one["source"] != EVERY], "suppressions": quiet}
    day = since.astimezone(house.zone).date().isoformat()
    names = {one["suppression.id"]: one["suppression.name"] for one in quiet}
    shown: dict[str, Any] = {"day": day, "quiet": names, "active": house.ruleset.by_id}
    return respond(request, visitor, "window.html.j2", data, title=f"覆盖：{source}", **shown)


def _without_place(one: Body) -> Body:
    """Return what a suppression said, without the file that it stood in: that is for administrators."""
    return {name: value for name, value in one.items() if name != "path"}


def _columns(day: date, unit: str, house: Installation) -> list[tuple[datetime, datetime]]:
    """Return the spans of the columns, oldest first: the hours of a day, or the days up to it."""
    start = datetime.combine(day, time(), tzinfo=house.zone).astimezone(UTC)
    if unit == HOUR:
        return [(start + number * WINDOW, start + (number + 1) * WINDOW) for number in range(24)]
    first = start - timedelta(days=DAYS - 1)
    return [(first + timedelta(days=n), first + timedelta(days=n + 1)) for n in range(DAYS)]


def _cell(found: Mapping[tuple[str, str], Body], source: str, span: tuple[datetime, datetime]) -> dict[str, Any]:
    """Return what became of a source in a span; the state is "open" where nothing is closed yet."""
    hours = (span[1] - span[0]) // WINDOW
    rows = [row for n in range(hours) if (row := found.get((source, format_time(span[0] + n * WINDOW))))]
    states = [row["state"] for row in rows]
    state = next((one.value for one in _WORST if one.value in states), "open")
    reasons = sorted({row["reason"] for row in rows if row["reason"]})
    return {
        "from": format_time(span[0]),
        "state": state,
        "events": sum(row["counts"]["events"] for row in rows),
        "hits": sum(row["hits"] for row in rows),
        "hours": {one: states.count(one) for one in sorted(set(states))},
        "reasons": reasons,
    }


def _reasons(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return reason → in how many cells it stands, the most frequent first."""
    counted = Counter(reason for row in rows for cell in row["cells"] for reason in cell["reasons"])
    return dict(counted.most_common())


def _not_run(house: Installation, access: Access) -> list[Mapping[str, str]]:
    """Return the rules that did not run when the last sheet was written."""
    head = load_head(house, access)
    for sheet in documents(house, access, SHEET, first=head.number) if head and head.number else ():
        return not_run_list(house, access, sheet["not_run"])
    return []


def _head(moment: datetime, unit: str, house: Installation) -> str:
    local = moment.astimezone(house.zone)
    return local.strftime("%H" if unit == HOUR else "%m-%d")


def _link(source: str, span: tuple[datetime, datetime], unit: str, house: Installation) -> str:
    if unit == HOUR:
        return "/coverage/window?" + urlencode({"source": source, "from": format_time(span[0])})
    return "/coverage?" + urlencode({"day": span[0].astimezone(house.zone).date().isoformat()})


def _day(text: str, house: Installation) -> date:
    try:
        found = date.fromisoformat(text) if text else house.clock.now().astimezone(house.zone).date()
        datetime.combine(found, time(), tzinfo=house.zone).astimezone(UTC) - timedelta(days=DAYS)
        datetime.combine(found, time(), tzinfo=house.zone).astimezone(UTC) + timedelta(days=2)
    except (ValueError, OverflowError):
        raise SecmonError("a day must be written like 2026-09-07") from None
    return found


def _moment(text: str) -> datetime:
    try:
        found = parse_time(text)
        found + WINDOW
    except (ValueError, OverflowError):
        raise SecmonError("a time must be RFC 3339, such as 2026-09-07T08:00:00+08:00") from None
    return found


ROUTES = [Route("/coverage", matrix), Route("/coverage/window", window)]
