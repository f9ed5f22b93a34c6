"""Sums of a back-test: how many alerts there would have been."""

from collections import Counter
from datetime import datetime
from typing import Final

EVERY: Final = "\0"  # no unit and no day is called like this


class AlertCount:
    """Counts different alerts; those of a window are forgotten when a later one of their rule begins."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[datetime, set[tuple[str, str]]]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, rule_id: str, start: datetime, identity: str, group: str) -> None:
        """Count a hit's alert; windows of a rule come in order."""
        known = self._open.get(rule_id)
        if known is None or known[0] != start:
            known = self._open[rule_id] = (start, set())
        for key in (EVERY, group):
            if (key, identity) not in known[1]:
                known[1].add((key, identity))
                self._counts[key] += 1

    def counts(self) -> Counter[str]:
        """Return how many there were, of each group and of all."""
        return self._counts
