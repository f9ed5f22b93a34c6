"""canonical_digest: the same facts, whatever their order, give the same digest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.canonical import canonical_bytes, canonical_digest

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=st.dictionaries(st.text(), PLAIN))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert canonical_digest(dict(reversed(value.items()))) == canonical_digest(value)  # type: ignore[arg-type]  # plain by construction


def test_values_cannot_be_shifted_into_each_other() -> None:
    assert canonical_digest(["ab", "c"]) != canonical_digest(["a", "bc"])
    assert canonical_digest(["1"]) != canonical_digest([1])


def test_a_lone_surrogate_has_a_digest() -> None:
    assert canonical_bytes("\ud800") == b'"\\ud800"'


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_bytes(float("nan"))
