"""Stored hits as correlations count them: also those that the inner correlations of a chain make.

Nothing of an inner correlation is stored. What it finds is calculated from the stored hits of single events, every
time it is asked for, over as much time as it looks back: so a late hit changes it as it should.

Nothing here holds all hits of a key, or all keys of a flood: hits come in order, a piece at a time, and keys that are
touched are handed on before there are too many.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, groupby
from operator import attrgetter

from secmon.model.access import Access
from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id
from secmon.model.questions import HitQuery
from secmon.ports import EventLog
from secmon.sigma.correlate import grouped, hit_of_chain
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.sliding import Sliding, counted, in_order, in_turn
from secmon.triage.correlated import Stretches, lookahead, lookback, touched_range

PIECE = 4_096
"""Hits of a chain that are worked at once, whole events at a time."""
MAX_GROUPS = 20_000
"""Keys of a correlation that are gathered before they are handed on; one that comes again later is evaluated again."""
AHEAD_KEYS = 256
"""Keys whose hits are read in one scan."""
AHEAD_HITS = 20_000
"""Most hits of such a scan; where there are more, each key is read for itself."""
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Touched:
    """A group of a correlation, and the first and last time at which something new counts towards it."""

    key: str
    group: dict[str, Value]
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class HitReader:
    """Reads hits for correlations.

    Args:
        log: the store.
        access: who reads.
        upto: only hits of batches before this mark; "" for all.
        on_cut: is told of an inner correlation, and the time at which its window held more than is counted.
    """

    log: EventLog
    access: Access
    upto: str = ""
    on_cut: Callable[[CorrelationRule, datetime], None] = field(default=lambda _rule, _at: None)

    def stored(self, key: str, since: datetime, until: datetime) -> Iterator[Hit]:
        """Yield the stored hits of one key in order, without those that something suppresses; `until` is exclusive."""
        query = HitQuery(keys=(key,), since=since, until=until, upto=self.upto, suppressed=False)
        return in_turn(self.log.hits(self.access, query))

    def hits(self, rule: CorrelationRule, stored: Iterable[Hit]) -> Iterator[Hit]:
        """Yield the hits that count towards one group of a correlation, in order, out of those stored under its key."""
        return self._with_derived(rule, stored) if rule.inner else iter(stored)

    def _with_derived(self, rule: CorrelationRule, stored: Iterable[Hit]) -> Iterator[Hit]:
        direct = frozenset(rule.rule_ids)
        for piece in _pieces(stored):
            found = [hit for hit in piece if hit.rule_id in direct]
            for inner in rule.inner:
                found += self._derived(inner, piece)
            yield from in_order(found)

    def _derived(self, inner: CorrelationRule, piece: Sequence[Hit]) -> Iterator[Hit]:
        """Yield the hits that an inner correlation makes of events among some stored hits."""
        below = inner.event_rule_ids
        completing = {hit.event_id for hit in piece}
        for group, hits in grouped(inner, (hit for hit in piece if hit.rule_id in below)):
            since, until = hits[0].at, lookahead(hits[-1].at, _INSTANT)
            stored = self.stored(key_id(inner.id, group), lookback(since, inner.timespan), until)
            sliding = Sliding(inner)
            for event in counted(inner, self.hits(inner, stored)):
                is_satisfied = sliding.move(event) is not None
                if event.entry.at < since:
                    continue
                if sliding.is_cut:
                    self.on_cut(inner, event.entry.at)
                if is_satisfied and event.entry.event_id in completing:
                    yield hit_of_chain(inner, event.hits)

    def touched(self, rule: CorrelationRule, fresh: Mapping[str, Sequence[Hit]]) -> Iterator[Touched]:
        """Yield the groups of a correlation that new hits may change, and over which time.

        Args:
            rule: the correlation.
            fresh: rule id → its new hits.
        """
        gathered = _Gathered(rule)
        for hit in chain.from_iterable(fresh.get(each, ()) for each in rule.rule_ids):
            gathered.add(hit)
        for inner in rule.inner:
            below = inner.event_rule_ids
            for one in self.touched(inner, fresh):
                # Whatever the inner one finds, or finds no more, it finds at events that are stored under its key.
                for hit in self.stored(one.key, one.first, lookahead(one.last, inner.timespan)):
                    if hit.rule_id in below:
                        gathered.add(hit)
                    if len(gathered.groups) > MAX_GROUPS:
                        yield from gathered.drained()
        yield from gathered.drained()

    def ahead(self, rule: CorrelationRule, some: Sequence[Touched]) -> dict[str, list[Hit]] | None:
        """Return key → its stored hits, of several keys, read in one scan; None where they are too many for that."""
        if len(some) <= 1 or rule.inner:
            return None
        ranges = [touched_range((one.first, one.last), rule.timespan, rule.group_window) for one in some]
        since, until = min(start for start, _ in ranges), max(end for _, end in ranges)
        found: dict[str, list[Hit]] = {one.key: [] for one in some}
        query = HitQuery(keys=tuple(found), since=since, until=until, upto=self.upto, suppressed=False)
        for number, hit in enumerate(self.log.hits(self.access, query)):
            if number == AHEAD_HITS:
                return None
            for key in found.keys() & hit.keys:
                found[key].append(hit)
        return {key: list(in_turn(hits)) for key, hits in found.items()}


def several(touched: Iterable[Touched], rule: CorrelationRule) -> Iterator[list[Touched]]:
    """Yield touched groups by the scan that reads them: different keys, at about the same time."""
    reach = rule.timespan + rule.group_window
    some: list[Touched] = []
    keys: set[str] = set()
    for one in touched:
        is_near = not some or abs(one.first - some[0].first) <= reach
        if len(some) == AHEAD_KEYS or one.key in keys or not is_near:
            yield some
            some, keys = [], set()
        some.append(one)
        keys.add(one.key)
    if some:
        yield some


class _Gathered:
    """Groups that are touched, and when."""

    def __init__(self, rule: CorrelationRule) -> None:
        self._rule = rule
        self._reach = rule.timespan + 2 * rule.group_window
        self.groups: dict[str, tuple[dict[str, Value], Stretches]] = {}

    def add(self, hit: Hit) -> None:
        """Take a hit; one without a group-by field is in no group."""
        names = self._rule.group_by
        if not all(name in hit.captured for name in names):
            return
        group = {name: hit.captured[name] for name in names}
        key = key_id(self._rule.id, group)
        if key not in self.groups:
            self.groups[key] = (group, Stretches(self._reach))
        self.groups[key][1].add(hit.at, hit.at)

    def drained(self) -> Iterator[Touched]:
        """Yield what was gathered, by time, and forget it."""
        gathered, self.groups = self.groups, {}
        every = [
            Touched(key, group, first, last)
            for key, (group, stretches) in gathered.items()
            for first, last in stretches
        ]
        every.sort(key=attrgetter("first", "key"))
        yield from every


def _pieces(hits: Iterable[Hit]) -> Iterator[list[Hit]]:
    """Yield hits a piece at a time; those of one event stay together."""
    piece: list[Hit] = []
    for _, same in groupby(hits, key=attrgetter("event_id")):
        piece += same
        if len(piece) >= PIECE:
            yield piece
            piece = []
    if piece:
        yield piece
