"""Stored hits as correlations count them: also those that the inner correlations of a chain make.

Nothing of an inner correlation is stored. What it finds is calculated from the stored hits of single events, every
time it is asked for, over as much time as it looks back: so a late hit changes it as it should.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from secmon.model.access import Access
from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id
from secmon.model.questions import HitQuery
from secmon.ports import EventLog
from secmon.sigma.correlate import derived, group_hits, grouped, moments
from secmon.sigma.rule import CorrelationRule
from secmon.triage.content import lookahead, lookback

# A group of a correlation, and the first and last time at which something new counts towards it.
Touched = tuple[dict[str, Value], datetime, datetime]


@dataclass(frozen=True, slots=True)
class HitReader:
    """Reads hits for correlations.

    Args:
        log: the store.
        access: who reads.
        upto: only hits of batches before this mark; "" for all.
    """

    log: EventLog
    access: Access
    upto: str = ""

    def hits(self, rule: CorrelationRule, group: Mapping[str, Value], since: datetime, until: datetime) -> list[Hit]:
        """Return the hits that count towards one group of a correlation, in no order; `until` is exclusive."""
        query = HitQuery(key=key_id(rule.id, dict(group)), since=since, until=until, upto=self.upto, suppressed=False)
        stored = list(self.log.hits(self.access, query))
        if not rule.inner:
            return stored
        direct = frozenset(rule.rule_ids)
        found = [hit for hit in stored if hit.rule_id in direct]
        for inner in rule.inner:
            found += self._derived(inner, stored, since, until)
        return found

    def _derived(self, inner: CorrelationRule, stored: list[Hit], since: datetime, until: datetime) -> Iterator[Hit]:
        """Yield the hits that an inner correlation makes of events among some stored hits."""
        below = inner.event_rule_ids
        completing = {hit.event_id for hit in stored}
        for group, _ in grouped(inner, (hit for hit in stored if hit.rule_id in below)):
            counted = self.hits(inner, group, lookback(since, inner.timespan), until)
            found = (each for each in moments(inner, counted) if each.at >= since and each.event_id in completing)
            yield from derived(inner, found, counted)

    def touched(self, rule: CorrelationRule, fresh: Iterable[Hit]) -> list[Touched]:
        """Return the groups of a correlation that new hits may change, and over which time."""
        fresh = list(fresh)
        spans: dict[str, Touched] = {}
        for group, hits in group_hits(rule, fresh):
            _widen(spans, rule, group, hits)
        for inner in rule.inner:
            for inner_group, first, last in self.touched(inner, fresh):
                until = lookahead(last, inner.timespan)
                for group, hits in grouped(rule, self.hits(inner, inner_group, first, until)):
                    _widen(spans, rule, group, hits)
        return list(spans.values())


def _widen(spans: dict[str, Touched], rule: CorrelationRule, group: dict[str, Value], hits: list[Hit]) -> None:
    first, last = min(hit.at for hit in hits), max(hit.at for hit in hits)
    key = key_id(rule.id, group)
    if key in spans:
        _, known_first, known_last = spans[key]
        first, last = min(first, known_first), max(last, known_last)
    spans[key] = (group, first, last)
