"""New values out of the store: is it the first hit with this value in its group for the whole look-back?

`sigma.novelty` is the definition, over all hits at once. Here the store is asked about the few hits that can matter: a
hit carries a key of its group and one of group and value, so "was it seen before?" is one question for one hit. Nothing
is kept but a memory of what needs no asking; it may be lost at any time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from secmon.app.installation import Installation
from secmon.app.tallies import is_counted
from secmon.app.unusual import Unusual
from secmon.model.access import Access
from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id, window_start
from secmon.model.questions import HitQuery
from secmon.sigma.deviation import fits
from secmon.sigma.novelty import New, counted, satisfied, value_key
from secmon.sigma.rule import Baseline, CorrelationRule
from secmon.sigma.sliding import in_turn

_MOMENT = timedelta(microseconds=1)


@dataclass(slots=True)
class Novelty:
    """Finds new values for one rule.

    Args:
        house: the installation.
        access: who works.
        rule: the rule.
        baseline: its block.
        upto: only hits of batches before this mark.
        learning: values that were new in a group that is not known long enough.
    """

    house: Installation
    access: Access
    rule: CorrelationRule
    baseline: Baseline
    upto: str
    unusual: Unusual
    learning: int = 0
    _asked: dict[tuple[str, datetime], bool] = field(default_factory=dict)

    def take(self, values: dict[str, Value], fresh: Sequence[Hit]) -> None:
        """Bring the alerts of a group up to date with new hits of it."""
        fresh = counted(self.baseline, self.house.calendar, fresh)
        touched: set[datetime] = set()
        by_key: dict[str, list[datetime]] = {}
        for hit in fresh:
            if (key := value_key(self.rule, hit)) is not None:
                by_key.setdefault(key, []).append(hit.at)
        for key, times in by_key.items():
            touched.update(self._changed(key, times))
        if fresh:
            touched.update(self._awakened(key_id(self.rule.id, values), fresh[0].at, fresh[-1].at))
        if touched:
            self._evaluate(values, min(touched), max(touched) + self.rule.timespan)

    def _changed(self, key: str, times: Sequence[datetime]) -> Iterator[datetime]:
        """Yield the moments at which a value may be new, or new no longer, now that it was seen at some times."""
        seen, lookback = self.house.remembered, self.baseline.lookback
        known = seen.get(key)
        if known is not None and known[0] <= times[0]:
            first, last = known
            for at in times:
                if at - last > lookback:
                    yield at
                    first = at
                last = max(last, at)
            seen.put(key, (first, last))
            return
        previous: datetime | None = None
        for at in times:
            if previous is None or at - previous > lookback:
                if self._first(key, at - lookback, at) is None:
                    yield at
                if previous is not None:
                    yield from self._next(key, previous)
            previous = at
        yield from self._next(key, times[-1])
        if self._first(key, times[-1] + _MOMENT, None) is None:
            seen.put(key, (times[0], times[-1]))
        else:
            seen.forget(key)

    def _next(self, key: str, at: datetime) -> Iterator[datetime]:
        """Yield the moment that was perhaps called new for want of a hit at a time."""
        later = self._first(key, at + _MOMENT, at + self.baseline.lookback + _MOMENT)
        if later is not None:
            yield later.at

    def _awakened(self, key: str, first: datetime, last: datetime) -> Iterator[datetime]:
        """Yield the ends of the time in which a group counts as known by late hits, and perhaps did not before."""
        latest = self.house.remembered.get(key)
        if latest is None or first + self.baseline.learning <= latest[1]:
            since, until = first + self.baseline.learning, last + self.baseline.lookback + _MOMENT
            if (found := self._first(key, since, until)) is not None:
                yield found.at
                yield last + self.baseline.lookback
        newest = last if latest is None else max(last, latest[1])
        if latest is not None or self._first(key, last + _MOMENT, None) is None:
            self.house.remembered.put(key, (newest, newest))

    def _evaluate(self, values: dict[str, Value], first: datetime, last: datetime) -> None:
        """Evaluate the alerts of all grouping windows from one moment to another."""
        width = self.rule.group_window
        begin, end = window_start(first, width), window_start(last, width) + width
        since = begin - self.rule.timespan
        hits = list(self._hits(key_id(self.rule.id, values), since, end))
        found = list(self._news(values, hits))
        by_event = {hit.event_id: hit for hit in hits}
        windows: dict[datetime, list[tuple[New, int]]] = {}
        for hit in hits:
            if hit.at >= begin:
                windows.setdefault(window_start(hit.at, width), [])
        for new, count in satisfied(self.rule, found):
            if new.at >= begin:
                windows[window_start(new.at, width)].append((new, count))
        for start, moments in sorted(windows.items()):
            counts = [count for _, count in moments]
            self.unusual.of_values(
                values, start, max(counts, default=0), [by_event[new.event_id] for new, _ in moments]
            )

    def _news(self, values: dict[str, Value], hits: Sequence[Hit]) -> Iterator[New]:
        """Yield what is new among the hits of a time; the store tells what went before."""
        lookback, last = self.baseline.lookback, dict[str, datetime]()
        for hit in hits:
            key = value_key(self.rule, hit)
            if key is None:
                continue
            seen, last[key] = last.get(key), hit.at
            if seen is not None and hit.at - seen <= lookback:
                continue
            if seen is None and self._first(key, hit.at - lookback, hit.at) is not None:
                continue
            if self._is_known(key_id(self.rule.id, values), hit.at):
                yield New(hit.at, hit.event_id, key)
            else:
                self.learning += 1

    def _is_known(self, key: str, at: datetime) -> bool:
        if (key, at) not in self._asked:
            since, until = at - self.baseline.lookback, at - self.baseline.learning + _MOMENT
            self._asked[key, at] = self._first(key, since, until) is not None
        return self._asked[key, at]

    def _first(self, key: str, since: datetime, until: datetime | None) -> Hit | None:
        """Return the first hit of a key in a time, `until` exclusive."""
        return next(self._hits(key, since, until), None)

    def _hits(self, key: str, since: datetime, until: datetime | None) -> Iterator[Hit]:
        query = HitQuery(keys=(key,), since=since, until=until, upto=self.upto, suppressed=False)
        baseline, calendar = self.baseline, self.house.calendar
        found = (hit for hit in self.house.log.hits(self.access, query) if is_counted(hit))
        return (hit for hit in in_turn(found) if fits(baseline, calendar.slot(hit.at)))
