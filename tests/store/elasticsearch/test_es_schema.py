"""Versions of mappings: older indices become current and answer fully, newer ones are refused."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest

from secmon.errors import StoreError
from secmon.model.event import Event, value_texts
from secmon.model.query import Addresses, Equals, Exists, Like, Not, Numbers, Query, predicate
from secmon.model.questions import EventQuery
from secmon.model.search import MAX_VALUE
from secmon.store.elasticsearch import conditions, encode, fields, mapping
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.schema import bring_forward, require_known
from tests.contracts.backends import remove_store, settings_of, store_of
from tests.contracts.builders import ROOT_ACCESS, batch_of, event_at

pytestmark = pytest.mark.elasticsearch
NAME, NUMBER, ADDRESS = "badge.zone", "badge.uses", "badge.ip"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(settings_of(tmp_path))
    yield made
    made.close()
    remove_store("elasticsearch", tmp_path)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand for a later program whose table has a field more of each kind."""
    new = {"WORDS": NAME, "NUMBERS": NUMBER, "ADDRESSES": ADDRESS}
    names = frozenset(new.values())
    with monkeypatch.context() as patch:
        patch.setattr(mapping, "VERSION", mapping.VERSION + 1)
        for kind, name in new.items():
            patch.setattr(mapping, kind, getattr(fields, kind) | {name})
        for module, table in (
            (fields, "INDEXED"), (fields, "KNOWN"), (encode, "KNOWN"), (conditions, "INDEXED"), (fields, "LATER"),
        ):  # fmt: skip
            patch.setattr(module, table, getattr(module, table) | names)
        patch.setattr(conditions, "NUMBERS", fields.NUMBERS | {NUMBER})
        patch.setattr(conditions, "ADDRESSES", fields.ADDRESSES | {ADDRESS})
        yield


def write(state: Path, number: int, value: str) -> None:
    with store_of("elasticsearch", state) as store:
        event = event_at(number) | {NAME: value}
        store.log.commit(ROOT_ACCESS, batch_of([event], number=number))


def found(state: Path, query: EventQuery) -> list[object]:
    with store_of("elasticsearch", state, writable=False) as store:
        return [event[NAME] for event in store.log.events(ROOT_ACCESS, query)]


def test_a_field_that_came_later_is_found_in_older_and_newer_documents(
    tmp_path: Path, gateway: Gateway, request: pytest.FixtureRequest
) -> None:
    write(tmp_path, 1, "old")
    before = gateway.read("GET", f"/{gateway.names.alias('events')}/_mapping").body
    request.getfixturevalue("later")
    write(tmp_path, 2, "new")
    ((index, after),) = gateway.read("GET", f"/{gateway.names.alias('events')}/_mapping").body.items()
    assert "badge" not in before[index]["mappings"]["properties"]
    assert after["mappings"]["properties"]["badge"]["properties"]["zone"] == {"type": "keyword"}
    assert after["mappings"]["_meta"] == {"secmon": {"schema": mapping.VERSION}}
    assert sorted(map(str, found(tmp_path, EventQuery(equals={NAME: ("old", "new")})))) == ["new", "old"]
    assert found(tmp_path, EventQuery(equals={NAME: ("old",)})) == ["old"]
    assert len(found(tmp_path, EventQuery(present=(NAME,)))) == 2
    with store_of("elasticsearch", tmp_path, writable=False) as store:
        assert store.log.count(ROOT_ACCESS, EventQuery(), by=NAME) == {"old": 1, "new": 1}
        assert store.log.unindexed(ROOT_ACCESS, EventQuery(equals={NAME: ("old",)}), fields=(NAME,)) == ()
        assert store.log.check(ROOT_ACCESS, deep=True) == []


