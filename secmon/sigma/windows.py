"""What correlations measure while their window slides over the events: one small class for each type.

A window takes an event at its end and gives one back at its beginning, and tells its measure. Sums and means are exact
fractions: the same set of events gives the same answer, whatever slid through the window before.

Source: Sigma correlation rules specification 2.1. Where it leaves a measure open: a percentile is the nearest rank (the
smallest value that at least so many per cent of the values do not exceed); the median of an even number of values is
the mean of the two in the middle; values that are no numbers are left out.
"""

import math
import sys
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Protocol

from secmon.sigma.rule import AND, NOT, OR, CorrelationRule, CorrelationType
from secmon.sigma.values import number_of

Measure = int | Fraction


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in a window.

    Args:
        at: its time.
        event_id: its id.
        values: texts of the values that the correlation counts or calculates with, sorted.
        rule_ids: the rules it satisfied.
    """

    at: datetime
    event_id: str
    values: tuple[str, ...] = ()
    rule_ids: frozenset[str] = frozenset()


class Window(Protocol):
    """The events in (t − timespan, t]."""

    def add(self, entry: Entry, place: int) -> None:
        """Take the next event; `place` is its number among all events, from 0."""

    def drop(self, entry: Entry) -> None:
        """Give the oldest event back."""

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the measure of the events from `first` to `last`; None where there is nothing to measure."""


class EventCount:
    """`event_count`: how many events."""

    def add(self, entry: Entry, place: int) -> None:
        """Nothing to do: places tell the number."""

    def drop(self, entry: Entry) -> None:
        """Nothing to do."""

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the number of events."""
        return last - first + 1


class Distinct:
    """`value_count` counts distinct values, `temporal` distinct rules."""

    def __init__(self, items: Callable[[Entry], Iterable[str]]) -> None:
        self._items = items
        self.counted: Counter[str] = Counter()

    def add(self, entry: Entry, place: int) -> None:
        """Count the items of an event."""
        del place
        self.counted.update(self._items(entry))

    def drop(self, entry: Entry) -> None:
        """Count them no more."""
        for item in self._items(entry):
            if self.counted[item] == 1:
                del self.counted[item]
            else:
                self.counted[item] -= 1

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the number of distinct items."""
        del first, last
        return len(self.counted)


class Expression:
    """`temporal` with a condition in words: measures distinct rules where the condition holds, else nothing."""

    def __init__(self, expression: tuple[str, ...]) -> None:
        self._expression = expression
        self._rules = Distinct(lambda entry: entry.rule_ids)

    def add(self, entry: Entry, place: int) -> None:
        """Take an event."""
        self._rules.add(entry, place)

    def drop(self, entry: Entry) -> None:
        """Give it back."""
        self._rules.drop(entry)

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the number of distinct rules if the condition holds."""
        return self._rules.measure(first, last) if self._holds() else None

    def _holds(self) -> bool:
        stack: list[bool] = []
        for item in self._expression:
            if item == NOT:
                stack.append(not stack.pop())
            elif item in {AND, OR}:
                one, other = stack.pop(), stack.pop()
                stack.append((one and other) if item == AND else (one or other))
            else:
                stack.append(item in self._rules.counted)
        return stack.pop()


class Ordered:
    """`temporal_ordered`: how many of the rules, in their order, a series of events one after the other satisfies.

    `_starts[j][n]` is the latest place at which a series of n events for n of the first j rules can have begun.
    """

    def __init__(self, order: tuple[str, ...]) -> None:
        self._order = order
        self._starts = [[-1] * (len(order) + 1) for _ in range(len(order) + 1)]

    def add(self, entry: Entry, place: int) -> None:
        """Let an event go on with every series that waits for one of its rules."""
        for j in range(len(self._order), 0, -1):  # downwards: an event stands in a series once
            if self._order[j - 1] in entry.rule_ids:
                before = self._starts[j - 1]
                for n in range(1, j + 1):
                    self._begun(j, n, place if n == 1 else before[n - 1])

    def _begun(self, rules: int, length: int, start: int) -> None:
        for starts in self._starts[rules:]:
            starts[length] = max(starts[length], start)

    def drop(self, entry: Entry) -> None:
        """Nothing to do: a series that began too early is not measured."""

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the length of the longest series within the window."""
        del last
        return max(length for length, start in enumerate(self._starts[-1]) if length == 0 or start >= first)


class Numbers:
    """The types that calculate with the values of a field."""

    def __init__(self, percentile: Fraction | None = None) -> None:
        self._percentile = percentile
        self.sorted: list[Fraction] = []
        self.sum = Fraction(0)

    def add(self, entry: Entry, place: int) -> None:
        """Take the numbers of an event."""
        del place
        for number in numbers_in(entry.values):
            insort(self.sorted, number)
            self.sum += number

    def drop(self, entry: Entry) -> None:
        """Give them back."""
        for number in numbers_in(entry.values):
            del self.sorted[bisect_left(self.sorted, number)]
            self.sum -= number

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the percentile, by nearest rank."""
        del first, last
        if not self.sorted or self._percentile is None:
            return None
        return self.sorted[max(1, math.ceil(self._percentile * len(self.sorted) / 100)) - 1]


class Sum(Numbers):
    """`value_sum`."""

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the sum."""
        del first, last
        return self.sum if self.sorted else None


class Mean(Numbers):
    """`value_avg`."""

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the arithmetic mean."""
        del first, last
        return self.sum / len(self.sorted) if self.sorted else None


class Median(Numbers):
    """`value_median`, which is pySigma's and not the specification's."""

    def measure(self, first: int, last: int) -> Measure | None:
        """Return the median."""
        del first, last
        count = len(self.sorted)
        return (self.sorted[(count - 1) // 2] + self.sorted[count // 2]) / 2 if count else None


def numbers_in(texts: Iterable[str]) -> list[Fraction]:
    """Return the values that are finite numbers, exactly."""
    numbers = (number_of(text) for text in texts)
    return [Fraction(number) for number in numbers if number is not None and math.isfinite(number)]


def _percentile(rule: CorrelationRule) -> Window:
    return Numbers(Fraction(str(rule.percentile or 0)))  # by its decimal form: 99.9 is 999 of 1,000


def _temporal(rule: CorrelationRule) -> Window:
    return Expression(rule.expression) if rule.expression else Distinct(lambda entry: entry.rule_ids)


_WINDOWS: Mapping[CorrelationType, Callable[[CorrelationRule], Window]] = {
    "event_count": lambda _: EventCount(),
    "value_count": lambda _: Distinct(lambda entry: entry.values),
    "temporal": _temporal,
    "temporal_ordered": lambda rule: Ordered(rule.order),
    "value_sum": lambda _: Sum(),
    "value_avg": lambda _: Mean(),
    "value_percentile": _percentile,
    "value_median": lambda _: Median(),
}


def window_of(rule: CorrelationRule) -> Window:
    """Return an empty window of a correlation's type."""
    return _WINDOWS[rule.type](rule)


def shown(measure: Measure) -> int | float:
    """Return a measure as rows and alerts show it: whole where it is, and never larger than JSON can say."""
    if isinstance(measure, int) or measure.denominator == 1:
        whole = int(measure)
        if abs(whole) < 1 << 63:
            return whole
    try:
        return float(measure)
    except OverflowError:
        return sys.float_info.max if measure > 0 else -sys.float_info.max
