"""Control catalogues (等保、审计要点), what their checks ask for, and the result of one assessment.

Results and their names are those of GB/T 28448 (单项判定) with 未核查 for "nobody has looked": an item without data is
未核查, never 符合. Whatever the machine says has the status "draft" until a person confirms it, and there is no
overall verdict (单位自查，不作为等级测评结论).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from secmon.model.canonical import Plain, canonical_digest
from secmon.model.event import format_time
from secmon.model.evidence import Evidence


class Result(StrEnum):
    """The result of an item (单项判定)."""

    MET = "符合"
    PARTLY = "部分符合"
    FAILED = "不符合"
    NOT_APPLICABLE = "不适用"
    NOT_CHECKED = "未核查"


class CheckKind(StrEnum):
    """What a check looks at."""

    QUERY = "query"
    RULE_HITS = "rule_hits"
    REGISTER = "register"
    DOCUMENT = "document"
    QUESTIONNAIRE = "questionnaire"
    IMPORT = "import"


MODE_OF_KIND = {
    CheckKind.QUERY: "log",
    CheckKind.RULE_HITS: "log",
    CheckKind.REGISTER: "register",
    CheckKind.DOCUMENT: "document",
    CheckKind.QUESTIONNAIRE: "questionnaire",
    CheckKind.IMPORT: "import",
}


class FactSource(StrEnum):
    """Where a fact comes from."""

    EVENTS = "events"
    """Stored events of the asset."""
    HITS = "hits"
    """Hits of active rules that are mapped to a control; `by` has every such rule, those with 0 hits included."""
    ALERTS = "alerts"
    """Alerts of rules that are mapped to a control, by state or by close reason."""
    FINDINGS = "findings"
    """Sensitive-data findings in the asset's events, by class."""
    REGISTER = "register"
    """A field of the asset register."""
    SETTING = "setting"
    """A setting of this installation."""
    ANSWER = "answer"
    """What a person filled in: an answer, a document, an imported list."""


class Measure(StrEnum):
    """What is read off one fact (share and covered: off two)."""

    COUNT = "count"
    """How many."""
    KEYS = "keys"
    """How many different values of the `by` field have at least one."""
    PEAK = "peak"
    """The largest count of one value of the `by` field."""
    DAYS = "days"
    """On how many calendar days."""
    DAY_SHARE = "day_share"
    """That, divided by the days of the period."""
    SPAN_DAYS = "span_days"
    """Whole days from the earliest one to the end of the period."""
    VALUE = "value"
    """The first value, as a number."""
    SHARE = "share"
    """Count of the first divided by count of the second."""
    COVERED = "covered"
    """Share of the first fact's values that appear among the second's `by` values, letter case aside."""


