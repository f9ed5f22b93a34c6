"""Correlations over hits, by event time: a pure function of the set of hits, never of their order of arrival.

The window of an event at time t is half-open, (t − timespan, t]; among events of one time the event id, without the day
of its receipt, decides which came first. Each event counts once, however many base rules it satisfies.

A correlation may rest on other correlations (a chain). The hit of such an inner correlation is the event that completes
it: at its time, with its values; the outer correlation groups by these, whatever the inner one groups by.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.sliding import Sliding, counted, in_order

_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """An event at which the condition of a correlation holds.

    Args:
        at: its time.
        event_id: its id.
        count: what was measured: a number of events, of distinct values or rules, or what was calculated.
        window_from: start of its window, exclusive.
        window_to: end of its window, inclusive: `at`.
        first: index, in `all_ids`, of the first event of the window.
        last: index of its last event, which is this one.
        all_ids: ids of all events that were evaluated; shared by all moments, so that many moments of one flood
            cost no more memory than one.
    """

    at: datetime
    event_id: str
    count: int | float
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
    """Return every event at which a correlation's condition holds, in order.

    Linear in the number of hits, but for percentiles, whose values are kept sorted. Whoever has too many hits for a
    list slides over them (`sliding.Sliding`).

    Args:
        correlation: the correlation.
        hits: hits of the rules it refers to that share one key (`with_derived` gives those of inner correlations).
    """
    ids: list[str] = []
    found: list[Moment] = []
    sliding = Sliding(correlation)
    for event in counted(correlation, in_order(hits)):
        at = event.entry.at
        ids.append(event.entry.event_id)
        count = sliding.move(event)
        if count is not None:
            opens = at - min(correlation.timespan, at - _EARLIEST)
            found.append(Moment(at, event.entry.event_id, count, opens, at, sliding.first, sliding.last, ids))
    return found


def members(found: Iterable[Moment]) -> Iterator[str]:
    """Yield the id of every event in the window of any of these moments (of one call of `moments`), once, in order."""
    done = 0
    for moment in found:
        yield from moment.all_ids[max(done, moment.first) : moment.last + 1]
        done = max(done, moment.last + 1)


def group_hits(correlation: CorrelationRule, hits: Iterable[Hit]) -> Iterator[tuple[dict[str, Value], list[Hit]]]:
    """Yield each group value of a correlation with the hits that count towards it, in order of first appearance.

    Hits of rules it does not refer to are passed over, and so are those without one of the group-by fields.
    """
    rule_ids = frozenset(correlation.rule_ids)
    return grouped(correlation, (hit for hit in hits if hit.rule_id in rule_ids))


def grouped(correlation: CorrelationRule, hits: Iterable[Hit]) -> Iterator[tuple[dict[str, Value], list[Hit]]]:
    """Yield each group value of a correlation with the hits, of whatever rule, that have it."""
    groups: dict[str, tuple[dict[str, Value], list[Hit]]] = {}
    for hit in hits:
        if all(name in hit.captured for name in correlation.group_by):
            group = {name: hit.captured[name] for name in correlation.group_by}
            groups.setdefault(key_id(correlation.id, group), (group, []))[1].append(hit)
    yield from groups.values()


def with_derived(correlation: CorrelationRule, hits: Iterable[Hit]) -> list[Hit]:
    """Return hits of single events, and those that the inner correlations of a chain make of them."""
    known = list(hits)
    found = list(known)
    for inner in correlation.inner:
        for _, some in group_hits(inner, with_derived(inner, known)):
            found += derived(inner, moments(inner, some), some)
    return found


def derived(inner: CorrelationRule, found: Iterable[Moment], hits: Sequence[Hit]) -> Iterator[Hit]:
    """Yield the hits of an inner correlation: at each of its moments the event that completes it, with its values.

    Args:
        inner: the correlation.
        found: its moments.
        hits: the hits they were found in.
    """
    by_event: dict[str, list[Hit]] = {}
    for hit in hits:
        by_event.setdefault(hit.event_id, []).append(hit)
    for moment in found:
        yield hit_of_chain(inner, sorted(by_event[moment.event_id], key=lambda hit: hit.rule_id))


def hit_of_chain(inner: CorrelationRule, same: Sequence[Hit]) -> Hit:
    """Return the hit of an inner correlation, out of the hits of the event that completes it, in order of rule id."""
    values = {name: value for hit in reversed(same) for name, value in hit.captured.items()}
    return replace(same[0], rule_id=inner.id, rule_digest=inner.digest, level=inner.level, captured=values)
