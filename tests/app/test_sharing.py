"""The plan of sharing: everything is read by somebody, nobody has more than a share, and it comes to rest."""

from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app.sharing import plan, share

DAEMONS = ("a", "b", "c", "d")


def settled(readers: dict[str, set[str]], holders: dict[str, str]) -> tuple[dict[str, str], int]:
    """Let all daemons act in turn until nothing moves; return who has what and after how many rounds."""
    holders = {name: owner for name, owner in holders.items() if owner in readers and name in readers[owner]}
    missed: dict[str, int] = {}
    for number in range(60):
        before = dict(holders)
        free = {name for sources in readers.values() for name in sources} - holders.keys()
        missed = {name: missed.get(name, 0) + 1 for name in free}
        overdue = {name for name, rounds in missed.items() if rounds > 4}
        for one in readers:
            decided = plan(one, readers, holders, overdue=overdue)
            for name in decided.give:
                assert holders.pop(name) == one
            for name in decided.take:
                assert name not in holders
                holders[name] = one
        if holders == before and not free:
            return holders, number
    raise AssertionError("it never comes to rest")


def test_the_only_daemon_takes_everything_at_once() -> None:
    decided = plan("a", {"a": {"x", "y", "z"}}, {})
    assert sorted(decided.take) == ["x", "y", "z"]
    assert decided.give == ()


def test_two_that_begin_at_once_share_equally() -> None:
    names = {f"s{n}" for n in range(10)}
    holders, _ = settled({"a": names, "b": names}, {})
    assert sorted(list(holders.values()).count(one) for one in "ab") == [5, 5]


def test_one_that_comes_later_gets_its_share() -> None:
    names = {f"s{n}" for n in range(9)}
    holders, rounds = settled({"a": names, "b": names, "c": names}, dict.fromkeys(names, "a"))
    assert {list(holders.values()).count(one) for one in "abc"} == {3}
    assert rounds <= 3


def test_what_one_daemon_alone_can_read_is_read_by_it_and_never_given_away() -> None:
    readers = {"a": {"local1", "local2", "local3", "both"}, "b": {"both"}}
    holders, _ = settled(readers, {})
    assert {holders[name] for name in ("local1", "local2", "local3")} == {"a"}
    assert plan("a", readers, dict.fromkeys(readers["a"], "a")).give in ((), ("both",))


def test_nothing_is_given_to_those_who_have_no_room() -> None:
    names = {"s1", "s2", "s3"}
    holders = {"s1": "a", "s2": "a", "s3": "b"}
    assert plan("a", {"a": names, "b": names}, holders).give == ()


readers_of = st.dictionaries(
    st.sampled_from(DAEMONS), st.sets(st.sampled_from([f"s{n}" for n in range(12)]), max_size=12), min_size=1
)


@settings(max_examples=200)
@given(readers=readers_of, data=st.data())
def test_from_any_state_it_comes_to_rest_and_everything_is_read(
    readers: dict[str, set[str]], data: st.DataObject
) -> None:
    every = sorted({name for sources in readers.values() for name in sources})
    holders = {
        name: data.draw(st.sampled_from([one for one in readers if name in readers[one]]), label=name)
        for name in data.draw(st.lists(st.sampled_from(every), unique=True) if every else st.just([]), label="held")
    }
    found, _ = settled(readers, holders)
    assert sorted(found) == every
    assert all(name in readers[owner] for name, owner in found.items())


@given(count=st.integers(1, 40), daemons=st.integers(1, 4))
def test_with_the_same_sources_nobody_has_more_than_a_share(count: int, daemons: int) -> None:
    names = {f"s{n}" for n in range(count)}
    readers = dict.fromkeys(DAEMONS[:daemons], names)
    holders, _ = settled(readers, dict.fromkeys(names, "a"))
    assert max(list(holders.values()).count(one) for one in readers) <= share("a", readers) == -(-count // daemons)