ROWS: tuple[dict[str, Any], ...] = (
    {},
    {NAME: "North", NUMBER: 7, ADDRESS: "192.0.2.1"},
    {NAME: ["north", "south"], NUMBER: 12, ADDRESS: ["192.0.2.9", "2001:db8::1"]},
    {NAME: ["north", "north"], NUMBER: "7.0", ADDRESS: "no address"},
    {NAME: "x" * (fields.MAX_TEXT + 1), NUMBER: True, ADDRESS: "192.0.2.200"},
    {NAME: "", NUMBER: "many", ADDRESS: "fe80::1"},
)
LOW, HIGH = (int(IPv6Address(f"::ffff:192.0.2.{last}")) for last in (0, 15))
QUERIES: dict[str, Query] = {
    "equal word": Equals(NAME, "NORTH"),
    "equal number": Equals(NUMBER, "7"),
    "equal address": Equals(ADDRESS, "192.0.2.1"),
    "present": Exists(NAME),
    "a pattern": Like(NAME, "n*h"),
    "a pattern of digits": Like(NUMBER, "1*"),
    "a pattern of an address": Like(ADDRESS, "*:*"),
    "a range of numbers": Numbers(field=NUMBER, low=Decimal(5), high=Decimal(10)),
    "a range of numbers in words": Numbers(field=NAME, low=Decimal(0)),
    "a network": Addresses(field=ADDRESS, low=LOW, high=HIGH),
    "a network in words": Addresses(field=NAME, low=LOW, high=HIGH),
}


def test_a_question_finds_in_older_documents_what_it_finds_in_newer_ones(
    tmp_path: Path, gateway: Gateway, request: pytest.FixtureRequest
) -> None:
    older, newer = ([event_at(first + n) | row for n, row in enumerate(ROWS)] for first in (0, 100))
    with store_of("elasticsearch", tmp_path) as store:
        store.log.commit(ROOT_ACCESS, batch_of(older, number=1))
    request.getfixturevalue("later")
    with store_of("elasticsearch", tmp_path) as store:
        store.log.commit(ROOT_ACCESS, batch_of(newer, number=2))
        assert gateway.read("POST", "/_refresh").status == 200
        for what, query in QUERIES.items():
            for asked in (query, Not(query)):
                wanted = {str(event["event.id"]) for event in (*older, *newer) if predicate(asked)(event)}
                found = {str(event["event.id"]) for event in store.log.events(ROOT_ACCESS, EventQuery(where=asked))}
                assert found == wanted, what
                assert store.log.count(ROOT_ACCESS, EventQuery(where=asked)) == {"": len(wanted)}, what
        for name in (NAME, NUMBER, ADDRESS):
            assert store.log.count(ROOT_ACCESS, EventQuery(), by=name) == counted((*older, *newer), name)
            top = store.log.survey(ROOT_ACCESS, EventQuery(), fields=(name,)).top[name]
            assert dict(top.values) == cut(counted((*older, *newer), name, absent=False))
            assert top.absent == 2


def counted(events: tuple[Event, ...], name: str, *, absent: bool = True) -> Counter[str]:
    """Return how many events have each text in a field; "" stands for those without it too."""
    found: Counter[str] = Counter()
    for event in events:
        found.update(value_texts(event[name]) if name in event else ("",) * absent)
    return found


def cut(counts: Counter[str]) -> Counter[str]:
    return Counter({text[:MAX_VALUE]: number for text, number in counts.items()})


def test_bringing_forward_twice_changes_nothing(
    tmp_path: Path, gateway: Gateway, request: pytest.FixtureRequest
) -> None:
    write(tmp_path, 1, "old")
    assert bring_forward(gateway) == []
    request.getfixturevalue("later")
    assert len(bring_forward(gateway)) == 3  # events, batches, records
    assert bring_forward(gateway) == []


def test_indices_of_a_newer_program_are_refused_by_writers_and_readers(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1, "old")
    monkeypatch.setattr(mapping, "VERSION", mapping.VERSION - 1)
    with pytest.raises(StoreError, match="made by a newer secmon"):
        write(tmp_path, 2, "new")
    with pytest.raises(StoreError, match="made by a newer secmon"):
        require_known(gateway)


def test_an_index_that_does_not_take_what_is_new_is_named(
    tmp_path: Path, gateway: Gateway, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1, "old")
    request.getfixturevalue("later")
    monkeypatch.setattr(
        mapping, "event_mapping", lambda: {"properties": {"store": {"properties": {"batch": {"type": "long"}}}}}
    )
    with pytest.raises(StoreError, match="cannot be brought to the current schema"):
        bring_forward(gateway)
