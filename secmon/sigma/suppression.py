"""What keeps hits from raising alerts: exceptions, disabled rules, maintenance windows.

None of them takes a hit away. The rule matches as before, the hit is stored and says what suppresses it
(`Hit.suppressed_by`); it raises no alert and counts for no correlation. Whether something covers a hit is a pure
function of the hit's event and the unit tree: times are compared with the event's `@timestamp`, never with a clock, so
that a late event, a repeated import and a back-test end alike. Because of that nothing covers more than 366 days: a
host whose clock stands years back is not inside an exception that ran out long ago.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal

from secmon.model.calendar import Span
from secmon.model.zone import zone_of
from secmon.sigma.tree import Node

SuppressionKind = Literal["exception", "disabled", "maintenance"]
MAX_SPAN = timedelta(days=366)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
ANY_RULE: tuple[str, ...] = ()
ANY_UNIT: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weekly:
    """Hours of some days of every week, by the clock of a zone.

    Args:
        days: days on which the hours begin: 0 is Monday.
        opens: minute of the day at which they begin.
        closes: minute of the day at which they end, exclusive; of the next day if it is not later than `opens`.
        zone: name of the zone.
    """

    days: tuple[int, ...]
    opens: int
    closes: int
    zone: str

    def covers(self, local: datetime) -> bool:
        """Tell whether a time of that zone lies within."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.opens < self.closes:
            return day in self.days and self.opens <= minute < self.closes
        return (day in self.days and minute >= self.opens) or ((day - 1) % 7 in self.days and minute < self.closes)

    def meets(self, since: datetime, until: datetime) -> bool:
        """Tell whether some of its hours lie between two times of that zone, both included."""
        if until - since >= _WEEK:
            return True
        return next(self.times(since, until), None) is not None

    def times(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Yield its hours that lie, wholly or in part, between two times of that zone, both included."""
        first = datetime.combine(since.date(), time(), tzinfo=since.tzinfo) - _DAY
        for number in range((until.date() - first.date()).days + 1):
            day = first + number * _DAY
            opens = day + timedelta(minutes=self.opens)
            closes = day + timedelta(minutes=self.closes) + (timedelta() if self.opens < self.closes else _DAY)
            if day.weekday() in self.days and opens <= until and closes > since:
                yield Span(opens, closes)


@dataclass(frozen=True, slots=True)
class Part:
    """What a suppression says about some rules.

    Args:
        rule_ids: these rules; `ANY_RULE` for every one.
        admits: the filter's condition as it stands for their log source: an event that does not meet it is suppressed;
            None suppresses every event.
    """

    rule_ids: tuple[str, ...]
    admits: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An exception, a disabled rule, or a maintenance window.

    Args:
        id: stands in `Hit.suppressed_by`.
        digest: 32 hex over all it says.
        units: its hits are those of these units and of all below them; `ANY_UNIT` for hits of any unit and of none.
        assets: only hits on these assets; empty for any.
        owner: who answers for it.
        approver: who agreed to it; never the owner.
        reason: why.
        since: the earliest `@timestamp` it covers.
        until: the first `@timestamp` it does not cover any more.
        weekly: within that time these hours only.
        parts: the rules and conditions; the first part that is for a rule decides.
    """

    id: str
    kind: SuppressionKind
    name: str
    path: str
    line: int
    digest: str
    units: tuple[str, ...] = ANY_UNIT
    assets: tuple[str, ...] = ()
    owner: str
    approver: str
    reason: str
    since: datetime
    until: datetime
    weekly: Weekly | None = None
    parts: tuple[Part, ...] = ()

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """The rules it is for, sorted; empty for every one."""
        return tuple(sorted({identity for part in self.parts for identity in part.rule_ids}))

    def times(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Yield the times between two moments in which it is in force, in UTC and cut to these."""
        zone = zone_of(self.weekly.zone) if self.weekly is not None else None
        if since >= until:
            return
        if self.weekly is None or zone is None:
            yield Span(since, until)
            return
        for hours in self.weekly.times(since.astimezone(zone), until.astimezone(zone)):
            start, end = max(hours.start.astimezone(UTC), since), min(hours.end.astimezone(UTC), until)
            if start < end:
                yield Span(start, end)

    def lasts(self, at: datetime) -> bool:
        """Tell whether it is in force at a moment; of a weekly window: whether it recurs then."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """An override that is in force; fields as in `Suppression`.

    Args:
        rule_ids: the rules that it changes, sorted.
        changes: what it changes, key and value as they are written.
    """

    id: str
    name: str
    path: str
    line: int
    owner: str
    approver: str
    reason: str
    rule_ids: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
