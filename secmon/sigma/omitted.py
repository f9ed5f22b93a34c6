"""Which rules a run cannot try, and why: they are named, never silently without a hit."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from secmon.sigma.reach import can_fire, can_hold
from secmon.sigma.rule import CorrelationRule, Rule, RuleSet


class Omitted(StrEnum):
    """Why a rule is not tried."""

    BASELINE = "baseline"
    """It compares with what is usual: that takes stored history."""
    INTELLIGENCE = "intelligence"
    """It compares with threat intelligence, and there is none."""
    CLASSIFICATION = "classification"
    """It looks at what only the classifier adds (`data.*`)."""
    REGISTERS = "registers"
    """It looks at what only the registers of an installation add (`unit.*`, `asset.*`)."""


_ADDED: Mapping[Omitted, tuple[str, ...]] = {
    Omitted.CLASSIFICATION: ("data.",),
    Omitted.REGISTERS: ("unit.", "asset."),
}


@dataclass(frozen=True, slots=True)
class _AnyBut(Container[str]):
    """All names of fields but those that begin like this."""

    prefixes: tuple[str, ...]

    def __contains__(self, name: object) -> bool:
        return not str(name).startswith(self.prefixes)


def omitted(ruleset: RuleSet, *, is_installed: bool, classifies: bool) -> dict[str, Omitted]:
    """Return rule id → why it is not tried, of the rules of a set that are in order and are not tried all the same.

    Args:
        ruleset: with threat intelligence, if there is any (`intel.with_intel`).
        is_installed: there are a store and registers; without, it is a run over files.
        classifies: events are classified before they meet the rules.
    """
    missing = [] if classifies else [Omitted.CLASSIFICATION]
    missing += [] if is_installed else [Omitted.REGISTERS]
    found = {rule.id: Omitted.INTELLIGENCE for rule in ruleset.intel_rules}
    for rule in ruleset.rules:
        why = next((one for one in missing if not _can_do_without(rule, _ADDED[one])), None)
        if why is not None:
            found[rule.id] = why
    tried = {rule.id for rule in ruleset.rules} - found.keys()
    above = _above(ruleset.correlations, tried, found) | _above(ruleset.baselines, tried, found)
    if not is_installed:
        above |= dict.fromkeys((rule.id for rule in ruleset.baselines), Omitted.BASELINE)
    return found | above


def _can_do_without(rule: Rule, prefixes: tuple[str, ...]) -> bool:
    """Tell whether a rule may hold for an event that has no field of these."""
    return not any(name.startswith(prefixes) for name in rule.fields) or can_hold(rule.tree, _AnyBut(prefixes))


def _above(
    correlations: Iterable[CorrelationRule], tried: set[str], below: Mapping[str, Omitted]
) -> dict[str, Omitted]:
    """Return the correlations that rest on too few rules that are tried."""
    return {
        rule.id: next(below[each] for each in sorted(rule.event_rule_ids) if each in below)
        for rule in correlations
        if not can_fire(rule, tried) and not below.keys().isdisjoint(rule.event_rule_ids)
    }
