"""Windows of correlations as they stood at the end of a tick, so that the next one goes on without reading them again.

A flood that lasts for a day costs a tick what is new of it, not the day. Nothing rests on this memory: it is of one
process, bounded in bytes, counts only for the tick that follows the one that it was made in, and only where everything
new is later than all that it holds. Without it the window is read from the store.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final

from secmon.sigma.rule import CorrelationRule
from secmon.sigma.sliding import Sliding

FEWEST: Final = 1_000
"""Smaller windows are read sooner than they are kept."""
MAX_BYTES: Final = 64 << 20
"""Most memory of all windows that are kept (`Sliding.size`); those that were moved longest ago go first. An event takes
1.0 to 1.1 kB with an address and a short path, 2.0 kB with the largest list that a hit keeps (tracemalloc, both
stores); what is added up is within a fifth of that."""
_Key = tuple[str, str, str]


@dataclass(slots=True)
class Standing:
    """The windows that were moved last, by correlation and key; attempts of several threads do not mix."""

    _attempt: int = -1
    _place: str | None = None
    _windows: "OrderedDict[_Key, Sliding]" = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def begin(self, attempt: int, place: str) -> None:
        """Begin an attempt at the tick that follows a mark; what stands is not of the tick before it is forgotten."""
        with self._lock:
            if self._place != place:
                self._windows.clear()
                self._bytes = 0
            self._attempt, self._place = attempt, None  # until it has counted

    def end(self, attempt: int, place: str) -> None:
        """Tell that an attempt counted, and the mark behind it."""
        with self._lock:
            if self._attempt == attempt:
                self._place = place

    def holds(self, rule: CorrelationRule, key: str) -> bool:
        """Tell whether the window of a key stands."""
        return _key(rule, key) in self._windows

    def take(self, attempt: int, rule: CorrelationRule, key: str, first: datetime) -> Sliding | None:
        """Return the window of a key as it stood, if everything new is later than all in it; it is not kept any more.

        Args:
            attempt: who asks.
            rule: the correlation.
            key: `ids.key_id` of its group.
            first: time of the earliest hit that is new.
        """
        with self._lock:
            found = self._windows.pop(_key(rule, key), None)
            if found is None:
                return None
            self._bytes -= found.size
            return found if self._attempt == attempt and found.held[-1].entry.at < first else None

    def keep(self, attempt: int, rule: CorrelationRule, key: str, sliding: Sliding) -> None:
        """Keep the window of a key.

        Args:
            attempt: who moved it.
            rule: the correlation: one of which more hits never take a moment back, and no chain.
            key: `ids.key_id` of its group.
            sliding: its window, moved over every hit of the key that the attempt knows.
        """
        with self._lock:
            if self._attempt != attempt or len(sliding.held) < FEWEST:
                return
            self._windows[_key(rule, key)] = sliding
            self._bytes += sliding.size
            while self._bytes > MAX_BYTES:
                self._bytes -= self._windows.popitem(last=False)[1].size


def _key(rule: CorrelationRule, key: str) -> _Key:
    return rule.id, rule.digest, key
