"""No unit id and no value opens what another unit has, however it is written."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.model.access import Scope
from secmon.model.event import Event
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.model.record import Document, RecordQuery
from tests.contracts.backends import Opened, empty_store
from tests.contracts.builders import NOON, ROOT_ACCESS, access_to, batch_of, event_at, finding_in, hit_on
from tests.contracts.oracle import counted, found

# Unit ids and values that break careless query builders; 3,900 characters is what an index still holds exactly.
HOSTILE = [
    "unit-a", "unit-a*", "*", "?", "unit-?", 'a"b', "a'b", "' OR 1=1 --", '{"match_all":{}}', "a\\b", "a\0b", "%", "_",
    "unit-a OR unit-b", "unit-a,unit-b", "学校", "\u202eunit", " unit-a", "UNIT-A", "null", "[]", "../unit-a", "a\nb",
    "", "\U0001f393", "unit-a\u200b", "x" * 3_900, "<script>", "${jndi:x}", "unit.id:*", "/.*/", "\ufeff", "0", "-1",
    "True",
]  # fmt: skip
_VALUES = st.sampled_from([*HOSTILE, "\ud800", "unit-a\udfff", "学" * 11_000]) | st.text(max_size=20)


def hostile_events() -> list[Event]:
    mapped = [event_at(n, NOON, unit_id=unit, user_name=unit, x_field=unit) for n, unit in enumerate(HOSTILE, start=1)]
    return [*mapped, event_at(0, NOON, user_name="of nobody")]


@pytest.fixture(scope="module")
def hostile(backend: str) -> Iterator[Opened]:
    events = hostile_events()
    with empty_store(backend) as store:
        hits = [hit_on(event, keys=(str(event["user.name"]),)) for event in events]
        store.log.commit(ROOT_ACCESS, batch_of(events, hits=hits, findings=list(map(finding_in, events))))
        documents = [
            Document(kind="alert", id=f"{number}", body={}, keys={"k": unit}, unit_ids=(unit,))
            for number, unit in enumerate(HOSTILE)
            if "\0" not in unit
        ]
        store.records.create_all(ROOT_ACCESS, [*documents, Document(kind="alert", id="nobody's", body={})])
        yield store


@settings(max_examples=25)
@given(
    units=st.frozensets(_VALUES, max_size=4),
    field=st.sampled_from(["user.name", "x.field", "unit.id"]),
    values=st.lists(_VALUES, min_size=1, max_size=3).map(tuple[str, ...]),
)
def test_hostile_unit_ids_and_values_open_nothing(
    hostile: Opened, units: frozenset[str], field: str, values: tuple[str, ...]
) -> None:
    events, access, log = hostile_events(), access_to(*units), hostile.log
    scope = Scope(units)
    query = EventQuery(equals={field: values})
    assert list(log.events(access, query)) == found(events, query, scope)
    assert log.count(access, query, by="unit.id") == counted(events, query, scope, "unit.id")
    assert list(log.events(access, EventQuery())) == found(events, EventQuery(), scope)
    mine = {str(event["event.id"]) for event in events if scope.sees(_unit(event))}
    assert {hit.event_id for hit in log.hits(access, HitQuery())} == mine
    assert {one.event_id for one in log.findings(access, FindingQuery())} == mine
    by_key = {str(event["event.id"]) for event in events if event["user.name"] == values[0]}
    assert {hit.event_id for hit in log.hits(access, HitQuery(keys=(values[0],)))} == mine & by_key


@settings(max_examples=25)
@given(units=st.frozensets(_VALUES, max_size=4), value=_VALUES)
def test_hostile_unit_ids_and_values_open_no_document(hostile: Opened, units: frozenset[str], value: str) -> None:
    access = access_to(*units)
    mine = {str(number) for number, unit in enumerate(HOSTILE) if unit in units and "\0" not in unit}
    keyed = {str(number) for number, unit in enumerate(HOSTILE) if unit == value}
    every = hostile.records.find(access, RecordQuery(kind="alert"))
    assert {one.id for one in every.documents} == mine
    chosen = RecordQuery(kind="alert", equals={"k": (value,)})
    assert {one.id for one in hostile.records.find(access, chosen).documents} == mine & keyed
    assert hostile.records.count(access, chosen) == {"": len(mine & keyed)}
    behind = RecordQuery(kind="alert", ranges={"k": (value, None)})
    after = {str(number) for number, unit in enumerate(HOSTILE) if _is_text(value) and unit >= value}
    assert {one.id for one in hostile.records.find(access, behind).documents} == mine & after
    before = RecordQuery(kind="alert", ranges={"k": (None, value)})
    assert hostile.records.count(access, before) == {"": len(mine - after) if _is_text(value) else 0}
    assert {one for one in map(str, range(len(HOSTILE))) if hostile.records.get(access, "alert", one)} == mine
    assert hostile.records.get(access, "alert", value) is None or value in mine


def _is_text(value: str) -> bool:
    """Tell whether a value can stand in a store at all."""
    return not any(0xD800 <= ord(one) <= 0xDFFF for one in value)


def _unit(event: Event) -> str | None:
    unit = event.get("unit.id")
    return None if unit is None else str(unit)