TWO_FACT_MEASURES = frozenset({Measure.SHARE, Measure.COVERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events: all `equals`, all `present`, and the phrase `text` somewhere."""

    equals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    present: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSpec:
    """A fact that a check needs, for whichever asset and period.

    Args:
        title: what it is, for people.
        any_of: events: alternatives, added up, so they must not overlap.
        by: events: field whose values are counted apart.
        whole_store: everything stored, not only the period of the report.
        controls: hits and alerts: the rules mapped to any of these controls.
        outcomes: alerts: states ("open" = any but closed) or close reasons.
        classes: findings: data classes; empty means all.
        name: register field, setting or question.
    """

    source: FactSource
    title: str
    any_of: tuple[Selection, ...] = ()
    by: str = ""
    whole_store: bool = False
    controls: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A measure of named facts compared with a bound; exactly one of the bounds is given."""

    measure: Measure
    of: tuple[str, ...]
    at_least: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result that holds if all conditions do, and the sentence that says why; `{fact.measure}` is filled in."""

    result: Result
    when: tuple[Condition, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What must be there before the absence of anything may count: so many of a fact, on so many days."""

    fact: str
    count: int
    days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One way to look at a control.

    Args:
        facts: local name → what is asked for.
        coverage: without it the check is 未核查, unless something bad was found.
        valid_days: evidence whose latest record is older than this, at the end of the period, is stale: 未核查.
        outcomes: in falling severity; the first that holds is the result.
        otherwise: the sentence if none holds: 未核查.
        required: without its 符合 the control cannot be 符合.
    """

    id: str
    kind: CheckKind
    title: str
    facts: Mapping[str, FactSpec]
    coverage: tuple[Coverage, ...] = ()
    valid_days: int = 0
    outcomes: tuple[Outcome, ...] = ()
    otherwise: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One item of a catalogue.

    Args:
        confidence: V, V2, G or P, as in the catalogue's legend; printed wherever the item is.
        high_risk: numbers of the high-risk precedents and major-risk triggers it is named in.
        maps_to: (framework, control id) of the same demand elsewhere.
    """

    id: str
    clause: str
    class_code: str
    point: str
    item: str
    level: tuple[int, ...]
    gist: str
    confidence: str
    high_risk: tuple[str, ...] = ()
    maps_to: tuple[tuple[str, str], ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A catalogue of controls.

    Args:
        source_number: such as "GB/T 22239-2019".
        legend: confidence mark → what it means.
        classes: class code → name.
        digest: SHA-256 of the file's text.
    """

    id: str
    version: str
    title_zh: str
    title_en: str
    source_number: str
    source_name: str
    effective: str
    legend: Mapping[str, str]
    classes: Mapping[str, str]
    controls: tuple[Control, ...]
    digest: str

    @property
    def label(self) -> str:
        """Return id and version as one word."""
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said."""

    check_id: str
    title: str
    mode: str
    result: Result
    reason: str
    evidence_ids: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What was found for one control; always a draft until a person confirms it."""

    control: Control
    result: Result
    mode: str
    reason: str
    checks: tuple[CheckResult, ...]
    evidence_ids: tuple[str, ...]
    status: str = "draft"

    def to_json(self) -> dict[str, Plain]:
        """Return the object of contracts.md §3 `report`, with the item's place in the standard and its checks."""
        control = self.control
        return {
            "control.id": control.id,
            "clause": control.clause,
            "item": control.item,
            "class": control.class_code,
            "point": control.point,
            "gist": control.gist,
            "confidence": control.confidence,
            "high_risk": list(control.high_risk),
            "result": self.result.value,
            "status": self.status,
            "mode": self.mode,
            "reason": self.reason,
            "evidence.ids": list(self.evidence_ids),
            "checks": [
                {
                    "id": check.check_id,
                    "title": check.title,
                    "mode": check.mode,
                    "result": check.result.value,
                    "reason": check.reason,
                    "required": check.required,
                    "evidence.ids": list(check.evidence_ids),
                }
                for check in self.checks
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The result of one catalogue for one asset over one period.

    Args:
        kind: "mlps".
        since: start of the period, inclusive.
        until: end of it, exclusive.
        at: the moment the facts were taken; part of the digest.
    """

    kind: str
    title: str
    asset_id: str
    unit_id: str
    framework: Framework
    since: datetime
    until: datetime
    at: datetime
    items: tuple[ItemResult, ...]
    evidence: tuple[Evidence, ...]

    def summary(self) -> dict[str, int]:
        """Return the number of items per result; every result is there, in the order of `Result`."""
        counts = {result.value: 0 for result in Result}
        for item in self.items:
            counts[item.result.value] += 1
        return counts

    def digest(self) -> str:
        """Return SHA-256 over everything but itself."""
        return canonical_digest(self._json(""))

    def to_json(self) -> dict[str, Plain]:
        """Return the object of contracts.md §3 `report`."""
        return self._json(self.digest())

    def _json(self, digest: str) -> dict[str, Plain]:
        report: dict[str, Plain] = {
            "kind": self.kind,
            "title": self.title,
            "asset.id": self.asset_id,
            "unit.id": self.unit_id,
            "at": format_time(self.at),
            "from": format_time(self.since),
            "to": format_time(self.until),
            "framework": self.framework.label,
            "framework.digest": self.framework.digest,
            "notice": "单位自查，不作为等级测评结论",
        }
        if digest:
            report["digest"] = digest
        return {
            "report": report,
            "items": [item.to_json() for item in self.items],
            "evidence": [one.to_json() for one in self.evidence],
            "summary": dict(self.summary()),
        }
