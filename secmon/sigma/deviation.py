"""Whether the count of a window is unusual: a pure function of the counts of a group and the calendar.

Source of the measure: B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers (ASQC, 1993), as the NIST/SEMATECH
e-Handbook of Statistical Methods gives it in 1.3.5.17: the modified z-score, outlying beyond 3.5. Its scale has a
floor, the root of the median: the spread that a Poisson count has by nature.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from math import sqrt
from operator import attrgetter
from statistics import median

from secmon.model.calendar import DAY, Calendar, Slot, Span
from secmon.model.hit import Hit
from secmon.sigma.rule import Baseline, CorrelationRule
from secmon.sigma.values import texts_of

# Of a normal distribution, the standard deviation is so many times the median absolute deviation.
MAD_SCALE = 1.4826
EPSILON = 1e-9


class State(StrEnum):
    """What is known of a window."""

    FOUND = "found"
    QUIET = "quiet"
    LEARNING = "learning"
    """There is too little to compare with."""
    OUTSIDE = "outside"
    """The rule is not about this time."""
    HIDDEN = "hidden"
    """Too much of it was out of sight to say that something is missing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a baseline says of one window of one group.

    Args:
        window: the window.
        state: what is known of it.
        actual: its count.
        slot: the class of its time.
        expected: median of the comparable windows.
        deviation: how many times the usual spread the count lies from it; negative below.
        compared: the windows it was compared with, latest first: (start, count).
    """

    window: Span
    state: State
    actual: int
    slot: Slot
    expected: float = 0.0
    deviation: float = 0.0
    compared: tuple[tuple[datetime, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """What is known of one group.

    Args:
        since: start of the first window in which anything was counted.
        by_window: start of a window → count; a window that is missing, from `since` on, had none.
        gaps: times out of sight, disjoint and in order: a source was down, or maintenance covered the rule.
    """

    since: datetime
    by_window: Mapping[datetime, int]
    gaps: tuple[Span, ...] = ()

    def hides(self, window: Span) -> bool:
        """Tell whether more than a tenth of a window was out of sight: its count is no count then."""
        hidden = timedelta()
        for gap in self.gaps[bisect_right(self.gaps, window.start, key=attrgetter("end")) :]:
            if gap.start >= window.end:
                break
            hidden += min(gap.end, window.end) - max(gap.start, window.start)
        return hidden > (window.end - window.start) / 10


def judge(rule: CorrelationRule, baseline: Baseline, calendar: Calendar, counts: Counts, window: Span) -> Verdict:
    """Return what a baseline over counts says of a window.

    Args:
        rule: the correlation; its condition is the least (or most) count that matters.
        baseline: its block: spike, drop or flatline.
        calendar: which windows are alike.
        counts: what was counted in this group.
        window: one of the calendar's windows of the rule's timespan.
    """
    actual = counts.by_window.get(window.start, 0)
    slot = calendar.slot(window.start)
    if not fits(baseline, slot):
        return Verdict(window, State.OUTSIDE, actual, slot)
    if baseline.is_of_absence and counts.hides(window):
        return Verdict(window, State.HIDDEN, actual, slot)
    compared = _compared(rule, baseline, calendar, counts, window)
    if window.start - counts.since < baseline.learning or len(compared) < baseline.comparable:
        return Verdict(window, State.LEARNING, actual, slot, compared=compared)
    usual = [count for _, count in compared]
    expected = median(usual)
    spread = max(MAD_SCALE * median(abs(count - expected) for count in usual), sqrt(max(expected, 1)))
    deviation = (actual - expected) / spread
    found = rule.threshold.holds(actual) and _is_unusual(rule, baseline, actual, expected, deviation)
    state = State.FOUND if found else State.QUIET
    return Verdict(window, state, actual, slot, float(expected), deviation, compared)


def measure(rule: CorrelationRule, hits: Iterable[Hit]) -> int:
    """Return what a rule counts in some hits: their events, or the distinct values of its fields."""
    return len(set().union(*(counted_in(rule, hit) for hit in hits)))


def counted_in(rule: CorrelationRule, hit: Hit) -> tuple[str, ...]:
    """Return what a hit adds to what a rule counts: its event, or its values of the fields that the rule counts.

    A hit without one of the fields has no value that could be counted.
    """
    if not rule.value_fields:
        return (hit.event_id,)
    if not all(name in hit.captured for name in rule.value_fields):
        return ()
    columns = [tuple(texts_of(hit.captured[name])) for name in rule.value_fields]
    return columns[0] if len(columns) == 1 else ("\x1e".join("\x1f".join(texts) for texts in columns),)


def counts_of(rule: CorrelationRule, calendar: Calendar, hits: Iterable[Hit]) -> Counts | None:
    """Return the counts of the hits of one group; None if there are none."""
    by_window: dict[datetime, list[Hit]] = {}
    for hit in hits:
        by_window.setdefault(calendar.window_of(hit.at, rule.timespan).start, []).append(hit)
    if not by_window:
        return None
    return Counts(min(by_window), {start: measure(rule, inside) for start, inside in by_window.items()})


def fits(baseline: Baseline, slot: Slot) -> bool:
    """Tell whether a baseline is about a time."""
    return (not baseline.days or slot.day in baseline.days) and (not baseline.hours or slot.hours in baseline.hours)


def _compared(
    rule: CorrelationRule, baseline: Baseline, calendar: Calendar, counts: Counts, window: Span
) -> tuple[tuple[datetime, int], ...]:
    """Return the windows of the same time of day and class within the look-back, since the group is known, in sight."""
    today = calendar.day_of(window.start)
    ours = calendar.day_class(today)
    found = []
    for back in range(1, baseline.lookback.days + 1):
        day = today - back * DAY
        if baseline.calendar and calendar.day_class(day) is not ours:
            continue
        other = calendar.same_time(window, rule.timespan, day)
        if other is None:
            continue
        if other.start < counts.since:
            break
        if counts.hides(other):
            continue
        found.append((other.start, counts.by_window.get(other.start, 0)))
    return tuple(found)


def _is_unusual(rule: CorrelationRule, baseline: Baseline, actual: int, expected: float, deviation: float) -> bool:
    if baseline.type == "flatline":
        return not rule.threshold.holds(Fraction(expected))  # usually there is more
    if baseline.type == "spike":
        return deviation >= baseline.deviations - EPSILON and actual >= expected * baseline.factor - EPSILON
    return deviation <= EPSILON - baseline.deviations and actual * baseline.factor <= expected + EPSILON
