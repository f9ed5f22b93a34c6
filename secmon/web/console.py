"""The console as an ASGI application: routes, errors, and the guard around it.

Each page also answers as JSON (`Accept: application/json`). No page has inline scripts or styles; the policy in
`guard` lets nothing in from outside.
"""

from collections.abc import Sequence
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from secmon.daemon.service import Daemon
from secmon.errors import AccessError, ConflictError, NotFoundError, SecmonError, StoreUnavailableError
from secmon.web import health
from secmon.web.guard import Guard, Hosts
from secmon.web.pages import (
    account,
    alerts,
    bulletins,
    compliance,
    coverage,
    deadletters,
    hunt,
    overview,
    rules,
    sources,
    tuning,
)
from secmon.web.respond import error_page

_STATIC = Path(__file__).parent / "static"
# Error class → HTTP status; the first that fits; everything else the asker can act on is 400.
_STATUS: tuple[tuple[type[SecmonError], int], ...] = (
    (NotFoundError, 404),
    (AccessError, 403),
    (ConflictError, 409),
    (StoreUnavailableError, 503),
)

log = structlog.get_logger()


def create_console(daemon: Daemon, *, host: str, hosts: Sequence[str] = ()) -> Guard:
    """Return the application.

    Args:
        daemon: what it shows and acts on.
        host: address it listens on.
        hosts: further names by which browsers reach it; requests for other names are refused.
    """
    app = Starlette(
        routes=[
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            *account.ROUTES,
            *overview.ROUTES,
            *alerts.ROUTES,
            *hunt.ROUTES,
            *rules.ROUTES,
            *sources.ROUTES,
            *coverage.ROUTES,
            *tuning.ROUTES,
            *deadletters.ROUTES,
            *compliance.ROUTES,
            *bulletins.ROUTES,
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        exception_handlers={SecmonError: _known, HTTPException: _refused, Exception: _unknown},
    )
    app.state.daemon = daemon
    return Guard(app, hosts=Hosts(host, hosts))


def _known(request: Request, error: Exception) -> Response:
    if not isinstance(error, SecmonError):
        raise error
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 400)
    return error_page(request, status, error)


def _refused(request: Request, error: Exception) -> Response:
    """Show what the framework refuses: no such page, method not allowed, a form it cannot read."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:  # noqa: PLR2004  HTTP's own number
        return error_page(request, 404, NotFoundError("no such page"))
    told = "the request is too large" if error.status_code == 413 else "the request does not fit this page"  # noqa: PLR2004
    found = error_page(request, error.status_code, SecmonError(told))
    found.headers.update(error.headers or {})
    return found


def _unknown(request: Request, error: Exception) -> Response:
    """Log what nobody foresaw with its traceback and show nothing of it."""
    log.error("console.failed", path=request.url.path, exc_info=error)
    return error_page(request, 500, SecmonError("something went wrong; the log has it"))
