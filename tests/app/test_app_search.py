"""Searching: what times mean, where a page goes on, what is said when the time is up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.app import search
from secmon.app.installation import Installation
from secmon.errors import QueryError
from secmon.model.access import ROOT, Access, Principal, Scope
from secmon.model.event import Event
from secmon.model.query_text import parse_query
from tests.app.houses import NOON, OPERATOR, SetClock, opened_house
from tests.contracts.builders import batch_of, event_at

SHANGHAI = ZoneInfo("Asia/Shanghai")
EVENTS = 600


class TickingClock(SetClock):
    """A clock on which a second passes with every look at it, once it was started."""

    ticking = False

    def monotonic_s(self) -> float:
        """Return seconds that go on."""
        if self.ticking:
            self.pass_time(seconds=1)
        return super().monotonic_s()


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


@pytest.fixture
def house(tmp_path: Path, clock: TickingClock) -> Iterator[Installation]:
    with opened_house(tmp_path, clock) as found:
        events: list[Event] = [
            event_at(n, NOON - timedelta(minutes=n), unit_id=f"S-{n % 2}", message=f"line {n}") for n in range(EVENTS)
        ]
        found.log.commit(OPERATOR, batch_of(events))
        yield found


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", None),
        ("all", None),
        ("90s", NOON - timedelta(seconds=90)),
        ("24h", NOON - timedelta(days=1)),
        ("7d", NOON - timedelta(days=7)),
        ("2w", NOON - timedelta(days=14)),
        ("999999w", datetime(1, 1, 2, tzinfo=UTC)),
        ("2026-09-07", datetime(2026, 9, 6, 16, tzinfo=UTC)),
        ("2026-09-07T08:00", datetime(2026, 9, 7, 0, tzinfo=UTC)),
        ("2026-09-07T08:00:01.5Z", datetime(2026, 9, 7, 8, 0, 1, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_so_long_ago_or_one_of_the_zone(text: str, meant: datetime | None) -> None:
    assert search.time_from(text, NOON, SHANGHAI) == meant


def test_a_day_at_the_end_is_meant_as_a_whole() -> None:
    assert search.time_from("2026-09-07", NOON, SHANGHAI, is_end=True) == datetime(2026, 9, 7, 16, tzinfo=UTC)
    assert search.time_from("2026-09-07T08:00", NOON, SHANGHAI, is_end=True) == datetime(2026, 9, 7, tzinfo=UTC)


@given(
    text=st.text(max_size=20)
    | st.from_regex(r"[0-9]{1,4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}(:[0-9]{2})?)?|[0-9]{1,6}[smhdw]", fullmatch=True)
)
def test_no_text_breaks_the_reading_of_a_time(text: str) -> None:
    try:
        found = search.time_from(text, NOON, SHANGHAI)
    except QueryError:
        return
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    "cursor", ["x", "/", "2026-09-07/" + "0" * 32, "2026-09-07T00:00:00Z/xyz", "9" * 50 + "/" + "0" * 32]
)
def test_a_cursor_that_is_none_is_refused(house: Installation, cursor: str) -> None:
    with pytest.raises(QueryError):
        search.search(house, OPERATOR, search.Search(cursor=cursor))


def test_a_time_range_in_the_query_narrows_what_is_looked_at(house: Installation) -> None:
    wanted = search.Search(where=parse_query("line @timestamp:[2026-11-21T11:00 TO 2026-11-21T11:09]"), limit=100)
    found = search.search(house, OPERATOR, wanted)
    assert (len(found.events), found.read, found.complete) == (10, 10, True)
    assert (
        search.search(house, OPERATOR, search.Search(where=parse_query("line or line @timestamp:2026-11-21"))).read > 10
    )


def test_a_search_whose_time_is_up_says_how_far_it_came(house: Installation, clock: TickingClock) -> None:
    clock.ticking = True
    found = search.search(house, OPERATOR, search.Search(where=parse_query("nothing"), seconds=2.5))
    assert not found.complete
    assert found.events == ()
    assert found.reached is not None
    assert NOON - timedelta(minutes=EVENTS) < found.reached <= NOON
    assert search.row(found)["complete"] is False
    assert "reached" in search.row(found)


def test_a_survey_whose_time_is_up_makes_the_search_incomplete(house: Installation, clock: TickingClock) -> None:
    clock.ticking = True
    wanted = search.Search(where=parse_query("line"), limit=0, fields=("user.name",), seconds=2.5)
    found = search.search(house, OPERATOR, wanted)
    assert not found.complete
    assert found.survey is not None
    assert found.survey.count < EVENTS


def test_a_search_sees_its_scope_and_its_note_keeps_no_words(house: Installation) -> None:
    mine = Access(Principal("user:li"), Scope(frozenset({"S-1"})))
    wanted = search.Search(where=parse_query("line 4711"), fields=("unit.id",), limit=1_000)
    everything = search.Search(limit=1_000, fields=("unit.id",))
    assert {event["unit.id"] for event in search.search(house, mine, everything).events} == {"S-1"}
    search.note(house, mine, wanted)
    entry = house.records.get(Access(OPERATOR.principal, ROOT), "audit", "main-000000000001")
    assert entry is not None
    assert entry.body["details"] == {"limit": 1_000, "statistics": 1, "since": "", "until": ""}
