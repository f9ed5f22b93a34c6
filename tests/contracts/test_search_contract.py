"""EventLog, searching: any query over any events is answered as `model.query.predicate` answers it, on every store."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import SearchStoppedError
from secmon.model.access import Access, Scope
from secmon.model.event import Event, Value, to_micros, value_texts
from secmon.model.query import ANY_TEXT, EVERYTHING, Equals, Exists, Holds, Like, Not, Query, Says, predicate
from secmon.model.query_text import parse_query
from secmon.model.questions import EventQuery
from secmon.model.search import MAX_VALUE, Budget, Survey, Top
from secmon.ports import EventLog
from tests.contracts.backends import empty_store
from tests.contracts.builders import NOON, ROOT_ACCESS, access_to, batch_of, event_at, identity
from tests.contracts.oracle import ACCESS_UNITS, UNITS, found, time_of
from tests.contracts.queries import FIELDS, QUERIES, hunted_events

DAY_S = 86_400


def asking(units: frozenset[str] | None) -> Access:
    return Access(ROOT_ACCESS.principal, Scope(units))


def commit_in_parts(log: EventLog, events: list[Event], cut: int) -> None:
    for number, part in enumerate((events[:cut], events[cut:]), start=1):
        log.commit(ROOT_ACCESS, batch_of(part, number=number, retention=("security", "audit")[number - 1]))


def matching(events: list[Event], where: Query, units: frozenset[str] | None) -> list[Event]:
    """Return what the definition finds, by (time, id)."""
    return [event for event in found(events, EventQuery(), Scope(units)) if predicate(where)(event)]


def surveyed(events: list[Event], *, interval_s: int, offset_s: int, fields: list[str], size: int) -> Survey:
    buckets: Counter[int] = Counter()
    values: dict[str, Counter[str]] = {name: Counter() for name in fields}
    for event in events:
        time = to_micros(time_of(event))
        buckets[time - (time + offset_s * 1_000_000) % (interval_s * 1_000_000)] += 1
        for name in fields:
            values[name].update(text[:MAX_VALUE] for text in (value_texts(event[name]) if name in event else ()))
    return Survey(
        count=len(events),
        buckets=dict(sorted(buckets.items())),
        top={
            name: Top(
                values=tuple(sorted(values[name].items(), key=lambda pair: (-pair[1], pair[0]))[:size]),
                absent=sum(name not in event for event in events),
            )
            for name in fields
        },
    )


@settings(max_examples=60, deadline=None)
@given(
    events=hunted_events(),
    cut=st.integers(0, 20),
    queries=st.lists(QUERIES, min_size=1, max_size=6),
    units=ACCESS_UNITS,
    fields=st.lists(st.sampled_from(FIELDS), max_size=3, unique=True),
)
def test_every_query_is_answered_as_the_definition_answers_it(
    backend: str,
    events: list[Event],
    *,
    cut: int,
    queries: list[Query],
    units: frozenset[str] | None,
    fields: list[str],
) -> None:
    with empty_store(backend) as store:
        commit_in_parts(store.log, events, cut)
        for where in queries:
            query, expected = EventQuery(where=where), matching(events, where, units)
            assert list(store.log.events(asking(units), query)) == expected
            assert store.log.count(asking(units), query) == {"": len(expected)}
            assert store.log.profile(asking(units), query).count == len(expected)
            survey = store.log.survey(
                asking(units), query, interval_s=DAY_S, utc_offset_s=28_800, fields=fields, size=3
            )
            assert survey == surveyed(expected, interval_s=DAY_S, offset_s=28_800, fields=fields, size=3)


@settings(max_examples=20, deadline=None)
@given(events=hunted_events(), cut=st.integers(0, 20), where=QUERIES, size=st.integers(1, 5), ascending=st.booleans())
def test_pages_behind_each_other_are_the_whole_answer(
    backend: str, events: list[Event], *, cut: int, where: Query, size: int, ascending: bool
) -> None:
    with empty_store(backend) as store:
        commit_in_parts(store.log, events, cut)
        query, pages = EventQuery(where=where, limit=size, ascending=ascending), list[Event]()
        while page := list(store.log.events(ROOT_ACCESS, query)):
            pages += page
            after = (time_of(page[-1]), str(page[-1]["event.id"]))
            query = EventQuery(where=where, limit=size, ascending=ascending, after=after)
        expected = matching(events, where, None)
        assert pages == (expected if ascending else expected[::-1])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("user.name:ALICE", [0, 1]),
        ("user.name:al*", [0, 1]),
        ("not user.name:alice", [2, 3]),
        ("not user.name:*", [3]),
        ("source.ip:192.0.2.0/24", [0, 2]),
        ("http.response.status_code:>=500", [1, 2]),
        ("http.response.status_code:[200 TO 500}", [0]),
        ("url.path:/admin/* and not http.response.status_code:(500 or 503)", [0]),
        ('"failed password"', [0, 3]),
        ("导出", [2]),
        ("学籍导出", []),
        ("*passw?rd*", [0, 3]),
        ("labels.site:A*", [1]),
        ("@timestamp:[2026-11-21T12:01 TO 2026-11-21T12:02]", [1, 2]),
    ],
)
def test_what_people_type_finds_what_they_mean(log: EventLog, text: str, numbers: list[int]) -> None:
    told: list[Event] = [
        {"user.name": "alice", "source.ip": "192.0.2.7", "url.path": "/admin/a", "message": "Failed password"},
        {"user.name": "Alice", "source.ip": "198.51.100.1", "url.path": "/admin/b", "labels.site": "a1"},
        {"user.name": "bob", "source.ip": ["203.0.113.1", "192.0.2.255"], "message": "导出学籍"},
        {"message": "failed, password"},
    ]
    values: tuple[Value, ...] = (200, 500, "503")
    statuses: list[Event] = [*({"http.response.status_code": value} for value in values), {}]
    events = [
        event_at(n, NOON + timedelta(minutes=n)) | one | status
        for n, (one, status) in enumerate(zip(told, statuses, strict=True))
    ]
    log.commit(ROOT_ACCESS, batch_of(events))
    seen = [event["event.id"] for event in log.events(ROOT_ACCESS, EventQuery(where=parse_query(text)))]
    assert seen == [identity(number) for number in numbers]


def test_no_search_tells_of_events_out_of_scope(log: EventLog) -> None:
    """Neither events, nor their number, values or times, whatever is asked for and however it is decided."""
    fields = ["user.name", "unit.id", "labels.site", "message"]
    events = [
        event_at(n, NOON + timedelta(days=n), unit_id=unit, user_name=f"name-{unit}", message=f"secret {unit}")
        | {"labels.site": f"site-{unit}"}
        for n, unit in enumerate(UNITS)
    ]
    log.commit(ROOT_ACCESS, batch_of([*events, event_at(99, NOON, message="secret of nobody")]))
    wheres: list[Query] = [
        EVERYTHING,
        Exists("unit.id"),
        Not(Equals("unit.id", UNITS[0])),
        Not(Exists("unit.id")),
        Not(Says(ANY_TEXT, ("nothing",))),
        Says(ANY_TEXT, ("secret",)),
        Holds("message", "secret"),
        Like("labels.site", "*"),
        Like("unit.id", "*"),
    ]
    for access, own in ((access_to(UNITS[0]), UNITS[:1]), (access_to(), ()), (access_to("elsewhere"), ())):
        for where in wheres:
            query = EventQuery(where=where)
            assert {event.get("unit.id") for event in log.events(access, query)} <= set(own)
            survey = log.survey(access, query, interval_s=DAY_S, fields=fields)
            assert survey.count <= len(own)
            assert len(survey.buckets) <= len(own)
            told = {text for top in survey.top.values() for text, _ in top.values}
            assert told <= {text for unit in own for text in (unit, f"name-{unit}", f"site-{unit}", f"secret {unit}")}
            assert sum(top.absent for top in survey.top.values()) <= 0


class Ticking:
    """A clock on which a second passes with every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        self.now += 1.0
        return self.now


