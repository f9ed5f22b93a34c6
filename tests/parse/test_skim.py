"""Skimmed lines against the full reader: whatever the bytes, a skim says the same or nothing."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event
from secmon.parse.native import read_native
from secmon.parse.skim import Skimmer

NAMES = ("Channel", "EventID", "x.y")

TEXTS = st.text(max_size=5) | st.sampled_from(["Security", "C:\\Users\\x", 'a"b', "学校", "K", "\x00", "\ud800"])
VALUES = st.one_of(
    TEXTS.map(json.dumps),
    TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        ["1", "-0", "1.0", "1e400", "true", "null", "12345678901234567890", "[1]", '{"y":1}', "[]", '"\\/"']
    ),
    st.sampled_from(["01", "tru", '"\\q"', "", "NaN", '"\t"']),
)
MEMBERS = st.tuples(st.sampled_from([*NAMES, "Image", "", "a..b"]), VALUES, st.sampled_from([":", " : ", ": "]))
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


@settings(deadline=None, max_examples=1000)
@given(st.lists(LINES, max_size=6))
def test_what_is_skimmed_is_what_the_full_reader_gives(lines: list[bytes]) -> None:
    skimmer = Skimmer(NAMES)
    for line, found in zip(lines, skimmer.skim(b"".join(b"%b\n" % line for line in lines), lines), strict=True):
        if found is None:
            continue
        event = read(line)
        assert isinstance(event, dict)
        assert [getattr(found, f"m{number}") for number in range(len(NAMES))] == [event.get(name) for name in NAMES]
        assert not any(isinstance(value, list) for value in event.values())
        for value in event.values():
            if isinstance(value, str) and value.isprintable() and value not in ("true", "false"):
                assert json.dumps(value, ensure_ascii=False)[1:-1].encode() in line


@pytest.mark.parametrize(
    "line",
    [
        rb'{"Image":"\u0041"}', rb'{"Image":"\/"}', b'{"Image":[1]}', b'{"Image" : {"y":1}}', b'{"Channel":true}',
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


def test_a_block_full_of_escapes_is_given_up_at_once() -> None:
    lines = [rb'{"Image":"%b"}' % (rb"\u4e2d" * 5000), b'{"Channel":"Security"}']
    assert skim(*lines) == [None, None]
