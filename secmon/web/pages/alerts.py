"""Alerts: the list to triage, one alert with its evidence, and what was decided."""

from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import alerts as triage
from secmon.model.event import Event
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import field, form_action, page
from secmon.web.respond import respond

PAGE = 50
# Fields of an event that stand first in its table; the others follow by name.
_FIRST = ("@timestamp", "event.dataset", "event.action", "event.outcome", "host.name", "user.name", "source.ip")
_LAST = ("event.original", "event.hash", "event.id", "event.ingested", "ecs.version")


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List alerts; the address holds the whole state of the page."""
    daemon, query = daemon_of(request), request.query_params
    wanted = triage.AlertFilter(
        states=tuple(query.getlist("state")),
        levels=tuple(query.getlist("level")),
        rule=query.get("rule", ""),
        unit=query.get("unit", ""),
        asset=query.get("asset", ""),
        text=query.get("text", ""),
        open_only=not query.getlist("state"),
        limit=PAGE,
        cursor=query.get("cursor", ""),
    )
    found = triage.list_alerts(daemon.house, visitor.access, wanted)
    data = {
        "alerts": [triage.row(alert) for alert in found.alerts],
        "cursor": found.cursor,
        "states": triage.count_alerts(daemon.house, visitor.access, by="state"),
        "filter": {"state": list(wanted.states), "level": list(wanted.levels), "text": wanted.text},
    }
    return respond(request, visitor, "alerts.html.j2", data, title="告警")


@page
def show(request: Request, visitor: Visitor) -> Response:
    """Show one alert: why, what, when, and everything that was done with it."""
    daemon = daemon_of(request)
    alert = triage.get_alert(daemon.house, visitor.access, request.path_params["id"])
    data = triage.details(daemon.house, visitor.access, alert)
    data["events"] = [_ordered(event) for event in triage.alert_events(daemon.house, visitor.access, alert)]
    return respond(request, visitor, "alert.html.j2", data, title=alert.rule_title_zh or alert.rule_name)


@form_action
def act(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Do what the form says with one or several alerts."""
    daemon = daemon_of(request)
    action = field(form, "action")
    reason = triage.close_reason(field(form, "reason")) if action == "close" else None
    ids = [str(value) for value in form.getlist("id")][:PAGE]
    for alert_id in ids:
        triage.act_on_alert(daemon.house, visitor.access, alert_id, action, reason=reason, note=field(form, "note"))
    target = f"/alerts/{quote(ids[0])}" if field(form, "back") == "alert" and ids else "/alerts"
    return RedirectResponse(target, status_code=303)


def _ordered(event: Event) -> dict[str, object]:
    names = [name for name in _FIRST if name in event]
    names += sorted(name for name in event if name not in _FIRST and name not in _LAST)
    names += [name for name in _LAST if name in event]
    return {name: event[name] for name in names}


ROUTES = [
    Route("/alerts", list_),
    Route("/alerts/act", act, methods=["POST"]),
    Route("/alerts/{id:str}", show),
]
