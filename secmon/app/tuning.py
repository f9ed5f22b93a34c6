"""What quiets alerts here: exceptions, disabled rules, maintenance windows, overrides; their state and counts."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from secmon.app import rulebook
from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.app.search import time_from
from secmon.errors import NotFoundError
from secmon.model.access import Access, Scope
from secmon.model.alert import Alert
from secmon.model.event import format_time
from secmon.model.hit import Hit
from secmon.model.questions import HitQuery
from secmon.model.record import Body, RecordQuery
from secmon.sigma.rule import DEFAULT_GROUP_WINDOW, CorrelationRule, RuleSet
from secmon.sigma.suppression import Adjustment, Suppression
from secmon.sigma.suppressor import is_in_force
from secmon.triage.correlated import lookahead

State = Literal["active", "expiring", "expired", "pending", "broken"]
SOON = timedelta(days=14)
"""How long before its end something counts as about to expire."""
COUNTED_DAYS = 30
_KINDS = frozenset({"exception", "override", "maintenance"})
MOST_BESIDE = 2_000
"""Most suppressed hits that are looked at beside one alert."""
_PAGE = 100


def state_of(one: Suppression, now: datetime) -> State:
    """Return the state of something that suppresses hits."""
    if now < one.since:
        return "pending"
    if now >= one.until:
        return "expired"
    # A window of one night that was made an hour ago is not about to expire: it is as it was meant.
    return "expiring" if one.until - now <= SOON and one.kind != "maintenance" else "active"


def tuning(house: Installation, access: Access, *, days: int = COUNTED_DAYS) -> list[Body]:
    """Return everything that tunes the rules in force, as rows: what is broken first, then what ends first.

    Args:
        house: the installation.
        access: who asks; they see what reaches into their units, and count their own hits.
        days: over how many days hits are counted.
    """
    now = house.clock.now()
    counts = _counts(house, access, now - timedelta(days=days))
    rows = [
        _row(access, one, state_of(one, now))
        | {"suppression.in_force": is_in_force(one, now)}
        | _counted(counts.get(one.id, {}))
        for one in sorted(house.ruleset.suppressions, key=lambda one: (one.until, one.id))
        if _is_in_sight(house, access.scope, one.units)
    ]
    rows += [_adjusted(one) for one in house.ruleset.adjustments] if access.scope.is_root else []
    return [*(_broken(house.ruleset) if access.scope.is_root else ()), *rows]


def under_way(house: Installation, access: Access) -> list[str]:
    """Return the names of the maintenance windows in sight that are open now."""
    now = house.clock.now()
    return [
        one.name
        for one in house.ruleset.suppressions
        if one.kind == "maintenance" and is_in_force(one, now) and _is_in_sight(house, access.scope, one.units)
    ]


def problems(ruleset: RuleSet, now: datetime) -> list[str]:
    """Return what somebody should look after, as "place: problem": broken, expired, about to expire."""
    return [*(str(row["problem"]) for row in _broken(ruleset)), *ending(ruleset, now)]


def ending(ruleset: RuleSet, now: datetime) -> list[str]:
    """Return what has expired or is about to, as "place: problem", what ends first before the others."""
    said = {"expired": "it has expired", "expiring": "it expires within 14 days"}
    return [f"{one.path}:{one.line}: {said[state_of(one, now)]}" for one in ending_ones(ruleset, now)]


def ending_ones(ruleset: RuleSet, now: datetime) -> list[Suppression]:
    """Return what has expired or is about to, what ends first before the others; a maintenance window is to end."""
    ordered = sorted(ruleset.suppressions, key=lambda one: (one.until, one.id))
    return [one for one in ordered if one.kind != "maintenance" and state_of(one, now) in {"expired", "expiring"}]


def unregistered(ruleset: RuleSet, units: Collection[str], assets: Collection[str]) -> list[str]:
    """Return the units and assets that nobody registered, as "place: problem": a slip of the pen covers nothing.

    Args:
        ruleset: the rules.
        units: ids of the units that are registered; none, and units are not looked at.
        assets: ids of the assets, likewise.
    """
    found = []
    for one in ruleset.suppressions:
        place = f"{one.path}:{one.line}"
        found += [f"{place}: the unit {each} is not registered" for each in one.units if units and each not in units]
        strange = [each for each in one.assets if assets and each not in assets]
        found += [f"{place}: the asset {each} is not registered" for each in strange]
    return found


def _row(access: Access, one: Suppression, state: State) -> Body:
    row = rulebook.said(one) | {"suppression.state": state}
    return row if access.scope.is_root else {key: value for key, value in row.items() if key != "path"}


def _adjusted(one: Adjustment) -> Body:
    return {
        "suppression.id": one.id,
        "suppression.kind": "override",
        "suppression.name": one.name,
        "suppression.owner": one.owner,
        "suppression.approver": one.approver,
        "suppression.reason": one.reason,
        "suppression.state": "active",
        "suppression.changes": dict(one.changes),
        "rule.id": list(one.rule_ids),
        "path": f"{one.path}:{one.line}",
    }


def _broken(ruleset: RuleSet) -> Iterator[Body]:
    for problem in ruleset.problems:
        if problem.kind in _KINDS:
            yield {
                "suppression.id": problem.rule_id,
                "suppression.kind": problem.kind,
                "suppression.name": problem.name,
                "suppression.state": "broken",
                "path": f"{problem.path}:{problem.line}",
                "problem": problem.text,
            }


def _is_in_sight(house: Installation, scope: Scope, units: tuple[str, ...]) -> bool:
    if scope.units is None or not units:
        return True
    return any(scope.units & (house.tree.subtree(unit) | {unit}) for unit in units)


def _counts(house: Installation, access: Access, since: datetime) -> dict[str, dict[str, int]]:
    """Return id → day in the installation's zone → suppressed hits."""
    offset = house.clock.now().astimezone(house.zone).utcoffset() or timedelta()
    query = HitQuery(since=since, suppressed=True)
    found = house.log.count_suppressed(access, query, utc_offset_s=int(offset.total_seconds()))
    counts: dict[str, dict[str, int]] = {}
    for (identity, day), number in sorted(found.items()):
        counts.setdefault(identity, {})[day.isoformat()] = number
    return counts


