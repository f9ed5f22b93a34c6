"""Stamps to times: zones, missing years, days that do not exist."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import format_time, parse_time
from secmon.parse.times import CLOCK_SKEW, bsd_time, clf_time, java_date, rfc3339_time

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_clf_stamp_carries_its_own_zone() -> None:
    assert clf_time("07/Sep/2026:08:01:09 +0800") == "2026-09-07T00:01:09.000Z"


@pytest.mark.parametrize(
    "stamp",
    ["30/Feb/2026:08:01:09 +0800", "07/Sex/2026:08:01:09 +0800", "07/Sep/2026:24:01:09 +0800", "", "07/Sep/2026"],
)
def test_a_clf_stamp_that_does_not_exist_is_refused(stamp: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        clf_time(stamp)


@given(
    st.datetimes(
        min_value=datetime(1000, 1, 2),  # noqa: DTZ001
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_every_clf_stamp_is_read(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, fold=0)  # the hour that summer time repeats says not which it is
    assert clf_time(moment.strftime("%d/%b/%Y:%H:%M:%S %z")) == format_time(moment)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-09-07T08:01:09.424+08:00", "2026-09-07T00:01:09.424Z"),
        ("2026-09-07T00:01:09.123456Z", "2026-09-07T00:01:09.123456Z"),
        ("2026-09-07T00:01:09.123456789Z", "2026-09-07T00:01:09.123456Z"),
        ("2026-09-07 08:01:09,424", "2026-09-07T00:01:09.424Z"),
        ("2026-09-07T08:01:09", "2026-09-07T00:01:09.000Z"),
    ],
)
def test_rfc_3339_with_and_without_offset(stamp: str, expected: str) -> None:
    assert rfc3339_time(stamp, SHANGHAI) == expected


def test_a_time_before_the_first_year_is_refused() -> None:
    with pytest.raises(ValueError, match="no such time"):
        rfc3339_time("0001-01-01T00:00:00+08:00", SHANGHAI)


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "now", "expected"),
    [
        ("Dec 31 08:59:58", NEW_YEAR, "2025-12-31T00:59:58.000Z"),
        ("Jan  1 08:30:00", NEW_YEAR, "2026-01-01T00:30:00.000Z"),
        ("Jan  1 00:30:00", datetime(2025, 12, 31, 16, 0, tzinfo=UTC), "2025-12-31T16:30:00.000Z"),
        ("Jan  3 08:00:00", NEW_YEAR, "2025-01-03T00:00:00.000Z"),
        ("Feb 29 10:00:00", datetime(2024, 3, 1, tzinfo=UTC), "2024-02-29T02:00:00.000Z"),
        ("Feb 29 10:00:00", datetime(2025, 1, 1, tzinfo=UTC), "2024-02-29T02:00:00.000Z"),
        ("Feb 29 10:00:00", datetime(2027, 12, 1, tzinfo=UTC), "2024-02-29T02:00:00.000Z"),
        ("Sep 07 08:01:09.424", datetime(2026, 9, 7, 1, tzinfo=UTC), "2026-09-07T00:01:09.424Z"),
    ],
)
def test_a_missing_year_is_the_latest_that_is_possible(stamp: str, now: datetime, expected: str) -> None:
    assert bsd_time(stamp, SHANGHAI, now) == expected


@pytest.mark.parametrize("stamp", ["Feb 30 10:00:00", "Feb  0 10:00:00", "Abc  1 10:00:00", "Jan  1 25:00:00"])
def test_a_day_or_hour_of_no_year_is_refused(stamp: str) -> None:
    with pytest.raises(ValueError, match="no such date"):
        bsd_time(stamp, SHANGHAI, NEW_YEAR)


@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(SHANGHAI)),  # noqa: DTZ001
    st.timedeltas(min_value=-timedelta(hours=20), max_value=timedelta(days=360)),
)
def test_a_line_of_the_last_year_gets_its_own_year(moment: datetime, age: timedelta) -> None:
    moment = moment.replace(microsecond=0, fold=0)  # the hour that summer time repeats says not which it is
    read = parse_time(bsd_time(moment.strftime("%b %e %H:%M:%S"), SHANGHAI, moment.astimezone(UTC) + age))
    assert read == moment.astimezone(UTC)


@given(
    st.text() | st.from_regex(r"(Jan|Feb|Dec) [ 0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]", fullmatch=True),
    st.datetimes(timezones=st.just(UTC), max_value=datetime(9999, 1, 1)),  # noqa: DTZ001
)
def test_no_text_is_read_as_a_future_time(stamp: str, now: datetime) -> None:
    try:
        assert parse_time(bsd_time(stamp, SHANGHAI, now)) <= now + CLOCK_SKEW
    except ValueError as error:
        assert str(error) == "no such date"  # noqa: PT017  either outcome is right


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("Mon Sep 07 08:01:09 CST 2026", "2026-09-07T00:01:09.000Z"),
        ("Mon Sep 07 00:01:09 UTC 2026", "2026-09-07T00:01:09.000Z"),
        ("Mon Sep 07 08:01:09 GMT+08:00 2026", "2026-09-07T00:01:09.000Z"),
        ("Mon Sep 07 08:01:09 XYZ 2026", "2026-09-07T02:01:09.000Z"),
    ],
)
def test_a_java_date_means_chinese_time_by_cst(stamp: str, expected: str) -> None:
    assert format_time(java_date(stamp, timezone(timedelta(hours=6)))) == expected


@pytest.mark.parametrize("stamp", ["Mon Feb 30 08:01:09 CST 2026", "Mon Sep 07 08:01:09 2026", ""])
def test_a_java_date_that_does_not_exist_is_refused(stamp: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        java_date(stamp, UTC)
