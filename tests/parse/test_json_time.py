"""Times as JSON values: every usual form, one result."""

from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import format_time, parse_time
from secmon.parse.json_time import json_time

SHANGHAI = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-09-07T00:01:09.424Z", "2026-09-07T00:01:09.424Z"),
        ("2026-09-07T08:01:09.424242+0800", "2026-09-07T00:01:09.424242Z"),
        ("2026-09-07T08:01:09+08:00", "2026-09-07T00:01:09.000Z"),
        ("2026-09-07 08:01:09,424", "2026-09-07T00:01:09.424Z"),
        ("2026-09-07T00:01:09.1234567Z", "2026-09-07T00:01:09.123456Z"),
        (1788739269, "2026-09-07T00:01:09.000Z"),
        (1788739269424, "2026-09-07T00:01:09.424Z"),
        (1788739269.5, "2026-09-07T00:01:09.500Z"),
        ("1788739269424", "2026-09-07T00:01:09.424Z"),
        ("/Date(1788739269424)/", "2026-09-07T00:01:09.424Z"),
        ("/Date(-1)/", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_usual_forms_are_read(value: Any, expected: str) -> None:
    assert json_time(value, SHANGHAI) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        "",
        "soon",
        "2026-02-30T00:00:00.000Z",
        "2026-09-07T00:01:60.424Z",
        "2026-09-07T00:01:09.4２4Z",
        1,
        -1788739269,
        10**30,
        float("inf"),
        float("nan"),
        "0001-01-01T00:00:00+14:00",
        "/Date(999999999999999)/",
        "9" * 100_000,
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert json_time(value, SHANGHAI) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_we_write_is_read_back(moment: Any) -> None:
    assert json_time(format_time(moment), SHANGHAI) == format_time(moment)


@given(value=st.text() | st.floats() | st.integers() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"))
def test_no_value_breaks_it_and_what_it_gives_is_a_time(value: Any) -> None:
    time = json_time(value, UTC)
    assert time is None or format_time(parse_time(time)) == time
