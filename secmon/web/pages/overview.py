"""Overview: what is open, what is silent, what is wrong."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import accounts
from secmon.app import alerts as triage
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import page
from secmon.web.respond import respond


@page
def overview(request: Request, visitor: Visitor) -> Response:
    """Show counts, the latest open alerts, the state of sources and of the daemon."""
    daemon = daemon_of(request)
    latest = triage.list_alerts(daemon.house, visitor.access, triage.AlertFilter(open_only=True, limit=10))
    rows = [accounts.row(one) for one in accounts.accounts(daemon.house, visitor.access, daemon.reading.state.live)]
    data = {
        "states": triage.count_alerts(daemon.house, visitor.access, by="state"),
        "levels": triage.count_alerts(daemon.house, visitor.access, by="level"),
        "alerts": [triage.row(alert) for alert in latest.alerts],
        "sources": rows,
        "checks": [check.row() for check in daemon.checks()],
    }
    return respond(request, visitor, "overview.html.j2", data, title="总览")


ROUTES = [Route("/", overview)]
