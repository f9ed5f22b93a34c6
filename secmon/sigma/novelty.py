"""When a value is new in its group: a pure function of the set of hits.

This is the definition, over all hits at once; `app.novelty` finds the same out of the store, a question at a time.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from secmon.model.calendar import Calendar
from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id, place_of_id
from secmon.sigma.deviation import fits
from secmon.sigma.rule import Baseline, CorrelationRule
from secmon.sigma.sliding import in_order


@dataclass(frozen=True, slots=True)
class New:
    """The first hit with a value that was not seen in its group for the whole look-back.

    Args:
        at: its time.
        event_id: its event.
        key: `ids.key_id` of group and value.
    """

    at: datetime
    event_id: str
    key: str


def value_key(rule: CorrelationRule, hit: Hit) -> str | None:
    """Return the key of a hit's group and value, None if it lacks a field of them."""
    named: dict[str, Value] = {}
    for name in (*rule.group_by, *rule.value_fields):
        if name not in hit.captured:
            return None
        named[name] = hit.captured[name]
    return key_id(rule.id, named)


def counted(baseline: Baseline, calendar: Calendar, hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits of the times that a baseline is about, in order."""
    ours = (hit for hit in hits if fits(baseline, calendar.slot(hit.at)))
    return in_order(ours)


def news(rule: CorrelationRule, baseline: Baseline, calendar: Calendar, hits: Sequence[Hit]) -> list[New]:
    """Return each moment at which a value was new in a group that was known long enough, in order.

    Args:
        rule: the correlation.
        baseline: its block.
        calendar: which times it is about.
        hits: all hits of one group.
    """
    ours = counted(baseline, calendar, hits)
    times = [hit.at for hit in ours]
    last: dict[str, datetime] = {}
    found = []
    for hit in ours:
        key = value_key(rule, hit)
        if key is None:
            continue
        seen, last[key] = last.get(key), hit.at
        if (seen is None or hit.at - seen > baseline.lookback) and is_known(baseline, times, hit.at):
            found.append(New(hit.at, hit.event_id, key))
    return found


def is_known(baseline: Baseline, times: Iterable[datetime], at: datetime) -> bool:
    """Tell whether a group was seen between the beginning of the look-back and the end of its learning."""
    return any(baseline.learning <= at - time <= baseline.lookback for time in times)


def satisfied(rule: CorrelationRule, found: Sequence[New]) -> list[tuple[New, int]]:
    """Return the moments at which enough values were new within the timespan, each with how many they were."""
    window: Counter[str] = Counter()
    result = []
    first = 0
    for at, group in groupby(sorted(found, key=_turn_of), key=lambda new: new.at):
        for new in group:
            window[new.key] += 1
            while at - found[first].at >= rule.timespan:
                _drop(window, found[first].key)
                first += 1
            if rule.threshold.holds(len(window)):
                result.append((new, len(window)))
    return result


def _turn_of(new: New) -> tuple[datetime, str, str]:
    return new.at, place_of_id(new.event_id), new.key


def _drop(window: Counter[str], key: str) -> None:
    window[key] -= 1
    if not window[key]:
        del window[key]
