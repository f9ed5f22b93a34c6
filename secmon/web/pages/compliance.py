"""Compliance: self-assessments (单位自查) of the registered information systems."""

from typing import Any
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from secmon.app import reports
from secmon.app.installation import Installation
from secmon.errors import NotFoundError, SecmonError
from secmon.model.asset import Asset
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import field, form_action, page
from secmon.web.respond import respond
from secmon.web.sight import Names, assets_in_sight

MEDIA = {
    "html": "text/html; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}
MAX_DAYS = 3660


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """List the assets in sight and what was assessed."""
    house = daemon_of(request).house
    data = {
        "assets": [asset_row(house, asset) for asset in assets_in_sight(house, visitor.access)],
        "assessments": reports.list_assessments(house, visitor.access),
    }
    latest: dict[str, Any] = {}
    for row in data["assessments"]:
        latest.setdefault(row["asset.id"], row)
    return respond(
        request,
        visitor,
        "compliance.html.j2",
        data,
        title="合规自查",
        latest=latest,
        names=Names(house),
        days=reports.DEFAULT_DAYS,
        max_days=MAX_DAYS,
    )


def asset_row(house: Installation, asset: Asset) -> dict[str, Any]:
    """Return a system of the register as the page lists it."""
    return {
        "asset.id": asset.id,
        "name": asset.name,
        "unit": house.tree.name(asset.unit),
        "level": asset.level,
        "filing_number": asset.filing_number,
    }


@form_action
def assess(request: Request, visitor: Visitor, form: FormData) -> Response:
    """Assess one asset now and keep the result."""
    house = daemon_of(request).house
    days = field(form, "days") or str(reports.DEFAULT_DAYS)
    if not (days.isascii() and days.isdigit() and len(days) <= len(str(MAX_DAYS)) and 1 <= int(days) <= MAX_DAYS):
        raise SecmonError("days must be a number from 1 to {most}", values={"most": MAX_DAYS})
    identity, _ = reports.assess_and_keep(house, visitor.access, {"asset": field(form, "asset"), "days": int(days)})
    return RedirectResponse(f"/compliance/{quote(identity)}", status_code=303)


@page
def show(request: Request, visitor: Visitor) -> Response:
    """Show one kept assessment: every line with its evidence."""
    house = daemon_of(request).house
    data = reports.get_assessment(house, visitor.access, request.path_params["id"])
    del data["kept"]
    catalogue = reports.frameworks(house)[0].get(data["report"]["framework"].partition("@")[0])
    return respond(
        request,
        visitor,
        "assessment.html.j2",
        data,
        title=data["report"]["title"],
        legend=dict(catalogue.legend) if catalogue else {},
        framework=catalogue,
        names=Names(house),
    )


@page
def file(request: Request, visitor: Visitor) -> Response:
    """Return a kept assessment as a file: the facts that were kept, written again."""
    house, name = daemon_of(request).house, request.path_params["format"]
    if name not in MEDIA:
        raise NotFoundError("no such page")
    content = reports.rendered(house, visitor.access, request.path_params["id"], name)
    return download(content, f"self-assessment.{name}", MEDIA[name])


def download(content: bytes, name: str, media: str) -> Response:
    """Return a file to be saved, never shown as a page of ours."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media, headers=headers)


ROUTES = [
    Route("/compliance", list_),
    Route("/compliance/assess", assess, methods=["POST"]),
    Route("/compliance/{id:str}", show),
    Route("/compliance/{id:str}/file.{format:str}", file),
]
