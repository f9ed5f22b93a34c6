"""Correlations over hits, by event time: a pure function of the set of hits, never of their order of arrival.

The window of an event at time t is half-open, (t − timespan, t]; among events of one time the event id decides
which came first. Each event counts once, however many base rules it satisfies.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.values import texts_of

_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """An event at which the condition of a correlation holds.

    Args:
        at: its time.
        event_id: its id.
        count: what was counted: events, or distinct values.
        window_from: start of its window, exclusive.
        window_to: end of its window, inclusive: `at`.
        first: index, in `all_ids`, of the first event of the window.
        last: index of its last event, which is this one.
        all_ids: ids of all events that were evaluated; shared by all moments, so that many moments of one flood
            cost no more memory than one.
    """

    at: datetime
    event_id: str
    count: int
    window_from: datetime
    window_to: datetime
    first: int
    last: int
    all_ids: Sequence[str]

    @property
    def event_ids(self) -> tuple[str, ...]:
        """Ids of the events in the window, in order."""
        return tuple(self.all_ids[self.first : self.last + 1])

    def latest_ids(self, limit: int) -> tuple[str, ...]:
        """Ids of the last so many events in the window, in order."""
        return tuple(self.all_ids[max(self.first, self.last + 1 - limit) : self.last + 1])


def moments(correlation: CorrelationRule, hits: Sequence[Hit]) -> list[Moment]:
    """Return every event at which a correlation's condition holds, in order; linear in the number of hits.

    Args:
        correlation: the correlation.
        hits: hits of its base rules that share one key.
    """
    events = _events(correlation, hits)
    ids = [event_id for _, event_id, _ in events]
    counted: Counter[str] = Counter()
    found: list[Moment] = []
    first = 0
    for last, (at, event_id, values) in enumerate(events):
        counted.update(values)
        while at - events[first][0] >= correlation.timespan:
            _uncount(counted, events[first][2])
            first += 1
        count = len(counted) if correlation.type == "value_count" else last - first + 1
        if correlation.threshold.holds(count):
            opens = at - min(correlation.timespan, at - _EARLIEST)
            found.append(Moment(at, event_id, count, opens, at, first, last, ids))
    return found


def members(found: Iterable[Moment]) -> Iterator[str]:
    """Yield the id of every event in the window of any of these moments (of one call of `moments`), once, in order."""
    done = 0
    for moment in found:
        yield from moment.all_ids[max(done, moment.first) : moment.last + 1]
        done = max(done, moment.last + 1)


def group_hits(correlation: CorrelationRule, hits: Iterable[Hit]) -> Iterator[tuple[dict[str, Value], list[Hit]]]:
    """Yield each group value of a correlation with the hits that count towards it, in order of first appearance.

    Hits of other rules are passed over, and so are those without one of the group-by fields.
    """
    groups: dict[str, tuple[dict[str, Value], list[Hit]]] = {}
    rule_ids = frozenset(correlation.rule_ids)
    for hit in hits:
        if hit.rule_id in rule_ids and all(name in hit.captured for name in correlation.group_by):
            group = {name: hit.captured[name] for name in correlation.group_by}
            groups.setdefault(key_id(correlation.id, group), (group, []))[1].append(hit)
    yield from groups.values()


def _events(correlation: CorrelationRule, hits: Sequence[Hit]) -> list[tuple[datetime, str, tuple[str, ...]]]:
    """Return (time, event id, values) of the events behind some hits, in order, each once."""
    merged: dict[str, tuple[datetime, set[str]]] = {}
    for hit in hits:
        values = _values(correlation, hit)
        if correlation.type == "value_count" and not values:
            continue  # an absent field has no value that could be counted
        merged.setdefault(hit.event_id, (hit.at, set()))[1].update(values)
    return sorted((at, event_id, tuple(sorted(values))) for event_id, (at, values) in merged.items())


def _values(correlation: CorrelationRule, hit: Hit) -> tuple[str, ...]:
    """Return the values that a hit adds to the count of distinct ones; of several fields it is their combination."""
    if correlation.type != "value_count" or any(name not in hit.captured for name in correlation.value_fields):
        return ()
    columns = [tuple(texts_of(hit.captured[name])) for name in correlation.value_fields]
    if len(columns) == 1:
        return columns[0]
    return ("\x1e".join("\x1f".join(column) for column in columns),)


def _uncount(counted: Counter[str], values: tuple[str, ...]) -> None:
    for value in values:
        if counted[value] == 1:
            del counted[value]
        else:
            counted[value] -= 1
