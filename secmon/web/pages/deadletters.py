"""Dead letters: what could not be read, and what to do with it."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import deadletters as letters
from secmon.errors import SecmonError
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import field, form_action, page
from secmon.web.respond import respond

PAGE = 100
_STATES = {"waiting", "replayed", "dropped"}


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List dead letters, latest first."""
    query = request.query_params
    state = query.get("state", letters.WAITING)
    if state not in _STATES:
        raise SecmonError("state must be one of waiting, replayed, dropped")
    rows, cursor = letters.list_letters(
        daemon_of(request).house,
        visitor.access,
        source=query.get("source", ""),
        state=state,
        limit=PAGE,
        cursor=query.get("cursor", ""),
    )
    data = {"deadletters": rows, "cursor": cursor, "state": state, "source": query.get("source", "")}
    return respond(request, visitor, "deadletters.html.j2", data, title="死信")


@form_action
def act(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Replay or drop the dead letters that were ticked."""
    house = daemon_of(request).house
    ids = [str(value) for value in form.getlist("id")][:PAGE]
    if field(form, "action") == "drop":
        letters.drop(house, visitor.access, ids, reason=field(form, "reason"))
    elif ids:
        letters.replay(house, visitor.access, ids=ids)
    return RedirectResponse("/deadletters", status_code=303)


ROUTES = [Route("/deadletters", list_), Route("/deadletters/act", act, methods=["POST"])]
