"""What stands around the whole console: security headers on every answer, a bound on every request.

A plain ASGI wrapper outside of everything else, so that answers of the framework itself (wrong host name, method not
allowed, an error nobody foresaw) carry the headers too, and a body without a length is counted while it arrives.
"""

from collections.abc import Mapping

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Mapping[str, str] = {
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
MAX_BODY_BYTES = 64 << 10

log = structlog.get_logger()


class Guard:
    """Wraps an application.

    Args:
        app: the application.
        max_body_bytes: longest request body; longer ones are refused with 413.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._app, self._max = app, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _put_headers(message, str(scope["path"]))
            await send(message)

        if _declared_bytes(scope) > self._max:
            await _refusal(scope, receive, guarded_send)
            return
        try:
            await self._app(scope, _counted(receive, self._max), guarded_send)
        except Exception:
            # Starlette answers with our error page and raises again for the server to log; ours has logged it.
            if not started:
                raise


def _put_headers(message: Message, path: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    # Pages hold what others must not find in a cache; static files are asked for again and answered with 304.
    headers.setdefault("Cache-Control", "no-cache" if path.startswith("/static/") else "no-store")


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 1 << 62
    return 0


def _counted(receive: Receive, most: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413)  # shown like everything else the framework refuses
        return message

    return counted


async def _refusal(scope: Scope, receive: Receive, send: Send) -> None:
    log.warning("console.too_large", path=scope["path"])
    await PlainTextResponse("提交的内容太大\n", status_code=413)(scope, receive, send)
