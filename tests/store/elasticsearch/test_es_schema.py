"""Versions of mappings: older indices become current and answer fully, newer ones are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.errors import StoreError
from secmon.model.questions import EventQuery
from secmon.store.elasticsearch import encode, fields, mapping
from secmon.store.elasticsearch.gateway import Gateway
from secmon.store.elasticsearch.schema import bring_forward, require_known
from tests.contracts.backends import remove_store, settings_of, store_of
from tests.contracts.builders import ROOT_ACCESS, batch_of, event_at

pytestmark = pytest.mark.elasticsearch
NAME = "badge.zone"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(settings_of(tmp_path))
    yield made
    made.close()
    remove_store("elasticsearch", tmp_path)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand for a later program whose table has one field more."""
    with monkeypatch.context() as patch:
        patch.setattr(mapping, "VERSION", mapping.VERSION + 1)
        patch.setattr("secmon.store.elasticsearch.mapping.WORDS", fields.WORDS | {NAME})
        for module, name in ((fields, "INDEXED"), (fields, "KNOWN"), (encode, "KNOWN")):
            patch.setattr(module, name, getattr(module, name) | {NAME})
        patch.setattr(fields, "ADDED", frozenset({NAME}))
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
        assert store.log.check(ROOT_ACCESS, deep=True) == []


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
