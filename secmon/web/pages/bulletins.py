"""Bulletins: drafts from alerts, to be numbered, signed and sealed in the office's OA."""

from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import bulletins as drafts
from secmon.errors import NotFoundError
from secmon.model.bulletin import BulletinKind
from secmon.web import words
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import choice, field, form_action, page
from secmon.web.pages.compliance import MEDIA, download
from secmon.web.respond import respond
from secmon.web.sight import Names
from secmon.web.todo import to_fill

PAGE = 50


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List bulletins, latest first."""
    house = daemon_of(request).house
    rows, cursor = drafts.list_bulletins(
        house, visitor.access, limit=PAGE, cursor=request.query_params.get("cursor", "")
    )
    data = {"bulletins": rows, "cursor": cursor, "kinds": words.BULLETIN_KIND_ZH}
    return respond(request, visitor, "bulletins.html.j2", data, title="通报与报告", to_fill=to_fill)


@page
def show(request: Request, visitor: Visitor) -> Response:
    """Show one bulletin with its paragraphs and what they rest on."""
    house = daemon_of(request).house
    found = drafts.run_show(house, visitor.access, {"id": request.path_params["id"]})
    data = {**found, "kinds": words.BULLETIN_KIND_ZH}
    return respond(
        request, visitor, "bulletin.html.j2", data, title=found["title"], to_fill=to_fill(found), names=Names(house)
    )


@form_action
def draft(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Draft a document from an alert."""
    kind = BulletinKind(choice(field(form, "kind"), words.BULLETIN_KIND_ZH, "kind"))
    made = drafts.draft(daemon_of(request).house, visitor.access, kind, alert_id=field(form, "alert"))
    return RedirectResponse(f"/bulletins/{quote(made.id)}", status_code=303)


@page
def file(request: Request, visitor: Visitor) -> Response:
    """Return a bulletin as a file."""
    house, name = daemon_of(request).house, request.path_params["format"]
    if name not in MEDIA:
        raise NotFoundError("no such page")
    return download(
        drafts.rendered(house, visitor.access, request.path_params["id"], name), f"bulletin.{name}", MEDIA[name]
    )


ROUTES = [
    Route("/bulletins", list_),
    Route("/bulletins/draft", draft, methods=["POST"]),
    Route("/bulletins/{id:str}", show),
    Route("/bulletins/{id:str}/file.{format:str}", file),
]
