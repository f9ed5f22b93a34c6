"""Calendar: what class a moment has, and how days are cut into windows."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.calendar import Calendar, DayClass, Hours, Period, Span
from secmon.model.calendar_file import read_calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
CALENDAR = Calendar(
    zone=SHANGHAI,
    terms=(Period(date(2026, 9, 1), date(2027, 1, 22)), Period(date(2027, 2, 22), date(2027, 7, 9))),
    holidays=(Period(date(2026, 10, 1), date(2026, 10, 7), "国庆节"),),
    workdays=frozenset({date(2026, 9, 27)}),
    exams=(Period(date(2027, 6, 7), date(2027, 6, 9), "高考"),),
    key_periods=(Period(date(2026, 9, 25), date(2026, 10, 8), "国庆"),),
)
LENGTHS = st.sampled_from([10, 15, 30, 60, 120, 360, 720, 1440]).map(lambda minutes: timedelta(minutes=minutes))
ZONES = st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  the zone follows


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 9, 7), DayClass.SCHOOL),
        (date(2026, 9, 12), DayClass.WEEKEND),
        (date(2026, 9, 27), DayClass.SCHOOL),  # a Sunday that is made up for
        (date(2026, 10, 2), DayClass.HOLIDAY),
        (date(2026, 10, 3), DayClass.HOLIDAY),  # a Saturday within the holiday
        (date(2027, 2, 1), DayClass.VACATION),
        (date(2027, 6, 7), DayClass.EXAM),
    ],
)
def test_a_day_has_the_class_that_the_calendar_gives_it(day: date, expected: DayClass) -> None:
    assert CALENDAR.day_class(day) is expected


def test_without_terms_every_weekday_is_a_school_day() -> None:
    assert Calendar().day_class(date(2026, 7, 20)) is DayClass.SCHOOL


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("07:29", Hours.OFF),
        ("07:30", Hours.SCHOOL),
        ("18:00", Hours.OFF),
        ("23:00", Hours.NIGHT),
        ("05:59", Hours.NIGHT),
    ],
)
def test_hours_are_those_of_the_local_clock(clock: str, expected: Hours) -> None:
    at = datetime.combine(date(2026, 9, 7), time.fromisoformat(clock), SHANGHAI)
    assert CALENDAR.slot(at.astimezone(UTC)).hours is expected


def test_the_day_begins_at_local_midnight() -> None:
    # Friday 17:00 UTC is Saturday 01:00 in Shanghai.
    slot = CALENDAR.slot(datetime(2026, 9, 11, 17, 0, tzinfo=UTC))
    assert (slot.day, slot.hours, slot.key_period) == (DayClass.WEEKEND, Hours.NIGHT, "")


def test_a_key_period_is_named_beside_the_class() -> None:
    assert CALENDAR.slot(datetime(2026, 9, 28, 2, 0, tzinfo=UTC)).key_period == "国庆"


@given(at=MOMENTS, length=LENGTHS, zone=ZONES)
def test_a_moment_lies_in_exactly_one_window_of_its_day(at: datetime, length: timedelta, zone: ZoneInfo) -> None:
    calendar = Calendar(zone=zone)
    windows = calendar.windows_of_day(at.astimezone(zone).date(), length)
    holding = [window for window in windows if window.start <= at < window.end]
    assert holding == [calendar.window_of(at, length)]


@given(at=MOMENTS, length=LENGTHS, zone=ZONES)
def test_the_windows_of_a_day_fill_it_without_gap_or_overlap(at: datetime, length: timedelta, zone: ZoneInfo) -> None:
    calendar, day = Calendar(zone=zone), at.date()
    windows = calendar.windows_of_day(day, length)
    assert (windows[0].start, windows[-1].end) == (calendar.midnight(day), calendar.midnight(day + timedelta(1)))
    assert all(one.end == other.start for one, other in pairwise(windows))
    assert all(timedelta() < window.end - window.start <= length for window in windows)


@given(at=MOMENTS, length=LENGTHS, zone=ZONES, hours=st.lists(st.integers(0, 200), min_size=1, max_size=5))
def test_windows_taken_in_steps_are_those_taken_at_once(
    at: datetime, length: timedelta, zone: ZoneInfo, hours: list[int]
) -> None:
    calendar = Calendar(zone=zone)
    edges = [at, *(at + timedelta(hours=n) for n in sorted(hours))]
    steps: list[Span] = []
    for since, until in pairwise(edges):
        steps += calendar.windows(since, until, length)
    assert steps == list(calendar.windows(edges[0], edges[-1], length))


@given(at=MOMENTS, length=LENGTHS, days=st.integers(-60, 60))
def test_the_same_time_of_another_day_comes_back(at: datetime, length: timedelta, days: int) -> None:
    window = CALENDAR.window_of(at, length)
    day = CALENDAR.day_of(at)
    other = CALENDAR.same_time(window, length, day + timedelta(days))
    assert other is not None
    assert other.start - window.start == timedelta(days=days)  # this zone has no summer time
    assert CALENDAR.same_time(other, length, day) == window


def test_a_day_that_a_change_of_clocks_shortens_has_no_last_hour() -> None:
    calendar = Calendar(zone=ZoneInfo("Europe/Berlin"))
    last = calendar.windows_of_day(date(2026, 3, 28), timedelta(hours=1))[-1]
    assert calendar.same_time(last, timedelta(hours=1), date(2026, 3, 29)) is None
    assert len(calendar.windows_of_day(date(2026, 3, 29), timedelta(hours=1))) == 23


def test_a_file_is_read_and_each_mistake_has_its_place() -> None:
    data = {
        "terms": [{"name": "第一学期", "from": "2026-09-01", "to": "2027-01-22"}, {"from": "2027-02-30"}],
        "holidays": [{"from": "2026-10-07", "to": "2026-10-01"}, "2026-01-01"],
        "workdays": ["2026-09-27", "soon"],
        "hours": {"school": "08:00-17:30", "night": "22-5"},
        "exam": [],
    }
    calendar, errors = read_calendar(data, lambda *path: "/".join(map(str, path)), SHANGHAI)
    assert calendar.terms == (Period(date(2026, 9, 1), date(2027, 1, 22), "第一学期"),)
    assert (calendar.workdays, calendar.school_hours) == (frozenset({date(2026, 9, 27)}), (time(8), time(17, 30)))
    assert sorted(error.where for error in errors) == [
        "exam", "holidays/0", "holidays/1", "hours/night", "terms/1", "terms/1", "workdays/1",
    ]  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["terms", "holidays", "workdays", "exams", "key_periods", "hours", "other"])


@given(data=JSON | st.dictionaries(KEYS, JSON))
def test_no_file_breaks_the_reader(data: object) -> None:
    calendar, _ = read_calendar(data, lambda *_: "x", UTC)
    assert calendar.slot(datetime(2026, 9, 7, tzinfo=UTC)).day in DayClass


def test_calendars_that_judge_alike_have_one_digest() -> None:
    again = Calendar(
        **{name: getattr(CALENDAR, name) for name in ("zone", "terms", "holidays", "workdays", "exams", "key_periods")}
    )
    CALENDAR.day_class(date(2026, 9, 7))
    assert again.digest == CALENDAR.digest != Calendar(zone=SHANGHAI).digest
