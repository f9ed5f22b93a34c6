"""Correlations and the hits they slide over."""

from datetime import UTC, datetime, timedelta

from secmon.model.event import Value
from secmon.model.hit import Hit, Level
from secmon.sigma.correlate import Moment
from secmon.sigma.rule import CorrelationRule
from tests.sigma.rule_texts import ID, correlation_text, load, rule_text

START = datetime(2026, 9, 7, tzinfo=UTC)


def correlation(block: str = "type: event_count\ncondition: {gte: 3}", *, timespan: str = "10s") -> CorrelationRule:
    """Return a correlation over rule 1."""
    ruleset = load(rule_text(), correlation_text(block, timespan=timespan))
    assert ruleset.problems == ()
    return ruleset.correlations[0]


def hit(second: float, event: int, *, rule: int = 1, **values: Value) -> Hit:
    """Return a hit of a rule so many seconds after the start; `user_name` is `user.name`."""
    return Hit(
        event_id=f"{event:032x}",
        rule_id=ID.format(rule),
        rule_digest="",
        level=Level.LOW,
        at=START + timedelta(seconds=second),
        captured={name.replace("_", "."): value for name, value in values.items()},
    )


def seconds(found: list[Moment]) -> list[float]:
    """Return how many seconds after the start the moments are."""
    return [(moment.at - START).total_seconds() for moment in found]


THREE = f"[{ID.format(1)}, {ID.format(2)}, {ID.format(3)}]"


def over_three(block: str, *, rules: str = THREE, timespan: str = "10s") -> CorrelationRule:
    """Return a correlation over rules 1 to 3."""
    texts = [rule_text(f"s: {{user.name: u{n}}}\ncondition: s", number=n, head=f"name: r{n}") for n in (1, 2, 3)]
    ruleset = load(*texts, correlation_text(block, rules=rules, timespan=timespan))
    assert ruleset.problems == ()
    return ruleset.correlations[0]
