"""merkle_root: RFC 6962, section 2.1, against its recursive definition."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.merkle import merkle_root

LEAVES = st.lists(st.binary(max_size=40), max_size=40)


def defined(leaves: list[bytes]) -> bytes:
    """Return the root as the RFC defines it: split at the largest power of two below the number of leaves."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + defined(leaves[:split]) + defined(leaves[split:])).digest()


@given(leaves=LEAVES)
def test_it_is_the_tree_of_the_rfc(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == defined(leaves).hex()


@pytest.mark.parametrize(
    ("leaves", "root"),
    [
        # Certificate Transparency's own test vectors (RFC 6962 reference implementation).
        ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ([b""], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ([b"", b"\x00"], "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ([b"", b"\x00", b"\x10"], "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    ],
)
def test_it_agrees_with_published_vectors(leaves: list[bytes], root: str) -> None:
    assert merkle_root(leaves) == root


@given(leaves=st.lists(st.binary(max_size=8), min_size=1, max_size=20, unique=True), data=st.data())
def test_a_changed_dropped_or_moved_leaf_gives_another_root(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    root = merkle_root(leaves)
    assert merkle_root([*leaves[:place], leaves[place] + b"x", *leaves[place + 1 :]]) != root
    assert merkle_root([*leaves[:place], *leaves[place + 1 :]]) != root
    moved = [*leaves[:place], *leaves[place + 1 :], leaves[place]]
    assert moved == leaves or merkle_root(moved) != root
