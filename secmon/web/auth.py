"""Who is asking: session cookie, CSRF token, log-in."""

import hmac
from dataclasses import dataclass

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secmon.app.users import Session, session_of
from secmon.daemon.service import Daemon
from secmon.errors import AccessError
from secmon.model.access import Access

COOKIE = "secmon_session"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A logged-in user.

    Args:
        user: their name.
        access: what they may do and see.
        csrf: token that every form of theirs carries.
    """

    user: str
    access: Access
    csrf: str


class NotLoggedIn(AccessError):  # noqa: N818  a turn in the road, not a failure
    """There is no valid session."""


def daemon_of(request: Request) -> Daemon:
    """Return the daemon behind the console."""
    daemon: Daemon = request.app.state.daemon
    return daemon


def visitor_of(request: Request) -> Visitor:
    """Return who asks.

    Raises:
        NotLoggedIn: there is no valid session.
    """
    token = request.cookies.get(COOKIE, "")
    session: Session | None = session_of(daemon_of(request).house, token) if token else None
    if session is None:
        raise NotLoggedIn("log in first")
    return Visitor(session.user, session.access, session.csrf)


def check_csrf(visitor: Visitor, form: FormData) -> None:
    """Refuse a form that does not carry the session's token.

    Raises:
        AccessError: it does not.
    """
    given = form.get("csrf")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
        raise AccessError("the form is out of date", hint="reload the page and send it again")


def set_session(response: Response, request: Request, token: str) -> None:
    """Give the browser its session; only this site may send it, no script may read it."""
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")


def to_login(request: Request) -> Response:
    """Send a browser to the log-in page and back afterwards."""
    target = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/login?next={target}", status_code=303)
