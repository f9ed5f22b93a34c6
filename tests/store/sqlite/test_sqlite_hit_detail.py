"""Details of hits: whatever a hit holds comes back as it was, and what secmon itself makes is small."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from secmon.model.hit import Hit, Level
from secmon.store.sqlite.hit_detail import Detail, packed, unpacked

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.lists(TEXT, max_size=3)
VALUES = st.dictionaries(TEXT, VALUE, max_size=4)
HEX = st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}")


def hit(group: dict[str, object], keys: tuple[str, ...], captured: dict[str, object], signature: str) -> Hit:
    return Hit(
        event_id="0" * 32,
        rule_id="r",
        rule_digest="d",
        level=Level.LOW,
        at=datetime(2026, 11, 21, tzinfo=UTC),
        group=group,  # type: ignore[arg-type]  # the values of VALUES are those of an event
        keys=keys,
        captured=captured,  # type: ignore[arg-type]  # see above
        signature=signature,
    )


@given(VALUES, st.lists(HEX | TEXT, max_size=140).map(tuple[str, ...]), VALUES, HEX | TEXT)
def test_what_is_packed_comes_back(
    group: dict[str, object], keys: tuple[str, ...], captured: dict[str, object], signature: str
) -> None:
    assert unpacked(*packed(hit(group, keys, captured, signature))) == Detail(group, keys, captured, signature)  # type: ignore[arg-type]  # see above


@given(st.lists(HEX, max_size=122).map(tuple[str, ...]), HEX)
def test_keys_and_signature_take_eight_bytes_each(keys: tuple[str, ...], signature: str) -> None:
    shape, detail = packed(hit({}, keys, {"user.name": "s01"}, signature))
    assert shape == '[[],["user.name"]]'
    assert len(detail) == 1 + 8 + 8 * len(keys) + len('["s01"]')
