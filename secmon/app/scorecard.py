"""How rules do (规则评分): what became of their alerts, by the reasons for which people closed them.

Precision = right ÷ (right + wrong). Right: a true positive, an authorised test, an inspection by a superior, for the
rule found what it looks for. Wrong: a false positive, or legitimate business that the rule cannot tell apart.
Duplicates, what does not apply and what nobody could judge decide nothing, and neither do alerts that are still open.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from secmon.app import alerts as triage
from secmon.app.fields_seen import MIN_EVENTS
from secmon.app.installation import Installation
from secmon.app.reached import kinds_here, never_sent, without_source
from secmon.app.search import time_from
from secmon.errors import SearchStoppedError
from secmon.model.access import Access, job_access
from secmon.model.alert import Alert, AlertState, CloseReason
from secmon.model.event import format_time
from secmon.model.query import EVERYTHING, Exists, Query, required
from secmon.model.questions import EventQuery, HitQuery
from secmon.model.search import Budget
from secmon.sigma.omitted import omitted
from secmon.sigma.routing import route
from secmon.sigma.rule import CorrelationRule, LogSource, Rule
from secmon.sigma.superset import of_route, of_tree
from secmon.triage.sight import KIND as SIGHT

RIGHT: Final = frozenset(
    {
        CloseReason.TRUE_POSITIVE_WITH_IMPACT,
        CloseReason.TRUE_POSITIVE_WITHOUT_IMPACT,
        CloseReason.AUTHORISED_TEST,
        CloseReason.SUPERIOR_INSPECTION,
    }
)
WRONG: Final = frozenset({CloseReason.FALSE_POSITIVE, CloseReason.LEGITIMATE})
DEFAULT_SINCE: Final = "30d"
MAX_ALERTS: Final = 50_000
MAX_SUPPRESSED: Final = 100_000
"""More alerts, or suppressed hits, of a time range are not read; the card then says that it is not complete."""
_PAGE: Final = 1_000
_IDLE_SECONDS: Final = 5.0
_KNOWN: Final = job_access("scorecard")
"""Who asks which sources there are: these belong to no unit, and nothing of theirs is shown."""

NO_SOURCE, NO_EVENTS, NO_FIELD = "no_source", "no_events", "no_field"
NO_INTELLIGENCE, TOO_FEW, QUIET, NOT_ASKED = "no_intelligence", "too_few", "quiet", "not_asked"
"""Why a rule never fired: no source here can send such events; no event of its log source came; none with a field it
needs; there is no threat intelligence to compare with; too few events came to say so of a field; nothing of that; time
was up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one rule did in a time range, as far as the asker may see.

    Args:
        rule_id: its id.
        state: "active", "retired" (not in force any more), "broken" or "unroutable".
        alerts: its alerts that were active in that time.
        hits: hits that these alerts count.
        open: how many of them are not closed.
        reasons: closing reason → how many.
        precision: right ÷ decided, None where nothing was decided.
        acknowledge_s: median seconds from the alert to the first person's step, None without one.
        close_s: median seconds from the alert to its (last) closing.
        reopened: how often one was reopened, by people or by new hits.
        recurred: hits of the same kind that came after closing and were only counted.
        suppressed: hits that an exception, a disabled rule or a maintenance window covers; they are in no alert.
        last: the last time it fired at all.
        noise_share: its part of all that was wrong, 0 … 1.
        idle: why it never fired; "" where it has.
        idle_field: the field that no event has.
    """

    rule_id: str
    name: str
    title_zh: str = ""
    level: str = ""
    kind: str = "event"
    state: str = "active"
    alerts: int = 0
    hits: int = 0
    open: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    precision: float | None = None
    acknowledge_s: float | None = None
    close_s: float | None = None
    reopened: int = 0
    recurred: int = 0
    suppressed: int = 0
    last: datetime | None = None
    noise_share: float = 0.0
    idle: str = ""
    idle_field: str = ""

    def row(self) -> dict[str, Any]:
        """Return it as plain data; what is not known is absent."""
        fields: dict[str, Any] = {
            "rule.id": self.rule_id,
            "rule.name": self.name,
            "rule.title_zh": self.title_zh or None,
            "rule.level": self.level or None,
            "rule.kind": self.kind,
            "state": self.state,
            "alerts": self.alerts,
            "hits": self.hits,
            "open": self.open,
            "reasons": dict(self.reasons),
            "precision": _rounded(self.precision),
            "median_acknowledge_s": _rounded(self.acknowledge_s),
            "median_close_s": _rounded(self.close_s),
            "reopened": self.reopened,
            "recurred_after_close": self.recurred,
            "suppressed": self.suppressed,
            "last_fired": format_time(self.last) if self.last else None,
            "noise_share": round(self.noise_share, 4),
            "never_fired": self.idle or None,
            "never_fired_field": self.idle_field or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All rules, those first that make most work for nothing; and whether every alert of the time range was read."""

    scores: tuple[Score, ...]
    complete: bool = True


