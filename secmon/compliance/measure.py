"""What is read off facts. A measure that cannot be taken is None: it decides nothing, in either direction."""

import re
from collections.abc import Mapping
from datetime import datetime

from secmon.compliance.check_file import PLACE
from secmon.compliance.needs import Fact
from secmon.model.assessment import Condition, Coverage, Measure

_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_SHOWN_AS_SHARE = frozenset({Measure.SHARE, Measure.COVERED, Measure.DAY_SHARE})


def measure(kind: Measure, facts: tuple[Fact, ...], since: datetime, until: datetime) -> float | None:
    """Return a measure of one or two facts, or None where a fact is not available or a divisor is 0."""
    if not all(fact.available for fact in facts):
        return None
    if kind is Measure.SHARE:
        # Counts of overlapping alternatives may exceed the whole; a share never does.
        return min(1.0, facts[0].count / facts[1].count) if facts[1].count else None
    if kind is Measure.COVERED:
        return _covered(facts[0], facts[1])
    return _of_one(kind, facts[0], since, until)


def _of_one(kind: Measure, fact: Fact, since: datetime, until: datetime) -> float | None:
    counts = [count for value, count in fact.by.items() if value]
    values: dict[Measure, float | None] = {
        Measure.COUNT: fact.count,
        Measure.KEYS: sum(1 for count in counts if count),
        Measure.PEAK: max(counts, default=0),
        Measure.DAYS: fact.days,
        Measure.DAY_SHARE: min(1.0, fact.days / _period_days(since, until)),
        Measure.SPAN_DAYS: max(0, (until - fact.first).days) if fact.first else 0,
        Measure.VALUE: _number(fact.values),
    }
    return values[kind]


def _covered(listed: Fact, seen: Fact) -> float | None:
    names = {value.lower() for value in listed.values if value}
    if not names:
        return None
    present = {value.lower() for value, count in seen.by.items() if count}
    return len(names & present) / len(names)


def _number(values: tuple[str, ...]) -> float | None:
    text = values[0] if values else ""
    return float(text) if _DECIMAL.fullmatch(text) else None


def _period_days(since: datetime, until: datetime) -> int:
    return max(1, -(-int((until - since).total_seconds()) // 86_400))


def holds(condition: Condition, facts: Mapping[str, Fact], since: datetime, until: datetime) -> bool | None:
    """Tell whether a condition holds; None where it cannot be told."""
    value = measure(condition.measure, tuple(facts[name] for name in condition.of), since, until)
    if value is None:
        return None
    if condition.below is not None:
        return value < condition.below
    return condition.at_least is not None and value >= condition.at_least


def is_covered(coverage: Coverage, facts: Mapping[str, Fact]) -> bool:
    """Tell whether there is enough of a fact for its absence elsewhere to mean something."""
    fact = facts[coverage.fact]
    return fact.available and fact.count >= coverage.count and fact.days >= coverage.days


def sentence(template: str, facts: Mapping[str, Fact], since: datetime, until: datetime) -> str:
    """Fill the places of a reason; what could not be measured reads 未取得."""

    def filled(match: re.Match[str]) -> str:
        name, kind, divisor = match.groups()
        if divisor:
            ratio = Measure.COVERED if facts[name].values else Measure.SHARE
            return _shown(measure(ratio, (facts[name], facts[divisor]), since, until), ratio)
        which = Measure(kind) if kind else Measure.COUNT
        return _shown(measure(which, (facts[name],), since, until), which)

    return PLACE.sub(filled, template)


def _shown(value: float | None, kind: Measure) -> str:
    if value is None:
        return "未取得"
    # Rounded down: 99.96 % must not read as 100 %.
    return f"{int(value * 1000) / 10:g}%" if kind in _SHOWN_AS_SHARE else f"{value:g}" if value % 1 else f"{value:.0f}"
