"""The sliding window of a correlation, moved over the events of one key in order, in bounded memory.

Events come in order of time, those of one time by their place in their streams (`ids.place_of_id`); the window at an
event of time t is half-open, (t − timespan, t]. Only the window is held, never all events of a key.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import attrgetter

from secmon.model.hit import Hit
from secmon.model.ids import place_of_id
from secmon.sigma.rule import COUNTING, CorrelationRule, Threshold
from secmon.sigma.values import texts_of
from secmon.sigma.windows import Entry, numbers_in, shown, window_of

MAX_WINDOW = 50_000
"""Most events of one window. In a longer one the latest count: the same ones whatever the order of arrival."""
MAX_WINDOW_ASKED = 1_000_000
"""The same for a correlation that counts to more than `MAX_WINDOW`."""
MAX_TIES = 2 * MAX_WINDOW
"""Most hits of one time that are put in order."""


@dataclass(frozen=True, slots=True)
class Counted:
    """An event that counts towards a correlation.

    Args:
        entry: what the window measures of it.
        hits: what it hit of the rules that the correlation refers to, in order of rule id.
        size: bytes of memory that it takes, about; a function of its content.
    """

    entry: Entry
    hits: tuple[Hit, ...]
    size: int

    @property
    def hit(self) -> Hit:
        """The hit that stands for it in an alert."""
        return self.hits[-1]


def turn_of(hit: Hit) -> tuple[datetime, str, str, str]:
    """Return what hits are ordered by as windows slide over them: time, place of the event, rule.

    Not by the whole id of the event: that begins with the day on which it was received.
    """
    return hit.at, place_of_id(hit.event_id), hit.event_id, hit.rule_id


def in_order(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits as windows slide over them (`turn_of`)."""
    return sorted(hits, key=turn_of)


def in_turn(hits: Iterable[Hit]) -> Iterator[Hit]:
    """Yield hits, which come by time and event id out of a store, as windows slide over them (`turn_of`).

    Of more than `MAX_TIES` hits of one time the later ones stay as they come: no window counts so many.
    """
    for _, same in groupby(hits, key=attrgetter("at")):
        yield from _untied(same)


def _untied(same: Iterator[Hit]) -> Iterator[Hit]:
    yield from sorted(islice(same, MAX_TIES), key=turn_of)
    yield from same


def counted(correlation: CorrelationRule, hits: Iterable[Hit]) -> Iterator[Counted]:
    """Yield the events behind hits that are in order, each once, however many of the rules it satisfies."""
    has_values = bool(correlation.value_fields)
    known: dict[tuple[str, ...], frozenset[str]] = {}  # few combinations of rules, many events
    for event_id, same in groupby(hits, key=attrgetter("event_id")):
        found = [(hit, _values(correlation, hit) if has_values else ()) for hit in same]
        if has_values:
            found = [pair for pair in found if pair[1]]  # an absent field has no value that could be counted
        if found:
            counting = tuple(hit for hit, _ in found)
            rules = tuple(hit.rule_id for hit in counting)
            rule_ids = known.get(rules) or known.setdefault(rules, frozenset(rules))
            yield Counted(
                Entry(counting[0].at, event_id, _together([values for _, values in found]), rule_ids),
                counting,
                sum(map(_size, counting)),
            )


_HIT_BYTES = 1_100
"""Of a hit with its share of the event, without the texts of its values: measured, of hits out of either store."""


def _size(hit: Hit) -> int:
    size = _HIT_BYTES
    for value in hit.captured.values():
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str):  # four bytes a character, should a single one be beyond the first 65,536
                size += len(text) if text.isascii() else 4 * len(text)
    return size


def _together(values: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the values of one event, sorted; what two rules saw of it is there once."""
    if len(values) == 1:
        return values[0] if len(values[0]) <= 1 else tuple(sorted(values[0]))
    texts: Counter[str] = Counter()
    for some in values:
        texts |= Counter(some)
    return tuple(sorted(texts.elements()))


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


def window_limit(correlation: CorrelationRule) -> int:
    """Return the most events of one window: a threshold that counts higher gets what it needs, within reason."""
    asked = _highest(correlation.threshold) if correlation.type in COUNTING else 0
    return max(MAX_WINDOW, min(asked, MAX_WINDOW_ASKED))


def _highest(threshold: Threshold) -> int:
    also = _highest(threshold.also) if threshold.also else 0
    number = threshold.number
    return max(math.floor(number) + 1 if math.isfinite(number) else 0, also)


class Sliding:
    """The window of one correlation and key.

    Attributes:
        held: the events in it, oldest first.
        first: number of the oldest of them among all events that were moved over, from 0.
        last: number of the newest.
        size: bytes of memory that they take, about.
    """

    __slots__ = ("_cut_at", "_limit", "_rule", "_window", "first", "held", "last", "size")

    def __init__(self, correlation: CorrelationRule) -> None:
        self._rule = correlation
        self._window = window_of(correlation)
        self._limit = window_limit(correlation)
        self._cut_at: datetime | None = None
        self.held: deque[Counted] = deque()
        self.first, self.last = 0, -1
        self.size = 0

    def move(self, event: Counted) -> int | float | None:
        """Take the next event; return what is measured in its window if the condition holds, None if it does not."""
        self.last += 1
        self.held.append(event)
        self.size += event.size
        self._window.add(event.entry, self.last)
        while event.entry.at - self.held[0].entry.at >= self._rule.timespan:
            self._drop()
        if len(self.held) > self._limit:
            self._cut_at = self._drop().entry.at
        measure = self._window.measure(self.first, self.last)
        if measure is None or not (self._rule.expression or self._rule.threshold.holds(measure)):
            return None
        return shown(measure)

    @property
    def is_cut(self) -> bool:
        """Whether the window of the last event holds more than is counted: a function of the events in it alone."""
        return self._cut_at is not None and self.held[-1].entry.at - self._cut_at < self._rule.timespan

    def _drop(self) -> Counted:
        event = self.held.popleft()
        self.size -= event.size
        self._window.drop(event.entry)
        self.first += 1
        return event
