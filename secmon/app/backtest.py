"""Trying rules over stored history: the hits that the engine would have made of the events that are kept.

Events come out of the store in the order of their time, narrowed to those that the rules may match at all
(`sigma.superset`), and the engine decides about each as it stands there, masked. Correlations are evaluated by the
code that evaluates them every day, over windows that are let go as soon as no later event can fall into them. So the
memory that it takes depends on the hits of one window, not on how far back it looks. Baselines keep counts
(`backtest_baselines`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from secmon.app import audit
from secmon.app.backtest_baselines import Training
from secmon.app.backtest_sums import EVERY, AlertCount
from secmon.app.detect import Place, Row, correlation_parts, event_row
from secmon.app.installation import Installation
from secmon.app.search import time_from
from secmon.errors import NotFoundError, SecmonError
from secmon.model.access import Access
from secmon.model.event import Event, format_time, parse_time
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, window_start
from secmon.model.query import Equals, Exists, Leaf, Query
from secmon.model.questions import EventQuery
from secmon.model.search import Budget
from secmon.sigma.correlate import Moment, group_hits, moments, with_derived
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.routing import route
from secmon.sigma.rule import CorrelationRule, Rule, RuleSet
from secmon.sigma.superset import all_of, of_rules, only
from secmon.sigma.suppressor import Suppressor

By = Literal["", "unit", "day"]

# Correlations are evaluated after so many new hits, or more where a window holds more: each hit is seen a few times.
_FEWEST_FRESH: Final = 4_096
# Rows wait for correlations that may come before them, and only so many do.
_MOST_ROWS: Final = 20_000
MAX_WINDOW_HITS: Final = 400_000
_SELDOM: Final = 1 << 40
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Trial:
    """Which rules are tried.

    Args:
        ruleset: these rules, and those that their correlations rest on.
        shown: ids of the rules whose hits are wanted.
    """

    ruleset: RuleSet
    shown: frozenset[str]

    @property
    def correlations(self) -> tuple[CorrelationRule, ...]:
        """The correlations whose hits are wanted."""
        return tuple(rule for rule in self.ruleset.correlations if rule.id in self.shown)

    @property
    def baselines(self) -> tuple[CorrelationRule, ...]:
        """The baselines that are wanted: all that is kept matters to them, for it tells since when a group is known."""
        return tuple(rule for rule in self.ruleset.baselines if rule.id in self.shown)

    @property
    def lookback(self) -> timedelta:
        """How far before an event others can matter to it."""
        return max((horizon(rule) for rule in self.correlations), default=timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Over what a rule is tried.

    Args:
        since: earliest `@timestamp`; None for everything that is kept.
        until: `@timestamp` before which.
        by: whether to count by unit or by day (in the installation's zone) too.
        pushdown: ask a cluster for what the rules may match; False reads every event.
    """

    since: datetime | None
    until: datetime
    by: By = ""
    pushdown: bool = True


def trial_of(ruleset: RuleSet, wanted: Iterable[str]) -> Trial:
    """Return the trial of some rules of a set.

    Raises:
        NotFoundError: none of them is there.
    """
    shown = frozenset(wanted) & ruleset.by_id.keys()
    if not shown:
        raise NotFoundError("no active rule has this id", hint="secmon rules list names them")
    correlations = tuple(rule for rule in ruleset.correlations if rule.id in shown)
    baselines = tuple(rule for rule in ruleset.baselines if rule.id in shown)
    needed = shown.union(*(rule.event_rule_ids for rule in (*correlations, *baselines)))
    rules = tuple(rule for rule in ruleset.rules if rule.id in needed)
    everything: tuple[Rule | CorrelationRule, ...] = (*rules, *correlations, *baselines)
    by_id = {rule.id: rule for rule in everything}
    tried = replace(ruleset, rules=rules, correlations=correlations, baselines=baselines, by_id=by_id, problems=())
    return Trial(tried, shown)


def horizon(correlation: CorrelationRule) -> timedelta:
    """Return how far back hits can matter to a correlation, through every link of a chain."""
    return correlation.timespan + max(map(horizon, correlation.inner), default=timedelta())


