"""Log-in, log-out, and the first administrator's one-time link."""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import users
from secmon.errors import SecmonError
from secmon.web.auth import COOKIE, NotLoggedIn, Visitor, daemon_of, set_session, visitor_of
from secmon.web.page import field, form_action, read_form
from secmon.web.respond import html, told


async def login(request: Request) -> Response:
    """Show the log-in form, or log in."""
    target, made = _local(request.query_params.get("next", "/")), "made" in request.query_params
    if request.method != "POST":
        if await run_in_threadpool(_is_logged_in, request):
            return RedirectResponse(target, status_code=303)
        return html(
            request, "login.html.j2", {"title": "登录", "visitor": None, "problem": "", "target": target, "made": made}
        )
    form = await read_form(request)
    _refuse_other_sites(request)
    target = _local(field(form, "next") or "/")
    try:
        token = await run_in_threadpool(
            users.log_in, daemon_of(request).house, field(form, "name"), field(form, "password")
        )
    except SecmonError as error:
        values = {"title": "登录", "visitor": None, "problem": told(error), "target": target, "made": False}
        return html(request, "login.html.j2", values, 403)
    response = RedirectResponse(target, status_code=303)
    set_session(response, request, token)
    return response


async def setup(request: Request) -> Response:
    """Make the first administrator through the one-time link."""
    if request.method != "POST":
        token = request.query_params.get("token", "")
        valid = await run_in_threadpool(users.invitation_is_valid, daemon_of(request).house, token)
        values = {"title": "设置首个管理员", "visitor": None, "problem": "", "token": token, "valid": valid, "name": ""}
        return html(request, "setup.html.j2", values, 200 if valid else 403)
    form = await read_form(request)
    _refuse_other_sites(request)
    token, name, password = field(form, "token"), field(form, "name"), field(form, "password")
    try:
        _check_same(password, field(form, "again"))
        await run_in_threadpool(users.accept_invitation, daemon_of(request).house, token, name, password)
    except SecmonError as error:
        valid = await run_in_threadpool(users.invitation_is_valid, daemon_of(request).house, token)
        values = {"title": "设置首个管理员", "visitor": None, "problem": told(error), "token": token, "valid": valid}
        values["name"] = name
        return html(request, "setup.html.j2", values, 403)
    return RedirectResponse("/login?made=1", status_code=303)


@form_action
def logout(request: Request, visitor: Visitor, form: FormData) -> Response:
    """End the session."""
    del visitor, form
    users.log_out(daemon_of(request).house, request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(COOKIE, path="/")
    return response


def _is_logged_in(request: Request) -> bool:
    try:
        visitor_of(request)
    except NotLoggedIn:
        return False
    return True


def _local(target: str) -> str:
    """Return a path on this site; anything else becomes the first page (no open redirect)."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if plain and not any(ord(c) < 0x20 for c in target) else "/"  # noqa: PLR2004  control characters


def _refuse_other_sites(request: Request) -> None:
    """Refuse a form that another site sent: there is no session yet that could carry a token."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", "")
    host = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site not in {"same-origin", "none"} or (origin and origin not in {host, "null"}):
        raise SecmonError("the form was sent from another site")


def _check_same(password: str, again: str) -> None:
    if password != again:
        raise SecmonError("the two passwords differ")


ROUTES = [
    Route("/login", login, methods=["GET", "POST"]),
    Route("/setup", setup, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
]
