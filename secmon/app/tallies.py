"""What baselines count, window by window: kept as documents, counted from the stored hits.

Nothing is added up: a window that new hits touch is counted again, and the larger number stays, because hits only
vanish by retention. So whatever is done twice, in another order, or by a daemon that was frozen, ends with the same
numbers.

Of each group there is a head (since when it is known) and twelve documents with counts, one a month, used in turn.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.calendar import Span
from secmon.model.event import Value, format_time, parse_time
from secmon.model.hit import Hit
from secmon.model.ids import day_of_id, key_id
from secmon.model.questions import HitQuery
from secmon.model.record import Body, Document, RecordQuery
from secmon.sigma.deviation import measure
from secmon.sigma.rule import CorrelationRule

GROUP, COUNTS = "baseline_group", "baseline_counts"
MAX_GROUPS = 2000
KEPT_BEHIND, KEPT_AHEAD = timedelta(days=200), timedelta(days=3)
"""How old an event may be on the day of its receipt, and how far ahead of its beginning, to be counted: with look-backs
of 180 days, less than a year in all. The day stands in the event's id: whenever and wherever it is asked, the answer is
the same."""
_LATEST = datetime.max.replace(tzinfo=UTC)
_MONTHS = 12
_PAGE = 200
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Group:
    """A group that a rule has met.

    Args:
        key: `ids.key_id` of the rule and the group.
        values: its values.
        since: start of its first window.
        shares: units of its hits → their assets, sorted.
        sources: the configured sources that its hits came from, each with the time of its earliest one.
    """

    key: str
    values: dict[str, Value]
    since: datetime
    shares: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recounted:
    """What new hits changed.

    Args:
        group: the group as it is now; None: there are too many groups.
        before: since when it was known before; None if it is new.
        windows: the windows whose count is another one now.
        joined: since when a source feeds it of which that was not known, or only from a later time on.
    """

    group: Group | None
    before: datetime | None = None
    windows: tuple[Span, ...] = ()
    joined: datetime | None = None


@dataclass(slots=True)
class Tallies:
    """The counts of one rule.

    Args:
        house: the installation.
        access: who works.
        rule: the rule.
    """

    house: Installation
    access: Access
    rule: CorrelationRule

    @property
    def name(self) -> str:
        """What its documents are found by; another width of windows is another tally."""
        return f"{self.rule.id}:{int(self.rule.timespan.total_seconds())}"

    def groups(self) -> Iterator[Group]:
        """Yield all groups."""
        query = RecordQuery(kind=GROUP, equals={"rule": (self.name,)}, limit=_PAGE)
        for document in every(self.house.records, self.access, query):
            yield _group(document.body)

    def number(self) -> int:
        """Return how many groups there are."""
        query = RecordQuery(kind=GROUP, equals={"rule": (self.name,)})
        return self.house.records.count(self.access, query).get("", 0)

    def counts(self, key: str, since: datetime, until: datetime) -> dict[datetime, int]:
        """Return the counts of a group's windows that start within a time, by start."""
        found: dict[datetime, int] = {}
        for month in _months(since, until):
            document = self.house.records.get(self.access, COUNTS, self._id(key, month))
            if document is not None and document.body["month"] == month:
                for seconds, count in document.body["counts"].items():
                    start = datetime.fromtimestamp(int(seconds), UTC)
                    if since <= start < until:
                        found[start] = count
        return found

    def recount(
        self, values: dict[str, Value], fresh: Sequence[Hit], upto: str, sources: Mapping[str, datetime]
    ) -> Recounted:
        """Count every window again that new hits of a group touch.

        Args:
            values: the group.
            fresh: the hits.
            upto: only hits of batches before this mark.
            sources: where the hits came from, each source with the time of its earliest hit.

        Raises:
            ConflictError: others change the same documents again and again; ask again.
        """
        calendar, timespan, key = self.house.calendar, self.rule.timespan, key_id(self.rule.id, values)
        windows = sorted({calendar.window_of(hit.at, timespan) for hit in fresh}, key=lambda one: one.start)
        group, old = self._met(Group(key, values, windows[0].start, {}), fresh, sources)
        if group is None:
            return Recounted(None)
        numbers = {window.start: measure(self.rule, self.hits(key, [window], upto)) for window in windows}
        changed: set[datetime] = set()
        for month in sorted({_month(start) for start in numbers}):
            ours = {start: number for start, number in numbers.items() if _month(start) == month}
            changed |= self._keep(key, month, ours)
        if old is None:
            return Recounted(group, None, tuple(window for window in windows if window.start in changed))
        earlier = [at for source, at in group.sources.items() if at < old.sources.get(source, _LATEST)]
        touched = tuple(window for window in windows if window.start in changed)
        return Recounted(group, old.since, touched, min(earlier, default=None))

    def hits(self, key: str, windows: Iterable[Span], upto: str) -> Iterator[Hit]:
        """Yield the hits that count in some windows of a group."""
        is_of_absence = self.rule.baseline is not None and self.rule.baseline.is_of_absence
        suppressed = None if is_of_absence else False
        for window in windows:
            query = HitQuery(keys=(key,), since=window.start, until=window.end, upto=upto, suppressed=suppressed)
            yield from filter(is_counted, self.house.log.hits(self.access, query))

    def _met(
        self, first: Group, fresh: Sequence[Hit], sources: Mapping[str, datetime]
    ) -> tuple[Group | None, Group | None]:
        """Keep the head of a group up to date; return it, and as it was before."""
        key = first.key
        for _ in range(_ATTEMPTS):
            document = self.house.records.get(self.access, GROUP, f"{self.name}:{key}")
            old = _group(document.body) if document else None
            new = _grown(old or first, first.since, fresh, sources)
            try:
                if document is None:
                    if self.number() >= MAX_GROUPS:
                        return None, None
                    keys = {"rule": self.name}
                    made = Document(kind=GROUP, id=f"{self.name}:{key}", body=_body(new), keys=keys)
                    self.house.records.create(self.access, made)
                elif new != old:
                    self.house.records.replace(self.access, replace(document, body=_body(new)))
            except ConflictError:
                continue
            return new, old
        raise ConflictError("others change the baselines at the same moment", hint="the next tick tries again")

    def _keep(self, key: str, month: str, numbers: Mapping[datetime, int]) -> set[datetime]:
        """Write the counts of one month; return the windows that have another count now."""
        for _ in range(_ATTEMPTS):
            document = self.house.records.get(self.access, COUNTS, self._id(key, month))
            held = document.body["month"] if document else ""
            if held > month:
                return set()  # a year later has taken its place
            counts: dict[str, int] = dict(document.body["counts"]) if document and held == month else {}
            changed = {at for at, number in numbers.items() if number > counts.get(_seconds(at), 0)}
            if not changed:
                return changed
            body = {"month": month, "counts": counts | {_seconds(at): numbers[at] for at in changed}}
            try:
                if document is None:
                    made = Document(kind=COUNTS, id=self._id(key, month), body=body, keys={"rule": self.name})
                    self.house.records.create(self.access, made)
                else:
                    self.house.records.replace(self.access, replace(document, body=body))
            except ConflictError:
                continue
            return changed
        raise ConflictError("others change the baselines at the same moment", hint="the next tick tries again")

    def _id(self, key: str, month: str) -> str:
        return f"{self.name}:{key}:{int(month[5:]) % _MONTHS}"