@dataclass(slots=True)
class BackTest:
    """One run.

    Args:
        house: where the events are.
        access: who asks; events out of scope do not exist.
        trial: the rules.
        span: the time.
        budget: what it may take.
        read: events that were tried so far.
        hits: rows so far.
        suppressed: those of them that an exception, a disabled rule or a maintenance window covers.
        reached: time of the last event that was tried.
        watch: called after every so many events, for whoever shows how far it is.
    """

    house: Installation
    access: Access
    trial: Trial
    span: Span
    budget: Budget
    read: int = 0
    hits: int = 0
    reached: datetime | None = None
    watch: tuple[int, Callable[[], None]] = (_SELDOM, lambda: None)
    suppressed: int = 0
    _alerts: AlertCount = field(init=False)
    _training: Training | None = field(init=False)
    _window: "_Window" = field(init=False)
    _by: "Counter[str]" = field(default_factory=Counter)
    _where: Query = field(init=False)
    _suppressor: Suppressor = field(init=False)

    def __post_init__(self) -> None:
        # Of the trial, not of the rules in force: what is for any rule is for a draft too.
        self._suppressor = Suppressor(self.trial.ruleset.suppressions, self.house.tree.subtree)
        self._alerts, self._window = AlertCount(), _Window(self.trial)
        self._training = Training(self.house, self.trial.baselines) if self.trial.baselines else None
        self._where = _where(self.house, self.access, self.trial.ruleset.rules, pushdown=self.is_pushed_down)

    @property
    def is_pushed_down(self) -> bool:
        """Whether the store is asked for what the rules look for."""
        return self.span.pushdown and self.house.is_shared

    def rows(self) -> Iterator[Row]:
        """Yield the hits in order of events, then of rule id; what was yielded is right, however it ends.

        Behind them stands what baselines would have said, by time.

        Raises:
            SearchStoppedError: the budget is used up.
            SecmonError: a window of a correlation holds too many hits.
        """
        engine = Engine(self.trial.ruleset, compiler=self.house.compiler)
        held: list[tuple[int, str, Row]] = []
        since = self.span.since
        for order, event in enumerate(self._events()):
            rules = engine.match(event)
            self.read += 1
            if self.read % self.watch[0] == 0:
                self.watch[1]()
            self.reached = at = parse_time(str(event["@timestamp"]))
            if not rules:
                continue
            place = Place(
                order, str(event["event.id"]), str(event["@timestamp"]), str(event.get("log.file.path", "")), 0
            )
            hits = self._hits_on(event, rules)
            is_inside = since is None or at >= since
            if is_inside:
                for hit, rule in zip(hits, rules, strict=True):
                    if rule.id in self.trial.shown:
                        held.append((order, rule.id, self._event_row(rule, hit, place, event)))
            self._window.add(hits, place if is_inside else None, event)
            if self._training is not None:
                self._training.add(hits, place, event)
            if self._window.is_due or len(held) >= _MOST_ROWS or not self.trial.correlations:
                yield from self._settled(held)
        yield from self._settled(held)
        yield from self._unusual()

    def _hits_on(self, event: Event, rules: Iterable[Rule]) -> list[Hit]:
        return self._suppressor.annotated(event, make_hits(self.trial.ruleset, event, rules))

    def _events(self) -> Iterator[Event]:
        since = self.span.since if self._training is None else None
        if since is not None:
            since = since - min(self.trial.lookback, since - _EARLIEST)
        query = EventQuery(since=since, until=self.span.until, where=self._where)
        return self.house.log.events(self.access, query, budget=self.budget)

    def _event_row(self, rule: Rule, hit: Hit, place: Place, event: Event) -> Row:
        if hit.alert_id is not None and hit.suppressed_by is None:
            self._alerts.add(rule.id, window_start(hit.at, rule.group_window), hit.alert_id, self._group(event))
        return self._counted(event_row(rule, place), event, hit.suppressed_by)

    def _counted(self, row: Row, event: Event, suppressed_by: str | None) -> Row:
        self.hits += 1
        if suppressed_by is not None:
            self.suppressed += 1
            row["secmon.suppressed_by"] = suppressed_by
        if self.span.by:
            self._by[self._group(event)] += 1
        return row

    def _group(self, event: Event) -> str:
        if self.span.by == "unit":
            return str(event.get("unit.id", ""))
        if self.span.by == "day":
            return parse_time(str(event["@timestamp"])).astimezone(self.house.zone).date().isoformat()
        return ""

    def _settled(self, held: list[tuple[int, str, Row]]) -> Iterator[Row]:
        """Evaluate the correlations over what is new, and yield everything that was held back."""
        for correlation, group, moment, (place, event) in self._window.evaluate():
            row = event_row(correlation, place) | correlation_parts(group, moment)
            start = window_start(moment.at, correlation.group_window)
            quiet = self._disabling(correlation, moment.at)
            if correlation.generates and quiet is None:
                self._alerts.add(correlation.id, start, alert_id(correlation.id, group, start), self._group(event))
            held.append((place.order, correlation.id, self._counted(row, event, quiet)))
        held.sort(key=lambda entry: entry[:2])
        for _, _, row in held:
            yield row
        held.clear()

    def _unusual(self) -> Iterator[Row]:
        """Yield what baselines would have said."""
        if self._training is None:
            return
        for one in self._training.unusual(self.span.since, self.span.until):
            event: Event = {"@timestamp": format_time(one.at)} if one.event is None else one.event
            self._alerts.add(one.rule.id, one.alert[1], one.alert[0], self._group(event))
            yield self._counted(one.row, event, None)

    def _disabling(self, correlation: CorrelationRule, at: datetime) -> str | None:
        return self._suppressor.disabling(correlation.id, at)

    def summary(self) -> dict[str, Any]:
        """Return the sums (contracts: `rules backtest`)."""
        alerts = self._alerts.counts()
        span = EventQuery(since=self.span.since, until=self.span.until)
        told: dict[str, Any] = {
            "hits": self.hits,
            "events": sum(self.house.log.count(self.access, span).values()),
            "alerts": alerts[EVERY],
            "engine": "pushdown" if self.is_pushed_down else "scan",
            "read": self.read,
        }
        if self._training is not None:
            told["baselines"] = self._training.told(self.span.since)
        if self.suppressed:
            told["suppressed"] = self.suppressed
        if self.span.by:
            name = "unit.id" if self.span.by == "unit" else "day"
            told["by"] = [{name: key, "hits": n, "alerts": alerts[key]} for key, n in sorted(self._by.items())]
        return told


