"""Profiles of sets of events: from columns where they can answer, else by reading each event."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from secmon.model.event import LIST_SEPARATOR, Event, parse_time, to_micros, value_texts
from secmon.model.questions import Profile
from secmon.store.values import calendar_day, to_moment

DAY_MICROS = 86_400_000_000


class TallyRow(NamedTuple):
    """Events of one value of the field and one calendar day; times in µs, between which they lie, with others maybe."""

    text: str | None
    day: int
    events: int
    first: int
    last: int


@dataclass(slots=True)
class Tally:
    """A profile in the making.

    Args:
        by: field whose values are counted apart; empty for none.
        offset: µs east of UTC of the calendar.
    """

    by: str
    offset: int
    count: int = 0
    values: Counter[str] = field(default_factory=Counter)
    days: set[int] = field(default_factory=set)
    first: int | None = None
    last: int | None = None

    def add(self, rows: Iterable[TallyRow]) -> None:
        """Add what the columns of one partition say."""
        for row in rows:
            self._add_events(row.events, row.first, row.last)
            self.days.add(row.day)
            for text in (row.text or "").split(LIST_SEPARATOR) if self.by else ():
                self.values[text] += row.events

    def add_event(self, event: Event) -> None:
        """Add one event that had to be read."""
        time = to_micros(parse_time(str(event["@timestamp"])))
        self._add_events(1, time, time)
        self.days.add((time + self.offset) // DAY_MICROS)
        if self.by:
            self.values.update(value_texts(event[self.by]) if self.by in event else ("",))

    def _add_events(self, events: int, first: int, last: int) -> None:
        self.count += events
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def profile(self, event_ids: Iterable[str]) -> Profile:
        """Return the finished profile."""
        return Profile(
            count=self.count,
            by=dict(self.values),
            days=frozenset(map(calendar_day, self.days)),
            first=to_moment(self.first),
            last=to_moment(self.last),
            event_ids=tuple(event_ids),
        )