def _counted(days: Mapping[str, int]) -> Body:
    return {"suppression.hits": sum(days.values()), "suppression.days": dict(days)}


def one_of(house: Installation, access: Access, identity: str, *, days: int = COUNTED_DAYS) -> Body:
    """Return the row of one exception, disabled rule, override or maintenance window.

    One that is no longer in force is found as it was kept with the batches that were detected under it.

    Raises:
        NotFoundError: it is not there, or not in sight.
    """
    for row in tuning(house, access, days=days):
        if row["suppression.id"] == identity:
            return row
    kept = _kept(house, access, identity)
    if kept is None:
        raise NotFoundError("there is no such exception", hint="secmon tuning list names them")
    counts = _counts(house, access, house.clock.now() - timedelta(days=days))
    return kept | _counted(counts.get(identity, {}))


def hits_of(
    house: Installation, access: Access, identity: str, *, since: datetime | None, until: datetime | None, limit: int
) -> list[Body]:
    """Return the latest hits in sight that something suppressed, oldest of them first, as `secmon detect` prints hits.

    Beside that, `secmon.group` holds the values by which they would have been grouped.

    Raises:
        NotFoundError: what is asked for is not there, or not in sight.
    """
    one_of(house, access, identity, days=1)
    query = HitQuery(since=since, until=until, suppressed_by=identity)
    return [_hit_row(house, hit) for hit in deque(house.log.hits(access, query), limit)]


def _hit_row(house: Installation, hit: Hit) -> Body:
    rule = house.ruleset.by_id.get(hit.rule_id)
    titled = {"rule.title_zh": rule.title_zh} if rule is not None and rule.title_zh else {}
    return {
        "@timestamp": format_time(hit.at),
        "event.id": hit.event_id,
        "rule.id": hit.rule_id,
        "rule.name": rule.name if rule is not None else hit.rule_id,
        **titled,
        "rule.level": hit.level.value,
        "rule.digest": hit.rule_digest,
        "secmon.hit": "event",
        "secmon.group": dict(hit.group) or dict(hit.captured),
        "secmon.suppressed_by": hit.suppressed_by,
    }


