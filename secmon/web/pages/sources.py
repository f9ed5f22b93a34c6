"""Sources: the exact account of each, and which are silent or failing."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import accounts
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import page
from secmon.web.respond import respond


@page
def sources(request: Request, visitor: Visitor) -> Response:
    """List all sources."""
    daemon = daemon_of(request)
    found = accounts.accounts(daemon.house, visitor.access, daemon.reading.state.live)
    data = {"sources": [accounts.row(one) for one in found]}
    return respond(request, visitor, "sources.html.j2", data, title="日志来源")


ROUTES = [Route("/sources", sources)]
