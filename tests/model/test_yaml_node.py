"""parse_yaml: values with their lines; nothing in a file can construct, expand or surprise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ContentError
from secmon.model.yaml_node import MAX_CHARS, MAX_DEPTH, Node, parse_yaml


def value_of(text: str) -> object:
    return parse_yaml("f.yaml", f"a: {text}").table(optional=None)["a"].value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("true", True),
        ("null", None),
        ("2026-01-01", "2026-01-01"),
        ("12", 12),
        ("-3", -3),
        ("0.5", 0.5),
        ("017", "017"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'12'", "12"),
        ("!!python/object/apply:os.system [x]", (Node("x", "f.yaml:1"),)),
    ],
)
def test_a_scalar_is_what_stands_there(text: str, value: object) -> None:
    assert value_of(text) == value


def test_keys_stay_texts_and_values_know_their_line() -> None:
    root = parse_yaml("f.yaml", "next:\n  yes: a\n  no:\n    b\n").table(optional=None)
    answers = root["next"].table(required=("yes", "no"))
    assert [(key, node.value, node.where) for key, node in answers.items()] == [
        ("yes", "a", "f.yaml:2"),
        ("no", "b", "f.yaml:3"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "too deep"),
        ("- 1\n" * 100_001, "too many"),
        ("a" * (MAX_CHARS + 1), "larger than"),
        ("a: 1\nb: 2\na: 3", "twice"),
        ("{[1]: 2}", "a key must be a text"),
        ("a: 1\n b: 2", "not valid YAML"),
        ("a: \x07", "not valid YAML text"),
        ("", "empty"),
        ("a: " + "9" * 5_000, "too long"),
    ],
)
def test_what_could_harm_is_refused(text: str, words: str) -> None:
    with pytest.raises(ContentError, match=words):
        parse_yaml("f.yaml", text)


def place_of(text: str) -> str:
    try:
        return parse_yaml("f.yaml", text).where
    except ContentError as error:
        return error.where


@given(text=st.text(max_size=300) | st.text(alphabet="[]{}:-,&*?|>'\"!%@#\n a1", max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    assert place_of(text).startswith("f.yaml")
