"""Tests beside rules: what their cases mean, and what is refused."""

from collections.abc import Sequence

import pytest

from secmon.errors import ContentError
from secmon.model.event import Event
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.sigma.testing import RunOfTests, read_cases, run_tests
from tests.sigma.rule_texts import ID, correlation_text, rule_text

BASE = rule_text("selection: {event.outcome: failure}\ncondition: selection")
SPRAYING = (
    BASE
    + "---\n"
    + correlation_text("type: value_count\ngroup-by: [source.ip]\ncondition: {gte: 10, field: user.name}")
)
FAILURE = "{event.category: [authentication], event.outcome: failure, user.name: s01, source.ip: 192.0.2.9}"
CASES = f"""
rule: spraying
cases:
  - name: ten accounts
    expect: match
    hits: 1
    events: [{FAILURE}]
    repeat: {{count: 10, step: 5s, vary: {{user.name: "s{{n:02}}"}}}}
  - name: nine accounts
    near_miss: true
    expect: no_match
    events: [{FAILURE}]
    repeat: {{count: 9, step: 5s, vary: {{user.name: "s{{n:02}}"}}}}
"""


def parse_lines(kind: str, lines: Sequence[str]) -> list[Event]:
    """Stand in for the parsers: a line is a user name."""
    if kind != "logins":
        raise ContentError("unknown kind of source")
    return [{"event.category": ["authentication"], "event.outcome": "failure", "user.name": line} for line in lines]


def run(cases: str, *, rules: str = SPRAYING) -> RunOfTests:
    ruleset = load_rules([RuleFile("rules/spraying.yml", rules)])
    assert ruleset.problems == ()
    return run_tests(ruleset, [RuleFile("rules/spraying.test.yaml", cases)], parse_lines)


def test_a_series_makes_a_correlation_true_and_one_less_does_not() -> None:
    found = run(CASES)
    assert [(outcome.case, outcome.got, outcome.ok) for outcome in found.outcomes] == [
        ("ten accounts", "match", True),
        ("nine accounts", "no_match", True),
    ]
    assert [outcome.rule_id for outcome in found.outcomes] == [ID.format(9)] * 2
    assert found.untested == ()


def test_a_case_fails_when_the_rule_finds_something_else() -> None:
    wrong = CASES.replace("count: 9", "count: 11").replace("hits: 1", "hits: 2")
    first, second = run(wrong).outcomes
    assert (first.ok, first.problem) == (False, "1 hits instead of 2")
    assert (second.ok, second.expect, second.got) == (False, "no_match", "match")


def test_a_rule_needs_a_match_and_a_near_miss() -> None:
    assert run(CASES.replace("    near_miss: true\n", "")).untested == (
        "rules/spraying.yml:11: the rule has no near miss case",
    )
    ruleset = load_rules([RuleFile("rules/spraying.yml", SPRAYING)])
    assert run_tests(ruleset, [], parse_lines).untested == (
        "rules/spraying.yml:11: the rule has no match and no near miss case",
    )


def test_raw_lines_go_through_the_parser() -> None:
    cases = "cases: [{name: raw, expect: match, source: {kind: logins, lines: [a, b]}, hits: 2}]"
    assert [outcome.ok for outcome in run(cases, rules=BASE).outcomes] == [True]


def test_events_without_a_time_follow_each_other() -> None:
    cases = CASES.replace("count: 10, step: 5s", "count: 10, step: 2m")
    assert [outcome.ok for outcome in run(cases).outcomes] == [True, True]  # no stamp to move: a second apart
    stamped = cases.replace("{event.category", '{"@timestamp": 2026-09-07T00:01:09Z, event.category')
    assert [outcome.ok for outcome in run(stamped).outcomes] == [False, True]


@pytest.mark.parametrize(
    ("cases", "where", "problem"),
    [
        ("cases: []", "t.test.yaml:1", "list `cases`"),
        ("", "t.test.yaml:1", "empty"),
        ("rule: other\ncases: [{name: a}]", "t.test.yaml:1", "not the name of this file"),
        ("cases:\n  - name: a\n    expect: maybe\n    events: [{a: 1}]", "t.test.yaml:2", "match or no_match"),
        ("cases:\n  - name: a\n    expect: match", "t.test.yaml:2", "either"),
        ("cases:\n  - name: a\n    expect: match\n    evnts: []", "t.test.yaml:4", "unknown key"),
        ("cases:\n  - {name: a, expect: match, events: [{a: null}]}", "t.test.yaml:2", "field a"),
        ("cases:\n  - {name: a, expect: match, hits: many, events: [{a: 1}]}", "t.test.yaml:2", "whole number"),
        ("cases:\n  - {name: a, expect: match, near_miss: true, events: [{a: 1}]}", "t.test.yaml:2", "near miss"),
        ("cases:\n  - {name: a, expect: match, events: [{a: 1}], repeat: {count: 0}}", "t.test.yaml:2", "`count`"),
        ("cases:\n  - {name: a, expect: match, events: [{a: 1}], repeat: {count: 1000000}}", "t.test.yaml:2", "count"),
        ("cases:\n  - {name: a, expect: match, events: [{'@timestamp': noon}]}", "t.test.yaml:2", "time"),
        ("cases:\n  - {name: a, expect: match, source: {kind: x, lines: [a]}}", "t.test.yaml:2", "unknown kind"),
    ],
)
def test_a_wrong_test_is_told_with_its_line(cases: str, where: str, problem: str) -> None:
    with pytest.raises(ContentError, match=problem) as caught:
        read_cases(RuleFile("t.test.yaml", cases), parse_lines)
    assert caught.value.where == where


def test_a_test_without_its_rule_is_a_failure() -> None:
    ruleset = load_rules([RuleFile("rules/other.yml", BASE)])
    (outcome,) = run_tests(ruleset, [RuleFile("rules/spraying.test.yaml", CASES)], parse_lines).outcomes
    assert (outcome.ok, outcome.problem) == (False, "no loaded rule stands beside this test")
