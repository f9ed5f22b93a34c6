"""No way around the scope: to somebody with one unit, it makes no difference what the others have.

Two stores differ only in data of other units and of no unit. Whatever anybody but the root asks, by whatever method of
a port, has the same outcome on both: documents, counts, ids, aggregates, cursors and the texts of errors.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any

import pytest

from secmon.errors import AccessError, ConflictError, SecmonError
from secmon.model.access import Access
from secmon.model.batch import BatchRow
from secmon.model.event import Event
from secmon.model.query import ANY_TEXT, AllOf, AnyOf, Equals, Exists, Holds, Like, Not, Says
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.model.record import Document, RecordQuery
from secmon.model.search import Budget
from secmon.ports import EventLog, Records
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.records import ElasticsearchRecords
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.store.sqlite.records import SqliteRecords
from tests.contracts.backends import Opened, empty_store
from tests.contracts.builders import (
    DAY,
    NOON,
    ROOT_ACCESS,
    access_to,
    batch_of,
    event_at,
    finding_in,
    hit_on,
    identity,
)

NEXT_DAY = date(2026, 11, 22)
SECRET = "geheim 机密"
# (number, day, unit): what unit-a has, what others have, what nobody has; the second partition is foreign as a whole.
OWN = [(1, DAY, "unit-a"), (4, DAY, "unit-a")]
FOREIGN = [(2, DAY, "unit-b"), (3, DAY, None), (5, NEXT_DAY, "unit-b"), (6, NEXT_DAY, None)]
ASKERS = {"one unit": access_to("unit-a"), "a unit without data": access_to("unit-z"), "no unit": access_to()}


def event_of(number: int, day: date, unit: str | None) -> Event:
    mapped: dict[str, Any] = {} if unit is None else {"unit_id": unit, "asset_id": f"asset of {unit}"}
    own = unit == "unit-a"
    name, text = ("mori", "own 机密") if own else (f"user of {unit}", SECRET)
    at = NOON + timedelta(seconds=number)
    return event_at(number, at, day=day, user_name=name, message=text, x_field=name, **mapped)


def document_of(id_: str, *units: str, kind: str = "alert") -> Document:
    text = "own 机密" if "unit-a" in units else SECRET
    return Document(kind=kind, id=id_, body={"text": text}, keys={"state": text, "at": id_}, unit_ids=units)


@dataclass(frozen=True, slots=True)
class World:
    """Two stores, and what the root learned in the first: a row, a mark and cursors that point at foreign data."""

    full: Opened
    own: Opened
    row: BatchRow
    mark: str
    cursors: tuple[str, ...]


def fill(store: Opened, *, foreign: bool) -> None:
    """Commit the same batches; those of others are empty unless they are to be there."""
    for number, day, unit in sorted([*OWN, *FOREIGN], key=lambda one: one[0]):
        event = event_of(number, day, unit)
        there = [event] if unit == "unit-a" or foreign else []
        batch = batch_of(
            there,
            number=number,
            source=f"source {number}",
            day=day,
            hits=[
                hit_on(one, rule=f"rule of {unit}", keys=(f"key of {unit}",), suppressed_by=f"exception of {unit}")
                for one in there
            ],
            findings=[finding_in(one, data_class=f"class of {unit}") for one in there],
        )
        store.log.commit(ROOT_ACCESS, batch)
    mine = [document_of("b", "unit-a"), document_of("d", "unit-a", "unit-b"), document_of("f", "unit-a")]
    theirs = [document_of("a", "unit-b"), document_of("c"), document_of("e", "unit-b"), document_of("g")]
    hidden = [document_of("s", "unit-b", kind="session"), document_of("k", kind="foreign kind")]
    store.records.create_all(ROOT_ACCESS, [*mine, *(theirs if foreign else ()), *(hidden if foreign else ())])


@pytest.fixture(scope="module")
def world(backend: str) -> Iterator[World]:
    with ExitStack() as stack:
        full, own = (stack.enter_context(empty_store(backend)) for _ in range(2))
        fill(full, foreign=True)
        fill(own, foreign=False)
        row = full.log.batch(ROOT_ACCESS, day=DAY, retention="security", stream=_stream(2), number=2)
        assert row is not None
        _, mark = full.log.hits_since(ROOT_ACCESS, "", limit=2)
        cursors = []
        for query in RECORD_QUERIES:
            page = full.records.find(ROOT_ACCESS, replace(query, limit=1))
            cursors.append(page.cursor)
        yield World(full, own, row, mark, tuple(cursors))


def _stream(number: int) -> str:
    return batch_of(source=f"source {number}").stream


EVENT_QUERIES = [
    EventQuery(),
    EventQuery(ascending=False, limit=2),
    EventQuery(since=NOON + timedelta(seconds=2), until=NOON + timedelta(seconds=6)),
    EventQuery(equals={"user.name": ("user of unit-b", "user of None", "mori")}),
    EventQuery(equals={"unit.id": ("unit-b", "unit-a")}),
    EventQuery(equals={"x.field": ("user of unit-b",)}),
    EventQuery(present=("event.dataset",)),
    EventQuery(present=("message",), text="机密"),
    EventQuery(text=SECRET),
    EventQuery(where=AnyOf((Equals("user.name", "user of unit-b"), Not(Says("message", ("own",))), Exists("unit.id")))),
    EventQuery(where=AllOf((Like("x.field", "user*"), Not(Holds(ANY_TEXT, "own"))))),
    EventQuery(where=Not(Exists("unit.id"))),
    EventQuery(after=(NOON + timedelta(seconds=2), identity(2)), limit=2),
]
HIT_QUERIES = [
    HitQuery(),
    HitQuery(limit=2),
    HitQuery(rule_ids=("rule of unit-b", "rule of unit-a")),
    HitQuery(keys=("key of unit-b",)),
    HitQuery(asset_id="asset of unit-b"),
    HitQuery(suppressed=True),
    HitQuery(suppressed=False),
    HitQuery(suppressed_by="exception of unit-b"),
    HitQuery(since=NOON, until=NOON + timedelta(seconds=5)),
    HitQuery(alert_id=hit_on(event_of(2, DAY, "unit-b"), rule="rule of unit-b").alert_id or ""),
]
FINDING_QUERIES = [
    FindingQuery(),
    FindingQuery(data_class="class of unit-b"),
    FindingQuery(asset_id="asset of unit-b"),
    FindingQuery(event_ids=(identity(2), identity(3), identity(1))),
    FindingQuery(since=NOON, until=NOON + timedelta(seconds=5), limit=3),
]
RECORD_QUERIES = [
    RecordQuery(kind="alert", limit=2),
    RecordQuery(kind="alert", order="at", descending=True, limit=2),
    RecordQuery(kind="alert", order="state", limit=2),
    RecordQuery(kind="alert", equals={"state": (SECRET, "own 机密")}),
    RecordQuery(kind="alert", ranges={"at": ("a", "f")}, limit=2),
    RecordQuery(kind="alert", text="机密"),
]
_IDS = [identity(number, day=day) for number, day, _ in (*OWN, *FOREIGN)]
_BYS = ("", "unit.id", "user.name", "x.field", "message", "asset.id")


def _budget() -> Budget:
    return Budget(clock=lambda: 0.0, seconds=1)


def _read(log: EventLog, access: Access, query: EventQuery) -> object:
    """Return events, and what a budget tells of how they were found."""
    budget = _budget()
    return list(log.events(access, query, budget=budget)), budget.read, budget.reached


LogCall = Callable[[EventLog, Access, World], object]
RecordsCall = Callable[[Records, Access, World], object]

# Every method of the port that reads, with arguments that aim at what others have.
LOG_CALLS: dict[str, LogCall] = {
    "events": lambda log, access, _: [_read(log, access, query) for query in EVENT_QUERIES],
    "survey": lambda log, access, _: [
        log.survey(access, query, interval_s=3_600, fields=_BYS[1:], budget=_budget()) for query in EVENT_QUERIES
    ],
    "events_by_id": lambda log, access, _: (
        [log.events_by_id(access, [one]) for one in _IDS] + [log.events_by_id(access, _IDS)]
    ),
    "digests": lambda log, access, _: log.digests(access, _IDS),
    "count": lambda log, access, _: [log.count(access, query, by=by) for query in EVENT_QUERIES for by in _BYS],
    "profile": lambda log, access, _: [log.profile(access, query, by=by) for query in EVENT_QUERIES for by in _BYS],
    "hits": lambda log, access, world: [
        list(log.hits(access, replace(query, upto=upto))) for query in HIT_QUERIES for upto in ("", world.mark)
    ],
    "count_suppressed": lambda log, access, _: [
        log.count_suppressed(access, query, utc_offset_s=offset_s) for query in HIT_QUERIES for offset_s in (0, 28_800)
    ],
    "findings": lambda log, access, _: [list(log.findings(access, query)) for query in FINDING_QUERIES],
    "count_findings": lambda log, access, _: [log.count_findings(access, query) for query in FINDING_QUERIES],
}
# What depends on the question alone.
LOG_SAME: dict[str, LogCall] = {
    "unindexed": lambda log, access, _: [log.unindexed(access, query, fields=_BYS[1:]) for query in EVENT_QUERIES],
    "together": lambda log, access, _: _each_for_itself(log, access),
}
# What belongs to no unit: nothing of it is told to anybody but the root.
LOG_ROOT_SEES: dict[str, LogCall] = {
    "batch": lambda log, access, _: log.batch(access, day=DAY, retention="security", stream=_stream(2), number=2),
    "batches": lambda log, access, _: list(log.batches(access)),
    "batches_of": lambda log, access, _: list(log.batches_of(access, _stream(2))),
    "partitions": lambda log, access, _: log.partitions(access),
}
# Refused to anybody but the root.
LOG_ROOT_MAY: dict[str, LogCall] = {
    "commit": lambda log, access, _: log.commit(access, batch_of([event_at(9)], number=9)),
    "fence": lambda log, access, _: log.fence(
        access, day=DAY, retention="security", stream=_stream(2), number=7, epoch=9
    ),
    "hits_since": lambda log, access, world: log.hits_since(access, world.mark, limit=1),
    "commits": lambda log, access, _: list(log.commits(access)),
    "contents": lambda log, access, world: log.contents(access, world.row),
    "drop_partition": lambda log, access, _: log.drop_partition(access, NEXT_DAY, "security"),
    "digest": lambda log, access, _: log.digest(access),
    "check": lambda log, access, _: log.check(access, deep=True),
}
RECORD_CALLS: dict[str, RecordsCall] = {
    "get": lambda records, access, _: [records.get(access, "alert", one) for one in "abcdefgx"],
    "find": lambda records, access, world: [
        records.find(access, replace(query, after=after))
        for query, cursor in zip(RECORD_QUERIES, world.cursors, strict=True)
        for after in ("", cursor)
    ],
    "count": lambda records, access, _: [
        records.count(access, query, by=by) for query in RECORD_QUERIES for by in ("", "state", "at")
    ],
    "replace": lambda records, access, _: [_stolen(records, access, one) for one in "aceg"],
    "delete": lambda records, access, _: records.delete(access, "session", "s"),
    "check": lambda records, access, _: records.check(access, deep=True),
}
RECORD_ROOT_SEES: dict[str, RecordsCall] = {"kinds": lambda records, access, _: records.kinds(access)}
# Ids are taken in the whole installation: that one is taken is told, and nothing else.
RECORD_ADDS: dict[str, Callable[[Records, Access], object]] = {
    "create": lambda records, access: records.create(access, document_of("a", "unit-a")),
    "create_all": lambda records, access: records.create_all(access, [document_of("a", "unit-a")]),
    "restore": lambda records, access: records.restore(access, [document_of("a", "unit-a")]),
}
# Parameters of each method and fields of each query that the calls above try. A new one needs a call that aims it at
# what others have; then it is added here.
PARAMETERS: dict[type, dict[str, set[str]]] = {
    EventLog: {
        "commit": {"batch"}, "batch": {"day", "retention", "stream", "number"}, "batches": {"since"},
        "fence": {"day", "retention", "stream", "number", "epoch"}, "batches_of": {"stream"}, "digests": {"ids"},
        "events": {"query", "budget"}, "unindexed": {"query", "fields"}, "together": set(),
        "survey": {"query", "interval_s", "utc_offset_s", "fields", "size", "budget"},
        "events_by_id": {"ids"}, "count": {"query", "by"},
        "profile": {"query", "by", "utc_offset_s", "ids"}, "hits": {"query"}, "hits_since": {"mark", "limit"},
        "count_suppressed": {"query", "utc_offset_s"},
        "commits": {"after", "upto"}, "contents": {"row"}, "findings": {"query"}, "count_findings": {"query"},
        "partitions": set(), "drop_partition": {"day", "retention"}, "digest": set(), "check": {"deep"},
    },
    Records: {
        "get": {"kind", "id"}, "create": {"document"}, "create_all": {"documents"}, "kinds": set(),
        "restore": {"documents"}, "replace": {"document"}, "delete": {"kind", "id"}, "find": {"query"},
        "count": {"query", "by"}, "check": {"deep"},
    },
}  # fmt: skip
QUERY_FIELDS: dict[type, set[str]] = {
    EventQuery: {"since", "until", "equals", "present", "text", "where", "after", "ascending", "limit"},
    HitQuery: {
        "since",
        "until",
        "upto",
        "rule_ids",
        "alert_id",
        "keys",
        "asset_id",
        "suppressed",
        "suppressed_by",
        "limit",
    },
    FindingQuery: {"since", "until", "data_class", "asset_id", "event_ids", "limit"},
    RecordQuery: {"kind", "equals", "ranges", "text", "order", "descending", "limit", "after"},
}


def _each_for_itself(log: EventLog, access: Access) -> bool:
    """Tell whether reads that share a view answer each asker as they would alone."""
    alone = [log.profile(one, EventQuery()) for one in (ROOT_ACCESS, access)]
    with log.together(access):
        shared = [log.profile(one, EventQuery()) for one in (ROOT_ACCESS, access)]
        hits = [list(log.hits(one, HitQuery())) for one in (ROOT_ACCESS, access)]
    return alone == shared and hits == [list(log.hits(one, HitQuery())) for one in (ROOT_ACCESS, access)]


def _stolen(records: Records, access: Access, id_: str) -> object:
    changed = Document(kind="alert", id=id_, version=1, body={"text": "stolen"}, unit_ids=("unit-a",))
    return _told(lambda: records.replace(access, changed))


def _told(ask: Callable[[], object]) -> object:
    """Return what a call answers, an error as its class and text."""
    try:
        return ask()
    except SecmonError as error:
        return type(error).__name__, error.problem, error.hint, tuple(map(str, error.values.values()))


def public(adapter: type) -> dict[str, set[str]]:
    """Return the public methods of an adapter or port, each with its parameters after the access."""
    return {
        name: set(inspect.signature(method).parameters) - {"self", "access"}
        for name, method in inspect.getmembers(adapter, callable)
        if not name.startswith("_") and name != "close"
    }


@pytest.mark.parametrize(
    ("port", "adapter"),
    [
        (EventLog, EventLog), (EventLog, SqliteEventLog), (EventLog, ElasticsearchEventLog),
        (Records, Records), (Records, SqliteRecords), (Records, ElasticsearchRecords),
    ],
    ids=lambda one: one.__name__,
)  # fmt: skip
def test_no_method_of_an_adapter_is_unknown_here(port: type, adapter: type) -> None:
    assert public(adapter) == PARAMETERS[port], (
        "add a call that aims the new method or parameter at another unit's data"
    )


def test_no_method_is_without_a_call_that_tries_it() -> None:
    assert {*LOG_CALLS, *LOG_SAME, *LOG_ROOT_SEES, *LOG_ROOT_MAY} == set(PARAMETERS[EventLog])
    assert {*RECORD_CALLS, *RECORD_ROOT_SEES, *RECORD_ADDS} == set(PARAMETERS[Records])


@pytest.mark.parametrize("query", QUERY_FIELDS, ids=lambda one: one.__name__)
def test_no_field_of_a_query_is_unknown_here(query: type) -> None:
    assert {one.name for one in fields(query)} == QUERY_FIELDS[query], "add a query that aims it at another unit's data"


@pytest.mark.parametrize("ask", LOG_CALLS.values(), ids=LOG_CALLS)
def test_every_call_aims_at_what_others_have(world: World, ask: LogCall) -> None:
    assert ask(world.full.log, ROOT_ACCESS, world) != ask(world.own.log, ROOT_ACCESS, world)


@pytest.mark.parametrize("access", ASKERS.values(), ids=ASKERS)
@pytest.mark.parametrize("ask", LOG_CALLS.values(), ids=LOG_CALLS)
def test_what_others_have_makes_no_difference_to_a_reader_of_the_event_log(
    world: World, ask: LogCall, access: Access
) -> None:
    assert ask(world.full.log, access, world) == ask(world.own.log, access, world)


@pytest.mark.parametrize("ask", LOG_SAME.values(), ids=LOG_SAME)
def test_what_depends_on_the_question_alone_is_the_same_for_everybody(world: World, ask: LogCall) -> None:
    assert ask(world.full.log, ROOT_ACCESS, world) == ask(world.own.log, access_to(), world)


@pytest.mark.parametrize("access", ASKERS.values(), ids=ASKERS)
@pytest.mark.parametrize("ask", LOG_ROOT_SEES.values(), ids=LOG_ROOT_SEES)
def test_what_belongs_to_no_unit_is_told_to_the_root_only(world: World, ask: LogCall, access: Access) -> None:
    assert ask(world.full.log, ROOT_ACCESS, world)
    assert not ask(world.full.log, access, world)


@pytest.mark.parametrize("access", ASKERS.values(), ids=ASKERS)
@pytest.mark.parametrize("ask", LOG_ROOT_MAY.values(), ids=LOG_ROOT_MAY)
def test_what_concerns_everybody_is_refused_to_all_but_the_root(world: World, ask: LogCall, access: Access) -> None:
    with pytest.raises(AccessError):
        ask(world.full.log, access, world)
    assert len(world.full.log.partitions(ROOT_ACCESS)) == 2


@pytest.mark.parametrize("access", ASKERS.values(), ids=ASKERS)
@pytest.mark.parametrize("ask", RECORD_CALLS.values(), ids=RECORD_CALLS)
def test_what_others_have_makes_no_difference_to_somebody_at_the_records(
    world: World, ask: RecordsCall, access: Access
) -> None:
    before = [world.full.records.get(ROOT_ACCESS, "alert", one) for one in "aceg"]
    assert ask(world.full.records, access, world) == ask(world.own.records, access, world)
    assert [world.full.records.get(ROOT_ACCESS, "alert", one) for one in "aceg"] == before
    assert world.full.records.get(ROOT_ACCESS, "session", "s") is not None


@pytest.mark.parametrize("name", ["get", "find", "count"])
def test_the_root_sees_what_the_others_have_in_the_records(world: World, name: str) -> None:
    ask = RECORD_CALLS[name]
    assert ask(world.full.records, ROOT_ACCESS, world) != ask(world.own.records, ROOT_ACCESS, world)


@pytest.mark.parametrize("access", ASKERS.values(), ids=ASKERS)
def test_kinds_of_documents_are_told_to_the_root_only(world: World, access: Access) -> None:
    assert "foreign kind" in world.full.records.kinds(ROOT_ACCESS)
    assert world.full.records.kinds(access) == ()


@pytest.mark.parametrize("ask", RECORD_ADDS.values(), ids=RECORD_ADDS)
def test_of_a_taken_id_nothing_is_told_but_that(world: World, ask: Callable[[Records, Access], object]) -> None:
    told = _told(lambda: ask(world.full.records, access_to("unit-a")))
    assert told in (0, (ConflictError.__name__, "there is such a {kind} already", "read it", ("alert",)))
    assert world.full.records.get(access_to("unit-a"), "alert", "a") is None
