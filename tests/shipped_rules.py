"""The shipped rules, compiled once, and what of them fires over some events."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from secmon.app.rule_tests import parse_lines
from secmon.content import rule_files
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.sigma.correlate import group_hits, moments
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.rule import CorrelationRule, Rule, RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules

AnyRule = Rule | CorrelationRule


@cache
def shipped() -> RuleSet:
    """Return the shipped rules, compiled once a process: it takes seconds."""
    found, errors = rule_files()
    assert errors == []
    return load_rules([RuleFile(*each) for each in found])


def alerting() -> list[AnyRule]:
    """Return the rules that make alerts: correlations, and rules that are no mere base of one."""
    rules: list[AnyRule] = [rule for rule in (*shipped().rules, *shipped().intel_rules) if rule.generates]
    return sorted([*rules, *shipped().correlations, *shipped().baselines], key=lambda rule: rule.path)


def stem(rule: AnyRule) -> str:
    """Return the name of a rule's file with its folder: "web/sql_injection"."""
    path = Path(rule.path)
    return f"{path.parent.name}/{path.stem}"


@cache
def engine() -> Engine:
    """Return the engine over them."""
    return Engine(shipped())


def fired(events: Iterable[Event]) -> dict[str, int]:
    """Return how often each rule fires over some events: hits of rules, moments of correlations."""
    ruleset, counts = shipped(), dict[str, int]()
    hits: list[Hit] = [hit for event in events for hit in make_hits(ruleset, event, engine().match(event))]
    rules = {rule.id: rule for rule in ruleset.rules}
    for hit in hits:
        if rules[hit.rule_id].generates:
            name = stem(rules[hit.rule_id])
            counts[name] = counts.get(name, 0) + 1
    for correlation in ruleset.correlations:
        found = sum(len(moments(correlation, group)) for _, group in group_hits(correlation, hits))
        if found:
            counts[stem(correlation)] = found
    return counts


def parsed(kind: str, lines: list[str]) -> list[Event]:
    """Return the events of lines, each with an id."""
    return [{**event, "event.id": f"{number:032x}"} for number, event in enumerate(parse_lines(kind, lines))]
