"""Tests that stand beside exceptions: which hits they suppress, and which they leave alone.

`backup.test.yaml` beside `backup.yml`. A case that names `suppressed_by` wants every hit of its events to be suppressed
by that; one that does not wants none of them to be suppressed. The units of an exception are taken as they stand: the
tree of units is the installation's, and a test has none.
"""

from collections.abc import Mapping, Sequence

from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.model.patterns import Compiler
from secmon.sigma.index import Engine
from secmon.sigma.match import Definition
from secmon.sigma.rule import Rule, RuleFile, RuleSet
from secmon.sigma.suppression import Suppression
from secmon.sigma.suppressor import Suppressor


def suppressions_beside(ruleset: RuleSet, file: RuleFile) -> list[Suppression]:
    """Return the exceptions, disabled rules and windows that a test file stands beside, by id."""
    path = file.path.removesuffix(".test.yaml") + ".yml"
    return [one for one in ruleset.suppressions if one.path == path]


def rules_beside(ruleset: RuleSet, quiet: Sequence[Suppression]) -> tuple[Rule, ...]:
    """Return the rules over events that some suppressions are for: themselves, or below correlations."""
    wanted: set[str] = set()
    for one in quiet:
        if not one.rule_ids:
            return (*ruleset.rules, *ruleset.intel_rules)
        wanted.update(one.rule_ids)
    for correlation in (*ruleset.correlations, *ruleset.baselines):
        if correlation.id in wanted:
            wanted |= correlation.event_rule_ids
    return tuple(rule for rule in (*ruleset.rules, *ruleset.intel_rules) if rule.id in wanted)


def matchers_of(rules: tuple[Rule, ...], compiler: Compiler) -> tuple[Engine, Definition]:
    """Return the engine over some rules, and its definition."""
    return Engine(RuleSet(rules=rules), compiler=compiler), Definition(rules)


def problem_of(ruleset: RuleSet, events: Sequence[Event], hits: Sequence[Hit], wanted: str) -> str:
    """Return what is wrong with what suppresses some hits; "" if it is as wanted.

    Args:
        ruleset: with all that suppresses hits.
        events: the events of the hits.
        hits: the hits.
        wanted: id of what has to suppress each of them; "" for nothing.
    """
    if wanted and all(one.id != wanted for one in ruleset.suppressions):
        return "nothing that is loaded has the id of `suppressed_by`"
    suppressor = Suppressor(ruleset.suppressions)
    by_id: Mapping[str, Event] = {str(event["event.id"]): event for event in events}
    found = [suppressor.covering(by_id[hit.event_id], hit) or "" for hit in hits]
    wrong = [one for one in found if one != wanted]
    if not wrong:
        return ""
    if not wanted:
        return f"{len(wrong)} of {len(found)} hits are suppressed, the first by {wrong[0]}"
    return f"{len(wrong)} of {len(found)} hits are not suppressed by it"
