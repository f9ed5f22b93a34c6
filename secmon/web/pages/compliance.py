"""Compliance: self-assessments (单位自查) of the registered information systems."""

from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import reports
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import field, form_action, page
from secmon.web.respond import respond

MEDIA = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List the assets in sight and what was assessed."""
    house = daemon_of(request).house
    assets = [asset for asset in house.register.assets.values() if visitor.access.scope.sees(asset.unit)]
    data = {
        "assets": [
            {
                "asset.id": asset.id,
                "name": asset.name,
                "unit": house.tree.name(asset.unit),
                "level": asset.level,
                "filing_number": asset.filing_number,
            }
            for asset in assets
        ],
        "assessments": reports.list_assessments(house, visitor.access),
    }
    return respond(request, visitor, "compliance.html.j2", data, title="合规自查")


@form_action
def assess(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Assess one asset now and keep the result."""
    house = daemon_of(request).house
    days = field(form, "days") or str(reports.DEFAULT_DAYS)
    assessment = reports.assess_asset(
        house,
        visitor.access,
        field(form, "asset"),
        days=min(int(days), 3660) if days.isdigit() else reports.DEFAULT_DAYS,
    )
    identity = reports.keep(house, visitor.access, assessment)
    return RedirectResponse(f"/compliance/{quote(identity)}", status_code=303)


@page
def show(request: Request, visitor: Visitor) -> Response:
    """Show one kept assessment: every line with its evidence."""
    house = daemon_of(request).house
    data = reports.get_assessment(house, visitor.access, request.path_params["id"])
    del data["kept"]
    evidence = {one["evidence.id"]: one for one in data["evidence"]}
    return respond(request, visitor, "assessment.html.j2", {**data, "by_id": evidence}, title=data["report"]["title"])


@page
def file(request: Request, visitor: Visitor) -> Response:
    """Return a kept assessment as a file, assessed again over the same period."""
    house = daemon_of(request).house
    name = request.path_params["format"]
    content = reports.rendered(house, visitor.access, request.path_params["id"], name)
    headers = {"Content-Disposition": f'attachment; filename="self-assessment.{name}"'}
    return Response(content, media_type=MEDIA[name], headers=headers)


ROUTES = [
    Route("/compliance", list_),
    Route("/compliance/assess", assess, methods=["POST"]),
    Route("/compliance/{id:str}", show),
    Route("/compliance/{id:str}/file.{format:str}", file),
]
