"""The calendar file: YAML to a `Calendar`; a wrong entry is named with its line and never stops the others.

terms:       [{name: 2026—2027学年第一学期, from: 2026-09-01, to: 2027-01-22}]
holidays:    [{name: 国庆节, from: 2026-10-01, to: 2026-10-07}]
workdays:    [2026-09-27]                  days of school on a weekend or holiday (调休)
exams:       [{name: 普通高考, from: 2027-06-07, to: 2027-06-09}]
key_periods: [{name: …, from: …, to: …}]   重要时期
hours:       {school: 07:30-18:00, night: 23:00-06:00}
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from typing import Any

from secmon.errors import ContentError
from secmon.model.calendar import Calendar, Period

MAX_ENTRIES = 2000
MAX_LENGTH = timedelta(days=400)
_LISTS = ("terms", "holidays", "exams", "key_periods")
_KEYS = (*_LISTS, "workdays", "hours")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)", re.ASCII)

# The keys and indexes that lead to an entry → "path:line".
Where = Callable[..., str]


def read_calendar(data: Any, where: Where, zone: tzinfo) -> tuple[Calendar, list[ContentError]]:
    """Read a calendar.

    Args:
        data: the content of the file as plain values; dates and times of day as text.
        where: tells the place of an entry.
        zone: whose midnight begins a day.

    Returns:
        What could be read, and what is wrong.
    """
    if not isinstance(data, Mapping):
        return Calendar(zone=zone), [ContentError("a calendar is a mapping of keys to values", where=where())]
    reader = _Reader(data, where)
    hours = reader.hours()
    plain = Calendar(zone=zone)
    calendar = Calendar(
        zone=zone,
        terms=tuple(sorted(reader.periods("terms"))),
        holidays=tuple(sorted(reader.periods("holidays"))),
        workdays=frozenset(reader.days("workdays")),
        exams=tuple(sorted(reader.periods("exams"))),
        key_periods=tuple(sorted(reader.periods("key_periods"))),
        school_hours=hours.get("school", plain.school_hours),
        night=hours.get("night", plain.night),
    )
    return calendar, reader.errors


class _Reader:
    """Reads the lists of a file, and collects what is wrong."""

    def __init__(self, data: Mapping[str, Any], where: Where) -> None:
        self._data, self._where = data, where
        self.errors: list[ContentError] = []
        for key in data:
            if key not in _KEYS:
                self.fail("unknown key {key} of the calendar", key, hint="known: " + ", ".join(_KEYS), key=key)

    def fail(self, problem: str, *path: str | int, hint: str = "", **values: object) -> None:
        self.errors.append(ContentError(problem, where=self._where(*path), hint=hint, values=values))

    def entries(self, key: str) -> Iterator[tuple[int, Any]]:
        """Yield the entries of a list, no more than are allowed."""
        entries = self._data.get(key, [])
        if not isinstance(entries, list):
            self.fail("{key} of the calendar is not a list", key, key=key)
        elif len(entries) > MAX_ENTRIES:
            self.fail("{key} of the calendar has too many entries", key, key=key)
        else:
            yield from enumerate(entries)

    def periods(self, key: str) -> Iterator[Period]:
        for index, entry in self.entries(key):
            if not isinstance(entry, Mapping) or set(entry) - {"name", "from", "to"}:
                self.fail("a period of the calendar has `name`, `from` and `to`", key, index)
                continue
            first = self.day(entry.get("from"), key, index)
            last = self.day(entry.get("to", entry.get("from")), key, index)
            if first is None or last is None:
                continue
            if not timedelta() <= last - first <= MAX_LENGTH:
                self.fail("the period of the calendar ends before it begins, or lasts over 400 days", key, index)
                continue
            yield Period(first, last, str(entry.get("name") or ""))

    def days(self, key: str) -> Iterator[date]:
        for index, entry in self.entries(key):
            day = self.day(entry, key, index)
            if day is not None:
                yield day

    def day(self, text: Any, *path: str | int) -> date | None:
        try:
            return date.fromisoformat(str(text))
        except ValueError:
            self.fail("this is no date of the calendar", *path, hint="such as 2026-09-01")
            return None

    def hours(self) -> dict[str, tuple[time, time]]:
        """Return the hours that the file names."""
        written = self._data.get("hours", {})
        if not isinstance(written, Mapping) or set(written) - {"school", "night"}:
            self.fail("`hours` of the calendar has `school` and `night`", "hours")
            return {}
        found: dict[str, tuple[time, time]] = {}
        for key in ("school", "night"):
            if key in written:
                read = _HOURS.fullmatch(str(written[key]))
                if read is None or (read[1], read[2]) == (read[3], read[4]):
                    self.fail("these are no hours of the calendar", "hours", key, hint="such as 07:30-18:00")
                else:
                    found[key] = (time(int(read[1]), int(read[2])), time(int(read[3]), int(read[4])))
        return found
