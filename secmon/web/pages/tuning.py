"""Tuning (调优): what quiets alerts, who answers for it, until when, and how much it has quieted."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import tuning as quiet
from secmon.app.tuning_draft import draft
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import page
from secmon.web.pages.compliance import download
from secmon.web.respond import respond
from secmon.web.sight import Names


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """Show exceptions, disabled rules, overrides and maintenance windows with their state and counts."""
    house = daemon_of(request).house
    rows = quiet.tuning(house, visitor.access)
    data = {"days": quiet.COUNTED_DAYS, "tuning": rows}
    rules = {identity: rule.title_zh or rule.name for identity, rule in house.ruleset.by_id.items()}
    return respond(request, visitor, "tuning.html.j2", data, title="调优", names=Names(house), rules=rules)


@page
def exception(request: Request, visitor: Visitor) -> Response:
    """Give a draft of an exception for the group of an alert; it suppresses nothing as it stands."""
    house, identity = daemon_of(request).house, request.path_params["id"]
    text = draft(house, visitor.access, identity)
    return download(text.encode(), f"exception-{identity[:8]}.yml", "application/yaml")


ROUTES = [Route("/tuning", list_), Route("/alerts/{id}/exception.yml", exception)]
