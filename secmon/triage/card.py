"""What alerts need to know of a rule, kept for as long as its hits may come: a rule may be changed or taken away."""

from dataclasses import dataclass
from datetime import timedelta

from secmon.model.hit import Hit, Level
from secmon.sigma.rule import DEFAULT_GROUP_WINDOW, CorrelationRule, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCard:
    """One version of a rule, without its condition; fields as in `sigma.rule.Rule`.

    Args:
        kind: "event" or "correlation".
    """

    id: str
    digest: str
    kind: str
    name: str
    title_zh: str = ""
    level: Level
    techniques: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    group_window: timedelta = DEFAULT_GROUP_WINDOW
    reason: str = ""


def card_of(rule: Rule | CorrelationRule) -> RuleCard:
    """Return a rule's card."""
    return RuleCard(
        id=rule.id,
        digest=rule.digest,
        kind="correlation" if isinstance(rule, CorrelationRule) else "event",
        name=rule.name,
        title_zh=rule.title_zh,
        level=rule.level,
        techniques=rule.techniques,
        controls=rule.controls,
        group_window=rule.group_window,
        reason=rule.reason,
    )


def bare_card(hit: Hit) -> RuleCard:
    """Return the card of a rule that nobody knows any more: its hits are shown all the same."""
    return RuleCard(id=hit.rule_id, digest=hit.rule_digest, kind="event", name=hit.rule_id, level=hit.level)
