"""Back-tests of baselines: what they would have said, had they been there from the first event that is kept.

Events pass by once, in order of time, and leave counts by window, or first sights of values; never themselves. In the
end the same judgement is made over these that is made every day (`sigma.deviation`, `sigma.novelty`), with what the
coverage ledger knows of outages and with the maintenance windows in force (`app.baselines.gaps`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from secmon.app import baselines
from secmon.app.detect import Place, Row, event_row
from secmon.app.installation import Installation
from secmon.app.outages import Outages, read
from secmon.app.tallies import MAX_GROUPS, Group, is_counted
from secmon.errors import SecmonError
from secmon.model.access import job_access
from secmon.model.calendar import DAY, Span
from secmon.model.event import Event, Value, format_time
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, key_id, window_start
from secmon.sigma.correlate import group_hits
from secmon.sigma.deviation import Counts, State, Verdict, counted_in, fits, judge
from secmon.sigma.novelty import New, satisfied, value_key
from secmon.sigma.rule import Baseline, CorrelationRule
from secmon.sigma.sliding import in_order

MAX_VALUES: Final = 1_000_000
"""Most different values within the look-back of a rule."""
_FORGET_EVERY: Final = 100_000
_LEDGER: Final = job_access("backtest")
"""Whose questions to the coverage ledger are: it belongs to no unit, and nothing of it is shown."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """Something that a baseline would have said.

    Args:
        rule: the baseline.
        at: when: the start of a window, or the moment of a new value.
        alert: id of the alert it would have been told in, and the start of that alert's window.
        row: as it is printed.
        event: the event that brought a new value; None for a window.
    """

    rule: CorrelationRule
    at: datetime
    alert: tuple[str, datetime]
    row: Row
    event: Event | None = None


@dataclass(slots=True)
class _Met:
    """A group in the making.

    Args:
        values: of its key.
        since: its first hit.
        by_window: start of a window → its count, of those that are over.
        window: the one that hits come in now; None before the first.
        inside: what was counted in it.
        known: times of hits, thinned out so that any time in which the group was seen still shows one.
        found: its new values.
    """

    values: dict[str, Value]
    since: datetime
    by_window: dict[datetime, int] = field(default_factory=dict)
    window: Span | None = None
    inside: set[str] = field(default_factory=set)
    shares: dict[str, set[str]] = field(default_factory=dict)
    sources: dict[str, datetime] = field(default_factory=dict)
    known: deque[datetime] = field(default_factory=deque)
    found: list[New] = field(default_factory=list)


@dataclass(slots=True)
class Trained:
    """One baseline over the hits of its rules, which come in order of time.

    Args:
        house: the installation.
        rule: the baseline.
        baseline: its block.
        outages: what is known of the sources.
    """

    house: Installation
    rule: CorrelationRule
    baseline: Baseline
    outages: Outages
    groups: dict[str, _Met] = field(default_factory=dict)
    overflow: set[str] = field(default_factory=set)
    learning: int = 0
    hidden: int = 0
    _last: dict[str, datetime] = field(default_factory=dict)
    _places: dict[str, tuple[Place, Event]] = field(default_factory=dict)
    _added: int = 0

    def add(self, hits: Sequence[Hit], place: Callable[[str], tuple[Place, Event]]) -> None:
        """Take the hits of one time, in order; `place` tells where an event stands."""
        if not self.baseline.is_of_absence:
            hits = [hit for hit in hits if hit.suppressed_by is None]
        is_new_value = self.baseline.type == "new_value"
        for values, some in group_hits(self.rule, filter(is_counted, hits)):
            key = key_id(self.rule.id, values)
            met = self.groups.get(key)
            if met is None:
                if len(self.groups) >= (MAX_VALUES if is_new_value else MAX_GROUPS):
                    self.overflow.add(key)
                    continue
                met = self.groups[key] = _Met(values, some[0].at)
            for source, at in self.outages.sources_of(some).items():
                met.sources.setdefault(source, at)  # hits come in order of time
            for hit in some:
                if is_new_value:
                    self._meet(met, hit, place)
                else:
                    self._count(met, hit)

    def _count(self, met: _Met, hit: Hit) -> None:
        if met.window is None or hit.at >= met.window.end:
            _close(met)
            met.window = self.house.calendar.window_of(hit.at, self.rule.timespan)
        met.inside.update(counted_in(self.rule, hit))
        met.shares.setdefault(hit.unit_id or "", set()).update({hit.asset_id} if hit.asset_id else ())

    def _meet(self, met: _Met, hit: Hit, place: Callable[[str], tuple[Place, Event]]) -> None:
        """Take the hit of a new-value baseline: is its value new in a group that is known long enough?"""
        baseline, key = self.baseline, value_key(self.rule, hit)
        if not fits(baseline, self.house.calendar.slot(hit.at)):
            return
        if key is not None:
            seen, self._last[key] = self._last.get(key), hit.at
            self._forget(hit.at)
            if seen is None or hit.at - seen > baseline.lookback:
                if any(baseline.learning <= hit.at - time <= baseline.lookback for time in met.known):
                    met.found.append(New(hit.at, hit.event_id, key))
                    self._places[hit.event_id] = place(hit.event_id)
                else:
                    self.learning += 1
        self._know(met.known, hit.at)

    def _know(self, known: deque[datetime], at: datetime) -> None:
        """Remember a time; between two that lie closer than what is asked about, none is needed."""
        while known and at - known[0] > self.baseline.lookback:
            known.popleft()
        if len(known) > 1 and at - known[-2] <= self.baseline.lookback - self.baseline.learning:
            known.pop()
        if not known or known[-1] != at:
            known.append(at)

    def _forget(self, at: datetime) -> None:
        """Forget values that are new again by now.

        Raises:
            SecmonError: there are too many others.
        """
        self._added += 1
        if self._added % _FORGET_EVERY and len(self._last) <= MAX_VALUES:
            return
        self._last = {key: last for key, last in self._last.items() if at - last <= self.baseline.lookback}
        if len(self._last) > MAX_VALUES:
            raise SecmonError(
                "the rules below the baseline meet more than {most} different values within its look-back",
                hint="narrow them, or shorten the look-back",
                values={"most": MAX_VALUES},
            )

    # What comes out of it.

    def unusual(self, since: datetime | None, until: datetime) -> Iterator[Unusual]:
        """Yield what it would have said of a time, group by group.

        Args:
            since: windows that end after it, values from it on; None for all that is kept.
            until: windows that end by then, and were judged by now; values before it.
        """
        for met in self.groups.values():
            _close(met)
            yield from self._new(met, since) if self.baseline.type == "new_value" else self._odd(met, since, until)

    def _odd(self, met: _Met, since: datetime | None, until: datetime) -> Iterator[Unusual]:
        calendar, width = self.house.calendar, self.rule.group_window
        first = min(met.by_window, default=None)
        if first is None:
            return
        end = min(until, self.house.clock.now() - self.baseline.delay)
        shares = {unit: tuple(sorted(assets)) for unit, assets in met.shares.items()}
        group = Group(key_id(self.rule.id, met.values), met.values, first, shares, met.sources)
        within = Span(first - DAY, end + DAY)
        counts = Counts(first, met.by_window, baselines.gaps(self.house, self.outages, self.rule, group, within))
        for window in calendar.windows(max(since or first, first), end, self.rule.timespan):
            if not self.rule.threshold.holds(met.by_window.get(window.start, 0)):
                continue  # whatever is usual: the count does not matter
            verdict = judge(self.rule, self.baseline, calendar, counts, window)
            self.learning += verdict.state is State.LEARNING
            self.hidden += verdict.state is State.HIDDEN
            if verdict.state is State.FOUND:
                start = window_start(window.start, width)
                alert = (alert_id(self.rule.id, met.values, start), start)
                yield Unusual(self.rule, window.start, alert, self._row(met.values, verdict))

    def _new(self, met: _Met, since: datetime | None) -> Iterator[Unusual]:
        for new, count in satisfied(self.rule, met.found):
            if since is not None and new.at < since:
                continue
            place, event = self._places[new.event_id]
            start = window_start(new.at, self.rule.group_window)
            told = {
                "secmon.hit": "baseline",
                "secmon.group": met.values,
                "secmon.window": {"from": format_time(new.at - self.rule.timespan), "to": format_time(new.at)},
                "secmon.count": count,
            }
            row = event_row(self.rule, place) | told
            alert = (alert_id(self.rule.id, met.values, start), start)
            yield Unusual(self.rule, new.at, alert, row, event)

    def _row(self, values: dict[str, Value], verdict: Verdict) -> Row:
        window = verdict.window
        return {
            "@timestamp": format_time(window.start),
            "rule.id": self.rule.id,
            "rule.name": self.rule.name,
            "rule.level": self.rule.level.value,
            "rule.digest": self.rule.digest,
            "secmon.hit": "baseline",
            "secmon.group": values,
            "secmon.window": {"from": format_time(window.start), "to": format_time(window.end)},
            "secmon.count": verdict.actual,
            "secmon.expected": round(verdict.expected, 1),
            "secmon.deviation": round(verdict.deviation, 1),
            "secmon.day": verdict.slot.day.value,
            "secmon.compared": [{"from": format_time(at), "count": count} for at, count in verdict.compared],
        }

    def told(self, since: datetime | None) -> dict[str, Any]:
        """Return what it was trained on, and what it could not judge (docs/commands.md)."""
        found: dict[str, Any] = {
            "rule.id": self.rule.id,
            "type": self.baseline.type,
            "groups": len(self.groups),
            "overflow": len(self.overflow),
            "learning": self.learning,
            "hidden": self.hidden,
            "learning_days": self.baseline.learning / DAY,
        }
        if self.groups:
            first = min(met.since for met in self.groups.values())
            found |= {
                "history_from": format_time(first),
                "taught_until": format_time(first + self.baseline.learning),
                "taught_only": since is None or since < first + self.baseline.learning,
            }
        return found


@dataclass(slots=True)
class Training:
    """All baselines of a back-test.

    Args:
        house: the installation.
        rules: the baselines.
    """

    house: Installation
    rules: Sequence[CorrelationRule]
    trained: list[Trained] = field(init=False)
    _counted: frozenset[str] = field(init=False)
    _waiting: list[Hit] = field(default_factory=list)
    _events: dict[str, tuple[Place, Event]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        outages = read(self.house, _LEDGER)
        self.trained = [
            Trained(self.house, rule, rule.baseline, outages) for rule in self.rules if rule.baseline is not None
        ]
        self._counted = frozenset().union(*(rule.event_rule_ids for rule in self.rules))

    def add(self, hits: Iterable[Hit], place: Place, event: Event) -> None:
        """Take the hits of the next event in order of time."""
        ours = [hit for hit in hits if hit.rule_id in self._counted]
        if not ours:
            return
        if self._waiting and self._waiting[0].at != ours[0].at:
            self._pass_on()
        self._waiting += ours
        self._events[place.event_id] = (place, event)

    def _pass_on(self) -> None:
        """Hand the hits of one time on: among themselves their places in their streams decide."""
        hits = in_order(self._waiting)
        for each in self.trained:
            each.add(hits, self._events.__getitem__)
        self._waiting, self._events = [], {}

    def unusual(self, since: datetime | None, until: datetime) -> list[Unusual]:
        """Return what they would have said of a time, in order."""
        self._pass_on()
        found = [one for each in self.trained for one in each.unusual(since, until)]
        return sorted(found, key=lambda one: (one.at, one.rule.id, one.alert[0]))

    def told(self, since: datetime | None) -> list[dict[str, Any]]:
        """Return what each was trained on."""
        return [each.told(since) for each in self.trained]


def _close(met: _Met) -> None:
    """Count the window that is over."""
    if met.window is not None:
        met.by_window[met.window.start] = len(met.inside)
        met.window, met.inside = None, set()
