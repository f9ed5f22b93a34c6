"""A survey in the making, the same for every store: events that were read, and sums that an index gave."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from secmon.model.event import Event, parse_time, to_micros, value_texts
from secmon.model.search import MAX_DISTINCT, MAX_VALUE, Survey, Top


@dataclass(slots=True)
class Surveyor:
    """Sums up.

    Args:
        fields: whose values are counted.
        interval: length of an interval in µs; 0 for no histogram.
        offset: µs east of UTC of the clock that intervals are counted by.
    """

    fields: Sequence[str]
    interval: int
    offset: int
    count: int = 0
    buckets: Counter[int] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(init=False)
    absent: Counter[str] = field(default_factory=Counter)
    inexact: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.values = {name: Counter() for name in self.fields}

    def add_event(self, event: Event) -> None:
        """Add an event that was read."""
        self.count += 1
        if self.interval:
            time = to_micros(parse_time(str(event["@timestamp"])))
            self.buckets[time - (time + self.offset) % self.interval] += 1
        for name in self.fields:
            if name in event:
                for text in value_texts(event[name]):
                    self.add_value(name, text, 1)
            else:
                self.absent[name] += 1

    def add_value(self, name: str, text: str, events: int) -> None:
        """Add events that have a value; a value too many is left out, and the field is not exact any more."""
        found, shown = self.values[name], text[:MAX_VALUE]
        if shown in found or len(found) < MAX_DISTINCT:
            found[shown] += events
        else:
            self.inexact.add(name)

    def add_values(self, name: str, counts: Mapping[str | None, int]) -> None:
        """Add what an index says about a field; None stands for events without it."""
        for text, events in counts.items():
            if text is None:
                self.absent[name] += events
            else:
                self.add_value(name, text, events)

    def survey(self, size: int, *, complete: bool) -> Survey:
        """Return the survey with the `size` most frequent values of each field."""
        return Survey(
            count=self.count,
            buckets=dict(sorted(self.buckets.items())),
            top={name: self._top(name, size) for name in self.fields},
            complete=complete,
        )

    def _top(self, name: str, size: int) -> Top:
        ranked = sorted(self.values[name].items(), key=lambda pair: (-pair[1], pair[0]))
        return Top(values=tuple(ranked[:size]), absent=self.absent[name], exact=name not in self.inexact)
