"""The console as an ASGI application: routes, security headers, errors.

Each page also answers as JSON (`Accept: application/json`). No page has inline scripts or styles; the policy below
lets nothing in from outside.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from secmon.daemon.service import Daemon
from secmon.errors import AccessError, NotFoundError, SecmonError
from secmon.web import health
from secmon.web.pages import account, alerts, bulletins, compliance, deadletters, overview, sources
from secmon.web.respond import error_page

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
MAX_BODY_BYTES = 64 << 10
_STATIC = Path(__file__).parent / "static"

log = structlog.get_logger()


def create_console(daemon: Daemon, *, host: str) -> Starlette:
    """Return the application.

    Args:
        daemon: what it shows and acts on.
        host: address it listens on; requests for other names are refused (DNS rebinding).
    """
    hosts = ["*"] if host in {"0.0.0.0", "::"} else [*LOOPBACK, host]  # noqa: S104  compared, not bound
    app = Starlette(
        routes=[
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            *account.ROUTES,
            *overview.ROUTES,
            *alerts.ROUTES,
            *sources.ROUTES,
            *deadletters.ROUTES,
            *compliance.ROUTES,
            *bulletins.ROUTES,
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
            Middleware(BaseHTTPMiddleware, dispatch=_guard),
        ],
        exception_handlers={SecmonError: _known, 404: _missing, Exception: _unknown},
    )
    app.state.daemon = daemon
    return app


async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse oversized bodies and put the security headers on every answer."""
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return Response("request too large", status_code=413, headers=HEADERS)
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.url.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _known(request: Request, error: Exception) -> Response:
    if not isinstance(error, SecmonError):
        raise error
    status = 404 if isinstance(error, NotFoundError) else 403 if isinstance(error, AccessError) else 400
    return error_page(request, status, error)


def _missing(request: Request, _error: Exception) -> Response:
    return error_page(request, 404, NotFoundError("no such page"))


def _unknown(request: Request, error: Exception) -> Response:
    """Log what nobody foresaw with its traceback and show nothing of it."""
    log.error("console.failed", path=request.url.path, exc_info=error)
    return error_page(request, 500, SecmonError("something went wrong; the log has it"))
