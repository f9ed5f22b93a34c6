"""Decoding: which bytes become which text, and that none break it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.parse.encoding import decode


def test_utf_8_comes_first() -> None:
    assert decode("学籍".encode()) == ("学籍", "utf-8")


@pytest.mark.parametrize("text", ["学籍号", "𠮷田", "用户名：张三", "ᠮᠣᠩᠭᠣᠯ"])
def test_gb18030_comes_second(text: str) -> None:
    assert decode(text.encode("gb18030")) == (text, "gb18030")


def test_bytes_of_neither_are_escaped_and_nothing_else_is() -> None:
    assert decode("校ok".encode() + b"\xff\xfe\x00") == ("校ok\\xff\\xfe\x00", "escaped")


def test_bytes_that_gb18030_maps_to_private_use_are_not_taken_for_chinese() -> None:
    assert decode(b"\xfe\xfe\xaa\xa1") == (r"\xfe\xfe\xaa\xa1", "escaped")


def test_a_byte_order_mark_inside_a_stream_stays() -> None:
    assert decode(b"\xef\xbb\xbfx") == ("\ufeffx", "utf-8")


@given(st.binary())
def test_no_bytes_break_it_and_the_text_can_be_written_as_utf_8(raw: bytes) -> None:
    text, encoding = decode(raw)
    assert encoding in {"utf-8", "gb18030", "escaped"}
    assert bool(text.encode()) == bool(raw)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_utf_8_text_is_read_back(text: str) -> None:
    assert decode(text.encode()) == (text, "utf-8")
