"""Builders: the shortest rule texts that say something."""

from collections.abc import Mapping, Sequence

from secmon.model.event import Event
from secmon.sigma.index import Engine
from secmon.sigma.match import matches
from secmon.sigma.rule import Rule, RuleFile, RuleProblem, RuleSet
from secmon.sigma.ruleset import load_rules

ID = "00000000-0000-4000-8000-{:012d}"


def rule_text(
    detection: str = "selection: {user.name: root}\ncondition: selection",
    *,
    number: int = 1,
    logsource: str = "category: authentication",
    head: str = "",
) -> str:
    """Return a rule; `detection` and `logsource` are YAML, `head` further lines at the top level."""
    return "\n".join(
        [
            f"title: Rule {number}",
            f"id: {ID.format(number)}",
            "taxonomy: ecs",
            "level: high",
            *([head] if head else []),
            "logsource:",
            *(f"  {line}" for line in logsource.splitlines()),
            "detection:",
            *(f"  {line}" for line in detection.splitlines()),
            "",
        ]
    )


def correlation_text(
    block: str, *, number: int = 9, head: str = "level: high", rules: str = f"[{ID.format(1)}]", timespan: str = "10m"
) -> str:
    """Return a correlation over rule 1; `block` holds its type, group-by and condition."""
    return "\n".join(
        [
            f"title: Correlation {number}",
            f"id: {ID.format(number)}",
            head,
            "correlation:",
            f"  rules: {rules}",
            f"  timespan: {timespan}",
            *(f"  {line}" for line in block.splitlines()),
            "",
        ]
    )


def load(*texts: str, placeholders: Mapping[str, Sequence[str]] | None = None) -> RuleSet:
    """Load rules, each text as a file of its own: r0.yml, r1.yml and so on."""
    files = [RuleFile(f"r{index}.yml", text) for index, text in enumerate(texts)]
    return load_rules(files, placeholders=placeholders)


def only_rule(text: str, *, placeholders: Mapping[str, Sequence[str]] | None = None) -> Rule:
    """Load one rule that must be right."""
    ruleset = load(text, placeholders=placeholders)
    assert ruleset.problems == ()
    (rule,) = ruleset.rules
    return rule


def only_problem(*texts: str) -> RuleProblem:
    """Load rules of which exactly one is wrong."""
    (problem,) = load(*texts).problems
    return problem


def login(**fields: object) -> Event:
    """Return an authentication event; `user_name` is `user.name`."""
    event: Event = {"event.category": ["authentication"]}
    event.update({name.replace("_", "."): value for name, value in fields.items()})  # type: ignore[misc]  # any value
    return event


def both(rule: Rule, event: Event) -> bool:
    """Tell whether a rule matches by its definition, after checking that the engine says the same."""
    verdict = matches(rule, event)
    assert (Engine(RuleSet(rules=(rule,))).match(event) == [rule]) is verdict
    return verdict
