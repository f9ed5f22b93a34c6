"""Bulletins (通报、报告): drafted from an alert, kept with their evidence, shown and rendered."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from secmon.app import alerts, audit
from secmon.app.installation import Installation
from secmon.bulletin.document import to_document
from secmon.bulletin.facts import AlertFacts
from secmon.bulletin.guide import IncidentGuide, load_guide
from secmon.bulletin.incident_report import compose_incident_report
from secmon.bulletin.warning import compose_warning
from secmon.errors import AccessError, ConflictError, ContentError, NotFoundError, SecmonError
from secmon.model.access import Access, Role
from secmon.model.alert import CLOSE_REASON_ZH, Alert
from secmon.model.bulletin import Bulletin, BulletinKind, BulletinState, bulletin_from_json
from secmon.model.event import format_time
from secmon.model.hit import Finding, Minor
from secmon.model.questions import FindingQuery, HitQuery
from secmon.model.record import Document, RecordQuery
from secmon.model.unit import Unit, UnitKind

KIND = "bulletin"
_CHUNK = 500
_MAX_VALUES = 20


def guide_of(house: Installation) -> IncidentGuide:
    """Return the incident guide: clauses, clocks and categories with their confidence marks.

    Raises:
        ContentError: there is none, or it is wrong.
    """
    problems: list[ContentError] = []
    found: IncidentGuide | None = None
    for path, text in house.framework_texts:
        guide, errors = load_guide(path, text)
        problems += errors
        found = guide or found
    if found is None:
        raise problems[0] if problems else ContentError("the incident criteria are missing", hint="reinstall secmon")
    return found


def facts_of(house: Installation, access: Access, alert: Alert) -> AlertFacts:
    """Return what a bulletin may say of an alert, as far as the asker sees it."""
    event_ids = _event_ids(house, access, alert)
    found = _findings(house, access, event_ids)
    persons: dict[str, set[str]] = {}
    minors: dict[Minor, set[str]] = {}
    classes: Counter[str] = Counter()
    for one in found:
        name = house.class_names.get(one.data_class, one.data_class)
        classes[name] += 1
        persons.setdefault(name, set()).add(one.digest)
        minors.setdefault(one.minor, set()).add(one.digest)
    sources: Counter[str] = Counter()
    for event in house.log.events_by_id(access, alert.content.samples):
        if isinstance(address := event.get("source.ip"), str):
            sources[address] += 1
    content = alert.content
    return AlertFacts(
        id=alert.id,
        revision=alert.revision,
        rule_id=alert.rule_id,
        rule_title_zh=alert.rule_title_zh or alert.rule_name,
        level=content.level.value,
        count=content.count,
        first=content.first,
        last=content.last,
        event_ids=content.samples,
        techniques=alert.techniques,
        controls=alert.controls,
        units=tuple(_unit(house, unit) for unit in content.unit_ids),
        assets=tuple(a for one in content.asset_ids if (a := house.register.assets.get(one))),
        close_reason_zh=CLOSE_REASON_ZH[alert.close_reason] if alert.close_reason else "",
        data_classes=dict(sorted(classes.items())),
        persons_by_class={name: len(values) for name, values in sorted(persons.items())},
        minors={group: len(values) for group, values in sorted(minors.items())},
        masked_values=tuple(dict.fromkeys(one.masked for one in found))[:_MAX_VALUES],
        sources=tuple(sources),
    )


def draft(
    house: Installation,
    access: Access,
    kind: BulletinKind,
    *,
    alert_id: str,
    issuer: str = "",
    to: tuple[str, ...] = (),
) -> Bulletin:
    """Draft a bulletin from an alert and keep it; the same alert revision drafted twice is one bulletin.

    Args:
        house: the installation.
        access: who drafts.
        kind: 预警通报 or 事件报告.
        alert_id: the alert.
        issuer: the drafting unit; by default the affected unit for a report, its 主管单位 for a warning.
        to: ids of the units addressed; by default those right below, or the 主管单位.

    Raises:
        AccessError: the asker may not, or the drafting unit is not in their scope.
        NotFoundError: no such alert or unit in scope.
        SecmonError: a recipient does not fit the direction.
    """
    if not access.may(Role.BULLETIN, Role.OPERATOR):
        raise AccessError("drafting needs the role bulletin")
    alert = alerts.get_alert(house, access, alert_id)
    guide, facts = guide_of(house), facts_of(house, access, alert)
    compose = compose_warning if kind is BulletinKind.WARNING else compose_incident_report
    unit = _issuer(house, kind, facts, issuer)
    if not access.scope.is_root and not access.scope.sees(unit.id):
        # It would be the paper of a unit above them, and they could not even see it afterwards.
        raise AccessError("the drafting unit is not in your sight", hint="ask the unit above to draft it")
    key = f"{kind.value}:{unit.id}:{alert.id}:{alert.revision}:{','.join(to)}"
    if (drafted := _drafted(house, access, key)) is not None:
        return drafted
    bulletin = compose(facts, guide, issuer=unit, tree=house.tree, at=house.clock.now(), to=to or None)
    units = (bulletin.issuer_id,) if bulletin.issuer_id in house.tree.units else ()
    keys = {
        "state": bulletin.state.value,
        "kind": kind.value,
        "created": format_time(bulletin.created_at),
        "draft": key,
    }
    document = Document(kind=KIND, id=bulletin.id, body=dict(bulletin.to_json()), keys=keys, unit_ids=units)
    if not house.records.create_all(access, [document]):
        raise ConflictError("another bulletin was drafted at the same moment", hint="try again")
    details = {"alert": alert_id, "revision": alert.revision, "kind": kind.value}
    audit.append(house, access, "bulletin.draft", bulletin.id, details)
    return bulletin


def _drafted(house: Installation, access: Access, key: str) -> Bulletin | None:
    """Return the draft that was made of the same alert revision for the same units, if nobody went on with it yet."""
    equals = {"draft": (key,), "state": (BulletinState.DRAFT.value,)}
    page = house.records.find(access, RecordQuery(kind=KIND, equals=equals, limit=1))
    return bulletin_from_json(page.documents[0].body) if page.documents else None


def get_bulletin(house: Installation, access: Access, bulletin_id: str) -> Bulletin:
    """Return one bulletin.

    Raises:
        NotFoundError: it is not there or not in scope.
    """
    document = house.records.get(access, KIND, bulletin_id)
    if document is None:
        raise NotFoundError("no such bulletin")
    return bulletin_from_json(document.body)


def list_bulletins(house: Installation, access: Access, *, limit: int = 100, cursor: str = "") -> tuple[list[Any], str]:
    """Return bulletins as JSON, latest first, and the cursor of the next page."""
    query = RecordQuery(kind=KIND, order="created", descending=True, limit=limit, after=cursor)
    page = house.records.find(access, query)
    return [document.body for document in page.documents], page.cursor


def rendered(house: Installation, access: Access, bulletin_id: str, format_: str) -> bytes:
    """Return a bulletin as a file.

    Raises:
        NotFoundError: no such bulletin.
        SecmonError: no writer for this format.
    """
    bulletin = get_bulletin(house, access, bulletin_id)
    if house.aside is not None:
        return bytes.fromhex(house.aside("bulletin.render", access, {"id": bulletin_id, "format": format_})["file"])
    renderer = house.renderers.get(format_)
    if renderer is None:
        raise SecmonError("no writer for {format}", values={"format": format_})
    return renderer.render(access, to_document(bulletin))


def superseded(house: Installation, access: Access, bulletin: Bulletin) -> str:
    """Return a sentence if an alert that a bulletin cites has a later revision, or was withdrawn; else nothing."""
    for alert_id, revision in bulletin.alerts:
        document = house.records.get(access, alerts.KIND, alert_id)
        if document is not None and int(document.body["revision"]) > revision:
            if document.body.get("withdrawn"):
                now = document.body["revision"]
                return f"所引告警 {alert_id} 已撤销（第 {now} 版，迟到的日志使条件不再成立；本件引用第 {revision} 版）"
            return f"所引告警 {alert_id} 已更新至第 {document.body['revision']} 版（本件引用第 {revision} 版）"
    return ""


def run_draft(house: Installation, access: Access, args: Mapping[str, Any]) -> Any:
    """Do `bulletin draft`."""
    bulletin = draft(
        house,
        access,
        BulletinKind(args["kind"]),
        alert_id=args["alert"],
        issuer=args.get("issuer") or "",
        to=tuple(args.get("to") or ()),
    )
    return bulletin.to_json()


def run_show(house: Installation, access: Access, args: Mapping[str, Any]) -> Any:
    """Do `bulletin show`."""
    bulletin = get_bulletin(house, access, args["id"])
    note = superseded(house, access, bulletin)
    return bulletin.to_json() | ({"superseded": note} if note else {})


def run_render(house: Installation, access: Access, args: Mapping[str, Any]) -> Any:
    """Do `bulletin render`: the file's bytes in hex, or the JSON object."""
    if args["format"] == "json":
        return {"bulletin": get_bulletin(house, access, args["id"]).to_json()}
    return {"file": rendered(house, access, args["id"], args["format"]).hex()}


