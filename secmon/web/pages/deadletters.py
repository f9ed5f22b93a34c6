"""Dead letters: what could not be read, and what to do with it."""

from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import deadletters as letters
from secmon.errors import SecmonError
from secmon.web import words
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import choice, field, form_action, page
from secmon.web.respond import respond
from secmon.web.sight import sources_in_sight

PAGE = 100
_ACTIONS = ("replay", "drop")


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List dead letters, latest first."""
    daemon, query = daemon_of(request), request.query_params
    state = choice(query.get("state") or letters.WAITING, words.LETTER_STATE_ZH, "state")
    source = query.get("source", "")
    rows, cursor = letters.list_letters(
        daemon.house,
        visitor.access,
        source=source,
        state=state,
        limit=PAGE,
        cursor=query.get("cursor", ""),
    )
    data = {
        "deadletters": rows,
        "cursor": cursor,
        "state": state,
        "source": source,
        "states": letters.count_letters(daemon.house, visitor.access, source=source),
    }
    known = [one.source for one in sources_in_sight(daemon, visitor)]
    return respond(request, visitor, "deadletters.html.j2", data, title="死信", known=known, told=_told(request))


@form_action
def act(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Replay or drop the dead letters that were ticked."""
    house = daemon_of(request).house
    action = choice(field(form, "action"), _ACTIONS, "action")
    ids = list(dict.fromkeys(str(value) for value in form.getlist("id")))[:PAGE]
    if not ids:
        raise SecmonError("no dead letter is ticked", hint="tick dead letters first")
    if action == "drop":
        told = {"dropped": letters.drop(house, visitor.access, ids, reason=field(form, "reason"))}
    else:
        done = letters.replay(house, visitor.access, ids=ids)
        told = {"stored": done.stored + done.already_stored, "still": done.still_malformed}
    source = field(form, "source")
    kept = {"source": source} if source else {}
    return RedirectResponse(f"/deadletters?{urlencode(kept | told)}", status_code=303)


def _told(request: Request) -> dict[str, int]:
    """Return what the form before this page did, as the redirect told it: numbers only."""
    query = request.query_params
    return {
        name: int(value[:6])
        for name in ("dropped", "stored", "still")
        if (value := query.get(name, "")).isascii() and value.isdigit()
    }


ROUTES = [Route("/deadletters", list_), Route("/deadletters/act", act, methods=["POST"])]
