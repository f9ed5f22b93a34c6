"""Triage: list, show and change alerts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from secmon.app import audit
from secmon.app.installation import Installation
from secmon.app.search import time_from
from secmon.errors import AccessError, ConflictError, NotFoundError, SecmonError
from secmon.model.access import Access, Role, Scope
from secmon.model.alert import Alert, AlertState, CloseReason
from secmon.model.event import Event, format_time
from secmon.model.questions import HitQuery
from secmon.model.record import Document, RecordQuery
from secmon.model.text import has_phrase, words
from secmon.triage.content import share_of
from secmon.triage.lifecycle import changed
from secmon.triage.reason import reason_sentence

KIND = "alert"
REVISION = "alert_revision"
"""What an alert said before late events took some of it back: its id is "alert id:revision"."""
MAX_SHOWN_EVENTS = 100
_ATTEMPTS = 5
_MAX_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts to list; empty fields do not filter. `open_only` leaves out closed ones."""

    states: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    rule: str = ""
    unit: str = ""
    asset: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    open_only: bool = False
    limit: int = 100
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class AlertPage:
    """One page of alerts, latest activity first; `cursor` is empty on the last page."""

    alerts: tuple[Alert, ...]
    cursor: str


def list_alerts(house: Installation, access: Access, wanted: AlertFilter) -> AlertPage:
    """Return the alerts in scope that match, by latest activity, each as the asker may see it.

    A filter never tells what the asker may not see: a unit stands for its subtree as far as it is in scope; systems and
    words are looked for in the asker's share, so a page may hold fewer alerts than asked for.
    """
    query = _query(wanted)
    seen = Access(access.principal, _narrowed(house, access.scope, wanted.unit))
    page = house.records.find(seen, query)
    found = (_shared(house, to_alert(document), access) for document in page.documents)
    phrase = words(wanted.text)
    return AlertPage(tuple(one for one in found if _is_in_share(one, access, wanted, phrase)), page.cursor)


def _query(wanted: AlertFilter) -> RecordQuery:
    states = wanted.states or (tuple(s for s in AlertState if s is not AlertState.CLOSED) if wanted.open_only else ())
    equals: dict[str, tuple[str, ...]] = {}
    if states:
        equals["state"] = tuple(map(str, states))
    if wanted.levels:
        equals["level"] = wanted.levels
    if wanted.rule:
        equals["rule"] = (wanted.rule,)
    if wanted.asset:
        equals[f"asset:{wanted.asset}"] = ("1",)
    ranges: dict[str, tuple[str | None, str | None]] = {}
    if wanted.since:
        ranges["last"] = (format_time(wanted.since), None)
    if wanted.until:
        ranges["first"] = (None, format_time(wanted.until))
    return RecordQuery(
        kind=KIND,
        equals=equals,
        ranges=ranges,
        text=wanted.text,
        order="last",
        descending=True,
        limit=max(1, min(wanted.limit, _MAX_PAGE)),
        after=wanted.cursor,
    )


def _narrowed(house: Installation, scope: Scope, unit: str) -> Scope:
    """Return the part of a scope that lies in a unit's subtree; the whole scope if no unit is asked for."""
    if not unit:
        return scope
    units = house.tree.subtree(unit) | {unit}
    return Scope(units if scope.units is None else units & scope.units)


