"""The school calendar (校历): which class of day and of hours a moment belongs to.

Counts of a Tuesday in term say nothing about one in the summer vacation. Baselines compare windows of one class only.
Pure functions of a calendar; the file it is read from: `calendar_file`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise

DAY = timedelta(days=1)


class DayClass(StrEnum):
    """What kind of day it is; a day is of the first kind that fits, in this order."""

    EXAM = "exam_day"
    """考试日: 高考, 学考 …, named by the file."""
    SCHOOL = "school_day"
    """上学日: a weekday in term, or a day made up for (调休)."""
    HOLIDAY = "holiday"
    """节假日, named by the file."""
    WEEKEND = "weekend"
    """双休日 in term."""
    VACATION = "vacation"
    """寒暑假: any day outside of all terms."""


class Hours(StrEnum):
    """What part of a day it is."""

    SCHOOL = "school_hours"
    OFF = "off_hours"
    NIGHT = "night"


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Days from the first to the last, both included."""

    first: date
    last: date
    name: str = ""

    def holds(self, day: date) -> bool:
        """Tell whether a day lies within."""
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Slot:
    """The class of a moment.

    Args:
        day: what kind of day.
        hours: what part of it.
        key_period: name of the 重要时期 it lies in, or "".
    """

    day: DayClass
    hours: Hours
    key_period: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A window of time, half-open."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """A school calendar.

    Args:
        zone: whose midnight begins a day.
        terms: 学期; without any, every day is in term.
        holidays: 节假日.
        workdays: days of school that fall on a weekend or holiday (调休).
        exams: days of examinations.
        key_periods: 重要时期.
        school_hours: from and to on the clock, the end exclusive.
        night: the same; it may go over midnight.
    """

    zone: tzinfo = UTC
    terms: tuple[Period, ...] = ()
    holidays: tuple[Period, ...] = ()
    workdays: frozenset[date] = frozenset()
    exams: tuple[Period, ...] = ()
    key_periods: tuple[Period, ...] = ()
    school_hours: tuple[time, time] = (time(7, 30), time(18))
    night: tuple[time, time] = (time(23), time(6))
    _days: dict[date, DayClass] = field(default_factory=dict, init=False, compare=False, repr=False)
    _midnights: dict[date, datetime] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """16 hex over what it says: two calendars of one digest judge alike."""
        said = (self.terms, self.holidays, sorted(self.workdays), self.exams, self.key_periods)
        text = repr((str(self.zone), *said, self.school_hours, self.night))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def day_class(self, day: date) -> DayClass:
        """Return what kind of day a date is."""
        found = self._days.get(day)
        if found is None:
            if len(self._days) > _MAX_DAYS:
                self._days.clear()
            found = self._days[day] = self._classified(day)
        return found

    def _classified(self, day: date) -> DayClass:
        if _within(self.exams, day):
            return DayClass.EXAM
        if day in self.workdays:
            return DayClass.SCHOOL
        if _within(self.holidays, day):
            return DayClass.HOLIDAY
        if self.terms and not _within(self.terms, day):
            return DayClass.VACATION
        return DayClass.WEEKEND if day.weekday() >= _SATURDAY else DayClass.SCHOOL

    def slot(self, at: datetime) -> Slot:
        """Return the class of a moment."""
        local = at.astimezone(self.zone)
        day = local.date()
        period = _within(self.key_periods, day)
        return Slot(self.day_class(day), self._hours(local.time()), period.name if period else "")

    def _hours(self, clock: time) -> Hours:
        if _between(self.night, clock):
            return Hours.NIGHT
        return Hours.SCHOOL if _between(self.school_hours, clock) else Hours.OFF

    def midnight(self, day: date) -> datetime:
        """Return the moment at which a day begins, in UTC."""
        found = self._midnights.get(day)
        if found is None:
            if len(self._midnights) > _MAX_DAYS:
                self._midnights.clear()
            found = self._midnights[day] = datetime.combine(day, time(), self.zone).astimezone(UTC)
        return found

    def day_of(self, at: datetime) -> date:
        """Return the day that a moment lies in."""
        return at.astimezone(self.zone).date()

    def windows_of_day(self, day: date, length: timedelta) -> tuple[Span, ...]:
        """Return the windows of a day, counted from its midnight; a day that a change of clocks cut ends its last one.

        Args:
            day: the day.
            length: of a window; a day of 24 hours is a multiple of it.
        """
        start, end = self.midnight(day), self.midnight(day + DAY)
        edges = [start]
        while edges[-1] + length < end:
            edges.append(edges[-1] + length)
        return tuple(Span(one, other) for one, other in pairwise([*edges, end]))

    def window_of(self, at: datetime, length: timedelta) -> Span:
        """Return the window of its day that a moment lies in."""
        day = self.day_of(at)
        start = self.midnight(day)
        opens = start + ((at - start) // length) * length
        return Span(opens, min(opens + length, self.midnight(day + DAY)))

    def windows(self, since: datetime, until: datetime, length: timedelta) -> Iterator[Span]:
        """Yield the windows that end after `since` and not after `until`, in order."""
        day = self.day_of(since)
        while self.midnight(day) < until:
            for window in self.windows_of_day(day, length):
                if since < window.end <= until:
                    yield window
            day += DAY

    def same_time(self, window: Span, length: timedelta, day: date) -> Span | None:
        """Return the window of another day at the place that a window has in its own; None if that day is too short."""
        start = self.midnight(day) + (window.start - self.midnight(self.day_of(window.start)))
        end = self.midnight(day + DAY)
        return Span(start, min(start + length, end)) if start < end else None


_SATURDAY = 5
_MAX_DAYS = 5000


def _within(periods: tuple[Period, ...], day: date) -> Period | None:
    return next((period for period in periods if period.holds(day)), None)


def _between(hours: tuple[time, time], clock: time) -> bool:
    first, last = hours
    if first <= last:
        return first <= clock < last
    return clock >= first or clock < last


DAY_CLASSES: Mapping[str, DayClass] = {one.value: one for one in DayClass}
HOURS: Mapping[str, Hours] = {one.value: one for one in Hours}

DAY_CLASS_ZH = {
    DayClass.EXAM: "考试日",
    DayClass.SCHOOL: "上学日",
    DayClass.HOLIDAY: "节假日",
    DayClass.WEEKEND: "双休日",
    DayClass.VACATION: "寒暑假",
}
HOURS_ZH = {Hours.SCHOOL: "在校时段", Hours.OFF: "课余时段", Hours.NIGHT: "夜间"}
