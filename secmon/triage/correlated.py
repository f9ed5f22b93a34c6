"""What the hits of one key say about a correlation's alerts: one draft for each grouping window in which it holds.

A pure function of the hits between two times, read once, in order, and never held as a whole: what is held is the
sliding window and the sums of the draft in the making.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from secmon.model.alert import AlertContent
from secmon.model.event import Value
from secmon.model.ids import alert_id, window_start
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.sliding import Counted, Sliding
from secmon.triage.content import COUNT, Draft, Tally, merged

_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Correlated:
    """One evaluation of a correlation over the hits of one key.

    Args:
        rule: the correlation.
        group: its group key's values.
        begin: moments before this time look back over hits that were not read, and are passed over.
        before: the content of the window of `begin` up to a moment before it, to go on from.
        cut: filled with the starts of the grouping windows in which a sliding window held more than is counted.
        is_disabled: tells of a moment whether the correlation is disabled then: such a one is none.
        sliding: the window, as it stands before the first event, and then as it stands behind the last; None: empty.
    """

    rule: CorrelationRule
    group: dict[str, Value]
    begin: datetime = _EARLIEST
    before: AlertContent | None = None
    cut: set[datetime] = field(default_factory=set)
    is_disabled: Callable[[datetime], bool] = field(default=lambda _at: False)
    sliding: Sliding | None = None

    def drafts(self, events: Iterable[Counted]) -> Iterator[Draft]:
        """Yield the drafts in order of their windows.

        Args:
            events: what counts towards the key, in order, from one `timespan` before `begin` on; behind the events of
                `sliding`, if there are any.
        """
        sliding = self.sliding = self.sliding or Sliding(self.rule)
        making: _Making | None = None
        for event in events:
            count = sliding.move(event)
            at = event.entry.at
            if at < self.begin:
                continue
            if sliding.is_cut:
                self.cut.add(window_start(at, self.rule.group_window))
            if count is None or self.is_disabled(at):
                continue
            start = window_start(at, self.rule.group_window)
            if making is None or making.start != start:
                if making is not None:
                    yield self._draft(making)
                told = self._told(start)
                making = _Making(start, at, at, count, after=told.last if told is not None else None)
            making.add(sliding, at, count)
        if making is not None:
            yield self._draft(making)

    def _told(self, start: datetime) -> AlertContent | None:
        """Return what to go on from in a grouping window: only its own content."""
        return self.before if start == window_start(self.begin, self.rule.group_window) else None

    def _draft(self, making: "_Making") -> Draft:
        content, told = making.content(self.rule), self._told(making.start)
        if told is not None:
            content = _continued(told, content)
        return Draft(alert_id(self.rule.id, self.group, making.start), self.group, making.start, content)


@dataclass(slots=True)
class _Making:
    """A draft in the making.

    Args:
        start: start of its grouping window.
        first: its first moment.
        last: its last moment so far.
        highest: the highest count at any moment.
        after: events up to here are in the content that is gone on from.
        done: number of the first event that is not in the sums.
    """

    start: datetime
    first: datetime
    last: datetime
    highest: float
    after: datetime | None
    moments: int = 0
    done: int = 0
    cut: bool = False
    tally: Tally = field(default_factory=Tally)

    def add(self, sliding: Sliding, at: datetime, count: float) -> None:
        """Take a moment: all events of its window are members of the alert."""
        self.moments += 1
        self.last, self.highest, self.cut = at, max(self.highest, count), self.cut or sliding.is_cut
        new = sliding.last + 1 - max(self.done, sliding.first)
        for event in islice(reversed(sliding.held), new):
            if self.after is not None and event.entry.at <= self.after:
                break  # it is told already, and so is everything older
            self.tally.add(event.hit)
        self.done = sliding.last + 1

    def content(self, rule: CorrelationRule) -> AlertContent:
        """Return what the moments say."""
        content = self.tally.content()
        captured = {**content.captured, COUNT: self.highest}
        return replace(
            content,
            count=self.moments,
            first=self.first,
            last=self.last,
            level=rule.level,
            captured=captured,
            cut=self.cut,
        )


def _continued(before: AlertContent, content: AlertContent) -> AlertContent:
    whole = merged(before, content)
    count = max(before.captured[COUNT], content.captured[COUNT])
    return replace(whole, level=content.level, captured={**whole.captured, COUNT: count})


def touched_range(
    fresh: tuple[datetime, datetime], timespan: timedelta, group_window: timedelta
) -> tuple[datetime, datetime]:
    """Return the span of base hits that must be read again when hits from the first to the last time are new.

    Half-open. A new hit can change every moment up to `timespan` after it, and an alert is the set of moments of a
    whole grouping window, each of which looks back over `timespan`.
    """
    first, last = fresh
    since = lookback(window_start(first, group_window), timespan)
    until = _moved(window_start(_moved(last, timespan), group_window), group_window)
    return since, until


def lookback(moment: datetime, timespan: timedelta) -> datetime:
    """Return where the window of a moment begins."""
    return _moved(moment, -timespan)


def lookahead(moment: datetime, timespan: timedelta) -> datetime:
    """Return the first moment that is too late to look back on this one."""
    return _moved(moment, timespan)


def _moved(moment: datetime, by: timedelta) -> datetime:
    """Return a moment moved by a span, no further than dates go: a record may claim any of them."""
    try:
        return moment + by
    except OverflowError:
        return _LATEST if by > timedelta() else _EARLIEST


class Stretches:
    """Times as disjoint stretches, in order: two of which no third lies further than `reach` apart are in one.

    A batch may hold an event of today and one that claims to be of 1970: what lies between is nobody's concern.
    """

    __slots__ = ("_firsts", "_lasts", "_reach")

    def __init__(self, reach: timedelta) -> None:
        self._reach = reach
        self._firsts: list[datetime] = []
        self._lasts: list[datetime] = []

    def add(self, first: datetime, last: datetime) -> None:
        """Take all times from the first to the last."""
        low = bisect_left(self._lasts, lookback(first, self._reach))
        high = bisect_right(self._firsts, lookahead(last, self._reach))
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def __iter__(self) -> Iterator[tuple[datetime, datetime]]:
        """Yield the first and last time of each stretch."""
        return iter(list(zip(self._firsts, self._lasts, strict=True)))
