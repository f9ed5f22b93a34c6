"""Who is asking: session cookie, CSRF token, log-in."""

import hmac
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from secmon.app.users import Session, session_of
from secmon.daemon.service import Daemon
from secmon.errors import AccessError
from secmon.model.access import Access, Role

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

    @property
    def may_triage(self) -> bool:
        """Whether the buttons of alerts are for them; the use case decides again."""
        return self.access.may(Role.OPERATOR, Role.SECURITY_ADMIN)

    @property
    def may_settle(self) -> bool:
        """Whether they may replay or give up dead letters."""
        return self.access.may(Role.OPERATOR, Role.SYSTEM_ADMIN)

    @property
    def may_assess(self) -> bool:
        """Whether they may start a self-assessment."""
        return self.access.may(Role.COMPLIANCE, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN)

    @property
    def may_draft(self) -> bool:
        """Whether they may draft bulletins."""
        return self.access.may(Role.BULLETIN, Role.OPERATOR)


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
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = here if request.method in {"GET", "HEAD"} else "/"
    return RedirectResponse(f"/login?next={quote(target, safe='/')}", status_code=303)
