"""Compliance reports: gather facts, assess, compose, render; every line leads to evidence."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from secmon.app import audit
from secmon.app.facts import gather
from secmon.app.installation import Installation
from secmon.compliance.assess import assess
from secmon.compliance.framework import load_framework
from secmon.compliance.needs import queries
from secmon.compliance.self_assessment import compose
from secmon.errors import AccessError, ContentError, NotFoundError, SecmonError
from secmon.model.access import Access, Role
from secmon.model.assessment import Assessment, Framework
from secmon.model.asset import Asset
from secmon.model.document import OfficialDocument
from secmon.model.event import format_time
from secmon.model.record import Document, RecordQuery
from secmon.model.unit import Unit, UnitKind

DEFAULT_DAYS = 180
MAX_DAYS = 3_660
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)  # a day of room for any time zone
KIND = "assessment"


def frameworks(house: Installation) -> tuple[dict[str, Framework], list[ContentError]]:
    """Return the catalogues by id and what is wrong with the others; a later one of the same id replaces."""
    found: dict[str, Framework] = {}
    errors: list[ContentError] = []
    for path, text in house.framework_texts:
        framework, problems = _loaded(path, text)
        errors += problems
        if framework is not None:
            found[framework.id] = framework
    return found, errors


# The same texts for as long as the installation is open: parsing one takes longer than asking all its questions.
_loaded = lru_cache(maxsize=32)(load_framework)


def assess_asset(
    house: Installation,
    access: Access,
    asset_id: str,
    *,
    framework: str = "mlps-l3-ces",
    at: date | None = None,
    days: int = DEFAULT_DAYS,
) -> Assessment:
    """Return the draft self-assessment (等保自查) of one asset.

    Args:
        house: the installation.
        access: who asks.
        asset_id: the information system.
        framework: id of the catalogue.
        at: last day of the period; by default everything up to now.
        days: length of the period.

    Raises:
        AccessError: the asker may not.
        NotFoundError: no such asset in scope, or no such catalogue.
    """
    if not access.may(Role.COMPLIANCE, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN):
        raise AccessError("reports need the role compliance")
    asset = _asset(house, access, asset_id)
    catalogues, errors = frameworks(house)
    if framework not in catalogues:
        hint = str(errors[0]) if errors else "see docs/compliance.md"
        raise NotFoundError("no such framework", hint=hint)
    catalogue = catalogues[framework]
    if not 0 < days <= MAX_DAYS:
        raise SecmonError("the period must be 1 to {most} days", values={"most": MAX_DAYS})
    now = house.clock.now()
    until = _end_of(at, house) if at else now
    since = until - min(timedelta(days=days), until - _EARLIEST)
    facts = gather(house, access, asset, queries(catalogue, asset.id, since, until))
    return assess(catalogue, asset, facts, since=since, until=until, at=min(until, now))


def document_of(house: Installation, assessment: Assessment) -> OfficialDocument:
    """Return the report as an official document, with the system and its unit as the registers have them now."""
    asset = house.register.assets[assessment.asset_id]
    return compose(assessment, _unit_of(house, asset), asset)


def _unit_of(house: Installation, asset: Asset) -> Unit:
    return house.tree.units.get(asset.unit) or Unit(id=asset.unit, name=asset.unit, kind=UnitKind.DEPARTMENT)


def keep(house: Installation, access: Access, assessment: Assessment) -> str:
    """Store an assessment with its evidence, which outlives the events; return its id.

    The system and its unit are kept as they are now: registers change, and a report that was handed out must be
    written again to the same bytes.
    """
    identity = str(assessment.digest())
    asset = house.register.assets[assessment.asset_id]
    kept = {
        "assessment": msgspec.to_builtins(assessment),
        "asset": msgspec.to_builtins(replace(asset, addresses=())),
        "unit": msgspec.to_builtins(replace(_unit_of(house, asset), contacts=())),
    }
    document = Document(
        kind=KIND,
        id=identity,
        body={**assessment.to_json(), "kept": kept},
        keys={"asset": assessment.asset_id, "at": format_time(assessment.at)},
        unit_ids=(assessment.unit_id,) if assessment.unit_id else (),
    )
    if house.records.create_all(access, [document]):
        audit.append(house, access, "report.assess", assessment.asset_id, {"digest": identity})
    return identity


def list_assessments(house: Installation, access: Access, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return kept assessments, latest first: id, asset, time, summary."""
    page = house.records.find(access, RecordQuery(kind=KIND, order="at", descending=True, limit=limit))
    return [{"assessment.id": one.id, **one.body["report"], "summary": one.body["summary"]} for one in page.documents]


