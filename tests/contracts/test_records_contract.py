"""Records: compare-and-swap, lists that keep still under inserts, scope on every way in."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import ConflictError, NotFoundError, StoreError
from secmon.model.access import Access, Scope
from secmon.model.record import Body, Document, RecordQuery
from secmon.ports import Records
from tests.contracts.backends import empty_store
from tests.contracts.builders import ROOT_ACCESS, access_to
from tests.contracts.oracle import ACCESS_UNITS, UNITS, listed


def document(id_: str = "a-1", *, kind: str = "alert", **more: Any) -> Document:
    return Document(**{"kind": kind, "id": id_, "body": {"title": "学籍导出"}, **more})


def everything(records: Records, query: RecordQuery, access: Access = ROOT_ACCESS) -> list[Document]:
    """Follow the cursors to the end."""
    found: list[Document] = []
    page = records.find(access, query)
    found += page.documents
    while page.cursor:
        page = records.find(access, replace(query, after=page.cursor))
        found += page.documents
    return found


def test_a_document_comes_back_as_it_went_in(records: Records) -> None:
    body: Body = {"text": "王\0小明 \U0001f393", "list": [1, 2.5, None, True, {"deep": []}], "": "empty name"}
    stored = records.create(
        ROOT_ACCESS, document("图 1\0", body=body, keys={"state": "new\0", "at": ""}, unit_ids=("unit-b", "unit-a"))
    )
    assert stored.version == 1
    assert stored.body == body
    assert set(stored.unit_ids) == {"unit-a", "unit-b"}
    assert records.get(ROOT_ACCESS, "alert", "图 1\0") == stored


def test_what_was_stored_does_not_change_with_the_caller_s_object(records: Records) -> None:
    body: Body = {"list": [1]}
    stored = records.create(ROOT_ACCESS, document(body=body))
    body["list"].append(2)
    stored.body["list"].append(3)
    read = records.get(ROOT_ACCESS, "alert", "a-1")
    assert read is not None
    assert read.body == {"list": [1]}


def test_an_id_can_be_taken_once_in_each_kind(records: Records) -> None:
    records.create(ROOT_ACCESS, document())
    records.create(ROOT_ACCESS, document(kind="case"))
    with pytest.raises(ConflictError):
        records.create(ROOT_ACCESS, document(body={}))
    read = records.get(ROOT_ACCESS, "alert", "a-1")
    assert read is not None
    assert read.body == {"title": "学籍导出"}


def test_many_are_created_at_once_and_taken_ids_are_passed_over(records: Records) -> None:
    records.create(ROOT_ACCESS, document("b", body={"first": True}))
    assert records.create_all(ROOT_ACCESS, [document(id_, keys={"n": id_}) for id_ in "abca"]) == 2
    assert [found.id for found in everything(records, RecordQuery(kind="alert", order="n"))] == ["a", "c", "b"]
    assert records.create_all(ROOT_ACCESS, []) == 0


def test_replacing_raises_the_version_and_moves_keys_and_units(records: Records) -> None:
    first = records.create(ROOT_ACCESS, document(keys={"state": "new", "owner": "mori"}, unit_ids=("unit-a",)))
    second = records.replace(ROOT_ACCESS, replace(first, body={"n": 2}, keys={"state": "closed"}, unit_ids=("unit-b",)))
    assert second.version == 2
    assert records.get(ROOT_ACCESS, "alert", "a-1") == second
    assert records.get(access_to("unit-a"), "alert", "a-1") is None
    assert records.count(ROOT_ACCESS, RecordQuery(kind="alert"), by="owner") == {"": 1}
    assert everything(records, RecordQuery(kind="alert", equals={"state": ("new",)})) == []


def test_replacing_an_old_version_is_a_conflict_and_changes_nothing(records: Records) -> None:
    first = records.create(ROOT_ACCESS, document())
    second = records.replace(ROOT_ACCESS, replace(first, body={"n": 2}))
    for version in (first.version, 0, 3):
        with pytest.raises(ConflictError):
            records.replace(ROOT_ACCESS, replace(first, version=version, body={"n": 3}))
    assert records.get(ROOT_ACCESS, "alert", "a-1") == second


def test_replacing_what_is_not_there_says_so(records: Records) -> None:
    with pytest.raises(NotFoundError):
        records.replace(ROOT_ACCESS, document(version=1))


def test_no_message_quotes_the_document(records: Records) -> None:
    secret = "110101200001010015"
    records.create(ROOT_ACCESS, document(secret, body={"id": secret}))
    for attempt in (records.create, records.replace):
        with pytest.raises(ConflictError) as refused:
            attempt(ROOT_ACCESS, document(secret, body={"id": secret}, version=7))
        assert secret not in str(refused.value)


def test_only_sessions_and_invitations_can_be_removed(records: Records) -> None:
    for kind in ("session", "invitation", "alert"):
        records.create(ROOT_ACCESS, document(kind=kind, keys={"k": "v"}, unit_ids=("unit-a",)))
    records.delete(ROOT_ACCESS, "session", "a-1")
    records.delete(ROOT_ACCESS, "invitation", "a-1")
    records.delete(ROOT_ACCESS, "invitation", "never there")
    with pytest.raises(StoreError):
        records.delete(ROOT_ACCESS, "alert", "a-1")
    assert records.get(ROOT_ACCESS, "session", "a-1") is None
    assert records.get(ROOT_ACCESS, "alert", "a-1") is not None
    assert everything(records, RecordQuery(kind="session", equals={"k": ("v",)})) == []
    assert records.create(ROOT_ACCESS, document(kind="session")).version == 1


@pytest.mark.parametrize(
    "body",
    [{"s": "\ud800"}, {"n": 2**70}, {"o": object()}, {1: "x"}],
    ids=["a lone surrogate", "a giant number", "an object", "a name that is no text"],  # the same in every process
)
def test_what_is_no_json_is_refused_and_nothing_is_stored(records: Records, body: Body) -> None:
    with pytest.raises(StoreError):
        records.create(ROOT_ACCESS, document(body=body))
    assert records.get(ROOT_ACCESS, "alert", "a-1") is None


@pytest.mark.parametrize(
    "more",
    [{"keys": {"k": "\ud800"}}, {"keys": {"\ud800": "v"}}, {"unit_ids": ("\ud800",)}, {"unit_ids": ("a\0",)}],
    ids=str,
)
def test_names_that_no_store_can_hold_are_refused(records: Records, more: dict[str, Any]) -> None:
    with pytest.raises(StoreError):
        records.create(ROOT_ACCESS, document(**more))
    assert records.count(ROOT_ACCESS, RecordQuery(kind="alert")) == {"": 0}


def test_asking_with_a_lone_surrogate_finds_nothing(records: Records) -> None:
    records.create(ROOT_ACCESS, document(keys={"state": "new"}))
    broken = "\ud800"
    assert records.get(ROOT_ACCESS, "alert", broken) is None
    for query in (
        RecordQuery(kind=broken),
        RecordQuery(kind="alert", equals={"state": (broken,)}),
        RecordQuery(kind="alert", equals={broken: ("new",)}),
        RecordQuery(kind="alert", ranges={"state": (broken, None)}),
        RecordQuery(kind="alert", text=broken),
    ):
        assert records.find(ROOT_ACCESS, query).documents == ()
        assert records.count(ROOT_ACCESS, query) == {"": 0}


def test_an_empty_store_answers_with_nothing(records: Records) -> None:
    assert records.get(ROOT_ACCESS, "alert", "x") is None
    assert records.find(ROOT_ACCESS, RecordQuery(kind="alert")).documents == ()
    assert records.count(ROOT_ACCESS, RecordQuery(kind="alert")) == {"": 0}
    assert records.count(ROOT_ACCESS, RecordQuery(kind="alert"), by="state") == {}
    assert records.check(ROOT_ACCESS, deep=True) == []


_VALUES = st.sampled_from(["", "a", "b", "B", "中", "\U0001f393", "a\0", "2026-11-21T12:00:00.000Z"])
_DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {
            "keys": st.dictionaries(st.sampled_from(["state", "last"]), _VALUES),
            "unit_ids": st.lists(st.sampled_from(UNITS), unique=True).map(lambda units: tuple(sorted(units))),
            "body": st.fixed_dictionaries(
                {"t": st.sampled_from(["学籍 导出", "bulk EXPORT", ""]), "n": st.lists(_VALUES)}
            ),
            "kind": st.sampled_from(["alert", "alert", "case"]),
        }
    ),
    max_size=20,
)
_QUERIES = st.builds(
    RecordQuery,
    kind=st.just("alert"),
    equals=st.fixed_dictionaries({}, optional={"state": st.tuples(_VALUES) | st.tuples(_VALUES, _VALUES)}),
    ranges=st.fixed_dictionaries({}, optional={"last": st.tuples(st.none() | _VALUES, st.none() | _VALUES)}),
    text=st.sampled_from(["", "", "学籍", "export", "籍 导", "b"]),
    order=st.sampled_from(["", "last", "state", "nobody"]),
    descending=st.booleans(),
    limit=st.integers(1, 4),
)


@settings(max_examples=50, deadline=None)
@given(drawn=_DOCUMENTS, query=_QUERIES, units=ACCESS_UNITS, by=st.sampled_from(["", "state"]))
def test_lists_and_counts_are_those_of_the_oracle(
    backend: str, drawn: list[dict[str, Any]], query: RecordQuery, units: frozenset[str] | None, by: str
) -> None:
    documents = [document(f"d{number}", version=1, **one) for number, one in enumerate(drawn)]
    access = Access(ROOT_ACCESS.principal, Scope(units))
    expected = listed(documents, query, Scope(units))
    with empty_store(backend) as store:
        store.records.create_all(ROOT_ACCESS, documents)
        assert everything(store.records, query, access) == expected
        counts = store.records.count(access, query, by=by)
        for one in documents:
            read = store.records.get(access, one.kind, one.id)
            assert read == (one if units is None or units & set(one.unit_ids) else None)
    if by:
        values = [one.keys.get(by, "") for one in expected]
        assert counts == {value: values.count(value) for value in values}
    else:
        assert counts == {"": len(expected)}


@settings(max_examples=30, deadline=None)
@given(data=st.data(), descending=st.booleans(), order=st.sampled_from(["", "last"]))
def test_paging_shows_each_old_document_once_while_others_come(
    backend: str, data: st.DataObject, *, descending: bool, order: str
) -> None:
    old = [document(f"o{n}", keys={"last": str(n % 3)} if n % 4 else {}) for n in range(9)]
    query = RecordQuery(kind="alert", order=order, descending=descending, limit=2)
    seen: list[str] = []
    with empty_store(backend) as store:
        store.records.create_all(ROOT_ACCESS, old)
        page = store.records.find(ROOT_ACCESS, query)
        while True:
            seen += [found.id for found in page.documents]
            if not page.cursor:
                break
            name = data.draw(st.sampled_from(["a", "o4x", "z"]), label="name of the new one") + str(len(seen))
            keys = {"last": data.draw(st.sampled_from(["", "1", "9"]), label="its key")}
            store.records.create(ROOT_ACCESS, document(name, keys=keys))
            page = store.records.find(ROOT_ACCESS, replace(query, after=page.cursor))
    assert len(seen) == len(set(seen))
    assert {one.id for one in old} <= set(seen)


@pytest.mark.parametrize("cursor", ["x", "!", "W10=", "eyJhIjoxfQ==", "WzEsMl0=", "\ud800", "W251bGwsIG51bGxd"])
def test_a_forged_cursor_is_refused(records: Records, cursor: str) -> None:
    records.create(ROOT_ACCESS, document())
    with pytest.raises(StoreError):
        records.find(ROOT_ACCESS, RecordQuery(kind="alert", after=cursor))


@pytest.mark.parametrize(
    "change",
    [
        lambda records, seen: records.replace(access_to("unit-b"), replace(seen, body={"stolen": True})),
        lambda records, seen: records.replace(access_to(), replace(seen, unit_ids=("unit-b",))),
    ],
    ids=["another unit", "no unit"],
)
def test_what_cannot_be_seen_cannot_be_replaced(
    records: Records, change: Callable[[Records, Document], object]
) -> None:
    seen = records.create(ROOT_ACCESS, document(unit_ids=("unit-a",)))
    with pytest.raises(NotFoundError):
        change(records, seen)
    assert records.get(ROOT_ACCESS, "alert", "a-1") == seen


def test_what_cannot_be_seen_cannot_be_removed(records: Records) -> None:
    records.create(ROOT_ACCESS, document(kind="session", unit_ids=("unit-a",)))
    records.delete(access_to("unit-b"), "session", "a-1")
    assert records.get(ROOT_ACCESS, "session", "a-1") is not None


def test_of_many_threads_that_swap_the_same_version_one_wins(records: Records) -> None:
    first = records.create(ROOT_ACCESS, document(body={"n": 0}))

    def swap(number: int) -> bool:
        try:
            records.replace(ROOT_ACCESS, replace(first, body={"n": number}))
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(swap, range(1, 17)))
    assert sum(won) == 1
    read = records.get(ROOT_ACCESS, "alert", "a-1")
    assert read is not None
    assert read.version == 2
    assert read.body == {"n": won.index(True) + 1}


def test_threads_that_try_again_lose_no_increment(records: Records) -> None:
    records.create(ROOT_ACCESS, document(body={"n": 0}))

    def increment(_: int) -> None:
        while True:
            read = records.get(ROOT_ACCESS, "alert", "a-1")
            assert read is not None
            try:
                records.replace(ROOT_ACCESS, replace(read, body={"n": read.body["n"] + 1}))
            except ConflictError:
                continue
            return

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(increment, range(40)))
    read = records.get(ROOT_ACCESS, "alert", "a-1")
    assert read is not None
    assert (read.body, read.version) == ({"n": 40}, 41)


def test_many_documents_are_listed_whole_by_a_common_and_a_rare_key(records: Records) -> None:
    """More than an adapter collects before it changes its way of asking."""
    records.create_all(
        ROOT_ACCESS,
        [document(f"{n:06d}", body={}, keys={"state": "rare" if n % 1_000 == 7 else "new"}) for n in range(12_000)],
    )
    common = RecordQuery(kind="alert", equals={"state": ("new",)}, order="state", descending=True, limit=5_000)
    assert len(everything(records, common)) == 11_988
    rare = RecordQuery(kind="alert", equals={"state": ("rare",)}, limit=5)
    assert [found.id for found in everything(records, rare)] == [f"{n:06d}" for n in range(7, 12_000, 1_000)]
