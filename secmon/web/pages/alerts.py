"""Alerts: the list to triage, one alert with its evidence, and what was decided."""

from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import alerts as triage
from secmon.app.installation import Installation
from secmon.app.tuning import beside
from secmon.errors import ConflictError, SecmonError
from secmon.model.alert import Alert, AlertState
from secmon.model.hit import Level
from secmon.triage.sight import KIND as SIGHT
from secmon.web import words
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import choice, choices, field, form_action, page
from secmon.web.pages.hunt import around
from secmon.web.respond import ordered_event, respond
from secmon.web.sight import Names, assets_in_sight, units_in_sight

PAGE = 50
ALL = "all"
_MAX_TEXT = 200
_FILTERS = ("state", "level", "rule", "unit", "asset", "since", "until", "text", "cursor")


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List alerts; the address holds the whole state of the page."""
    house, query = daemon_of(request).house, request.query_params
    wanted = _wanted(query, house)
    found = triage.list_alerts(house, visitor.access, wanted)
    data = {
        "alerts": [named_row(house, alert) for alert in found.alerts],
        "cursor": found.cursor,
        "states": triage.count_alerts(house, visitor.access, by="state"),
        "filter": {
            "state": query.getlist("state"),
            "level": list(wanted.levels),
            "text": wanted.text,
            **{name: query.get(name, "") for name in ("rule", "unit", "asset", "since", "until")},
        },
    }
    rule = house.ruleset.by_id.get(wanted.rule)
    return respond(
        request,
        visitor,
        "alerts.html.j2",
        data,
        title="告警",
        names=Names(house),
        units=units_in_sight(house, visitor.access),
        assets=assets_in_sight(house, visitor.access),
        rule_title=(rule.title_zh or rule.name) if rule else wanted.rule,
        done=_done(query),
    )


@page
def show(request: Request, visitor: Visitor) -> Response:
    """Show one alert: why, what, when, and everything that was done with it."""
    house = daemon_of(request).house
    alert = triage.get_alert(house, visitor.access, request.path_params["id"])
    data = triage.details(house, visitor.access, alert) | named_row(house, alert)
    data["events"] = [ordered_event(event) for event in triage.alert_events(house, visitor.access, alert)]
    found, is_cut = beside(house, visitor.access, alert)
    data["suppressed"] = {
        "hits": sum(one.hits for one in found),
        "same_group": sum(one.same_group for one in found),
        "complete": not is_cut,
        "by": [asdict(one) for one in found],
    }
    seen = [one for one in assets_in_sight(house, visitor.access) if one.id in alert.content.asset_ids]
    return respond(
        request,
        visitor,
        "alert.html.j2",
        data,
        title=alert.rule_title_zh or alert.rule_name,
        names=Names(house),
        units=alert.content.unit_ids,
        shares=alert.content.counts_by_unit,
        assets=seen,
        key_fields=_key_fields(alert, data["events"]),
        around={event["event.id"]: around(house, event) for event in data["events"]},
        in_force=alert.rule_id in house.ruleset.by_id,
        done=_done(request.query_params),
        is_sight=alert.rule_kind == SIGHT,
    )


@form_action
def act(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Do what the form says with one or several alerts; what does not fit one of several is left as it is."""
    house = daemon_of(request).house
    action = choice(field(form, "action"), words.ACTION_ZH, "action")
    reason = triage.close_reason(field(form, "reason")) if action == "close" else None
    ids = list(dict.fromkeys(str(value) for value in form.getlist("id")))
    if not ids:
        raise SecmonError("no alert is ticked", hint="tick alerts first")
    if len(ids) > PAGE:
        raise SecmonError("at most {most} alerts at a time", values={"most": PAGE})
    done = skipped = 0
    for alert_id in ids:
        try:
            triage.act_on_alert(house, visitor.access, alert_id, action, reason=reason, note=field(form, "note"))
            done += 1
        except ConflictError:
            raise
        except SecmonError as error:
            if len(ids) == 1 or type(error) is not SecmonError:
                raise
            skipped += 1
    told = {"action": action, "done": str(done), "skipped": str(skipped)}
    if field(form, "back") == "alert":
        return RedirectResponse(f"/alerts/{quote(ids[0], safe='')}?{urlencode(told)}", status_code=303)
    kept = [(name, value) for name, value in parse_qsl(field(form, "query")) if name in _FILTERS]
    return RedirectResponse(f"/alerts?{urlencode([*kept, *told.items()])}", status_code=303)


def named_row(house: Installation, alert: Alert) -> dict[str, Any]:
    """Return an alert's row with the names of its unit and system."""
    row, names = triage.row(alert), Names(house)
    if "unit.id" in row:
        row["unit.name"] = names.unit(row["unit.id"])
    if "asset.id" in row:
        row["asset.name"] = names.asset(row["asset.id"])
    return row


def _wanted(query: QueryParams, house: Installation) -> triage.AlertFilter:
    """Return the filter that the address asks for.

    Raises:
        SecmonError: a state, a level or a day that does not exist.
    """
    states = choices(query.getlist("state"), [*AlertState, ALL], "state")
    until = _day(query.get("until", ""), house)
    return triage.AlertFilter(
        states=tuple(AlertState) if ALL in states else states,
        levels=choices(query.getlist("level"), list(Level), "level"),
        rule=query.get("rule", ""),
        unit=query.get("unit", ""),
        asset=query.get("asset", ""),
        since=_day(query.get("since", ""), house),
        until=until + timedelta(days=1) if until else None,
        text=query.get("text", "").strip()[:_MAX_TEXT],
        open_only=not states,
        limit=PAGE,
        cursor=query.get("cursor", ""),
    )


def _day(text: str, house: Installation) -> datetime | None:
    """Return the start of a day of the installation's zone, None for no text."""
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), tzinfo=house.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SecmonError("a day must be written like 2026-09-07") from None


def _done(query: QueryParams) -> dict[str, Any] | None:
    """Return what the form before this page did, as the redirect told it; numbers only, no text of the address."""
    action, done, skipped = (query.get(name, "") for name in ("action", "done", "skipped"))
    if action not in words.ACTION_ZH or not (done.isascii() and done.isdigit()):
        return None
    return {"action": action, "done": int(done[:3]), "skipped": int(skipped[:3]) if skipped.isdecimal() else 0}


def _key_fields(alert: Alert, events: list[dict[str, object]]) -> list[str]:
    """Return the columns of the evidence table: the group key, then what tells the events apart at a glance."""
    group = [name for name in alert.group if name not in {"asset.id", "unit.id"}]
    usual = ["event.action", "event.outcome", "user.name", "source.ip", "host.name", "url.path", "process.command_line"]
    names = list(dict.fromkeys([*usual[:2], *group, *usual[2:]]))
    return [name for name in names if any(name in event for event in events)][:6]


ROUTES = [
    Route("/alerts", list_),
    Route("/alerts/act", act, methods=["POST"]),
    Route("/alerts/{id:str}", show),
]
