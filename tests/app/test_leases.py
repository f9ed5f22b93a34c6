"""Sessions and leases on a clock that is set: taking over, coming back from a freeze, going at a clean end."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app.installation import Installation
from secmon.app.leases import BEAT_S, FORWARD, TTL_S, Alone, Member, Peer, peers, readers, source_lease, valid_leases
from secmon.daemon.sharing import Sharing
from secmon.errors import ConflictError, SecmonError, StoreError, StoreUnavailableError
from secmon.model.access import Access
from secmon.model.record import Document
from tests.app.houses import OPERATOR, SetClock, opened_house

CAS, WEB = source_lease("cas"), source_lease("web")
NAMES = (FORWARD, CAS, WEB)


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with opened_house(tmp_path / "state", clock) as opened:
        yield replace(opened, is_shared=True)


def member(house: Installation, id_: str, sources: tuple[str, ...] = ("cas", "web"), **more: Any) -> Member:
    peer = Peer(id=id_, host=f"host-{id_}", started="", software="1", sources=sources)
    return Member(house, OPERATOR, peer, **more)


def held(one: Member) -> set[str]:
    return {name for name in NAMES if one.term(name)}


def run(clock: SetClock, seconds: float, *members: Member) -> None:
    """Let time pass, with the beats of these daemons in it."""
    for _ in range(round(seconds / BEAT_S)):
        clock.pass_time(seconds=BEAT_S)
        for one in members:
            one.beat()
            one.let_go()


def test_the_only_daemon_has_everything_with_its_first_beat(house: Installation) -> None:
    one = member(house, "a")
    one.beat()
    assert held(one) == set(NAMES)
    assert {name: peer.id for name, peer in readers(house, OPERATOR).items()} == {"cas": "a", "web": "a"}


def test_two_daemons_share_and_have_nothing_twice(house: Installation, clock: SetClock) -> None:
    one, other = member(house, "a"), member(house, "b")
    one.beat()
    other.beat()
    run(clock, 12, one, other)
    assert held(one) | held(other) == set(NAMES)
    assert held(one) & held(other) == set()
    assert len(held(one) - {FORWARD}) == len(held(other) - {FORWARD}) == 1


def test_daemons_tell_each_other_by_which_rules_they_work(house: Installation, clock: SetClock) -> None:
    one, other = member(house, "a"), member(house, "b")
    run(clock, 12, one, other)
    assert {peer.ruleset for peer in peers(house, OPERATOR)} == {house.ruleset.digest}
    assert Sharing(one).check().state == "ok"
    other.ruleset = "f" * 32
    run(clock, BEAT_S, one, other)
    run(clock, BEAT_S, one, other)
    found = Sharing(one).check()
    assert (found.state, found.detail.rpartition("; ")[2]) == ("warn", "other rules on host-b")
    one.ruleset = other.ruleset
    assert Sharing(one).check().state == "ok"


def test_what_a_dead_daemon_had_is_taken_within_half_a_minute(house: Installation, clock: SetClock) -> None:
    one, other = member(house, "a"), member(house, "b")
    run(clock, 12, one, other)
    passed = 0.0
    while held(other) != set(NAMES):
        run(clock, BEAT_S, other)
        passed += BEAT_S
        assert passed < 30
    assert passed >= TTL_S - BEAT_S
    assert {peer.id: peer.state for peer in peers(house, OPERATOR)} == {"a": "dead", "b": "running"}


def test_a_daemon_that_was_frozen_knows_it_before_it_asks_anybody(house: Installation, clock: SetClock) -> None:
    one = member(house, "a")
    one.beat()
    clock.pass_time(seconds=TTL_S)
    assert held(one) == set()


def test_a_daemon_that_was_frozen_drops_everything_and_begins_anew(house: Installation, clock: SetClock) -> None:
    one, other = member(house, "a"), member(house, "b")
    run(clock, 12, one, other)
    before = {name: one.term(name) for name in held(one)}
    run(clock, 40, other)
    assert held(one) == set()
    one.beat()
    assert held(other) == set(NAMES)
    assert held(one) == set()
    run(clock, 12, one, other)
    assert len(held(one) - {FORWARD}) == 1
    assert all(one.term(name) > epoch for name, epoch in before.items() if one.term(name))


def test_a_freeze_that_nobody_noticed_changes_nothing(house: Installation, clock: SetClock) -> None:
    one = member(house, "a")
    one.beat()
    terms = {name: one.term(name) for name in NAMES}
    clock.pass_time(minutes=5)
    assert held(one) == set()
    one.beat()
    assert {name: one.term(name) for name in NAMES} == terms


def test_a_clean_end_gives_everything_back_at_once(house: Installation, clock: SetClock) -> None:
    one, other = member(house, "a"), member(house, "b")
    run(clock, 12, one, other)
    one.end()
    assert held(one) == set()
    run(clock, BEAT_S, other)
    assert held(other) == set(NAMES)


def test_the_same_state_folder_takes_its_own_back_at_once_after_a_kill(house: Installation) -> None:
    killed = member(house, "a")
    killed.beat()
    again = member(house, "a")
    again.beat()
    assert held(again) == set(NAMES)
    assert all(again.term(name) == 2 for name in NAMES)


def test_a_copied_state_folder_is_told_and_keeps_off(house: Installation, clock: SetClock) -> None:
    one = member(house, "a")
    one.beat()
    copy = member(house, "a")
    copy.beat()
    for _ in range(3):
        with pytest.raises(StoreError, match=r"daemon\.id"):
            one.beat()
        run(clock, BEAT_S, copy)
    assert held(one) == set()
    assert held(copy) == set(NAMES)


def test_a_run_that_ends_by_itself_takes_what_is_free_and_no_more(house: Installation, clock: SetClock) -> None:
    one = member(house, "a", ("cas",))
    one.beat()
    once = member(house, "b", takes_all=True)
    once.beat()
    assert held(once) == {WEB}
    run(clock, 12, one)
    assert CAS in held(one)


def test_an_embedded_store_asks_nobody(house: Installation) -> None:
    assert {Alone().term(name) for name in NAMES} == {1}
    assert readers(replace(house, is_shared=False), OPERATOR) == {}


class Lossy:
    """Documents on a store whose answers get lost now and then, or whose requests do."""

    def __init__(self, records: Any, losses: Iterator[str]) -> None:
        self._records, self._losses = records, losses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def create(self, access: Access, document: Document) -> Document:
        return self._lose(self._records.create, access, document)

    def replace(self, access: Access, document: Document) -> Document:
        return self._lose(self._records.replace, access, document)

    def _lose(self, do: Any, access: Access, document: Document) -> Document:
        loss = next(self._losses, "")
        if loss == "request":
            raise StoreUnavailableError("lost")
        done: Document = do(access, document)
        if loss == "answer":
            raise StoreUnavailableError("lost")
        return done


steps = st.lists(
    st.tuples(st.sampled_from(["beat", "freeze", "end"]), st.sampled_from("abc"), st.floats(0, 20)), max_size=40
)


@settings(max_examples=30)
@given(steps=steps, losses=st.lists(st.sampled_from(["", "", "request", "answer"]), max_size=40))
def test_nobody_is_certain_of_what_another_one_is_certain_of(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, float]], losses: list[str]
) -> None:
    """Whatever freezes, ends or gets lost; and when it has passed, everything is somebody's again."""
    clock = SetClock()
    with opened_house(tmp_path_factory.mktemp("house"), clock) as opened:
        lossy = replace(opened, is_shared=True, records=Lossy(opened.records, iter(losses)))
        members = {id_: member(lossy, id_) for id_ in "abc"}

        def act(what: str, one: Member) -> None:
            try:
                if what == "beat":
                    one.beat()
                    one.let_go()
                elif what == "end":
                    one.end()
            except (StoreUnavailableError, ConflictError):
                pass

        def judge() -> None:
            for name in NAMES:
                assert sum(bool(one.term(name)) for one in members.values()) <= 1, name

        for what, id_, seconds in steps:
            clock.pass_time(seconds=seconds)
            act(what, members[id_])
            judge()
        for _ in range(30):
            clock.pass_time(seconds=BEAT_S)
            for one in members.values():
                act("beat", one)
                judge()
        assert set.union(*(held(one) for one in members.values())) == set(NAMES)
        assert set(valid_leases(opened, OPERATOR, peers(opened, OPERATOR))) == set(NAMES)


def test_what_a_beat_raises_is_an_error_of_ours(house: Installation) -> None:
    lossy = replace(house, records=Lossy(house.records, iter(["request"])))
    with pytest.raises(SecmonError):
        member(lossy, "a").beat()