def _event_ids(house: Installation, access: Access, alert: Alert) -> list[str]:
    if alert.rule_kind != "event":
        return list(alert.content.samples)
    return [hit.event_id for hit in house.log.hits(access, HitQuery(alert_id=alert.id, suppressed=False))]


def _findings(house: Installation, access: Access, event_ids: list[str]) -> list[Finding]:
    found: list[Finding] = []
    for start in range(0, len(event_ids), _CHUNK):
        query = FindingQuery(event_ids=tuple(event_ids[start : start + _CHUNK]))
        found.extend(one.finding for one in house.log.findings(access, query))
    return found


def _issuer(house: Installation, kind: BulletinKind, facts: AlertFacts, asked: str) -> Unit:
    if asked:
        if asked not in house.tree.units:
            raise NotFoundError("no such unit", hint="see units.yaml in [registers]")
        return house.tree.units[asked]
    affected = facts.units[0] if facts.units else None
    if kind is BulletinKind.WARNING and affected is not None and affected.parent in house.tree.units:
        return house.tree.units[affected.parent or ""]
    if affected is not None:
        return affected
    roots = [unit for unit in house.tree.units.values() if unit.parent is None]
    return roots[0] if roots else Unit(id="", name="（本单位）", kind=UnitKind.DEPARTMENT)


def _unit(house: Installation, unit_id: str) -> Unit:
    return house.tree.units.get(unit_id) or Unit(id=unit_id, name=unit_id, kind=UnitKind.DEPARTMENT)
