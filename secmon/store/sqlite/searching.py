"""Walking and surveying the events of several partitions: columns first, bodies where only they can answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

import orjson

from secmon.errors import SearchStoppedError
from secmon.model.access import Scope
from secmon.model.event import Event
from secmon.model.query import Says, required
from secmon.model.questions import EventQuery
from secmon.model.search import Budget, Survey
from secmon.store.matching import decision, may_say, phrase_of
from secmon.store.sqlite.block import BlockCache
from secmon.store.sqlite.conditions import unindexed
from secmon.store.sqlite.merge import Span, merged
from secmon.store.sqlite.partition import EventKey, Facts, Reading
from secmon.store.sqlite.selection import column_of, columns_answer, residue
from secmon.store.surveying import Surveyor
from secmon.store.values import to_datetime

# Events between two looks at the budget: some milliseconds of reading.
_LOOK_EVERY: Final = 256


class _Located(NamedTuple):
    """An event that columns cannot rule out."""

    key: EventKey
    reading: Reading


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk over partitions.

    Args:
        parts: the partitions, and what they say about themselves.
        query: which events.
        scope: whose.
        budget: what it may take; None for no bound.
    """

    parts: Sequence[tuple[Facts, Reading]]
    query: EventQuery
    scope: Scope
    budget: Budget | None = None

    def keys(self) -> Iterator[_Located]:
        """Yield, in order, the events that columns cannot rule out."""
        parts = [(span_of(facts), partial(self._keys_of, reading)) for facts, reading in self.parts]
        return merged(parts, key=lambda one: one.key[:2], descending=not self.query.ascending)

    def _keys_of(self, reading: Reading) -> Iterator[_Located]:
        reading = replace(reading, budget=self.budget)
        return (_Located(key, reading) for key in reading.keys(self.query, self.scope))

    def events(self) -> Iterator[Event]:
        """Yield the events in order.

        Raises:
            SearchStoppedError: the budget is used up.
        """
        return islice(self._events(), self.query.limit)

    def _events(self) -> Iterator[Event]:
        decides, may_match = _decision(self.query)
        cache = BlockCache()
        for number, (key, reading) in enumerate(self.keys()):
            if self.budget is not None:
                self.budget.reached = to_datetime(key.time)
                self.budget.read += decides is not None
                if number % _LOOK_EVERY == 0:
                    self.budget.check()
            body = reading.body(key, cache)
            if body is None or not may_match(body):
                continue  # the partition was dropped under the walk, or the text alone tells
            event: Event = orjson.loads(body)
            if decides is None or decides(event):
                yield event

    def survey(self, surveyor: Surveyor, size: int) -> Survey:
        """Return the survey of the events; see `ports.EventLog`."""
        try:
            if all(columns_answer(self.query, name) for name in ("", *surveyor.fields)):
                self._survey_columns(surveyor)
            else:
                for event in self.events():
                    surveyor.add_event(event)
        except SearchStoppedError:
            return surveyor.survey(size, complete=False)
        return surveyor.survey(size, complete=True)

    def _survey_columns(self, surveyor: Surveyor) -> None:
        for _, each in self.parts:
            if self.budget is not None:
                self.budget.check()
            reading = replace(each, budget=self.budget)
            surveyor.count += reading.count(self.query, self.scope, by="").get(None, 0)
            for name in surveyor.fields:
                surveyor.add_values(name, reading.count(self.query, self.scope, by=name))
            if surveyor.interval:
                found = reading.intervals(self.query, self.scope, length=surveyor.interval, offset=surveyor.offset)
                surveyor.buckets.update(dict(found))


def span_of(facts: Facts) -> Span:
    """Return the times of a partition that holds something."""
    return Span(facts.first or 0, facts.last or 0)


def scanned(query: EventQuery, fields: Sequence[str]) -> tuple[str, ...]:
    """Return what only reading answers; see `ports.EventLog.unindexed`."""
    equals, present = residue(query)
    words = ("",) if query.text else ()
    rest = (name for name in fields if column_of(name) is None)
    return tuple(dict.fromkeys((*equals, *present, *words, *unindexed(query.where), *rest)))


def _decision(query: EventQuery) -> tuple[Callable[[Event], bool] | None, Callable[[bytes], bool]]:
    """Return the test of an event, None if columns decide, and a quick one of its body that is never wrongly no."""
    if columns_answer(query, ""):
        return None, (lambda _body: True)
    leaves = [leaf for leaf in required(query.where) if isinstance(leaf, Says)]
    phrases = [phrase_of(query.text) or [], *(list(leaf.phrase) for leaf in leaves)]
    given = [one for one in phrases if one]
    return decision(query), (lambda body: all(may_say(body, one) for one in given))
