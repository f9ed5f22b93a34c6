"""How much a search may take, and what it says about many events at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn

from secmon.errors import SearchStoppedError


@dataclass(slots=True)
class Budget:
    """What one search may take. The asker makes it, the store counts in it and stops when it is used up.

    Args:
        clock: seconds that never go back (`ports.Clock.monotonic_s`).
        seconds: most time, from now on.
        abandoned: tells whether nobody waits for the answer any more.
        read: events that were opened so far, to be decided by reading.
        reached: `@timestamp` of the last event that was looked at, in the order of the query.
    """

    clock: Callable[[], float]
    seconds: float
    abandoned: Callable[[], bool] = lambda: False
    read: int = 0
    reached: datetime | None = None
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.clock() + self.seconds

    def left_s(self) -> float:
        """Return the seconds that are left, 0 if none are."""
        return max(0.0, self._end - self.clock())

    def is_over(self) -> bool:
        """Tell whether to stop."""
        return self.clock() >= self._end or self.abandoned()

    def check(self) -> None:
        """Go on, or stop.

        Raises:
            SearchStoppedError: the time is used up, or nobody waits.
        """
        if self.is_over():
            self.stop()

    def stop(self) -> NoReturn:
        """Stop.

        Raises:
            SearchStoppedError: always.
        """
        raise SearchStoppedError(
            "the search was stopped before its end", hint="ask for a shorter time range, or for fields that are indexed"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """The most frequent values of one field.

    Args:
        values: (text, events), most frequent first, then by text; texts are cut at `MAX_VALUE` characters.
        absent: events without the field.
        exact: False if the field has more different values than are counted; then some counts are too low.
    """

    values: tuple[tuple[str, int], ...] = ()
    absent: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a set of events looks like.

    Args:
        count: how many events.
        buckets: start of an interval in µs since 1970 → events in it; empty ones are left out.
        top: field → its most frequent values.
        complete: False if the search was stopped: then these are the events found so far.
    """

    count: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)
    top: Mapping[str, Top] = field(default_factory=dict)
    complete: bool = True


MAX_VALUE = 256
MAX_DISTINCT = 10_000
"""Different values of a field that are counted apart."""