def many(log: EventLog, number: int) -> list[Event]:
    events = [event_at(n, NOON + timedelta(seconds=n), message=f"line {n}") for n in range(number)]
    log.commit(ROOT_ACCESS, batch_of(events))
    return events


def test_a_search_that_runs_out_of_time_says_how_far_it_came(log: EventLog) -> None:
    many(log, 3_000)
    budget = Budget(Ticking(), seconds=6.0)
    query, seen = EventQuery(where=parse_query("line")), list[Event]()
    with pytest.raises(SearchStoppedError):
        seen.extend(log.events(ROOT_ACCESS, query, budget=budget))
    assert budget.reached is not None
    assert NOON <= budget.reached < NOON + timedelta(seconds=2_999)
    assert 0 < budget.read < 3_000
    assert budget.is_over()


def test_a_survey_that_runs_out_of_time_is_marked(log: EventLog) -> None:
    many(log, 3_000)
    survey = log.survey(ROOT_ACCESS, EventQuery(where=parse_query("line")), budget=Budget(Ticking(), seconds=6.0))
    assert not survey.complete
    assert survey.count < 3_000


@pytest.mark.parametrize("text", ["line", "event.dataset:nginx.access"])
def test_a_search_that_nobody_waits_for_ends(log: EventLog, text: str) -> None:
    many(log, 300)
    budget = Budget(lambda: 0.0, seconds=60.0, abandoned=lambda: True)
    query = EventQuery(where=parse_query(text))
    with pytest.raises(SearchStoppedError):
        list(log.events(ROOT_ACCESS, query, budget=budget))
    assert not log.survey(ROOT_ACCESS, query, fields=["event.dataset"], budget=budget).complete


def test_a_budget_that_is_enough_changes_nothing(log: EventLog) -> None:
    events = many(log, 300)
    budget = Budget(lambda: 0.0, seconds=60.0)
    query = EventQuery(where=parse_query("line"))
    assert list(log.events(ROOT_ACCESS, query, budget=budget)) == events
    assert budget.read == 300
    assert log.survey(ROOT_ACCESS, query, interval_s=60, budget=budget).buckets == {
        to_micros(NOON + timedelta(minutes=n)): 60 for n in range(5)
    }


def test_what_no_index_answers_is_named(log: EventLog) -> None:
    def scanning(text: str, *fields: str) -> tuple[str, ...]:
        return log.unindexed(ROOT_ACCESS, EventQuery(where=parse_query(text)), fields=fields)

    assert scanning("user.name:a* and not source.ip:192.0.2.1 and @timestamp:2026-11-21", "event.action") == ()
    assert scanning('user.name:a or "failed password" or message:x*') == (ANY_TEXT, "message")
    assert scanning("labels.site:a*") == ("labels.site",)
    assert scanning("", "message") == ("message",)


def test_a_moment_beyond_every_event_is_a_place_to_go_on_from(log: EventLog) -> None:
    events = many(log, 3)
    late = datetime.fromisoformat("9999-12-31T23:59:59.999999+00:00")
    after = (late, "f" * 32)
    assert list(log.events(ROOT_ACCESS, EventQuery(after=after))) == []
    assert list(log.events(ROOT_ACCESS, EventQuery(after=after, ascending=False))) == events[::-1]
