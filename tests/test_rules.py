"""The shipped rules: each is proven, explained, catalogued and serves a control; ordinary days give no alert."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from secmon.app.rule_tests import parse_lines
from secmon.compliance.framework import load_framework
from secmon.content import framework_files, playbook_files, rule_files, rule_test_files
from secmon.model.hit import Level
from secmon.sigma.rule import CorrelationRule, Rule, RuleFile
from secmon.sigma.testing import run_tests
from secmon.triage import sight
from tests.shipped_rules import AnyRule, alerting, fired, parsed, shipped, stem

ROOT = Path(__file__).parent.parent
ORDINARY = Path(__file__).parent / "rules"
CATALOGUE = ROOT / "docs" / "rules-catalogue.md"
MAX_GROUP_FIELDS = 3


@cache
def sources() -> dict[str, dict[str, Any]]:
    """Every document of every rule file, by id."""
    found, _ = rule_files()
    documents = [document for _, text in found for document in yaml.safe_load_all(text)]
    return {document["id"]: document for document in documents}


RULES = pytest.mark.parametrize("rule", alerting(), ids=stem)


def test_every_shipped_rule_runs() -> None:
    assert [problem.text for problem in shipped().problems] == []


def test_every_rule_finds_its_matches_and_passes_over_its_near_misses() -> None:
    tests, errors = rule_test_files()
    run = run_tests(shipped(), [RuleFile(*each) for each in tests], parse_lines)
    assert errors == []
    assert run.untested == ()
    assert [f"{each.where}: {each.case}: {each.problem}" for each in run.outcomes if not each.ok] == []


def test_every_test_stands_beside_a_rule() -> None:
    rules = {path.removesuffix(".yml") for path, _ in rule_files()[0]}
    tests = {path.removesuffix(".test.yaml") for path, _ in rule_test_files()[0]}
    assert tests == rules


def test_base_rules_are_informational_and_make_no_alert() -> None:
    bases = [rule for rule in shipped().rules if not rule.generates]
    assert {rule.level for rule in bases} == {Level.INFORMATIONAL}


def test_helpers_have_a_chinese_title_too() -> None:
    """They stand in lists, in exceptions and in the coverage ledger beside the rules that they serve."""
    assert [rule.path for rule in shipped().by_id.values() if not re.search("[\u4e00-\u9fff]", rule.title_zh)] == []


@RULES
def test_a_rule_explains_itself_in_both_languages(rule: AnyRule) -> None:
    document = sources()[rule.id]
    assert re.search("[\u4e00-\u9fff]", rule.title_zh)
    assert re.search("[\u4e00-\u9fff]", rule.reason)
    assert rule.name.isascii()
    assert len(document["description"]) > 60
    assert document["falsepositives"]


@RULES
def test_an_id_is_a_random_uuid(rule: AnyRule) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", rule.id)


@RULES
def test_levels_are_restrained(rule: AnyRule) -> None:
    assert rule.level in {Level.LOW, Level.MEDIUM, Level.HIGH}


@RULES
def test_alerts_are_grouped_by_few_fields(rule: AnyRule) -> None:
    assert 1 <= len(rule.group_by) <= MAX_GROUP_FIELDS


@RULES
def test_a_rule_names_techniques(rule: AnyRule) -> None:
    assert rule.techniques


@cache
def controls() -> dict[str, bool]:
    """Return each control with whether it is answered by hits of rules."""
    found: dict[str, bool] = {}
    for path, text in framework_files()[0]:
        framework, _ = load_framework(path, text)
        for control in framework.controls if framework else ():
            found[control.id] = any(check.kind == "rule_hits" for check in control.checks)
    return found


@RULES
def test_a_rule_serves_controls_that_exist(rule: AnyRule) -> None:
    assert rule.controls
    assert set(rule.controls) <= set(controls())


def test_every_control_that_asks_for_hits_is_served_by_a_rule() -> None:
    asked = {control for control, asks in controls().items() if asks}
    served = {control for rule in alerting() for control in rule.controls}
    assert asked
    assert asked - served == set()


def test_the_playbooks_that_rules_offer_exist() -> None:
    known = {yaml.safe_load(text)["id"] for _, text in playbook_files()[0]}
    assert {rule.playbook for rule in alerting() if rule.playbook} <= known


def test_the_rules_that_playbooks_name_exist() -> None:
    named = {rule for _, text in playbook_files()[0] for rule in yaml.safe_load(text)["applies_to"]["rules"]}
    assert named
    assert named - {rule.id for rule in alerting()} == set(sight.CARDS)


WITHOUT_PLAYBOOK: dict[str, str] = {}
"""Rule that offers no playbook → why not."""


def test_every_alerting_rule_offers_a_playbook_or_says_why_not() -> None:
    assert {stem(rule) for rule in alerting() if not rule.playbook} == set(WITHOUT_PLAYBOOK)
    assert all(WITHOUT_PLAYBOOK.values())


def test_every_playbook_is_offered_by_a_rule_or_by_what_secmon_says_of_itself() -> None:
    playbooks = [yaml.safe_load(text) for _, text in playbook_files()[0]]
    of_rules = {rule.playbook for rule in alerting() if rule.playbook}
    cards = {card.id for card in sight.CARDS.values()}
    of_itself = {one["id"] for one in playbooks if cards & set(one["applies_to"]["rules"])}
    assert {one["id"] for one in playbooks} == of_rules | of_itself
    assert of_itself


def needed(rule: AnyRule) -> str:
    """Say what log source a rule reads."""
    rules = shipped().by_id
    bases = (
        [base for each in rule.rule_ids if isinstance(base := rules[each], Rule)]
        if isinstance(rule, CorrelationRule)
        else [rule]
    )
    return "; ".join(sorted({str(base.logsource) for base in bases}))


def fields(rule: AnyRule) -> str:
    """Say which event fields a rule cannot do without: those of its condition, its keys and its counts."""
    rules = shipped().by_id
    if isinstance(rule, Rule):
        names = {*rule.fields, *(rule.intel.fields if rule.intel else ())}
    else:
        bases = [base for each in rule.rule_ids if isinstance(base := rules[each], Rule)]
        specs = [spec for base in bases for spec in base.keys if spec.correlation_id == rule.id]
        names = {name for base in bases for name in base.fields}
        names |= {name for spec in specs for _, found in (*spec.group, *spec.values) for name in found}
    return " ".join(f"`{name}`" for name in sorted(names))


def row(rule: AnyRule) -> str:
    """Return the line of the catalogue that tells of a rule."""
    served = ", ".join(sorted(control.removeprefix("L3-") for control in rule.controls))
    cells = (
        f"`{stem(rule)}`",
        rule.title_zh,
        rule.level.value,
        needed(rule),
        fields(rule),
        served,
        rule.playbook or "–",
    )
    return "| " + " | ".join(cells) + " |"


@RULES
def test_the_catalogue_tells_of_the_rule_as_it_is(rule: AnyRule) -> None:
    assert row(rule) in CATALOGUE.read_text(encoding="utf-8").splitlines()


def test_the_catalogue_tells_of_no_other_rule() -> None:
    told = re.findall(r"^\| `([a-z]+/[a-z_0-9]+)` \|", CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(stem(rule) for rule in alerting())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("nginx.access", "ordinary-access.log"),
        ("syslog", "ordinary-syslog.log"),
        ("cas.audit", "ordinary-cas.log"),
        ("ecs", "ordinary-education.jsonl"),
    ],
)
def test_an_ordinary_day_at_school_gives_no_alert(kind: str, name: str) -> None:
    lines = (ORDINARY / name).read_text(encoding="utf-8").splitlines()
    events = parsed(kind, lines)
    assert len(events) == len(lines)
    assert fired(events) == {}
