"""Skimmed lines against the full reader: whatever the bytes, a skim says the same or nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event
from secmon.parse import skim as module
from secmon.parse.json_text import scalars
from secmon.parse.native import read_native
from secmon.parse.skim import Skimmer, size_of

NAMES = ("Channel", "EventID", "x.y")

TEXTS = st.text(max_size=5) | st.sampled_from(["Security", "C:\\Users\\x", 'a"b', "学校", "K", "\x00", "\ud800"])
VALUES = st.one_of(
    TEXTS.map(json.dumps),
    TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        ["1", "-0", "1.0", "1e400", "true", "null", "12345678901234567890", "[1]", '{"y":1}', "[]", '"\\/"']
    ),
    st.sampled_from(
        [
            '{"y":{"z":"a"}}',
            '[{"y":"b"},{"y":2}]',
            '{"y":["a",1,null]}',
            '[[1,"a"],"b"]',
            '{"":1}',
            '{"z":{"a.":1}}',
            '{"y":null}',
            "{}",
            '{"%s":1}' % ("n" * 40),
            '{"a":' * 40 + "1" + "}" * 40,
        ]
    ),
    st.sampled_from(["01", "tru", '"\\q"', "", "NaN", '"\t"']),
)
MEMBERS = st.tuples(
    st.sampled_from([*NAMES, "x", "x", "Image", "", "a..b", ".a", 'a\\".']), VALUES, st.sampled_from([":", " : ", ": "])
)
LINES = st.one_of(
    st.lists(MEMBERS, max_size=5).map(
        lambda members: ("{" + ",".join(f'"{name}"{colon}{value}' for name, value, colon in members) + "}").encode(
            "utf-8", "surrogatepass"
        )
    ),
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from([b"", b" ", b"{}", b"{}\r", b"[]", b"{}{}", '{"Image":"中"}'.encode("gb18030")]),
)


def skim(*lines: bytes) -> list[object]:
    return Skimmer(NAMES).skim(b"".join(b"%b\n" % line for line in lines), lines)


def read(line: bytes) -> Event | Dropped | None:
    try:
        return read_native(line)
    except ParseError:
        return None


def laid_flat(found: Any, above: str = "") -> Iterator[tuple[str, object]]:
    """Yield each member that was skimmed, by its name in an event."""
    for attribute, name in zip(found.__struct_fields__, found.__struct_encode_fields__, strict=True):
        value = getattr(found, attribute)
        if hasattr(value, "__struct_fields__"):
            yield from laid_flat(value, f"{above}{name}.")
        else:
            yield from ((above + name, each) for each in (value if isinstance(value, tuple) else (value,)))


@pytest.mark.parametrize("many", [0, 256], ids=["all taken for nested", "some nested"])
@settings(deadline=None, max_examples=1000)
@given(lines=st.lists(LINES, max_size=6))
def test_what_is_skimmed_is_what_the_full_reader_gives(many: int, lines: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_MANY_NESTED", many)
        skimmed = skim(*lines)
    for line, found in zip(lines, skimmed, strict=True):
        if found is None:
            continue
        event = read(line)
        assert isinstance(event, dict)
        members = [(name, value) for name, value in laid_flat(found) if value is not None and name in NAMES]
        values = {name: scalars(value) for name in NAMES if (value := event.get(name)) is not None}
        assert sorted(map(repr, members)) == sorted(repr((name, each)) for name in values for each in values[name])
        texts = [each for value in event.values() if value is not None for each in scalars(value)]
        for text in texts:
            if isinstance(text, str) and text.isprintable() and text not in ("true", "false"):
                assert json.dumps(text, ensure_ascii=False)[1:-1].encode() in line


TREES = st.recursive(
    st.integers(0, 9) | st.text('{}[]"\\\n,:a', max_size=4),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from("abc"), inside, max_size=3),
    max_leaves=12,
)


def depth_of(value: object) -> int:
    """Return how many objects and arrays lie in each other."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@settings(deadline=None, max_examples=1000)
