"""What stands around the whole console: security headers on every answer, a bound on every request.

A plain ASGI wrapper outside of everything else, so that answers of the framework itself (wrong host name, method not
allowed, an error nobody foresaw) carry the headers too, and a body without a length is counted while it arrives.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import structlog
from starlette.datastructures import Headers, MutableHeaders
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
FOREIGN_HOST = "这个地址不是本系统的访问地址；经反向代理访问时，请在设置 [console] hosts 中登记所用的域名"
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:\[\]/@]+?))\.?(?::[0-9]{1,5})?")

log = structlog.get_logger()


class Hosts:
    """The names that the console answers to.

    A web page of somebody else may let its own name point to this machine and then read our answers as its own (DNS
    rebinding). Such a request names that page's host. An address names none, so where the console is open to the
    network any address is taken; on loopback only loopback's.

    Args:
        listen: address that the console listens on.
        names: further names, such as that of a reverse proxy.
    """

    def __init__(self, listen: str, names: Sequence[str] = ()) -> None:
        self._names = frozenset({*_LOOPBACK_NAMES, listen.lower(), *(name.lower().rstrip(".") for name in names)})
        self._any_address = not is_loopback(listen)

    def accept(self, headers: Sequence[str]) -> bool:
        """Tell whether a request with these Host headers is for us; RFC 9112, 3.2: there is exactly one."""
        if len(headers) != 1:
            return False
        found = _HOST.fullmatch(headers[0])
        if found is None:
            return False
        name = (found["name"] or found["address"]).lower()
        return name in self._names or (self._any_address and _is_address(name))


def is_loopback(host: str) -> bool:
    """Tell whether an address or name to listen on is reached from this machine only."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Guard:
    """Wraps an application.

    Args:
        app: the application.
        hosts: the names it answers to; requests for others are refused with 421.
        max_body_bytes: longest request body; longer ones are refused with 413.
    """

    def __init__(self, app: ASGIApp, *, hosts: Hosts, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._app, self._hosts, self._max = app, hosts, max_body_bytes

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

        if not self._hosts.accept(Headers(scope=scope).getlist("host")):
            log.warning("console.foreign_host", path=scope["path"])
            await _refusal(FOREIGN_HOST, 421)(scope, receive, guarded_send)
            return
        if _declared_bytes(scope) > self._max:
            log.warning("console.too_large", path=scope["path"])
            await _refusal("提交的内容太大", 413)(scope, receive, guarded_send)
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


def _refusal(text: str, status: int) -> PlainTextResponse:
    return PlainTextResponse(f"{text}\n", status_code=status)
