"""Packs of silent hits: nothing is lost in them, and they are read in order beside single hits."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import StoreError
from secmon.model.event import to_micros
from secmon.model.hit import Hit, Level
from secmon.store.elasticsearch import packs
from secmon.store.elasticsearch.encode import Source, hit_item
from tests.contracts.builders import DAY, KEY, NOON, OTHER_KEY, event_at, silent_on

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=3),
)
FIELDS = st.dictionaries(st.sampled_from(["source.ip", "user.name", "a", "名"]), VALUES, max_size=3)
HITS = st.builds(
    lambda place, minute, **more: silent_on(
        event_at(place % 50, NOON + timedelta(minutes=minute), source=f"s{place % 3}", day=DAY, sub_index=place % 2),
        **more,
    ),
    place=st.integers(0, 300),
    minute=st.integers(-9, 9),
    rule=st.sampled_from(["rule-a", "rule-b"]),
    level=st.sampled_from(list(Level)),
    keys=st.lists(st.sampled_from([KEY, OTHER_KEY]), unique=True).map(tuple),
    group=FIELDS,
    captured=FIELDS,
    signature=st.sampled_from(["", "0123456789abcdef"]),
    unit_id=st.sampled_from([None, "S-1", "S-2"]),
    asset_id=st.sampled_from([None, "A-1"]),
    alert_id=st.sampled_from([None, None, "a" * 32]),
)
LISTS = st.lists(HITS, max_size=30, unique_by=lambda hit: (hit.event_id, hit.rule_id))


def documents(hits: list[Hit]) -> list[Source]:
    items = [packs.pack_item(packs.pack_id(part), part) for part in packs.packs_of(filter(packs.is_packable, hits))]
    items += [hit_item(hit) for hit in hits if not packs.is_packable(hit)]
    return [orjson.loads(item.document(b"token")) for item in items]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "MOST_HITS", 7)


@given(LISTS)
def test_packs_and_single_hits_are_read_in_order(hits: list[Hit]) -> None:
    made = documents(hits)
    made.sort(key=lambda one: (one["at"], one["event"]))
    assert list(packs.in_order(made, packs.by_time)) == sorted(hits, key=packs.by_time)
    made.sort(key=lambda one: one["event"])
    assert list(packs.in_order(made, packs.by_event)) == sorted(hits, key=packs.by_event)
    assert sum(map(packs.size_of, made)) == len(hits)
    assert len({(one["at"], one["event"]) for one in made}) >= len({hit.event_id for hit in hits if hit.alert_id})


@pytest.mark.parametrize("value", ["x" * 250, "名" * 250, ["x" * 64] * 16], ids=["plain", "wide", "list"])
def test_a_pack_is_bounded_in_bytes_as_well(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "MOST_HITS", 500)
    monkeypatch.setattr(packs, "MOST_BYTES", 5_000)
    hits = [silent_on(event_at(number), captured={"user.name": value}) for number in range(100)]
    made = documents(hits)
    assert sum(map(packs.size_of, made)) == 100
    assert all(len(orjson.dumps(one["pack"]["values"])) <= 5_200 for one in made)
    assert len(made) < 40


@given(LISTS.filter(bool), st.data())
def test_the_span_of_a_pack_holds_all_of_it(hits: list[Hit], data: st.DataObject) -> None:
    for one in documents([replace(hit, alert_id=None) for hit in hits]):
        inside = packs.hits_of(one)
        ids = [hit.event_id for hit in inside]
        assert all(one["event"][:32] <= each <= one["last_event"] for each in ids)
        assert (one["event"][:32], one["last_event"]) == (min(ids), max(ids))
        wanted = packs.Wanted(
            since=data.draw(st.sampled_from([None, one["at"], one["last"]])),
            rules=frozenset(data.draw(st.sampled_from([(), ("rule-a",)]))),
            keys=frozenset(data.draw(st.sampled_from([(), (KEY,), ("none",)]))),
            asset=data.draw(st.sampled_from(["", "A-1"])),
            units=data.draw(st.sampled_from([None, frozenset({"S-1"}), frozenset[str]()])),
        )
        assert packs.hits_of(one, wanted) == [
            hit
            for hit in inside
            if (wanted.since is None or to_micros(hit.at) >= wanted.since)
            and (not wanted.rules or hit.rule_id in wanted.rules)
            and (not wanted.keys or wanted.keys & set(hit.keys))
            and (not wanted.asset or hit.asset_id == wanted.asset)
            and (wanted.units is None or hit.unit_id in wanted.units)
        ]


@pytest.mark.parametrize(
    "more",
    [
        {"alert_id": "a" * 32},
        {"suppressed_by": "exception-a"},
        {"keys": ("not hex",)},
        {"unit_id": "u" * 5_000},
    ],
    ids=["of an alert", "suppressed", "an unusual key", "a unit that no index holds"],
)
def test_what_is_counted_by_the_index_or_cannot_stand_in_it_is_not_packed(more: dict[str, Any]) -> None:
    assert packs.is_packable(silent_on(event_at(0)))
    assert not packs.is_packable(silent_on(event_at(0), **more))


def test_an_emptied_pack_stands_in_its_place_and_holds_nothing() -> None:
    hit = silent_on(event_at(3))
    (full,) = documents([hit])
    empty = orjson.loads(packs.emptied_item("pack-x", hit).document(b"token"))
    assert (packs.hits_of(empty), packs.size_of(empty)) == ([], 0)
    assert list(packs.in_order([empty, full], packs.by_time)) == [hit]


def test_the_id_of_a_pack_follows_from_its_hits_alone() -> None:
    hits = [silent_on(event_at(n)) for n in range(3)]
    again = [replace(hit, level=Level.LOW, captured={}) for hit in hits]
    assert packs.pack_id(hits) == packs.pack_id(again) != packs.pack_id(hits[:2])


def test_a_value_that_is_no_json_is_told() -> None:
    with pytest.raises(StoreError, match="JSON"):
        documents([silent_on(event_at(0), captured={"x": "\ud800"})])
