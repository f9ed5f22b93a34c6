"""Ids: sorted by arrival, and no two groups share one."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from secmon.model.ids import alert_id, canonical_group, day_of_id, event_id, stream_prefix, window_start

DAY = date(2026, 11, 21)
texts = st.text(st.characters(exclude_characters="\x1d\x1e\x1f"))


@given(a=st.integers(0, 2**48 - 1), b=st.integers(0, 2**48 - 1))
def test_ids_of_a_stream_sort_by_offset(a: int, b: int) -> None:
    prefix = stream_prefix(DAY, "jwxt", "g1")
    assert (event_id(prefix, a) < event_id(prefix, b)) == (a < b)


def test_an_id_carries_its_partition_day() -> None:
    assert day_of_id(event_id(stream_prefix(DAY, "jwxt", "g1"), 7).hex()) == DAY


@given(group=st.dictionaries(texts, texts), other=st.dictionaries(texts, texts))
def test_different_groups_have_different_texts(group: dict[str, str], other: dict[str, str]) -> None:
    assert (canonical_group({**group}) == canonical_group({**other})) == (group == other)


def test_an_alert_id_does_not_depend_on_the_order_of_its_fields() -> None:
    start = window_start(datetime(2026, 9, 7, 0, 59, 59, tzinfo=UTC), timedelta(hours=1))
    assert start == datetime(2026, 9, 7, tzinfo=UTC)
    assert alert_id("r", {"a": "1", "b": "2"}, start) == alert_id("r", {"b": "2", "a": "1"}, start)