def name_of(house: Installation, identity: str) -> str:
    """Return the name of what suppresses something, also of what is no longer in force; its id where nobody knows."""
    for one in house.ruleset.suppressions:
        if one.id == identity:
            return one.name
    kept = _latest(house, identity)
    return str(kept["suppression.name"]) if kept else identity


def _kept(house: Installation, access: Access, identity: str) -> Body | None:
    body = _latest(house, identity)
    if body is None or not _is_in_sight(house, access.scope, tuple(body["unit.id"])):
        return None
    return body | {"suppression.state": "expired"}


def _latest(house: Installation, identity: str) -> Body | None:
    """Return what a suppression said last, as the rule book keeps it; no unit owns that."""
    query = RecordQuery(kind=rulebook.SUPPRESSION, equals={"id": (identity,)}, limit=_PAGE)
    said = (document.body for document in every(house.records, rulebook.KEEPER, query))
    return max(said, key=lambda body: str(body["suppression.until"]), default=None)


@dataclass(slots=True)
class Beside:
    """What was suppressed beside an alert, by one exception or window.

    Args:
        name: of what suppresses.
        hits: of the alert's rule, in the alert's grouping window.
        same_group: those of them with the alert's own group.
    """

    id: str
    name: str
    hits: int = 0
    same_group: int = 0


def beside(house: Installation, access: Access, alert: Alert) -> tuple[list[Beside], bool]:
    """Return what was suppressed of an alert's rule in its grouping window, and whether there is more than was read.

    Of a correlation it is what was suppressed of its base rules, and so did not count.
    """
    rule = house.ruleset.by_id.get(alert.rule_id)
    window = rule.group_window if rule is not None else DEFAULT_GROUP_WINDOW
    rule_ids = tuple(sorted(rule.event_rule_ids)) if isinstance(rule, CorrelationRule) else (alert.rule_id,)
    until = lookahead(max(alert.content.last, alert.window_from), window)
    query = HitQuery(since=alert.window_from, until=until, rule_ids=rule_ids, suppressed=True, limit=MOST_BESIDE)
    rows: dict[str, Beside] = {}
    total = 0
    for hit in house.log.hits(access, query):
        total += 1
        identity = hit.suppressed_by or ""
        row = rows.get(identity) or rows.setdefault(identity, Beside(identity, name_of(house, identity)))
        row.hits += 1
        values = {**hit.captured, **hit.group}
        row.same_group += all(values.get(name) == value for name, value in alert.group.items())
    return list(rows.values()), total == MOST_BESIDE


def run_list(house: Installation, access: Access, args: dict[str, Any]) -> list[Body]:
    """Return the rows of `secmon tuning list`."""
    states = tuple(args.get("states") or ())
    rows = tuning(house, access, days=int(args.get("days") or COUNTED_DAYS))
    return [row for row in rows if not states or row["suppression.state"] in states]


def run_hits(house: Installation, access: Access, args: dict[str, Any]) -> Body:
    """Return the object of `secmon tuning hits`: `hits`, and whether there are `more`."""
    now, limit = house.clock.now(), int(args["limit"])
    since = time_from(str(args["since"]), now, house.zone)
    until = time_from(str(args.get("until") or ""), now, house.zone, is_end=True)
    found = hits_of(house, access, str(args["id"]), since=since, until=until, limit=limit + 1)
    return {"hits": found[-limit:], "more": len(found) > limit}


def run_show(house: Installation, access: Access, args: dict[str, Any]) -> Body:
    """Return the object of `secmon tuning show`."""
    row = one_of(house, access, str(args["id"]), days=int(args.get("days") or COUNTED_DAYS))
    rules = (house.ruleset.by_id.get(rule_id) for rule_id in row.get("rule.id", ()))
    titles = {rule.id: rule.title_zh or rule.name for rule in rules if rule is not None}
    return row | ({"rule.titles": titles} if titles else {})
