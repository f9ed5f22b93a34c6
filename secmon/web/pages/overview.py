"""Overview: what to do next, what is open, what is silent, what is wrong."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import accounts, bulletins, deadletters, reports, tuning
from secmon.app import alerts as triage
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import page
from secmon.web.pages.alerts import named_row
from secmon.web.pages.compliance import asset_row
from secmon.web.respond import respond
from secmon.web.sight import assets_in_sight, sources_in_sight
from secmon.web.todo import ALERTS_READ, Facts, todo

_LATEST = 8
_DRAFTS = 20


@page
def overview(request: Request, visitor: Visitor) -> Response:
    """Show the ten things to do, counts, the latest open alerts, the state of sources and of the daemon."""
    daemon, access = daemon_of(request), visitor.access
    house = daemon.house
    found = triage.list_alerts(house, access, triage.AlertFilter(open_only=True, limit=ALERTS_READ))
    alerts = [named_row(house, alert) for alert in found.alerts]
    sources = [accounts.row(one) for one in sources_in_sight(daemon, visitor)]
    # The daemon's state names files and folders of the whole installation: for those who see all of it.
    checks = [check.row() for check in daemon.checks()] if access.scope.is_root else []
    letters = deadletters.count_letters(house, access)
    items, more = todo(
        Facts(
            alerts=alerts,
            sources=sources,
            checks=checks,
            waiting=letters.get(deadletters.WAITING, 0),
            assets=[asset_row(house, asset) for asset in assets_in_sight(house, access)],
            assessments=reports.list_assessments(house, access),
            bulletins=bulletins.list_bulletins(house, access, limit=_DRAFTS)[0],
        )
    )
    data = {
        "todo": [item.row() for item in items],
        "todo_more": more,
        "states": triage.count_alerts(house, access, by="state"),
        "levels": triage.count_alerts(house, access, by="level"),
        "alerts": alerts[:_LATEST],
        "sources": sources,
        "deadletters": letters,
        "checks": checks,
        "maintenance": tuning.under_way(house, access),
    }
    return respond(request, visitor, "overview.html.j2", data, title="总览")


ROUTES = [Route("/", overview)]
