"""The audit chain: dense, bound, healing; whoever changes, inserts, deletes or cuts off entries is found out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from secmon.app import audit
from secmon.app.installation import Installation
from secmon.model.access import Access, Scope
from secmon.model.record import Document, RecordQuery
from secmon.ports import Records
from tests.app.houses import OPERATOR, opened_house


def entries(house: Installation) -> list[Document]:
    return list(house.records.find(OPERATOR, RecordQuery(kind="audit", order="number", limit=1000)).documents)


def chain_of(house: Installation, number: int) -> list[Document]:
    for step in range(number):
        audit.append(house, OPERATOR, "test.step", f"target-{step}")
    return entries(house)


def rehashed(document: Document, **changes: object) -> Document:
    body = {**document.body, **changes}
    return replace(document, body={**body, "hash": audit.entry_hash(body)})


def test_entries_are_dense_and_bound_to_each_other(house: Installation) -> None:
    chain = chain_of(house, 5)
    assert [one.body["number"] for one in chain] == [1, 2, 3, 4, 5]
    assert [one.body["previous"] for one in chain] == [audit.GENESIS, *(one.body["hash"] for one in chain[:-1])]
    assert audit.verify(house, OPERATOR) == []


def test_an_empty_chain_is_good(house: Installation) -> None:
    assert audit.verify(house, OPERATOR) == []


def test_a_user_of_one_unit_writes_into_the_same_chain(house: Installation) -> None:
    audit.append(house, OPERATOR, "test.step", "root")
    audit.append(house, Access(OPERATOR.principal, Scope(frozenset({"S-1"}))), "test.step", "school")
    assert [one.body["number"] for one in entries(house)] == [1, 2]


def test_threads_that_append_at_once_leave_a_dense_chain(house: Installation) -> None:
    with ThreadPoolExecutor(8) as threads:
        hashes = list(threads.map(lambda n: audit.append(house, OPERATOR, "test.step", str(n)), range(120)))
    chain = entries(house)
    assert [one.body["number"] for one in chain] == list(range(1, 121))
    assert {one.body["hash"] for one in chain} == set(hashes)
    assert audit.verify(house, OPERATOR) == []


def test_a_changed_entry_is_named(house: Installation) -> None:
    third = chain_of(house, 5)[2]
    house.records.replace(OPERATOR, replace(third, body={**third.body, "by": "user:somebody-else"}))
    assert audit.verify(house, OPERATOR) == ["audit entry 3: changed"]


def test_an_entry_that_was_changed_together_with_its_hash_is_named(house: Installation) -> None:
    third = chain_of(house, 5)[2]
    house.records.replace(OPERATOR, rehashed(third, by="user:somebody-else"))
    assert audit.verify(house, OPERATOR) == ["audit entry 3: changed"]


def test_the_last_entry_changed_together_with_its_hash_is_named(house: Installation) -> None:
    last = chain_of(house, 5)[4]
    house.records.replace(OPERATOR, rehashed(last, by="user:somebody-else"))
    assert audit.verify(house, OPERATOR) == ["audit entry 5: changed"]


def test_an_inserted_entry_is_named(house: Installation) -> None:
    third = chain_of(house, 5)[2]
    house.records.create(OPERATOR, replace(rehashed(third, action="test.forged"), id="main-000000000003-b"))
    assert audit.verify(house, OPERATOR) == ["audit entry 3: inserted"]


def without(monkeypatch: pytest.MonkeyPatch, records: Records, gone: Callable[[Document], bool]) -> None:
    """Take entries out of what the store shows: no port deletes audit entries, an attacker with the file could."""
    find = records.find

    def fewer(access: Access, query: RecordQuery) -> object:
        page = find(access, query)
        return replace(page, documents=tuple(one for one in page.documents if not gone(one)))

    monkeypatch.setattr(type(records), "find", lambda _self, access, query: fewer(access, query))


def test_a_deleted_entry_is_named(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    chain_of(house, 5)
    without(monkeypatch, house.records, lambda one: one.body.get("number") in {2, 3})
    assert audit.verify(house, OPERATOR) == ["audit entry 2: deleted", "audit entry 3: deleted"]


def test_a_changed_entry_behind_a_deleted_one_is_named_too(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = chain_of(house, 5)[2]
    house.records.replace(OPERATOR, replace(third, body={**third.body, "by": "user:somebody-else"}))
    without(monkeypatch, house.records, lambda one: one.body.get("number") == 2)
    assert audit.verify(house, OPERATOR) == ["audit entry 2: deleted", "audit entry 3: changed"]


def test_a_chain_that_was_cut_off_does_not_reach_its_head(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    chain_of(house, 5)
    without(monkeypatch, house.records, lambda one: one.body.get("number") == 5)
    assert audit.verify(house, OPERATOR) == ["audit entry 5: truncated"]


def test_a_chain_cut_off_together_with_its_head_shows_at_the_anchor(tmp_path: Path) -> None:
    anchored: list[str] = []
    with opened_house(tmp_path / "state") as house:
        anchoring = replace(house, anchor=anchored.append)
        chain_of(anchoring, 5)
        assert audit.verify(house, OPERATOR, anchored=anchored[-1]) == []
    with opened_house(tmp_path / "older") as shorter:
        chain_of(shorter, 3)
        assert audit.verify(shorter, OPERATOR, anchored=anchored[-1]) == ["audit entry 5: truncated"]


def test_a_chain_replaced_by_another_of_the_same_length_shows_at_the_anchor(house: Installation) -> None:
    chain_of(house, 3)
    assert audit.verify(house, OPERATOR, anchored="3 " + "f" * 64) == ["audit entry 3: changed"]


@pytest.mark.parametrize("anchored", ["nonsense", "x y", "3", "-1 00", "\ud800 a", " \n"])
def test_an_anchor_that_cannot_be_read_is_a_problem_of_its_own(house: Installation, anchored: str) -> None:
    chain_of(house, 3)
    assert audit.verify(house, OPERATOR, anchored=anchored) == ["audit.head: not NUMBER HASH"]


def test_a_crash_between_entry_and_head_heals_with_the_next_entry(house: Installation) -> None:
    chain_of(house, 2)
    head = house.records.get(OPERATOR, "audit_head", audit.CHAIN)
    assert head is not None
    chain_of(house, 1)
    after = house.records.get(OPERATOR, "audit_head", audit.CHAIN)
    assert after is not None
    house.records.replace(OPERATOR, replace(head, version=after.version))  # as if the head had never been moved
    assert audit.verify(house, OPERATOR) == []
    audit.append(house, OPERATOR, "test.step", "after the crash")
    assert [one.body["number"] for one in entries(house)] == [1, 2, 3, 4]
    assert audit.verify(house, OPERATOR) == []


def test_a_crash_before_the_very_first_head_heals_too(house: Installation) -> None:
    first = {"number": 1, "at": "", "by": "", "action": "", "target": "", "details": {}, "previous": audit.GENESIS}
    entry = {**first, "hash": audit.entry_hash(first)}
    document = Document(kind="audit", id="main-000000000001", body=entry, keys={"number": "000000000001"})
    house.records.create(OPERATOR, document)
    audit.append(house, OPERATOR, "test.step", "after the crash")
    assert [one.body["number"] for one in entries(house)] == [1, 2]
    assert audit.verify(house, OPERATOR) == []


def test_the_anchor_is_the_last_entry(tmp_path: Path) -> None:
    anchored: list[str] = []
    with opened_house(tmp_path / "state") as house:
        anchoring = replace(house, anchor=anchored.append)
        digest = [audit.append(anchoring, OPERATOR, "test.step", str(n)) for n in range(3)][-1]
    assert anchored[-1] == f"3 {digest}\n"
