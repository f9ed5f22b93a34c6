"""What every page does first: know who asks; a form also proves that it is ours."""

from collections.abc import Callable, Collection, Sequence
from functools import wraps

from anyio import from_thread
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from secmon.errors import SecmonError
from secmon.web.auth import NotLoggedIn, Visitor, check_csrf, to_login, visitor_of
from secmon.web.respond import json_response, wants_json


def page(show: Callable[[Request, Visitor], Response]) -> Callable[[Request], Response]:
    """Return an endpoint that runs in a thread for whoever is logged in, and asks others to log in."""

    @wraps(show)
    def endpoint(request: Request) -> Response:
        try:
            visitor = visitor_of(request)
        except NotLoggedIn as error:
            return json_response({"problem": str(error)}, 401) if wants_json(request) else to_login(request)
        return show(request, visitor)

    return endpoint


def form_action(act: Callable[[Request, Visitor, FormData], Response]) -> Callable[[Request], Response]:
    """Return an endpoint for a form: logged in, with the session's CSRF token."""

    @page
    @wraps(act)
    def endpoint(request: Request, visitor: Visitor) -> Response:
        form = from_thread.run(read_form, request)
        check_csrf(visitor, form)
        return act(request, visitor, form)

    return endpoint


async def read_form(request: Request) -> FormData:
    """Return the texts of a form; files that somebody attached are thrown away."""
    async with request.form() as form:
        return FormData([(name, value) for name, value in form.multi_items() if isinstance(value, str)])


def field(form: FormData, name: str, *, limit: int = 2000) -> str:
    """Return a form field's text, bounded; "" if it is missing."""
    value = form.get(name)
    return value[:limit] if isinstance(value, str) else ""


def choice(value: str, known: Collection[str], name: str) -> str:
    """Return a value that must be one of a vocabulary.

    Raises:
        SecmonError: it is not.
    """
    if value not in known:
        raise SecmonError(
            "{name} must be one of {known}", values={"name": name, "known": ", ".join(str(one) for one in known)}
        )
    return value


def choices(values: Sequence[str], known: Collection[str], name: str) -> tuple[str, ...]:
    """Return values that must all be of a vocabulary, each once; empty ones are left out.

    Raises:
        SecmonError: one of them is not.
    """
    return tuple(dict.fromkeys(choice(value, known, name) for value in values if value))
