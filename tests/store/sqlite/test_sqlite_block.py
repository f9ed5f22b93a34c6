"""Blocks: consecutive, bounded, and the same bodies again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import StoreError
from secmon.store.sqlite.block import MAX_BYTES, MAX_EVENTS, BlockCache, cut, pack, unpack


@given(sizes=st.lists(st.integers(0, 2 * MAX_BYTES) | st.integers(0, 2_000), max_size=1_500))
def test_blocks_follow_each_other_and_are_bounded(sizes: list[int]) -> None:
    spans = list(cut(sizes))
    assert [place for span in spans for place in range(*span)] == list(range(len(sizes)))
    assert all(1 <= end - start <= MAX_EVENTS for start, end in spans)
    assert all(end - start == 1 or sum(sizes[start:end]) <= MAX_BYTES for start, end in spans)


@given(bodies=st.lists(st.binary(min_size=1).map(lambda body: body.replace(b"\n", b" ")), min_size=1))
def test_bodies_come_back(bodies: list[bytes]) -> None:
    assert unpack(pack(bodies), where="x.db") == bodies


def test_a_body_with_a_line_end_is_refused() -> None:
    with pytest.raises(StoreError):
        pack([b"{}", b"{\n}"])


@given(junk=st.binary(max_size=200))
def test_damaged_blocks_are_named_and_never_break(junk: bytes) -> None:
    with pytest.raises(StoreError, match=r"^x\.db: "):
        unpack(junk, where="x.db")


def test_a_cache_forgets_the_longest_unused_beyond_its_bound() -> None:
    cache = BlockCache(max_bytes=25)
    cache.put("p", 1, [b"x" * 10])
    cache.put("p", 2, [b"y" * 10])
    assert cache.get("p", 1) is not None
    cache.put("p", 3, [b"z" * 10])
    assert cache.get("p", 2) is None
    assert cache.get("p", 1) == [b"x" * 10]
    assert cache.get("q", 1) is None
