"""Conditions as text: what binds tighter, what a pattern means, and what is no condition."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.sigma.condition_text import (
    Condition,
    ConditionError,
    Junction,
    Name,
    Negation,
    Selector,
    names_in,
    parse_condition,
)

A, B, C = Name("a"), Name("b"), Name("c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("a or b and c", Junction("or", (A, Junction("and", (B, C))))),
        ("(a or b) and c", Junction("and", (Junction("or", (A, B)), C))),
        ("not a and b", Junction("and", (Negation(A), B))),
        ("not (a and b)", Negation(Junction("and", (A, B)))),
        ("not not a", Negation(Negation(A))),
        ("not 1 of a*", Negation(Selector(needs_all=False, pattern="a*"))),
        ("all of them", Selector(needs_all=True, pattern="*")),
        ("any of sel-*", Selector(needs_all=False, pattern="sel-*")),
        ("1 of them or a", Junction("or", (Selector(needs_all=False, pattern="*"), A))),
        ("notepad and orb", Junction("and", (Name("notepad"), Name("orb")))),
        ("a\n  and\tb", Junction("and", (A, B))),
        ("1", Name("1")),
        ("all and 1 of all*", Junction("and", (Name("all"), Selector(needs_all=False, pattern="all*")))),
    ],
)
def test_conditions_are_read_as_the_specification_says(text: str, expected: Condition) -> None:
    assert parse_condition(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "a and", "or a", "not", "(a", "a)", "()", "1 of", "2 of them", "N of them", "a*",
     "a | count() > 5", "1 of (a*)", "a & b", "a and and b", "of",
     "(" * 65 + "a" + ")" * 65, "not " * 65 + "a", "a or " * 2500 + "a"],
)  # fmt: skip
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        parse_condition(text)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("sel*", "selection", True),
        ("*tion", "selection", True),
        ("s*t*n", "selection", True),
        ("s*x*n", "selection", False),
        ("*", "_hidden", False),
        ("_*", "_hidden", True),
        ("sel.*", "selection", False),
    ],
)
def test_a_star_stands_anywhere_and_hidden_detections_stay_hidden(pattern: str, name: str, *, fits: bool) -> None:
    assert Selector(needs_all=False, pattern=pattern).fits(name) is fits


def written(condition: Condition) -> str:
    """Return a condition with every bracket."""
    if isinstance(condition, Name):
        return condition.name
    if isinstance(condition, Selector):
        return f"{'all' if condition.needs_all else '1'} of {condition.pattern}"
    if isinstance(condition, Negation):
        return f"not ({written(condition.part)})"
    return f" {condition.kind} ".join(f"({written(part)})" for part in condition.parts)


LEAVES: st.SearchStrategy[Condition] = st.builds(Name, st.sampled_from("abc")) | st.builds(
    Selector, st.booleans(), st.sampled_from(["*", "a*", "*_b"])
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Negation, inner)
        | st.builds(Junction, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@given(CONDITIONS)
def test_a_condition_written_with_every_bracket_is_read_back(condition: Condition) -> None:
    assert parse_condition(written(condition)) == condition
    assert set(names_in(condition)) <= {"a", "b", "c"}


@given(st.text("ab()not rf1*", max_size=60))
def test_what_is_read_at_all_names_only_words_of_the_text(text: str) -> None:
    with suppress(ConditionError):
        assert all(name in text for name in names_in(parse_condition(text)))


def test_brackets_cost_no_exponential_time() -> None:
    assert parse_condition("(" * 60 + "a" + ")" * 60) == A