@dataclass(slots=True)
class _Tally:
    """A score in the making."""

    alert: Alert
    alerts: int = 0
    hits: int = 0
    open: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    acknowledged: list[float] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)
    reopened: int = 0
    recurred: int = 0

    def add(self, alert: Alert) -> None:
        """Count an alert."""
        self.alerts += 1
        self.hits += alert.content.count
        self.recurred += alert.continued_after_close
        self.reopened += sum(step.action == "reopen" for step in alert.history)
        if alert.state is AlertState.CLOSED and alert.close_reason is not None:
            self.reasons[alert.close_reason.value] += 1
        else:
            self.open += 1
        raised = alert.history[0].at if alert.history else None
        if raised is None:
            return
        touched = [step.at for step in alert.history if step.action in _TOUCHES]
        closed = [step.at for step in alert.history if step.action == "close"]
        if touched:
            self.acknowledged.append((touched[0] - raised).total_seconds())
        if closed and alert.state is AlertState.CLOSED:
            self.closed.append((closed[-1] - raised).total_seconds())

    def count_of(self, reasons: Iterable[CloseReason]) -> int:
        """Return how many were closed for one of some reasons."""
        return sum(self.reasons[reason.value] for reason in reasons)


# What a person does first: whoever closes at once has seen it.
_TOUCHES: Final = frozenset({"ack", "investigate", "contain", "close"})


def scorecard(
    house: Installation, access: Access, *, since: datetime | None = None, until: datetime | None = None, rule: str = ""
) -> Scorecard:
    """Return the scores of all rules, or of one, over the alerts in scope that were active in a time range."""
    tallies, complete = _tallies(house, access, triage.AlertFilter(rule=rule, since=since, until=until, limit=_PAGE))
    noise = sum(tally.count_of(WRONG) for tally in tallies.values())
    query = HitQuery(since=since, until=until, rule_ids=(rule,) if rule else (), suppressed=True, limit=MAX_SUPPRESSED)
    suppressed = Counter(hit.rule_id for hit in house.log.hits(access, query))
    complete = complete and suppressed.total() < MAX_SUPPRESSED
    ever = triage.count_alerts(house, access, by="rule")
    idle = _Idle(house, access, since)
    scores = [_score(house, access, tally, noise) for tally in tallies.values()]
    for one in house.ruleset.by_id.values():
        if one.id in tallies or not one.generates or rule not in {"", one.id}:
            continue
        if ever.get(one.id) or suppressed[one.id]:
            scores.append(_bare(one, last=_last(house, access, one.id)))
        else:
            why, name = idle.why(one)
            scores.append(_bare(one, idle=why, idle_field=name))
    scores = [replace(score, suppressed=suppressed[score.rule_id]) for score in scores]
    for problem in house.ruleset.problems if not rule else ():
        if problem.kind not in {"rule", "correlation"}:
            continue
        name = problem.name or problem.rule_id or problem.path.rpartition("/")[2]
        scores.append(Score(rule_id=problem.rule_id, name=name, state=problem.state, idle=problem.state))
    return Scorecard(tuple(sorted(scores, key=_order)), complete)


def _order(score: Score) -> tuple[float, int, str]:
    return (-score.noise_share, -score.alerts, score.rule_id)


def _tallies(house: Installation, access: Access, wanted: triage.AlertFilter) -> tuple[dict[str, _Tally], bool]:
    tallies: dict[str, _Tally] = {}
    for number, alert in enumerate(triage.every_alert(house, access, wanted)):
        if number == MAX_ALERTS:
            return tallies, False
        if alert.rule_kind != SIGHT:  # the monitor's own sight is no rule to be tuned
            tallies.setdefault(alert.rule_id, _Tally(alert)).add(alert)
    return tallies, True


def _score(house: Installation, access: Access, tally: _Tally, noise: int) -> Score:
    alert, rule = tally.alert, house.ruleset.by_id.get(tally.alert.rule_id)
    right, wrong = tally.count_of(RIGHT), tally.count_of(WRONG)
    return Score(
        rule_id=alert.rule_id,
        name=alert.rule_name,
        title_zh=alert.rule_title_zh,
        level=rule.level.value if rule else alert.content.level.value,
        kind=alert.rule_kind,
        state="active" if rule else "retired",
        alerts=tally.alerts,
        hits=tally.hits,
        open=tally.open,
        reasons=dict(sorted(tally.reasons.items())),
        precision=right / (right + wrong) if right + wrong else None,
        acknowledge_s=median(tally.acknowledged) if tally.acknowledged else None,
        close_s=median(tally.closed) if tally.closed else None,
        reopened=tally.reopened,
        recurred=tally.recurred,
        last=_last(house, access, alert.rule_id),
        noise_share=wrong / noise if noise else 0.0,
    )


