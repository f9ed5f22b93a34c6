"""Says of each hit what suppresses it (`suppression.py`)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from secmon.model.calendar import Span
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.model.zone import zone_of
from secmon.sigma.match import holds
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.suppression import ANY_RULE, Part, Suppression
from secmon.sigma.tree import Node

Subtree = Callable[[str], frozenset[str]]
Covered = Callable[[Suppression], bool]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A suppression with its scope and its zone resolved."""

    suppression: Suppression
    units: frozenset[str]
    zone: tzinfo | None

    def covers(self, hit: Hit, event: Event, admits: Node | None) -> bool:
        found = self.suppression
        return (
            self.is_then(hit.at)
            and (not self.units or hit.unit_id in self.units)
            and (not found.assets or hit.asset_id in found.assets)
            and (admits is None or not holds(admits, event))
        )

    def is_then(self, at: datetime) -> bool:
        found = self.suppression
        return found.lasts(at) and (
            found.weekly is None or self.zone is None or found.weekly.covers(at.astimezone(self.zone))
        )


def is_in_force(one: Suppression, at: datetime) -> bool:
    """Tell whether a suppression covers events of a moment; of one that recurs: whether it is one of its hours."""
    return _Ready(one, frozenset(), zone_of(one.weekly.zone) if one.weekly else None).is_then(at)


def hiding(
    suppressions: Iterable[Suppression], rule: CorrelationRule, covered: Covered, within: Span
) -> Iterator[Span]:
    """Yield the times within another in which maintenance or disabled rules cover a group of a correlation.

    What an exception covers is left out: it names events, not times.

    Args:
        suppressions: those in force.
        rule: the correlation.
        covered: tells whether the units and assets of a suppression are those of the group.
        within: the time that is asked about.
    """
    rules = {rule.id, *rule.event_rule_ids}
    for one in suppressions:
        is_of_times = one.kind in {"maintenance", "disabled"} and all(part.admits is None for part in one.parts)
        if is_of_times and (not one.rule_ids or rules.intersection(one.rule_ids)) and covered(one):
            yield from one.times(max(within.start, one.since), min(within.end, one.until))


@dataclass(slots=True)
class Suppressor:
    """Says of hits what suppresses them.

    Args:
        suppressions: those in force; of several that cover a hit the one with the lowest id is named.
        subtree: the ids of a unit and of all below it.
    """

    suppressions: Sequence[Suppression]
    subtree: Subtree = lambda unit: frozenset({unit})
    _by_rule: dict[str, list[tuple[_Ready, Node | None]]] = field(default_factory=dict)
    _ready: list[_Ready] = field(default_factory=list)

    def __post_init__(self) -> None:
        for one in sorted(self.suppressions, key=lambda one: one.id):
            units = frozenset().union(*({unit} | self.subtree(unit) for unit in one.units))
            self._ready.append(_Ready(one, units, zone_of(one.weekly.zone) if one.weekly else None))

    def annotated(self, event: Event, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits on an event, each with what suppresses it."""
        return [
            hit if (found := self.covering(event, hit)) is None else replace(hit, suppressed_by=found) for hit in hits
        ]

    def covering(self, event: Event, hit: Hit) -> str | None:
        """Return the id of what suppresses a hit on an event; None if nothing does."""
        for ready, admits in self._of(hit.rule_id):
            if ready.covers(hit, event, admits):
                return ready.suppression.id
        return None

    def disabling(self, rule_id: str, at: datetime) -> str | None:
        """Return the id of what disables a correlation at a moment; None if nothing does."""
        for ready, _ in self._of(rule_id):
            if ready.suppression.kind == "disabled" and ready.is_then(at):
                return ready.suppression.id
        return None

    def _of(self, rule_id: str) -> list[tuple[_Ready, Node | None]]:
        if rule_id not in self._by_rule:
            self._by_rule[rule_id] = [
                (ready, part.admits) for ready in self._ready if (part := _part_for(ready.suppression, rule_id))
            ]
        return self._by_rule[rule_id]


def _part_for(suppression: Suppression, rule_id: str) -> Part | None:
    return next((part for part in suppression.parts if part.rule_ids == ANY_RULE or rule_id in part.rule_ids), None)
