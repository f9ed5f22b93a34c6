"""Values of two fields, compared all with all: as pair by pair, in work that grows with their number."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.sigma.related import any_related
from secmon.sigma.tree import FieldRelation
from tests.sigma.work import steps_of

PAIRWISE: dict[FieldRelation, Callable[[str, str], bool]] = {
    FieldRelation.EQUAL: lambda value, other: value == other,
    FieldRelation.STARTS: lambda value, other: value.startswith(other),
    FieldRelation.ENDS: lambda value, other: value.endswith(other),
    FieldRelation.CONTAINS: lambda value, other: other in value,
}
TEXTS = st.text("abß\U0001f600\ud800", max_size=6)


@given(st.sampled_from(FieldRelation), st.lists(TEXTS, max_size=12), st.lists(TEXTS, max_size=12))
def test_many_with_many_is_as_pair_by_pair(relation: FieldRelation, values: list[str], others: list[str]) -> None:
    expected = any(PAIRWISE[relation](value, other) for value in values for other in others)
    assert any_related(relation, values, others) is expected


def distinct(number: int) -> tuple[list[str], list[str]]:
    return [f"value {each:06}" for each in range(number)], [f"other {each:06}" for each in range(number)]


def one_in_another(number: int) -> tuple[list[str], list[str]]:
    return ["a" * (number - 1) + "b"] * 3, ["b" + "a" * each for each in range(1, 200)] + ["a" * number + "c"] * 9


def many_in_one(number: int) -> tuple[list[str], list[str]]:
    return ["ab" * number], [f"{each:06}" for each in range(number)]


@pytest.mark.parametrize("made", [distinct, one_in_another, many_in_one])
@pytest.mark.parametrize("relation", FieldRelation)
def test_twice_as_much_is_twice_the_work(
    relation: FieldRelation, made: Callable[[int], tuple[list[str], list[str]]]
) -> None:
    def steps(number: int) -> int:
        values, others = made(number)
        found: list[bool] = []
        count = steps_of(lambda: found.append(any_related(relation, values, others)))
        assert found == [False]  # nothing stops early
        return count

    once, twice, four_times = steps(500), steps(1_000), steps(2_000)
    assert twice <= 2.1 * once
    assert four_times <= 2.1 * twice
