"""JSON records: what is read, what is refused, and how nested objects become flat names."""

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Record
from secmon.parse.json_text import MAX_DEPTH, MAX_FIELDS, MAX_NAME, flatten, load_exact, load_object

RECORD = Record("", "log:record 1")

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=6)
READERS = pytest.mark.parametrize("load", [load_object, load_exact], ids=["fast", "exact"])


def flat(members: Any) -> dict[str, Any]:
    return flatten(members, RECORD)


@given(members=OBJECTS)
def test_what_is_valid_json_is_read_as_it_is(members: dict[str, Any]) -> None:
    assert load_object(Record(orjson.dumps(members).decode(), "x")) == members


@given(members=OBJECTS)
def test_the_exact_reader_differs_only_in_numbers(members: dict[str, Any]) -> None:
    text = json.dumps(members)
    assert load_exact(Record(text, "x")) == json.loads(text, parse_int=str, parse_float=str)


@READERS
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"a"',
        "nul",
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1}{',
        "{'a':1}",
        '{"a":"\n"}',
        '{"a":1e',
        "\x00",
    ],
)
def test_what_is_no_json_object_is_refused(load: Any, text: str) -> None:
    with pytest.raises(ParseError, match=r"^log:record 1: not "):
        load(Record(text, "log:record 1"))


@READERS
@pytest.mark.parametrize("depth", [10_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused(load: Any, depth: int, opening: str, closing: str) -> None:
    with pytest.raises(ParseError, match="nested too deeply"):
        load(Record('{"a":' + opening * depth + "1" + closing * depth + "}", "x"))


@READERS
def test_a_number_of_any_length_is_read_or_refused(load: Any) -> None:
    with suppress(ParseError):
        load(Record('{"a":' + "9" * 100_000 + "}", "x"))


@READERS
@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud800", r"\ud800"),
        (r"a\uDBFFb", r"a\udbffb"),
        (r"\udc00\ud800", r"\udc00\ud800"),
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d\ud83d\ude00", r"\ud83d😀"),
        (r"\\ud800", r"\ud800"),
        (r"\\\ud800", r"\\ud800"),
        ("\ud800", r"\ud800"),
        (r"\u4e2d\ud800", r"中\ud800"),
    ],
)
def test_a_lone_surrogate_becomes_visible_text(load: Any, written: str, read: str) -> None:
    assert load(Record(f'{{"a":"{written}"}}', "x")) == {"a": read}


@given(text=st.text(st.characters(categories=["Cs", "L"]) | st.sampled_from('\\"u{}d8\n')))
def test_no_surrogate_ever_reaches_a_value(text: str) -> None:
    for load in (load_object, load_exact):
        orjson.dumps(load(Record(json.dumps({text: text}), "x")))


@READERS
def test_a_byte_order_mark_is_passed_over(load: Any) -> None:
    assert load(Record('\ufeff{"a":"b"}', "x")) == {"a": "b"}


def test_of_a_name_that_stands_twice_the_exact_reader_keeps_all_values() -> None:
    record = Record('{"a":"1","b":{"c":"2","c":["3"],"c":null},"a":"4"}', "x")
    assert load_exact(record) == {"a": ["1", "4"], "b": {"c": ["2", ["3"], None]}}
    assert load_object(record) == {"a": "4", "b": {"c": None}}


@pytest.mark.parametrize(
    ("members", "fields"),
    [
        ({"a": {"b": {"c": 1}}, "d.e": 2}, {"a.b.c": 1, "d.e": 2}),
        ({"a": None, "b": [], "c": {}, "d": [None], "e": [{}], "f": ""}, {"f": ""}),
        ({"a": [1, "x", True, [2, [3]]]}, {"a": [1, "x", True, 2, 3]}),
        ({"a": [{"b": 1, "c": 2}, {"b": 3}]}, {"a.b": [1, 3], "a.c": 2}),
        ({"a": {"b": 1}, "a.b": 2}, {"a.b": [1, 2]}),
        ({"a": {"b": [1]}, "a.b": [2, 3]}, {"a.b": [1, 2, 3]}),
        ({"a": [1, {"b": 2}]}, {"a": [1], "a.b": 2}),
        ({"a": [False, 0, 0.0]}, {"a": [False, 0, 0.0]}),
    ],
)
def test_objects_are_laid_flat(members: dict[str, Any], fields: dict[str, Any]) -> None:
    assert flat(members) == fields


def test_what_lies_too_deep_is_kept_as_text() -> None:
    deep: Any = "bottom"
    for _ in range(MAX_DEPTH + 3):
        deep = {"k": deep}
    assert flat(deep) == {".".join("k" * MAX_DEPTH): '{"k":{"k":{"k":"bottom"}}}'}


def test_deep_arrays_are_kept_as_text() -> None:
    deep: Any = ["bottom"]
    for _ in range(300):
        deep = [deep]
    (text,) = flat({"a": deep})["a"]
    assert text.count("[") == 301 - MAX_DEPTH


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({f"k{i}": 1 for i in range(1001)}, f"more than {MAX_FIELDS:,} fields"),
        ({f"k{i}": {"a": 1, "b": 2} for i in range(900)}, f"more than {MAX_FIELDS:,} fields"),
        ({"k" * (MAX_NAME + 1): 1}, f"a field name of more than {MAX_NAME} characters"),
        ({"k" * 400: {"k" * 400: {"a": 1}}}, f"a field name of more than {MAX_NAME} characters"),
        ({"": 1}, "an empty part in a field name"),
        ({"a..b": 1}, "an empty part in a field name"),
        ({"a": {"": 1}}, "an empty part in a field name"),
        ({"a.": 1}, "an empty part in a field name"),
    ],
    ids=str,
)
def test_the_bounds_hold(members: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParseError) as caught:
        flat(members)
    assert caught.value.problem == problem
    assert caught.value.where == "log:record 1"


def test_long_names_above_many_fields_do_not_fill_the_memory() -> None:
    members = {"n" * 300_000: {f"k{i}": {f"j{j}": 1 for j in range(100)} for i in range(900)}}
    with pytest.raises(ParseError):
        flat(members)


@given(members=OBJECTS)
def test_every_value_has_its_place_and_none_is_null(members: dict[str, Any]) -> None:
    with suppress(ParseError):
        fields = flat(members)
        assert all(value is not None and value != [] for value in fields.values())
        assert sorted(map(repr, _leaves(members))) == sorted(map(repr, _leaves(list(fields.values()))))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [] if value is None else [value]


@pytest.mark.parametrize("number", ["1e400", "-1E+999", "9" * 400, "9" * 5000, "1" + "0" * 309 + ".5"], ids=len)
def test_a_number_beyond_the_range_of_a_float_stays_as_it_is_written(number: str) -> None:
    text = f'{{"a":{number},"b":[{number},1,1.5,18446744073709551616]}}'
    expected = {"a": number, "b": [number, 1, 1.5, 18446744073709551616.0]}
    assert load_object(Record(text, "a.json:record 1")) == expected