@given(tree=TREES, above=st.integers(0, 18), kind=st.sampled_from(["{", "["]))
def test_a_line_is_shallow_only_if_it_is(tree: object, above: int, kind: str) -> None:
    for _ in range(above):
        tree = {"a": tree} if kind == "{" else [tree]
    line = json.dumps(tree).encode()
    is_shallow = module._is_shallow(line)
    if is_shallow or not any(bracket in text for text in texts_in(tree) for bracket in "{}[]"):
        assert is_shallow is (depth_of(tree) <= module._MAX_OBJECTS)


def texts_in(value: object) -> Iterator[str]:
    """Yield all texts in a tree."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_in(each)


@pytest.mark.parametrize(
    "line",
    [
        rb'{"Image":"\u0041"}', rb'{"Image":"\/"}', b'{"Image":{"":1}}', b'{"Image" : {"y..z":1}}', b'{"Channel":true}',
        b'{"Image":{".y":1}}', b'{"Image":{"y.":1}}', b'{"Image":[{"%b":1}]}' % (b"n" * 507), b'{"x":[{"y":1}]}',
        b'{"Image":{"%b":{}}}' % (b"n" * 506), b'{"Image":{"%b":1}}' % (b"n" * 20 + b'\\"' * 500),
        b'{"Image":%b1%b}' % (b'{"y":' * 32, b"}" * 32), b'{"Image":%b1%b}' % (b"[" * 40, b"]" * 40),
        b'{"Image":"\xd6\xd0"}', '{"Image":"\u212a"}'.encode(), b'{"Image":1', b"", b'{"EventID":1.5}',
        b"{%b}" % b",".join(b'"%d":1' % number for number in range(1001)),
    ],
    ids=lambda line: repr(line[:24]),
)  # fmt: skip
def test_an_unusual_line_is_read_in_full(line: bytes) -> None:
    found = skim(b'{"Channel":"Security"}', line, b'{"Channel":"System"}')
    assert [each is None for each in found] == [False, True, False]


def test_equal_members_are_equal_keys_and_others_are_not() -> None:
    first, second, third = skim(b'{"EventID":1,"Image":"a"}', b'{"Image":"b", "EventID": 1}', b'{"EventID":"1"}')
    assert first == second
    assert hash(first) == hash(second)
    assert first != third


@pytest.mark.parametrize(
    "line",
    [
        b'{"Image":[{"%b":1}]}' % (b"n" * 500), b'{"Image":%b1%b}' % (b'{"y":' * 30, b"}" * 30),
        b'{"Image":[%b]}' % b",".join([b'{"y":1}'] * 40), b'{"Image":{"y":"a.","z":"","q":".b..c: "}}',
    ],
    ids=lambda line: repr(line[:24]),
)  # fmt: skip
def test_a_line_that_only_looks_unusual_is_skimmed(line: bytes) -> None:
    assert None not in skim(line, b'{"Channel":"System"}')


def test_members_are_found_in_objects_and_arrays() -> None:
    (found,) = skim(b'{"x":{"y":["a",2]},"Image":{"z":[{"q":1}]},"EventID":[4688]}')
    assert {(name, value) for name, value in laid_flat(found) if value is not None} == {
        ("x.y", "a"), ("x.y", 2), ("EventID", 4688),
    }  # fmt: skip
    assert size_of(found) < 50


@pytest.mark.parametrize("blank", ["", " "], ids=["compact", "spaced"])
def test_an_object_is_noticed_wherever_it_stands_in_a_block(blank: str) -> None:
    for count in range(70):
        line = f'{{"Image":{blank}"{"a" * count}","x":{blank}{{"y":{blank}1}}}}'.encode()
        (found,) = skim(line)
        assert ("x.y", 1) in list(laid_flat(found))


def test_a_block_full_of_nested_lines_is_skimmed_and_so_are_flat_ones_behind_it() -> None:
    skimmer = Skimmer(NAMES)
    nested, flat = [b'{"Channel":"Security","Image":[%d]}' % number for number in range(300)], [b'{"Channel":"System"}']
    for lines in (nested, flat, nested):
        assert None not in skimmer.skim(b"".join(b"%b\n" % line for line in lines), lines)


def test_a_block_full_of_escapes_is_given_up_at_once() -> None:
    lines = [rb'{"Image":"%b"}' % (rb"\u4e2d" * 5000), b'{"Channel":"Security"}']
    assert skim(*lines) == [None, None]
