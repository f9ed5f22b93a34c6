"""EventLog, reading events: each answer is that of the slow, obvious twin in `oracle`."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.model.access import Access, Scope
from secmon.model.event import Event
from secmon.model.questions import EventQuery
from secmon.ports import EventLog
from tests.contracts.backends import empty_store
from tests.contracts.builders import DAY, NOON, ROOT_ACCESS, access_to, batch_of, event_at, identity
from tests.contracts.oracle import ACCESS_UNITS, UNITS, counted, event_lists, event_queries, found, profiled

NEXT_DAY = DAY + timedelta(days=1)


def commit_in_parts(log: EventLog, events: list[Event], cut: int) -> None:
    """Commit some events in two batches; which partition they lie in must not matter to a question."""
    for number, part in enumerate((events[:cut], events[cut:]), start=1):
        log.commit(ROOT_ACCESS, batch_of(part, number=number, retention=("security", "audit")[number - 1]))


def asking(units: frozenset[str] | None) -> Access:
    return Access(ROOT_ACCESS.principal, Scope(units))


@settings(max_examples=40, deadline=None)
@given(
    events=event_lists(),
    cut=st.integers(0, 25),
    queries=st.lists(event_queries(), min_size=1, max_size=5),
    units=ACCESS_UNITS,
)
def test_events_are_found_in_order_as_the_oracle_finds_them(
    backend: str, events: list[Event], cut: int, queries: list[EventQuery], units: frozenset[str] | None
) -> None:
    with empty_store(backend) as store:
        commit_in_parts(store.log, events, cut)
        for query in queries:
            assert list(store.log.events(asking(units), query)) == found(events, query, Scope(units))


@settings(max_examples=40, deadline=None)
@given(
    events=event_lists(),
    cut=st.integers(0, 25),
    query=event_queries(),
    units=ACCESS_UNITS,
    by=st.sampled_from(["", "user.name", "unit.id", "event.action", "http.version", "message"]),
    hours=st.sampled_from([0, 8, -3.5]),
)
def test_counts_and_profiles_are_those_of_the_oracle(
    backend: str,
    events: list[Event],
    *,
    cut: int,
    query: EventQuery,
    units: frozenset[str] | None,
    by: str,
    hours: float,
) -> None:
    utc_offset_s = int(hours * 3600)
    unlimited = EventQuery(
        since=query.since, until=query.until, equals=query.equals, present=query.present, text=query.text
    )
    with empty_store(backend) as store:
        commit_in_parts(store.log, events, cut)
        assert store.log.count(asking(units), query, by=by) == counted(events, unlimited, Scope(units), by)
        profile = store.log.profile(asking(units), query, by=by, utc_offset_s=utc_offset_s, ids=3)
        assert profile == profiled(events, query, Scope(units), by, utc_offset_s=utc_offset_s)


@settings(max_examples=40, deadline=None)
@given(events=event_lists(), units=ACCESS_UNITS, data=st.data())
def test_events_by_id_come_in_the_order_asked_and_only_in_scope(
    backend: str, events: list[Event], units: frozenset[str] | None, data: st.DataObject
) -> None:
    by_id = {str(event["event.id"]): event for event in events}
    strange = ["", "zz", "0" * 32, identity(3), identity(0, day=NEXT_DAY), "\ud800" * 32, "a b " * 8]
    ids = data.draw(st.lists(st.sampled_from([*by_id, *strange]), max_size=12), label="ids")
    with empty_store(backend) as store:
        store.log.commit(ROOT_ACCESS, batch_of(events))
        seen = [by_id[one] for one in ids if one in by_id and Scope(units).sees(_unit(by_id[one]))]
        assert store.log.events_by_id(asking(units), ids) == seen
        assert set(store.log.digests(asking(units), ids)) == {event["event.id"] for event in seen}


def _unit(event: Event) -> str | None:
    return str(event["unit.id"]) if "unit.id" in event else None


def test_an_empty_store_answers_everything_with_nothing(log: EventLog) -> None:
    assert list(log.events(ROOT_ACCESS, EventQuery())) == []
    assert log.events_by_id(ROOT_ACCESS, [identity(0)]) == []
    assert log.count(ROOT_ACCESS, EventQuery()) == {"": 0}
    assert log.count(ROOT_ACCESS, EventQuery(), by="user.name") == {}
    assert log.profile(ROOT_ACCESS, EventQuery(), by="user.name").count == 0
    assert list(log.batches(ROOT_ACCESS)) == []
    assert log.partitions(ROOT_ACCESS) == []
    assert log.check(ROOT_ACCESS, deep=True) == []
    assert set(log.digest(ROOT_ACCESS)) == {"events", "hits", "findings"}


def test_digests_are_those_of_the_raw_records(log: EventLog) -> None:
    batch = batch_of([event_at(0), event_at(1, message="x")])
    log.commit(ROOT_ACCESS, batch)
    assert log.digests(ROOT_ACCESS, [identity(1), identity(0)]) == {
        identity(0): batch.events[0].digest,
        identity(1): batch.events[1].digest,
    }


def test_a_stream_s_batches_come_by_number_over_all_partitions(log: EventLog) -> None:
    for number, day in ((3, NEXT_DAY), (1, DAY), (2, DAY)):
        log.commit(ROOT_ACCESS, batch_of(number=number, day=day))
    log.commit(ROOT_ACCESS, batch_of(source="other"))
    stream = batch_of().stream
    assert [row.number for row in log.batches_of(ROOT_ACCESS, stream)] == [1, 2, 3]
    assert list(log.batches_of(ROOT_ACCESS, stream + "x")) == []


def test_a_time_range_includes_its_start_and_excludes_its_end(log: EventLog) -> None:
    micro = timedelta(microseconds=1)
    log.commit(ROOT_ACCESS, batch_of([event_at(n, NOON + n * micro) for n in range(4)]))
    query = EventQuery(since=NOON + micro, until=NOON + 3 * micro)
    assert [event["event.id"] for event in log.events(ROOT_ACCESS, query)] == [identity(1), identity(2)]


def test_times_from_1970_to_2099_sort_truly(log: EventLog) -> None:
    moments = [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2099, 12, 31, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    log.commit(ROOT_ACCESS, batch_of([event_at(n, moment) for n, moment in enumerate(reversed(moments))]))
    seen = [str(event["@timestamp"]) for event in log.events(ROOT_ACCESS, EventQuery())]
    assert [datetime.fromisoformat(text) for text in seen] == moments
    (partition,) = log.partitions(ROOT_ACCESS)
    assert (partition.first, partition.last) == (moments[0], moments[-1])
    assert log.profile(ROOT_ACCESS, EventQuery(until=moments[2])).days == {moments[0].date(), moments[1].date()}


def test_partitions_whose_times_overlap_are_merged(log: EventLog) -> None:
    """Late events: the later partition holds the earlier time."""
    log.commit(ROOT_ACCESS, batch_of([event_at(n, NOON + timedelta(hours=2 * n)) for n in range(3)]))
    late = [event_at(n, NOON + timedelta(hours=2 * n + 1), day=NEXT_DAY) for n in range(3)]
    log.commit(ROOT_ACCESS, batch_of(late, day=NEXT_DAY))
    hours = [str(event["@timestamp"])[11:13] for event in log.events(ROOT_ACCESS, EventQuery())]
    assert hours == ["12", "13", "14", "15", "16", "17"]
    backwards = [str(event["@timestamp"])[11:13] for event in log.events(ROOT_ACCESS, EventQuery(ascending=False))]
    assert backwards == hours[::-1]


def test_equal_times_come_by_id_whatever_the_order_of_commit(log: EventLog) -> None:
    for number, source in enumerate(("b", "a", "c"), start=1):
        log.commit(ROOT_ACCESS, batch_of([event_at(n, source=source) for n in range(3)], source=source, number=number))
    ids = [str(event["event.id"]) for event in log.events(ROOT_ACCESS, EventQuery())]
    assert ids == sorted(ids)
    assert len(ids) == 9


def test_many_events_come_whole_and_in_order(log: EventLog) -> None:
    """More than any page, block or cache of an adapter holds at once."""
    events = [
        event_at(n, NOON + timedelta(seconds=n % 97), user_name=f"u{n % 1_009}", unit_id=UNITS[n % 3])
        for n in range(12_000)
    ]
    for number in range(4):
        log.commit(ROOT_ACCESS, batch_of(events[number::4], number=number + 1))
    query = EventQuery()
    assert [event["event.id"] for event in log.events(ROOT_ACCESS, query)] == [
        event["event.id"] for event in found(events, query, Scope())
    ]
    rare = EventQuery(equals={"user.name": ("u1008",)}, ascending=False)
    assert list(log.events(ROOT_ACCESS, rare)) == found(events, rare, Scope())
    assert log.count(access_to("unit-a"), EventQuery()) == {"": 4_000}


def test_a_giant_event_comes_back_whole(log: EventLog) -> None:
    giant = event_at(1, message="学" * 3_000_000)
    log.commit(ROOT_ACCESS, batch_of([event_at(0), giant, event_at(2)]))
    assert log.events_by_id(ROOT_ACCESS, [identity(1)]) == [giant]
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_any_text_comes_back_as_it_was(log: EventLog) -> None:
    strange = "\0 \u2028 \U0001f393 \x1f ' \" \\ % _ \r\n \ufeff"
    event = event_at(0, message=strange, user_name=strange)
    log.commit(ROOT_ACCESS, batch_of([event]))
    assert list(log.events(ROOT_ACCESS, EventQuery())) == [event]
