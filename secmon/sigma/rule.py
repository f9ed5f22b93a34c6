"""What a rule is once it is compiled: frozen, free of pySigma, ready to be sent to another process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Literal

from secmon.model.hit import Level
from secmon.sigma.suppression import Adjustment, Suppression
from secmon.sigma.tree import Node, Operator

DEFAULT_GROUP_WINDOW = timedelta(hours=1)
DEFAULT_GROUP_BY = ("host.name",)

# Short names of the tactics of ATT&CK for Enterprise (attack.mitre.org/tactics/enterprise/), in the order of its
# matrix. ATT&CK 19 parts defense-evasion into stealth and defense-impairment; rules may name any of the three.
TACTICS = (
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
)

ProblemState = Literal["broken", "unroutable"]
DocumentKind = Literal["rule", "correlation", "filter", "exception", "override", "maintenance"]


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file of rules, read by somebody else.

    Args:
        path: as problems shall name it.
        text: its content; may hold several YAML documents.
    """

    path: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class RuleProblem:
    """Why a rule does not run.

    Args:
        path: its file.
        line: line of the offending key, from 1.
        rule_id: the rule's id as far as it could be read, or "".
        state: "broken" (wrong in itself) or "unroutable" (no source of ours has such a log).
        problem: what is wrong, on one line.
        hint: what to do about it, or "".
        name: the rule's title as far as it could be read, or "".
        kind: what it is: not every document is a rule.
    """

    path: str
    line: int
    rule_id: str
    state: ProblemState
    problem: str
    hint: str = ""
    name: str = ""
    kind: DocumentKind = "rule"

    @property
    def text(self) -> str:
        """`PATH:LINE: problem (hint)`."""
        return f"{self.path}:{self.line}: {self.problem}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True, order=True)