def _where(house: Installation, access: Access, rules: Iterable[Rule], *, pushdown: bool) -> Query:
    """Return what to ask the store for.

    A cluster decides all it can. The embedded store looks texts of a column up in its dictionaries, and reads every
    event that is left: there, only log sources and equal values are worth asking for.
    """
    rules = list(rules)
    where = of_rules(rules)
    if pushdown:
        return where
    if house.is_shared:
        return all_of([])
    read = frozenset(house.log.unindexed(access, EventQuery(where=where)))
    routes = [found for rule in rules if (found := route(rule.logsource)) is not None]
    routed = frozenset().union(*(found.fields for found in routes))

    def is_quick(leaf: Leaf) -> bool:
        return leaf.field not in read and (leaf.field in routed or isinstance(leaf, Equals | Exists))

    return only(where, is_quick)


# An event at which a correlation is satisfied, with its place.
_Satisfied = tuple[CorrelationRule, dict[str, Any], Moment, tuple[Place, Event]]


_KEPT: Final[tuple[str, ...]] = ("@timestamp", "unit.id")


class _Window:
    """The hits that later events can still be counted with.

    Args:
        trial: the rules.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._counted = frozenset().union(*(rule.event_rule_ids for rule in trial.correlations))
        self._hits: list[Hit] = []
        self._new = 0
        self._fresh: dict[str, tuple[Place, Event]] = {}

    @property
    def is_due(self) -> bool:
        """Whether enough is new to look at everything again."""
        return self._new >= max(_FEWEST_FRESH, len(self._hits) // 2)

    def add(self, hits: Iterable[Hit], place: Place | None, event: Event) -> None:
        """Take the hits of an event; without a place it is before the time that is asked about.

        Raises:
            SecmonError: there are too many.
        """
        counted = [
            replace(hit, group={}, signature="")
            for hit in hits
            if hit.suppressed_by is None and hit.rule_id in self._counted
        ]
        if not counted:
            return
        self._hits += counted
        self._new += len(counted)
        if place is not None:
            kept: Event = {name: event[name] for name in _KEPT if name in event}
            self._fresh[place.event_id] = (place, kept)
        if len(self._hits) > MAX_WINDOW_HITS:
            raise SecmonError(
                "the rules below the correlation make more than {most} hits within its time span",
                hint="narrow them, or try them over a shorter time",
                values={"most": MAX_WINDOW_HITS},
            )

    def evaluate(self) -> list[_Satisfied]:
        """Return the new events at which correlations are satisfied, and forget what no later event can need."""
        found = [
            (rule, group, moment, self._fresh[moment.event_id])
            for rule in self._trial.correlations
            if self._fresh
            for group, hits in group_hits(rule, with_derived(rule, self._hits))
            for moment in moments(rule, hits)
            if moment.event_id in self._fresh
        ]
        self._fresh, self._new = {}, 0
        if self._hits:
            after = self._hits[-1].at
            lookback = min(self._trial.lookback, after - _EARLIEST)
            self._hits = [hit for hit in self._hits if hit.at > after - lookback]
        return found


def note(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do the first part of `rules backtest`: settle the times, and keep in the audit chain who tried what."""
    now = house.clock.now()
    since = time_from(args.get("since") or "", now, house.zone)
    until = time_from(args.get("until") or "", now, house.zone, is_end=True) or now
    told = {"since": format_time(since) if since else "", "until": format_time(until)}
    audit.append(house, access, "rules.backtest", str(args["rule"]), dict(told))
    return told


def budget_of(house: Installation, seconds: float, abandoned: Callable[[], bool] = lambda: False) -> Budget:
    """Return what a back-test may take."""
    return Budget(house.clock.monotonic_s, seconds, abandoned)