def is_counted(hit: Hit) -> bool:
    """Tell whether a hit's time is one that baselines look at, seen from the day on which its event was received."""
    received = datetime.combine(day_of_id(hit.event_id), time(), UTC)
    return received - KEPT_BEHIND <= hit.at <= received + KEPT_AHEAD


def _grown(group: Group, first: datetime, fresh: Sequence[Hit], sources: Mapping[str, datetime]) -> Group:
    shares: dict[str, set[str]] = {unit: set(assets) for unit, assets in group.shares.items()}
    for hit in fresh:
        shares.setdefault(hit.unit_id or "", set()).update({hit.asset_id} if hit.asset_id else ())
    ordered = {unit: tuple(sorted(assets)) for unit, assets in sorted(shares.items())}
    met = dict(group.sources)
    for source, at in sources.items():
        met[source] = min(met.get(source, at), at)
    return replace(group, since=min(group.since, first), shares=ordered, sources=met)


def _group(body: Body) -> Group:
    shares = {unit: tuple(assets) for unit, assets in body["shares"].items()}
    sources = {source: parse_time(at) for source, at in body.get("sources", {}).items()}
    return Group(body["key"], body["values"], parse_time(body["since"]), shares, sources)


def _body(group: Group) -> dict[str, Any]:
    shares = {unit: list(assets) for unit, assets in group.shares.items()}
    return {
        "key": group.key,
        "values": group.values,
        "since": format_time(group.since),
        "shares": shares,
        "sources": {source: format_time(at) for source, at in sorted(group.sources.items())},
    }


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))


def _month(at: datetime) -> str:
    return at.strftime("%Y-%m")


def _months(since: datetime, until: datetime) -> Iterator[str]:
    month = since.replace(day=1)
    while month < until:
        yield _month(month)
        month = (month + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