def _is_in_share(alert: Alert, access: Access, wanted: AlertFilter, phrase: list[str]) -> bool:
    if access.scope.is_root:
        return True  # the store looked at all of it
    if wanted.asset and wanted.asset not in alert.content.asset_ids:
        return False
    return not wanted.text or any(has_phrase(text, phrase) for text in _texts(msgspec.to_builtins(alert)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)


def every_alert(house: Installation, access: Access, wanted: AlertFilter) -> Iterator[Alert]:
    """Yield all alerts that match, page by page."""
    cursor = ""
    while True:
        page = list_alerts(house, access, replace(wanted, cursor=cursor))
        yield from page.alerts
        cursor = page.cursor
        if not cursor:
            return


def count_alerts(house: Installation, access: Access, *, by: str) -> dict[str, int]:
    """Return counts of the alerts in scope by "state", "level" or "rule"."""
    return house.records.count(access, RecordQuery(kind=KIND), by=by)


def get_alert(house: Installation, access: Access, alert_id: str) -> Alert:
    """Return one alert as the asker may see it.

    Raises:
        NotFoundError: it is not there or not in scope.
    """
    return _shared(house, to_alert(_document(house, access, alert_id)), access)


def get_revision(house: Installation, access: Access, alert_id: str, revision: int) -> Alert:
    """Return one alert as it stood at a revision, as far as the asker may see it.

    Raises:
        NotFoundError: the alert is not there or not in scope, or that revision was not kept: what came after it only
            added to it.
    """
    head = get_alert(house, access, alert_id)
    if head.revision == revision:
        return head
    document = house.records.get(access, REVISION, f"{alert_id}:{revision}")
    if document is None:
        raise NotFoundError("this revision was not kept: later ones hold all of it", hint="secmon alerts show ID")
    return _shared(house, to_alert(document), access)


def alert_event_ids(house: Installation, access: Access, alert: Alert) -> tuple[list[str], int]:
    """Return the ids of an alert's first events (at most 100) and how many there are in all."""
    if alert.rule_kind == "event":
        hits = house.log.hits(access, HitQuery(alert_id=alert.id, suppressed=False, limit=MAX_SHOWN_EVENTS))
        return [hit.event_id for hit in hits], alert.content.count
    events = house.log.events_by_id(access, alert.content.samples)
    return [str(event["event.id"]) for event in events], len(events)


def alert_events(house: Installation, access: Access, alert: Alert) -> list[Event]:
    """Return the sample events of an alert that are in scope and still kept."""
    return house.log.events_by_id(access, alert.content.samples)


def act_on_alert(
    house: Installation,
    access: Access,
    alert_id: str,
    action: str,
    *,
    reason: CloseReason | None = None,
    note: str = "",
) -> Alert:
    """Acknowledge, investigate, contain, close or reopen one alert, and write it into the audit chain.

    Raises:
        AccessError: the asker may not triage, or sees a part of the alert only.
        NotFoundError: it is not there or not in scope.
        SecmonError: the action does not fit its state.
    """
    if not access.may(Role.OPERATOR, Role.SECURITY_ADMIN):
        raise AccessError("triage of alerts needs the role operator")
    for _ in range(_ATTEMPTS):
        document = _document(house, access, alert_id)
        alert = to_alert(document)
        if _shared(house, alert, access) is not alert:
            raise AccessError(
                "the alert touches units that are not yours", hint="who sees all of them decides: tell your 主管单位"
            )
        after = changed(alert, action, at=house.clock.now(), by=access.principal.id, reason=reason, note=note.strip())
        if after is alert:
            return alert
        try:
            house.records.replace(access, to_document(after, document.version))
        except ConflictError:
            continue  # new hits or a colleague came between: look again
        details = {"from": alert.state.value, "to": after.state.value, "revision": alert.revision}
        audit.append(house, access, f"alert.{action}", alert_id, details | ({"reason": reason.value} if reason else {}))
        return after
    raise ConflictError("the alert keeps changing", hint="try again")


def close_reason(text: str | None) -> CloseReason:
    """Return the reason a user named.

    Raises:
        SecmonError: it is none of the vocabulary.
    """
    try:
        return CloseReason(text or "")
    except ValueError:
        raise SecmonError("the reason must be one of {reasons}", values={"reasons": ", ".join(CloseReason)}) from None


def row(alert: Alert) -> dict[str, Any]:
    """Return an alert as a listing shows it (contracts: `alerts list`)."""
    content = alert.content
    fields = {
        "alert.id": alert.id,
        "alert.revision": alert.revision,
        "alert.state": alert.state.value,
        "rule.id": alert.rule_id,
        "rule.name": alert.rule_name,
        "rule.title_zh": alert.rule_title_zh or None,
        "rule.level": content.level.value,
        "alert.first": format_time(content.first),
        "alert.last": format_time(content.last),
        "alert.count": content.count,
        "alert.group": alert.group,
        "alert.reason": alert.reason,
        "unit.id": content.unit_ids[0] if content.unit_ids else None,
        "asset.id": content.asset_ids[0] if content.asset_ids else None,
        "threat.technique.id": list(alert.techniques),
        "control.id": list(alert.controls),
        "alert.owner": alert.owner or None,
        "alert.close_reason": alert.close_reason.value if alert.close_reason else None,
        "alert.continued_after_close": alert.continued_after_close or None,
        "alert.withdrawn": alert.withdrawn or None,
        "alert.cut": content.cut or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def details(house: Installation, access: Access, alert: Alert) -> dict[str, Any]:
    """Return an alert as `alerts show` prints it: the row, its events, its history, its data classes."""
    ids, total = alert_event_ids(house, access, alert)
    classes: set[str] = set()
    for event in alert_events(house, access, alert):
        found = event.get("data.classes")
        classes.update(map(str, found) if isinstance(found, list) else ())
    history = [
        {
            "at": format_time(step.at),
            "by": step.by,
            "action": step.action,
            "from": step.from_state,
            "to": step.to_state,
            "reason": step.reason,
            "note": step.note,
            "revision": step.revision,
        }
        for step in alert.history
    ]
    return row(alert) | {
        "alert.events": ids,
        "alert.events_total": total,
        "alert.history": history,
        "data.classes": sorted(classes),
    }


def run_list(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `alerts list`."""
    now = house.clock.now()
    wanted = AlertFilter(
        states=tuple(args.get("states") or ()),
        levels=tuple(args.get("levels") or ()),
        rule=args.get("rule") or "",
        unit=args.get("unit") or "",
        asset=args.get("asset") or "",
        since=time_from(str(args.get("since") or ""), now, house.zone),
        until=time_from(str(args.get("until") or ""), now, house.zone, is_end=True),
        text=args.get("text") or "",
        limit=int(args.get("limit") or 100),
        cursor=args.get("cursor") or "",
    )
    page = list_alerts(house, access, wanted)
    return {"alerts": [row(alert) for alert in page.alerts], "cursor": page.cursor}


def run_show(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `alerts show`."""
    if revision := args.get("revision"):
        return details(house, access, get_revision(house, access, args["id"], int(revision)))
    return details(house, access, get_alert(house, access, args["id"]))


def run_act(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `alerts ack` and `alerts close`."""
    reason = close_reason(args.get("reason")) if args["action"] == "close" else None
    note = args.get("note") or ""
    return row(act_on_alert(house, access, args["id"], args["action"], reason=reason, note=note))


def to_document(alert: Alert, version: int = 0) -> Document:
    """Return an alert as a document."""
    content = alert.content
    keys = {
        "state": alert.state.value,
        "level": content.level.value,
        "rule": alert.rule_id,
        "first": format_time(content.first),
        "last": format_time(content.last),
        "owner": alert.owner,
    }
    keys |= {f"asset:{asset}": "1" for asset in content.asset_ids}
    keys |= {f"unit:{unit}": "1" for unit in content.unit_ids}
    body: dict[str, Any] = msgspec.to_builtins(alert)
    return Document(kind=KIND, id=alert.id, body=body, version=version, keys=keys, unit_ids=content.unit_ids)


def to_alert(document: Document) -> Alert:
    """Return the alert a document holds."""
    return msgspec.convert(document.body, Alert)


def _document(house: Installation, access: Access, alert_id: str) -> Document:
    document = house.records.get(access, KIND, alert_id)
    if document is None:
        raise NotFoundError("no such alert", hint="secmon alerts list shows those you may see")
    return document


def _shared(house: Installation, alert: Alert, access: Access) -> Alert:
    """Return the viewer's share of an alert over many units; the reason is told with their values only."""
    units = access.scope.units
    if units is None or units.issuperset(alert.content.shares):
        return alert
    content = share_of(alert.content, units)
    reason = reason_sentence(alert.template, content, alert.group, house.class_names)
    return replace(alert, content=content, reason=reason, closed_signatures=())
