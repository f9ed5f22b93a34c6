"""ATT&CK coverage: what rules look for, what can be found with the sources there are, and the Navigator's file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from secmon.app.attack import coverage, layer
from secmon.sigma.reach import firing
from secmon.sigma.rule import TACTICS, RuleSet
from secmon.sigma.suppression import Part, Suppression
from tests.sigma.rule_texts import ID, correlation_text, load, rule_text

WEB = rule_text(
    "a: {url.path: x}\ncondition: a", logsource="category: webserver", head="tags: [attack.execution, attack.t1190]"
)
LOGIN = rule_text(
    "a: {event.outcome: failure}\ncondition: a",
    number=2,
    logsource="product: cas\nservice: audit",
    head="name: login\ntags: [attack.credential-access, attack.t1110.003, attack.t1190, attack.initial-access]",
)
WINDOWS = rule_text(
    "a: {event.code: 1}\ncondition: a",
    number=3,
    logsource="product: windows\nservice: system",
    head="tags: [attack.t1070]",
)
MANY = correlation_text(
    "type: event_count\ngenerate: true\ncondition: {gte: 5}",
    rules="[login]",
    head="level: high\ntags: [attack.t1110.003]",
)
RULES = load(WEB, LOGIN, WINDOWS, MANY)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def scores(*kinds: str, ruleset: RuleSet = RULES) -> dict[str, int]:
    return {row.technique: len(row.firing) for row in coverage(ruleset, kinds, at=NOW)}


def test_the_score_is_the_number_of_rules_that_can_fire() -> None:
    assert RULES.problems == ()
    assert scores("nginx.access") == {"T1070": 0, "T1110.003": 0, "T1190": 1}
    assert scores("cas.audit") == {"T1070": 0, "T1110.003": 2, "T1190": 1}
    assert scores("nginx.access", "cas.audit", "windows.evtx") == {"T1070": 1, "T1110.003": 2, "T1190": 2}
    assert scores() == {"T1070": 0, "T1110.003": 0, "T1190": 0}


def test_a_source_of_any_events_lets_every_rule_fire() -> None:
    assert scores("ecs") == scores("something of others") == {"T1070": 1, "T1110.003": 2, "T1190": 2}


def test_tactics_are_those_that_tags_tell_of_a_technique() -> None:
    found = {row.technique: row.tactics for row in coverage(RULES, (), at=NOW)}
    assert found["T1190"] == ("execution",)  # one rule names nothing else; the other has two, for two techniques
    assert found["T1070"] == ()
    two = load(LOGIN, LOGIN.replace("initial-access", "collection").replace(ID.format(2), ID.format(4)))
    assert {row.tactics for row in coverage(two, (), at=NOW)} == {("credential-access",)}  # what they share
    chained = load(
        rule_text("a: {url.path: x}\ncondition: a", head="tags: [attack.initial-access, attack.t1190]"),
        rule_text(
            "a: {url.path: y}\ncondition: a",
            number=2,
            head="tags: [attack.initial-access, attack.t1190, attack.impact, attack.t1496]",
        ),
    )
    placed = {row.technique: row.tactics for row in coverage(chained, (), at=NOW)}
    assert placed == {"T1190": ("initial-access",), "T1496": ("impact",)}  # what is left of the second rule
    alone = load(LOGIN)
    assert {row.tactics for row in coverage(alone, (), at=NOW)} == {("initial-access", "credential-access")}
    assert list(TACTICS).index("initial-access") < list(TACTICS).index("credential-access")


def test_an_order_of_rules_needs_all_of_them() -> None:
    both = load(
        WEB.replace("title", "name: web\ntitle", 1),
        LOGIN,
        correlation_text(
            "type: temporal\ngroup-by: [source.ip]", rules="[web, login]", head="level: low\ntags: [attack.t1078]"
        ),
    )
    assert both.problems == ()
    assert scores("nginx.access", ruleset=both)["T1078"] == 0
    assert scores("nginx.access", "cas.audit", ruleset=both)["T1078"] == 1
    assert ID.format(9) in firing(both, {"nginx.access", "cas.audit"})


REQUIRED = {"name": str, "domain": str}
OPTIONAL = {
    "versions": dict, "description": str, "customDataURL": str, "filters": dict, "sorting": int, "layout": dict,
    "hideDisabled": bool, "techniques": list, "gradient": dict, "legendItems": list, "showTacticRowBackground": bool,
    "tacticRowBackground": str, "selectTechniquesAcrossTactics": bool, "selectSubtechniquesWithParent": bool,
    "selectVisibleTechniques": bool, "metadata": list, "links": list,
}  # fmt: skip
TECHNIQUE = {
    "techniqueID": str, "tactic": str, "comment": str, "enabled": bool, "score": int, "color": str, "metadata": list,
    "links": list, "showSubtechniques": bool,
}  # fmt: skip


def check(found: dict[str, object], known: dict[str, type]) -> None:
    assert set(found) <= set(known)
    assert {name: type(value) for name, value in found.items()} == {name: known[name] for name in found}


@pytest.mark.parametrize("kinds", [(), ("nginx.access",), ("ecs",)], ids=["none", "one", "all"])
def test_the_layer_is_as_the_format_says(kinds: tuple[str, ...]) -> None:
    found = layer(coverage(RULES, kinds, at=NOW), name="secmon", description="x")
    check(found, REQUIRED | OPTIONAL)
    assert set(REQUIRED) <= set(found)
    assert found["versions"]["layer"] == "4.5"
    assert tuple(map(int, found["versions"]["navigator"].split("."))) >= (4, 9, 0)
    assert found["domain"] == "enterprise-attack"
    gradient = found["gradient"]
    assert len(gradient["colors"]) >= 2
    assert gradient["minValue"] < gradient["maxValue"]
    for technique in found["techniques"]:
        check(technique, TECHNIQUE)
        assert all(set(one) == {"name", "value"} and type(one["value"]) is str for one in technique["metadata"])
        assert ("color" in technique) == (technique["score"] == 0)
    assert all(set(one) == {"label", "color"} for one in found["legendItems"])


def test_comments_name_the_rules_and_stay_short() -> None:
    (row,) = [one for one in coverage(RULES, ("cas.audit",), at=NOW) if one.technique == "T1190"]
    (told,) = layer([row], name="x", description="")["techniques"]
    assert told["comment"] == "Rule 2 [high]\nRule 1 [没有日志来源]"
    crowd = replace(row, firing=row.firing * 50)
    (told,) = layer([crowd], name="x", description="")["techniques"]
    assert told["comment"].endswith("…另有 11 条规则")


def test_disabled_rules_score_nothing_and_are_told_apart() -> None:
    off = Suppression(
        id="off", kind="disabled", name="", path="", line=1, digest="", owner="a", approver="b", reason="c",
        since=NOW - timedelta(days=1), until=NOW + timedelta(days=1), parts=(Part((ID.format(1),)),),
    )  # fmt: skip
    ruleset = replace(RULES, suppressions=(off,))
    (row,) = [one for one in coverage(ruleset, ("nginx.access",), at=NOW) if one.technique == "T1190"]
    assert (row.firing, row.disabled) == ((), frozenset({ID.format(1)}))
    (told,) = layer([row], name="x", description="")["techniques"]
    assert "Rule 1 [已停用]" in told["comment"]
    (later,) = [
        one for one in coverage(ruleset, ("nginx.access",), at=NOW + timedelta(days=2)) if one.technique == "T1190"
    ]
    assert [rule.id for rule in later.firing] == [ID.format(1)]
    elsewhere = replace(RULES, suppressions=(replace(off, units=("S-1",)),))
    assert scores("nginx.access", ruleset=elsewhere)["T1190"] == 1