class LogSource:
    """A rule's log source, in lower case; "" where the rule says nothing."""

    product: str = ""
    category: str = ""
    service: str = ""

    def __str__(self) -> str:
        named = {"product": self.product, "category": self.category, "service": self.service}
        return ", ".join(f"{key} {value}" for key, value in named.items() if value)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """How a hit of a rule counts towards one correlation.

    Args:
        correlation_id: the correlation rule.
        group: for each name of its group-by, the event fields that may hold the value; the first one present does.
        values: the same for the fields whose distinct values it counts.
    """

    correlation_id: str
    group: tuple[tuple[str, tuple[str, ...]], ...]
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class IntelMatch:
    """What a rule compares with threat intelligence (`custom.secmon.intel`, docs/threat-intel.md).

    Args:
        fields: event fields; one value of one of them is enough.
        kinds: kinds of indicators (`model.indicator.Kind`) that they are compared with.
    """

    fields: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A compiled rule over single events.

    Args:
        id: UUID.
        name: its title.
        title_zh: its title in Chinese, or "".
        path: its file.
        line: the line its document starts on.
        digest: 32 hex of SHA-256 over the compiled tree, the log source, grouping and the engine's version.
        techniques: ATT&CK ids from its tags, such as "T1110.003", sorted.
        tactics: ATT&CK tactics from its tags, such as "credential-access", sorted.
        controls: ids of compliance controls that its hits touch.
        logsource: which events it is for.
        tree: its condition.
        fields: event fields that its condition looks at, sorted.
        group_by: fields that make its alerts' group key.
        group_window: width of its alerts' grouping window.
        reason: template of an alert's reason sentence, `{field}` for values; "" if it has none.
        reason_fields: the fields of that template.
        playbook: id of the playbook to offer, or "".
        generates: it makes hits and alerts of its own; False for a base rule whose correlation has `generate: false`.
        keys: the correlations that its hits count towards.
        captures: name → event fields, of every value that its correlations and their reasons need in a hit.
        intel: what it compares with threat intelligence; it then matches only where an indicator does, too.
    """

    id: str
    name: str
    title_zh: str = ""
    level: Level
    path: str
    line: int
    digest: str
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    logsource: LogSource
    tree: Node
    fields: tuple[str, ...]
    group_by: tuple[str, ...] = DEFAULT_GROUP_BY
    group_window: timedelta = DEFAULT_GROUP_WINDOW
    reason: str = ""
    reason_fields: tuple[str, ...] = ()
    playbook: str = ""
    generates: bool = True
    keys: tuple[KeySpec, ...] = ()
    captures: tuple[tuple[str, tuple[str, ...]], ...] = ()
    intel: IntelMatch | None = None


CorrelationType = Literal[
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
]

# Types that count whole things, of which more hits can never be fewer; the others calculate with values.
COUNTING: frozenset[CorrelationType] = frozenset({"event_count", "value_count", "temporal", "temporal_ordered"})

AND, OR, NOT = "&", "|", "!"
"""Operators of `CorrelationRule.expression`; no rule id is one of them."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The condition of a correlation: what is measured compares like this with a number.

    Args:
        operator: how.
        number: with what.
        also: a second comparison that must hold as well: the other end of a range.
    """

    operator: Operator
    number: int | float
    also: "Threshold | None" = None

    def holds(self, measured: int | Fraction) -> bool:
        """Tell whether a measure satisfies the condition; fractions and floats compare exactly."""
        return _COMPARE[self.operator](measured, self.number) and (self.also is None or self.also.holds(measured))

    @property
    def is_monotone(self) -> bool:
        """Whether a larger measure can never make it false where it was true."""
        is_lower = self.operator in {Operator.GT, Operator.GTE}
        return is_lower and (self.also is None or self.also.is_monotone)


_COMPARE: Mapping[Operator, Callable[[int | Fraction, int | float], bool]] = {
    Operator.LT: lambda measured, number: measured < number,
    Operator.LTE: lambda measured, number: measured <= number,
    Operator.GT: lambda measured, number: measured > number,
    Operator.GTE: lambda measured, number: measured >= number,
    Operator.EQ: lambda measured, number: measured == number,
    Operator.NEQ: lambda measured, number: measured != number,
}


BaselineType = Literal["new_value", "spike", "drop", "flatline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a correlation is compared with (`custom.secmon.baseline`, docs/baselines.md).

    Args:
        type: what is unusual: a value never seen, more than usual, less than usual, nothing at all.
        lookback: how far back is "usual".
        learning: how long a group has to be known before anything of it is called unusual.
        comparable: least number of comparable windows.
        factor: how many times the usual count, or what part of it.
        deviations: how many times the usual spread.
        delay: how long after its end a window is judged: what is delivered late is then there.
        days: classes of days it is about (`model.calendar.DayClass`); empty for all.
        hours: parts of the day it is about (`model.calendar.Hours`); empty for all.
        calendar: windows of one class of day only are comparable.
    """

    type: BaselineType
    lookback: timedelta
    learning: timedelta
    comparable: int = 5
    factor: float = 2.0
    deviations: float = 3.5
    delay: timedelta = timedelta()
    days: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    calendar: bool = True

    @property
    def is_of_absence(self) -> bool:
        """Whether it is about what is missing: then what an exception suppresses is there all the same."""
        return self.type in {"drop", "flatline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationRule:
    """A compiled correlation over the hits of its base rules; most fields as in `Rule`.

    Args:
        name: its title.
        type: what is measured in the window.
        rule_ids: ids of the rules it refers to, sorted; correlations among them stand in `inner`.
        group_by: names of its group key, as its hits and alerts show them (aliases included).
        timespan: width of its sliding window, half-open: (t − timespan, t].
        threshold: the condition.
        value_fields: the fields whose values it counts or calculates with, as the rule names them.
        generate: its base rules make hits and alerts of their own as well.
        generates: it makes hits and alerts of its own, as in `Rule`.
        order: of `temporal_ordered`, the ids in the order in which they must come; a rule may stand in it twice.
        percentile: of `value_percentile`, which one: 0 … 100.
        expression: a condition in words, in postfix notation over ids and `AND`, `OR`, `NOT`; empty if it has none.
        inner: the correlations it refers to (a chain), complete, so that it can be evaluated for as long as it is kept.
        baseline: what it is compared with; it is then evaluated by `app.baselines`, not as a correlation.
    """

    id: str
    name: str
    title_zh: str = ""
    level: Level
    path: str
    line: int
    digest: str
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    type: CorrelationType
    rule_ids: tuple[str, ...]
    group_by: tuple[str, ...] = ()
    timespan: timedelta
    threshold: Threshold
    value_fields: tuple[str, ...] = ()
    generate: bool = False
    generates: bool = True
    group_window: timedelta = DEFAULT_GROUP_WINDOW
    reason: str = ""
    reason_fields: tuple[str, ...] = ()
    playbook: str = ""
    order: tuple[str, ...] = ()
    percentile: float | None = None
    expression: tuple[str, ...] = ()
    inner: tuple["CorrelationRule", ...] = ()
    baseline: Baseline | None = None

    @property
    def event_rule_ids(self) -> frozenset[str]:
        """Ids of the rules over single events that it rests on, through every link of a chain."""
        links = {each.id for each in self.inner}
        return frozenset(self.rule_ids).difference(links).union(*(each.event_rule_ids for each in self.inner))

    @property
    def is_monotone(self) -> bool:
        """Whether more hits can never make it false where it was true."""
        counts = self.type in COUNTING and self.threshold.is_monotone and not self.expression
        return counts and all(each.is_monotone for each in self.inner)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that run, and those that do not.

    Args:
        rules: rules over single events, by id.
        intel_rules: rules that match only with threat intelligence, by id; no engine tries them without any.
        correlations: correlations, by id.
        baselines: correlations that are compared with what is usual, by id.
        problems: what does not run, by file and line.
        digest: 32 hex over the digests of all that runs, and of all that suppresses.
        by_id: every rule and correlation that runs.
        suppressions: exceptions, disabled rules and maintenance windows, by id.
        adjustments: overrides, by id.
    """

    rules: tuple[Rule, ...] = ()
    intel_rules: tuple[Rule, ...] = ()
    correlations: tuple[CorrelationRule, ...] = ()
    baselines: tuple[CorrelationRule, ...] = ()
    problems: tuple[RuleProblem, ...] = ()
    digest: str = ""
    by_id: Mapping[str, Rule | CorrelationRule] = field(default_factory=dict)
    suppressions: tuple[Suppression, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def tuned(self) -> Mapping[str, tuple[str, ...]]:
        """Id of a rule → ids of the overrides that change it."""
        found: dict[str, tuple[str, ...]] = {}
        for each in self.adjustments:
            for rule_id in each.rule_ids:
                found[rule_id] = (*found.get(rule_id, ()), each.id)
        return found
