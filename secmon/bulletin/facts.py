"""What a bulletin is composed from: plain facts of one alert, and the evidence they become."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from secmon.model.asset import Asset
from secmon.model.evidence import Evidence, make_evidence
from secmon.model.hit import Minor
from secmon.model.printable import shield
from secmon.model.unit import Unit

_MAX_SAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFacts:
    """One alert as it stood when the bulletin was drafted.

    Args:
        rule_title_zh: the rule's Chinese name.
        level: the alert's level (告警级别), never a grade of an incident.
        count: satisfied moments.
        first: earliest of them.
        last: latest of them.
        event_ids: sample events.
        techniques: ATT&CK ids, such as "T1110.003".
        controls: control ids the rule is mapped to.
        units: units of its events, as far as the asker sees them.
        assets: their information systems.
        close_reason_zh: what people made of it; empty while it is open.
        data_classes: class name (Chinese) → findings in its events.
        persons_by_class: class name → different values (keyed digests): an upper bound of the people seen per class.
        minors: age group → different values whose holder is of that group.
        masked_values: values as the classifier masked them; never a whole record.
        sources: different source addresses of its events; only a report to a superior shows them.
    """

    id: str
    revision: int
    rule_id: str
    rule_title_zh: str
    level: str
    count: int
    first: datetime
    last: datetime
    event_ids: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    units: tuple[Unit, ...] = ()
    assets: tuple[Asset, ...] = ()
    close_reason_zh: str = ""
    data_classes: Mapping[str, int] = field(default_factory=dict)
    persons_by_class: Mapping[str, int] = field(default_factory=dict)
    minors: Mapping[Minor, int] = field(default_factory=dict)
    masked_values: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def persons_at_most(self) -> int:
        """An upper bound of the people seen: one may stand behind several classes, but a class never hides one."""
        return sum(self.persons_by_class.values())

    @property
    def persons_at_least(self) -> int:
        """A lower bound: different values of one class are taken as different people."""
        return max(self.persons_by_class.values(), default=0)

    @property
    def has_personal_data(self) -> bool:
        """Whether personal data was found in its events."""
        return any(self.data_classes.values())

    @property
    def has_minors(self) -> bool:
        """Whether somebody under 18 is among the people seen."""
        return any(self.minors.get(group, 0) for group in (Minor.UNDER_14, Minor.UNDER_18))


@dataclass(frozen=True, slots=True)
class AlertEvidence:
    """The evidence of one alert: for what happened, and for whose data it touched (None if none was found)."""

    alert: Evidence
    data: Evidence | None

    @property
    def all(self) -> tuple[Evidence, ...]:
        """Both, in the order in which documents list them."""
        return (self.alert,) if self.data is None else (self.alert, self.data)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of both."""
        return tuple(one.id for one in self.all)


def evidence_of(facts: AlertFacts) -> AlertEvidence:
    """Return the evidence that an alert's facts become; it cites the alert's id and revision."""
    until = facts.last + timedelta(microseconds=1)
    alert = make_evidence(
        kind="alert",
        query=f"告警满足检测条件的记录（alert.id={facts.id}，alert.revision={facts.revision}，rule.id={facts.rule_id}）",
        since=facts.first,
        until=until,
        count=facts.count,
        event_ids=facts.event_ids,
        detail={"techniques": sorted(facts.techniques), "controls": sorted(facts.controls)},
    )
    if not facts.has_personal_data:
        return AlertEvidence(alert, None)
    data = make_evidence(
        kind="findings",
        query=f"告警所涉日志中的敏感数据识别结果（alert.id={facts.id}，alert.revision={facts.revision}）",
        since=facts.first,
        until=until,
        count=sum(facts.data_classes.values()),
        event_ids=facts.event_ids,
        masked_sample="、".join(shield(value, max_chars=40) for value in facts.masked_values[:_MAX_SAMPLES]),
        detail={"classes": dict(facts.data_classes), "persons": dict(facts.persons_by_class)},
    )
    return AlertEvidence(alert, data)
