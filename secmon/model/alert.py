"""Alerts: what an operator triages.

Alert = rule × group key × floored grouping window; its content is the set of moments at which the rule (for a
correlation: its condition) was satisfied, a pure function of the stored hits, whatever the order of arrival.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from secmon.model.hit import Level

MAX_SAMPLES = 20
MAX_UNIT_SAMPLES = 5


class AlertState(StrEnum):
    """The five states (contracts: states)."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    INVESTIGATING = "investigating"
    CONTAINED = "contained"
    CLOSED = "closed"


class CloseReason(StrEnum):
    """Why an alert was closed (also for cases); the Chinese terms are in `CLOSE_REASON_ZH`."""

    FALSE_POSITIVE = "false_positive"
    TRUE_POSITIVE_WITH_IMPACT = "true_positive_with_impact"
    TRUE_POSITIVE_WITHOUT_IMPACT = "true_positive_without_impact"
    LEGITIMATE = "legitimate"
    AUTHORISED_TEST = "authorised_test"
    SUPERIOR_INSPECTION = "superior_inspection"
    DUPLICATE = "duplicate"
    NOT_APPLICABLE = "not_applicable"
    UNKNOWN = "unknown"


CLOSE_REASON_ZH = {
    CloseReason.FALSE_POSITIVE: "误报",
    CloseReason.TRUE_POSITIVE_WITH_IMPACT: "真实-已造成影响",
    CloseReason.TRUE_POSITIVE_WITHOUT_IMPACT: "真实-未造成影响",
    CloseReason.LEGITIMATE: "合法业务",
    CloseReason.AUTHORISED_TEST: "授权测试/演练",
    CloseReason.SUPERIOR_INSPECTION: "上级检测",
    CloseReason.DUPLICATE: "重复",
    CloseReason.NOT_APPLICABLE: "不适用",
    CloseReason.UNKNOWN: "无法判定",
}

ALERT_STATE_ZH = {
    AlertState.NEW: "新建",
    AlertState.ACKNOWLEDGED: "已确认",
    AlertState.INVESTIGATING: "研判中",
    AlertState.CONTAINED: "已遏制",
    AlertState.CLOSED: "已关闭",
}


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """One event of an alert; samples sort by time, then by id."""

    at: datetime
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitShare:
    """What an alert holds of one unit: all that a viewer of that unit may see of it.

    Args:
        count: its hits; for a correlation, its events in any satisfied window.
        first: its earliest event.
        last: its latest event.
        earliest: its earliest events, at most `MAX_UNIT_SAMPLES`, in order.
        captured: values for the reason sentence, of its earliest hit.
        asset_ids: assets of its events, sorted.
    """

    count: int
    first: datetime
    last: datetime
    earliest: tuple[Sample, ...]
    captured: dict[str, Any] = field(default_factory=dict)
    asset_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertContent:
    """What the stored hits say: the part of an alert that no person writes.

    Args:
        count: number of satisfied moments.
        first: earliest satisfied moment.
        last: latest satisfied moment.
        level: highest level among its hits.
        earliest: its earliest events, at most `MAX_SAMPLES`, in order.
        signatures: signatures of its hits, sorted, at most 200; beyond that one more entry "…".
        captured: values for the reason sentence, of the earliest hit.
        shares: what each unit has in it ("" = events of no unit).
        cut: of a correlation: some window held more events than are counted (`sigma.sliding.MAX_WINDOW`).
    """

    count: int
    first: datetime
    last: datetime
    level: Level
    earliest: tuple[Sample, ...]
    signatures: tuple[str, ...] = ()
    captured: dict[str, Any] = field(default_factory=dict)
    shares: dict[str, UnitShare] = field(default_factory=dict)
    cut: bool = False

    @property
    def samples(self) -> tuple[str, ...]:
        """Ids of the earliest events."""
        return tuple(sample.event_id for sample in self.earliest)

    @property
    def unit_ids(self) -> tuple[str, ...]:
        """Units of its events, sorted."""
        return tuple(sorted(unit for unit in self.shares if unit))

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """Assets of its events, sorted."""
        return tuple(sorted({asset for share in self.shares.values() for asset in share.asset_ids}))

    @property
    def counts_by_unit(self) -> dict[str, int]:
        """Events per unit ("" = of no unit)."""
        return {unit: share.count for unit, share in sorted(self.shares.items())}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStep:
    """One entry of an alert's history."""

    at: datetime
    by: str
    action: str
    from_state: str = ""
    to_state: str = ""
    reason: str = ""
    note: str = ""
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert at its current revision.

    Args:
        rule_digest: digest of the rule that its content was last made under.
        group: the group key's values.
        window_from: start of the grouping window.
        tick: number of the tick whose hits its content counts, all earlier ones included (`app.evaluate`).
        revision: raised by every change of content.
        closed_revision: the revision that was closed, 0 if never.
        closed_signatures: the signatures it had then.
        closed_level: the level it had then.
        continued_after_close: satisfied moments that came after closing and did not reopen it.
        template: the rule's template of the reason sentence.
        reason: the sentence, filled in from the whole content.
        history: all steps so far.
        withdrawn: late events took away every moment it had: it stays as a record, with an empty content
            (`triage.content.emptied`), until the condition holds again.
    """

    id: str
    rule_id: str
    rule_name: str
    rule_title_zh: str
    rule_kind: str
    rule_digest: str = ""
    group: dict[str, Any]
    window_from: datetime
    content: AlertContent
    tick: int = 0
    revision: int = 1
    state: AlertState = AlertState.NEW
    owner: str = ""
    close_reason: CloseReason | None = None
    closed_revision: int = 0
    closed_signatures: tuple[str, ...] = ()
    closed_level: Level | None = None
    continued_after_close: int = 0
    techniques: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    template: str = ""
    reason: str = ""
    history: tuple[AlertStep, ...] = ()
    withdrawn: bool = False