def get_assessment(house: Installation, access: Access, identity: str) -> dict[str, Any]:
    """Return a kept assessment as JSON.

    Beside the report's own object "kept" holds all that a writer needs to write the same file again.

    Raises:
        NotFoundError: it is not there or not in scope.
    """
    document = house.records.get(access, KIND, identity)
    if document is None:
        raise NotFoundError("no such assessment")
    return {"assessment.id": identity, **document.body}


def rendered(house: Installation, access: Access, identity: str, format_: str) -> bytes:
    """Return a kept assessment as a file.

    Raises:
        NotFoundError: it is not there or not in scope.
        SecmonError: no writer for this format.
    """
    if house.aside is not None:
        return bytes.fromhex(house.aside("report.render", access, {"id": identity, "format": format_})["file"])
    kept = get_assessment(house, access, identity)
    renderer = house.renderers.get(format_)
    if renderer is None:
        raise SecmonError("no writer for {format}", values={"format": format_})
    return renderer.render(access, _kept_document(kept["kept"]))


def _kept_document(kept: Mapping[str, Any]) -> OfficialDocument:
    asset: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in kept["asset"].items()
    }
    assessment = msgspec.convert(kept["assessment"], Assessment)
    return compose(assessment, msgspec.convert(kept["unit"], Unit), Asset(**asset))


def assess_and_keep(house: Installation, access: Access, args: Mapping[str, Any]) -> tuple[str, Assessment]:
    """Assess what `args` say ("asset", "at", "days"), aside if there is a job process, and keep it with its evidence.

    Raises:
        AccessError, NotFoundError: as `assess_asset`.
    """
    if house.aside is None:
        assessment = _assessed(house, access, args)
    else:
        assessment = msgspec.convert(house.aside("report.assess", access, dict(args)), Assessment)
    return keep(house, access, assessment), assessment


def run(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `report mlps`: the JSON object, and with a file format the bytes of the file in hex.

    What was assessed is kept with its evidence: a report that was handed out must stay provable.
    """
    identity, assessment = assess_and_keep(house, access, args)
    result: dict[str, Any] = {"report": assessment.to_json()}
    if args["format"] != "json":
        result["file"] = rendered(house, access, identity, args["format"]).hex()
    return result


def run_assess(house: Installation, access: Access, args: Mapping[str, Any]) -> Any:
    """Assess and return everything as JSON; nothing is kept."""
    return msgspec.to_builtins(_assessed(house, access, args))


def run_render(house: Installation, access: Access, args: Mapping[str, Any]) -> Any:
    """Return a kept assessment as a file, in hex."""
    return {"file": rendered(house, access, args["id"], args["format"]).hex()}


def _assessed(house: Installation, access: Access, args: Mapping[str, Any]) -> Assessment:
    try:
        day = date.fromisoformat(args["at"]) if args.get("at") else None
    except ValueError:
        raise SecmonError("a day must be written like 2026-09-07") from None
    return assess_asset(house, access, args["asset"], at=day, days=int(args.get("days") or DEFAULT_DAYS))


def _asset(house: Installation, access: Access, asset_id: str) -> Asset:
    asset = house.register.assets.get(asset_id)
    if asset is None or not access.scope.sees(asset.unit):
        raise NotFoundError("no such asset", hint="see assets.csv in [registers]")
    return asset


def _end_of(day: date, house: Installation) -> datetime:
    try:
        return datetime.combine(day + timedelta(days=1), time(), tzinfo=house.zone).astimezone(UTC)
    except OverflowError:
        raise SecmonError("a day must be written like 2026-09-07") from None
