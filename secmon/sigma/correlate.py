"""Correlations over hits, by event time: a pure function of the set of hits, never of their order of arrival.

The window of an event at time t is half-open, (t − timespan, t]; among events of one time the event id decides
which came first. Each event counts once, however many base rules it satisfies.

A correlation may rest on other correlations (a chain). The hit of such an inner correlation is the event that completes
it: at its time, with its values; the outer correlation groups by these, whatever the inner one groups by.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.values import texts_of
from secmon.sigma.windows import Entry, numbers_in, shown, window_of

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

    Linear in the number of hits, but for percentiles, whose values are kept sorted.

    Args:
        correlation: the correlation.
        hits: hits of the rules it refers to that share one key (`with_derived` gives those of inner correlations).
    """
    entries = _entries(correlation, hits)
    ids = [entry.event_id for entry in entries]
    window, holds = window_of(correlation), correlation.threshold.holds
    found: list[Moment] = []
    first = 0
    for last, entry in enumerate(entries):
        window.add(entry, last)
        while entry.at - entries[first].at >= correlation.timespan:
            window.drop(entries[first])
            first += 1
        measure = window.measure(first, last)
        if measure is not None and (correlation.expression or holds(measure)):
            opens = entry.at - min(correlation.timespan, entry.at - _EARLIEST)
            found.append(Moment(entry.at, entry.event_id, shown(measure), opens, entry.at, first, last, ids))
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
        for _, counted in group_hits(inner, with_derived(inner, known)):
            found += derived(inner, moments(inner, counted), counted)
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
        same = sorted(by_event[moment.event_id], key=lambda hit: hit.rule_id)
        values = {name: value for hit in reversed(same) for name, value in hit.captured.items()}
        yield replace(same[0], rule_id=inner.id, rule_digest=inner.digest, level=inner.level, captured=values)


def _entries(correlation: CorrelationRule, hits: Sequence[Hit]) -> list[Entry]:
    """Return the events behind some hits, in order, each once."""
    merged: dict[str, tuple[datetime, Counter[str], set[str]]] = {}
    for hit in hits:
        values = _values(correlation, hit)
        if correlation.value_fields and not values:
            continue  # an absent field has no value that could be counted
        _, texts, rule_ids = merged.setdefault(hit.event_id, (hit.at, Counter(), set()))
        texts |= Counter(values)  # what two rules saw of one event is there once
        rule_ids.add(hit.rule_id)
    return sorted(
        Entry(at, event_id, tuple(sorted(texts.elements())), frozenset(rule_ids))
        for event_id, (at, texts, rule_ids) in merged.items()
    )


def _values(correlation: CorrelationRule, hit: Hit) -> tuple[str, ...]:
    """Return the values that a hit adds; of several fields it is their combination."""
    names = correlation.value_fields
    if not names or any(name not in hit.captured for name in names):
        return ()
    columns = [tuple(texts_of(hit.captured[name])) for name in names]
    if len(columns) == 1:
        return columns[0] if correlation.type == "value_count" else _numbers(columns[0])
    return ("\x1e".join("\x1f".join(column) for column in columns),)


def _numbers(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for text in texts if numbers_in((text,)))
