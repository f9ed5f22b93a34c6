"""Times of events: one text form, read back exactly."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import format_time, parse_time, to_micros


def test_a_whole_second_still_has_milliseconds() -> None:
    assert format_time(datetime(2026, 9, 7, 8, tzinfo=timezone(timedelta(hours=8)))) == "2026-09-07T00:00:00.000Z"


def test_microseconds_are_kept_where_they_say_more() -> None:
    assert format_time(datetime(2026, 1, 1, 0, 0, 0, 1500, tzinfo=UTC)) == "2026-01-01T00:00:00.001500Z"


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_what_is_written_is_read_back(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        parse_time("2026-01-01T00:00:00.000")


def test_micros_are_exact() -> None:
    assert to_micros(datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 1_767_225_600_000_001
