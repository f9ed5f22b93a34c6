"""Bulletins: drafts from alerts, to be numbered, signed and sealed in the office's OA."""

from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import bulletins as drafts
from secmon.errors import SecmonError
from secmon.model.bulletin import BulletinKind
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import field, form_action, page
from secmon.web.pages.compliance import MEDIA
from secmon.web.respond import respond

KIND_ZH = {BulletinKind.WARNING.value: "预警通报", BulletinKind.INCIDENT_REPORT.value: "事件报告"}


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List bulletins, latest first."""
    rows, cursor = drafts.list_bulletins(
        daemon_of(request).house, visitor.access, cursor=request.query_params.get("cursor", "")
    )
    data = {"bulletins": rows, "cursor": cursor, "kinds": KIND_ZH}
    return respond(request, visitor, "bulletins.html.j2", data, title="通报与报告")


@page
def show(request: Request, visitor: Visitor) -> Response:
    """Show one bulletin with its paragraphs and what they rest on."""
    found = drafts.run_show(daemon_of(request).house, visitor.access, {"id": request.path_params["id"]})
    return respond(request, visitor, "bulletin.html.j2", {**found, "kinds": KIND_ZH}, title=found["title"])


@form_action
def draft(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Draft a document from an alert."""
    if field(form, "kind") not in KIND_ZH:
        raise SecmonError("kind must be one of {kinds}", values={"kinds": ", ".join(KIND_ZH)})
    kind = BulletinKind(field(form, "kind"))
    made = drafts.draft(daemon_of(request).house, visitor.access, kind, alert_id=field(form, "alert"))
    return RedirectResponse(f"/bulletins/{quote(made.id)}", status_code=303)


@page
def file(request: Request, visitor: Visitor) -> Response:
    """Return a bulletin as a file."""
    name = request.path_params["format"]
    content = drafts.rendered(daemon_of(request).house, visitor.access, request.path_params["id"], name)
    headers = {"Content-Disposition": f'attachment; filename="bulletin.{name}"'}
    return Response(content, media_type=MEDIA[name], headers=headers)


ROUTES = [
    Route("/bulletins", list_),
    Route("/bulletins/draft", draft, methods=["POST"]),
    Route("/bulletins/{id:str}", show),
    Route("/bulletins/{id:str}/file.{format:str}", file),
]
