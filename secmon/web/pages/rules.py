"""Rules: how they do (规则评分), one of them in full, and what of ATT&CK they look for (攻击覆盖)."""

from collections.abc import Iterable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from secmon.app import attack, rule_tests, scorecard
from secmon.app.installation import Installation
from secmon.app.reached import kinds_here
from secmon.errors import NotFoundError, SecmonError
from secmon.model.access import job_access
from secmon.sigma.documents import documents
from secmon.sigma.reach import firing
from secmon.sigma.rule import TACTICS, CorrelationRule, Rule
from secmon.web.auth import Visitor, daemon_of
from secmon.web.page import choice, page
from secmon.web.pages.compliance import download
from secmon.web.respond import respond
from secmon.web.sight import Names

DAYS = ("7", "30", "90", "365")
_DEFAULT_DAYS = "30"
_SOURCES = job_access("console")
"""Who asks which sources there are: these belong to no unit, and nothing of theirs is shown."""


@page
def list_(request: Request, visitor: Visitor) -> Response:
    """Show every rule with its score, those first that make most work for nothing."""
    daemon, days = daemon_of(request), _days(request)
    house = daemon.house
    found = scorecard.over(house, visitor.access, int(days))
    rows = [score.row() for score in found.scores]
    data = {"days": int(days), "scores": rows, "complete": found.complete, "sums": _sums(rows)}
    state = daemon.ruleset().row()
    # What was refused names files of the whole installation.
    data["ruleset"] = state if visitor.access.scope.is_root else {name: state[name] for name in ("digest", "since")}
    return respond(request, visitor, "rules.html.j2", data, title="规则评分", days=DAYS)


def _days(request: Request) -> str:
    return choice(request.query_params.get("days", _DEFAULT_DAYS), DAYS, "days")


def _sums(rows: list[dict[str, Any]]) -> dict[str, int]:
    reasons = [row["reasons"] for row in rows]
    return {
        "rules": sum(row["state"] == "active" for row in rows),
        "alerts": sum(row["alerts"] for row in rows),
        "open": sum(row["open"] for row in rows),
        "right": sum(found.get(reason, 0) for found in reasons for reason in scorecard.RIGHT),
        "wrong": sum(found.get(reason, 0) for found in reasons for reason in scorecard.WRONG),
        "never": sum("never_fired" in row for row in rows),
    }


@page
def show(request: Request, visitor: Visitor) -> Response:
    """Show one rule: its score, its text, its tests, what it serves."""
    house, days, identity = daemon_of(request).house, _days(request), request.path_params["id"]
    rule = house.ruleset.by_id.get(identity)
    scores = [score.row() for score in scorecard.over(house, visitor.access, int(days), rule=identity).scores]
    if rule is None and not scores:
        raise NotFoundError("no such rule", hint="secmon rules list names them")
    score = next((row for row in scores if row["rule.id"] == identity), None)
    data: dict[str, Any] = {"days": int(days), "rule.id": identity, "score": score}
    if rule is not None:
        data |= _described(house, rule)
    title = (rule.title_zh or rule.name) if rule else scores[0].get("rule.title_zh") or scores[0]["rule.name"]
    return respond(request, visitor, "rule.html.j2", data, title=title, names=Names(house), days=DAYS)


def _described(house: Installation, rule: Rule | CorrelationRule) -> dict[str, Any]:
    is_correlation = isinstance(rule, CorrelationRule)
    able = firing(house.ruleset, kinds_here(house, _SOURCES))
    return {
        "rule.name": rule.name,
        "rule.level": rule.level.value,
        "rule.kind": "correlation" if is_correlation else "event",
        "rule.digest": rule.digest,
        "rule.generates": rule.generates,
        "logsource": "" if isinstance(rule, CorrelationRule) else str(rule.logsource),
        "can_fire": rule.id in able,
        "group_by": list(rule.group_by),
        "threat.technique.id": list(rule.techniques),
        "threat.tactic.name": list(rule.tactics),
        "control.id": list(rule.controls),
        "playbook": rule.playbook,
        "falsepositives": _false_positives(rule, house.rule_text(rule.path)),
        "rests_on": _linked(house, rule.event_rule_ids if isinstance(rule, CorrelationRule) else ()),
        "used_by": _linked(house, (one.id for one in house.ruleset.correlations if rule.id in one.event_rule_ids)),
        "tests": [
            {"case": one.case, "expect": one.expect, "got": one.got, "ok": one.ok, "problem": one.problem}
            for one in rule_tests.outcomes(house, rule)
        ],
        "text": house.rule_text(rule.path),
    }


def _false_positives(rule: Rule | CorrelationRule, text: str) -> list[str]:
    """Return what a rule's document says of false positives: the first thing that a triager wants to know."""
    try:
        found = [one.data.get("falsepositives") for one in documents(rule.path, text) if one.data.get("id") == rule.id]
    except SecmonError:
        return []  # the file on disk is another than the rule in force was made of, and broken
    return [str(one) for one in found[0]] if found and isinstance(found[0], list) else []


def _linked(house: Installation, identities: Iterable[str]) -> list[dict[str, str]]:
    found = [house.ruleset.by_id[one] for one in sorted(identities) if one in house.ruleset.by_id]
    return [{"rule.id": one.id, "title": one.title_zh or one.name} for one in found]


@page
def coverage(request: Request, visitor: Visitor) -> Response:
    """Show the techniques that rules look for, tactic by tactic."""
    house = daemon_of(request).house
    covered = attack.coverage(house.ruleset, kinds_here(house, _SOURCES), at=house.clock.now())
    columns = [
        (tactic, [row for row in covered if tactic in row.tactics])
        for tactic in TACTICS
        if any(tactic in row.tactics for row in covered)
    ]
    if stray := [row for row in covered if not row.tactics]:
        columns.append(("", stray))
    data = {
        "techniques": [row.row() for row in covered],
        "sums": {
            "techniques": len(covered),
            "firing": sum(bool(row.firing) for row in covered),
            "rules": len({rule.id for row in covered for rule in (*row.firing, *row.idle)}),
            "sources": len(house.sources),
        },
    }
    most = max((len(row.firing) for row in covered), default=0)
    return respond(request, visitor, "attack.html.j2", data, title="攻击覆盖", columns=columns, most=most)


@page
def layer(request: Request, visitor: Visitor) -> Response:
    """Return the same as a layer of the ATT&CK Navigator, to be saved."""
    del visitor
    house = daemon_of(request).house
    covered = attack.coverage(house.ruleset, kinds_here(house, _SOURCES), at=house.clock.now())
    found = attack.layer(covered, name="secmon", description="secmon 规则覆盖")
    return download(orjson.dumps(found, option=orjson.OPT_INDENT_2), "attack-layer.json", "application/json")


ROUTES = [
    Route("/rules", list_),
    Route("/rules/{id:str}", show),
    Route("/attack", coverage),
    Route("/attack/file.json", layer),
]
