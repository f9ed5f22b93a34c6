"""What rules cost, measured on stored events of the last time or on a file (`secmon rules cost`)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from secmon.app.installation import Installation
from secmon.errors import SearchStoppedError
from secmon.model.access import Access
from secmon.model.event import Event
from secmon.model.patterns import Compiler, compiled
from secmon.model.questions import EventQuery
from secmon.model.search import Budget
from secmon.sigma.cost import Profile, RuleCost
from secmon.sigma.rule import RuleSet

MAX_EVENTS: Final = 20_000
ALWAYS: Final = "tried on every event of its log source"
OFTEN: Final = "what it cannot do without is in every tenth event or more"
_OFTEN_OF: Final = 10
_BESIDE: Final = "put a text or value beside it under `and`"
REMEDIES: Final = {
    ALWAYS: "give it a text or value that it cannot do without",
    OFTEN: "let it ask for a text that fewer events hold",
    "comparison of numbers": _BESIDE,
    "network": _BESIDE,
    "null or exists": _BESIDE,
    "comparison of fields": _BESIDE,
    "keyword in any field": "name the fields that it looks for",
    "regular expression over all fields": "name the fields that it looks for",
    "nothing but wildcards": "write the text that is looked for, or `exists`",
    "regular expression for RE2 alone": "write it as texts, or in plain ASCII without `m` and large repetitions",
}
"""Why a rule costs → what makes it cheaper."""


def stored(
    house: Installation, access: Access, *, since: datetime | None, seconds: float, limit: int = MAX_EVENTS
) -> Iterator[Event]:
    """Yield the latest stored events in scope, for at most some time."""
    budget = Budget(house.clock.monotonic_s, seconds)
    query = EventQuery(since=since, ascending=False, limit=limit)
    try:
        yield from house.log.events(access, query, budget=budget)
    except SearchStoppedError:
        return  # what was read is a sample all the same


def measure(
    ruleset: RuleSet, events: Iterable[Event], clock: Callable[[], float], *, compiler: Compiler = compiled
) -> tuple[list[RuleCost], int]:
    """Return what each rule cost, the dearest first, and over how many events."""
    profile = Profile(ruleset.rules, clock, compiler=compiler)
    for event in events:
        profile.add(event)
    return profile.costs(), profile.events


def rows(costs: Iterable[RuleCost], *, top: int) -> list[dict[str, Any]]:
    """Return the dearest rules as plain data (contracts: `rules cost`)."""
    costs = list(costs)
    total = sum(cost.seconds for cost in costs)
    return [_row(cost, total) for cost in costs[:top]]


def _row(cost: RuleCost, total: float) -> dict[str, Any]:
    why = _reasons(cost)
    remedies = dict.fromkeys(REMEDIES[reason.partition(": ")[0]] for reason in why)
    return {
        "rule.id": cost.rule.id,
        "rule.name": cost.rule.name,
        **({"rule.title_zh": cost.rule.title_zh} if cost.rule.title_zh else {}),
        "events": cost.events,
        "evaluations": cost.evaluations,
        "hits": cost.hits,
        "seconds": round(cost.seconds, 6),
        "share": round(cost.seconds / total, 4) if total else 0.0,
        "atoms_without_index": len(cost.slow_atoms),
        "why": why,
        "remedy": list(remedies),
    }


def _reasons(cost: RuleCost) -> list[str]:
    if cost.is_always_tried:
        return [ALWAYS, *cost.slow_atoms]
    is_often = cost.evaluations >= _OFTEN_OF and cost.evaluations * _OFTEN_OF >= cost.events
    return [*([OFTEN] if is_often else []), *cost.slow_atoms]
