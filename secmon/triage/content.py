"""What hits say about an alert: a pure function of the set of hits, whatever their order of arrival.

The content of an alert over single events is the sum of its hits: `merged` adds up the contents of two sets that have
no hit in common, in any order. So a tick reads new hits only, however many an alert has already, and an alert outlives
the partitions that its first hits lay in. Correlations are in `triage/correlated.py`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from secmon.model.alert import MAX_SAMPLES, MAX_UNIT_SAMPLES, AlertContent, Sample, UnitShare
from secmon.model.event import Value
from secmon.model.hit import Hit, Level
from secmon.model.ids import window_start
from secmon.triage.card import RuleCard

MAX_SIGNATURES = 200
MORE = "…"
COUNT = "secmon.count"


@dataclass(frozen=True, slots=True)
class Draft:
    """An alert as some hits have it, before it meets its stored head.

    Args:
        id: the alert's id.
        group: the group key's values.
        window_from: start of the grouping window.
        content: what the hits say.
    """

    id: str
    group: dict[str, Value]
    window_from: datetime
    content: AlertContent


def of_rule(card: RuleCard, hits: Iterable[Hit]) -> Draft:
    """Return the alert of hits that carry one alert id (at least one); reads them once and keeps none."""
    tally = Tally()
    first: Hit | None = None
    for hit in hits:
        first = first or hit
        tally.add(hit)
    if first is None:
        raise ValueError("an alert without hits")
    window = window_start(first.at, card.group_window)
    return Draft(first.alert_id or "", dict(first.group), window, tally.content())


@dataclass(slots=True)
class _Share:
    """A `UnitShare` in the making."""

    count: int = 0
    first: Sample | None = None
    last: datetime | None = None
    earliest: list[Sample] = field(default_factory=list)
    captured: Mapping[str, Any] = field(default_factory=dict)
    assets: set[str] = field(default_factory=set)

    def add(self, hit: Hit) -> None:
        sample = Sample(hit.at, hit.event_id)
        self.count += 1
        if self.first is None or sample < self.first:
            self.first, self.captured = sample, hit.captured
        if self.last is None or hit.at > self.last:
            self.last = hit.at
        self.earliest.append(sample)
        if len(self.earliest) >= 10 * MAX_SAMPLES:
            self.earliest = sorted(self.earliest)[:MAX_SAMPLES]
        if hit.asset_id:
            self.assets.add(hit.asset_id)


class Tally:
    """Sums up hits in any order, in bounded memory."""

    def __init__(self) -> None:
        self._shares: dict[str, _Share] = {}
        self._signatures: set[str] = set()
        self._level = Level.INFORMATIONAL

    def add(self, hit: Hit) -> None:
        """Take a hit."""
        self._shares.setdefault(hit.unit_id or "", _Share()).add(hit)
        if hit.level is not self._level and hit.level.rank > self._level.rank:
            self._level = hit.level
        if hit.signature:
            self._signatures.add(hit.signature)
            if len(self._signatures) > 10 * MAX_SIGNATURES:
                # The smallest ones are kept; one more than fit tells that there were more.
                self._signatures = set(sorted(self._signatures)[: MAX_SIGNATURES + 1])

    def content(self) -> AlertContent:
        """Return what the hits say; at least one was taken."""
        shares: dict[str, UnitShare] = {}
        every: list[Sample] = []
        first: tuple[Sample, Mapping[str, Any]] | None = None
        last: datetime | None = None
        for unit, share in sorted(self._shares.items()):
            if share.first is None or share.last is None:
                continue
            ordered = sorted(share.earliest)[:MAX_SAMPLES]
            every += ordered
            if first is None or share.first < first[0]:
                first = share.first, share.captured
            last = share.last if last is None else max(last, share.last)
            shares[unit] = UnitShare(
                count=share.count,
                first=share.first.at,
                last=share.last,
                earliest=tuple(ordered[:MAX_UNIT_SAMPLES]),
                captured=dict(share.captured),
                asset_ids=tuple(sorted(share.assets)),
            )
        if first is None or last is None:
            raise ValueError("an alert without hits")
        return AlertContent(
            count=sum(share.count for share in shares.values()),
            first=first[0].at,
            last=last,
            level=self._level,
            earliest=tuple(sorted(every)[:MAX_SAMPLES]),
            signatures=_signatures(self._signatures),
            captured=dict(first[1]),
            shares=shares,
        )


def merged(one: AlertContent, other: AlertContent) -> AlertContent:
    """Return the content of two sets of hits that have none in common."""
    early = one if one.earliest[:1] <= other.earliest[:1] else other
    units = sorted({*one.shares, *other.shares})
    return AlertContent(
        count=one.count + other.count,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        level=max(one.level, other.level, key=lambda level: level.rank),
        earliest=tuple(sorted((*one.earliest, *other.earliest))[:MAX_SAMPLES]),
        signatures=_signatures({*one.signatures, *other.signatures}),
        captured=early.captured,
        shares={unit: _merged_share(one.shares.get(unit), other.shares.get(unit)) for unit in units},
        cut=one.cut or other.cut,
    )


def emptied(content: AlertContent) -> AlertContent:
    """Return what is left of a content of which nothing holds any more: where and when it was, and no event."""
    shares = {unit: replace(share, count=0, earliest=(), captured={}) for unit, share in content.shares.items()}
    return replace(content, count=0, earliest=(), signatures=(), shares=shares, cut=False)


def _merged_share(one: UnitShare | None, other: UnitShare | None) -> UnitShare:
    if one is None or other is None:
        share = one or other
        if share is None:
            raise ValueError("no share")
        return share
    early = one if one.earliest[:1] <= other.earliest[:1] else other
    return UnitShare(
        count=one.count + other.count,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        earliest=tuple(sorted((*one.earliest, *other.earliest))[:MAX_UNIT_SAMPLES]),
        captured=early.captured,
        asset_ids=tuple(sorted({*one.asset_ids, *other.asset_ids})),
    )


def share_of(content: AlertContent, units: frozenset[str]) -> AlertContent:
    """Return what viewers of these units may see of an alert (at least one of them has a share in it).

    The whole content if it is all theirs; else their events, times, systems and values, and no one else's.
    """
    if units.issuperset(content.shares):
        return content
    shares = {unit: share for unit, share in content.shares.items() if unit in units}
    first = min(shares.values(), key=lambda share: share.earliest[:1])
    measured = {name: value for name, value in content.captured.items() if name == COUNT}
    return replace(
        content,
        count=sum(share.count for share in shares.values()),
        first=first.first,
        last=max(share.last for share in shares.values()),
        earliest=tuple(sorted(sample for share in shares.values() for sample in share.earliest)[:MAX_SAMPLES]),
        signatures=(),
        captured={**first.captured, **measured},
        shares=shares,
    )


def _signatures(values: Collection[str]) -> tuple[str, ...]:
    found = sorted(set(values) - {"", MORE})
    more = len(found) > MAX_SIGNATURES or MORE in values
    return (*found[:MAX_SIGNATURES], MORE) if more else tuple(found)