def _bare(rule: Rule | CorrelationRule, **more: Any) -> Score:
    kind = "correlation" if isinstance(rule, CorrelationRule) else "event"
    return Score(rule_id=rule.id, name=rule.name, title_zh=rule.title_zh, level=rule.level.value, kind=kind, **more)


def _last(house: Installation, access: Access, rule: str) -> datetime | None:
    page = triage.list_alerts(house, access, triage.AlertFilter(rule=rule, limit=1))
    return page.alerts[0].content.last if page.alerts else None


class _Idle:
    """Says why rules never fired: first what is known of the sources (`app.reached`), then what is stored.

    Each question is asked once, and not for long.

    Args:
        house: the installation.
        access: who asks.
        since: from when on events are looked at.
    """

    def __init__(self, house: Installation, access: Access, since: datetime | None) -> None:
        self._house, self._access, self._since = house, access, since
        self._budget = Budget(house.clock.monotonic_s, _IDLE_SECONDS)
        self._sources: dict[LogSource, bool] = {}
        self._fields: dict[str, bool] = {}
        self._many: dict[LogSource, bool] = {}
        self._without = without_source(house, kinds_here(house, _KNOWN))
        self._never_sent = never_sent(house, _KNOWN)
        self._waiting = omitted(house.ruleset, is_installed=True, classifies=True)

    def why(self, rule: Rule | CorrelationRule) -> tuple[str, str]:
        """Return why a rule never fired, and the field that is missing."""
        if rule.id in self._waiting:
            return NO_INTELLIGENCE, ""
        if rule.id in self._without:
            return NO_SOURCE, ""
        if rule.id in self._never_sent:
            return NO_FIELD, self._never_sent[rule.id][0]
        if isinstance(rule, CorrelationRule):
            below = (self._house.ruleset.by_id.get(one) for one in sorted(rule.event_rule_ids))
            reasons = [self.why(one) for one in below if isinstance(one, Rule)]
            missing = [reason for reason in reasons if reason[0] in {NO_SOURCE, NO_EVENTS, NO_FIELD, TOO_FEW}]
            return missing[0] if missing and len(missing) == len(reasons) else (QUIET, "")
        try:
            return self._why(rule)
        except SearchStoppedError:
            return NOT_ASKED, ""

    def _why(self, rule: Rule) -> tuple[str, str]:
        found = route(rule.logsource)
        if rule.logsource not in self._sources:
            self._sources[rule.logsource] = found is not None and self._is_there(of_route(found))
        if not self._sources[rule.logsource]:
            return NO_EVENTS, ""
        for name in dict.fromkeys(leaf.field for leaf in required(of_tree(rule.tree))):
            if name not in self._fields:
                self._fields[name] = self._is_there(Exists(name))
            if not self._fields[name]:
                return (NO_FIELD if self._are_many(rule.logsource) else TOO_FEW), name
        return QUIET, ""

    def _are_many(self, source: LogSource) -> bool:
        """Tell whether there are enough events of a log source to say what none of them has."""
        if source not in self._many:
            found = route(source)
            query = EventQuery(since=self._since, where=of_route(found) if found else EVERYTHING, limit=MIN_EVENTS)
            there = self._house.log.events(self._access, query, budget=self._budget)
            self._many[source] = sum(1 for _ in there) == MIN_EVENTS
        return self._many[source]

    def _is_there(self, where: Query) -> bool:
        """Tell whether there is such an event; True where only reading all of them would tell.

        Raises:
            SearchStoppedError: the time is up.
        """
        query = EventQuery(since=self._since, where=where, limit=1, ascending=False)
        if self._house.log.unindexed(self._access, query):
            return True
        return next(iter(self._house.log.events(self._access, query, budget=self._budget)), None) is not None


def run(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `rules scorecard`."""
    now = house.clock.now()
    since = time_from(args.get("since") or DEFAULT_SINCE, now, house.zone)
    until = time_from(args.get("until") or "", now, house.zone, is_end=True)
    found = scorecard(house, access, since=since, until=until, rule=args.get("rule") or "")
    return {"scores": [score.row() for score in found.scores], "complete": found.complete}


def over(house: Installation, access: Access, days: int, *, rule: str = "") -> Scorecard:
    """Return the scorecard of the last so many days."""
    return scorecard(house, access, since=house.clock.now() - timedelta(days=days), rule=rule)
