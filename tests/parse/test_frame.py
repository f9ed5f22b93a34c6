"""Framing: what a record is, and that it does not depend on how the stream was cut into pieces."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Frame
from secmon.model.stream import Position
from secmon.parse.frame import START_BYTES, Lines, block_framer, frame_lines, line_framer, whole_lines
from secmon.parse.kind import MAX_RECORD_BYTES, Framer

START = re.compile(rb"\d")
BLOCK_LIMIT = START_BYTES + 12
SHORT_LINES = line_framer(limit=5)
SHORT_BLOCKS = block_framer(START, limit=BLOCK_LIMIT)


def raws(framer: Framer, data: bytes, *, at_end: bool = True) -> list[bytes]:
    return [frame.raw for frame in framer(data, Position(), at_end).frames]


def framed(framer: Framer, data: bytes, cuts: list[int]) -> tuple[list[Frame], Position]:
    """Frame a stream as a collector does: what was not consumed is seen again with what follows."""
    frames: list[Frame] = []
    position = Position()
    ends = [*sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    for number, end in enumerate(ends, start=1):
        framing = framer(data[position.offset : end], position, number == len(ends))
        frames += framing.frames
        position = framing.position
    return frames, position


STREAMS = st.lists(
    st.sampled_from([b"1", b"22", b"a", b"bcd", b"\n", b"\n", b"\r\n", b"\r", b"x" * 9, b"y" * 70, b"\xef\xbb\xbf"])
).map(b"".join)


@pytest.mark.parametrize("framer", [SHORT_LINES, SHORT_BLOCKS, frame_lines], ids=["lines", "blocks", "full"])
@given(data=STREAMS, cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=12))
def test_pieces_do_not_matter(framer: Framer, data: bytes, cuts: list[int]) -> None:
    assert framed(framer, data, cuts) == framed(framer, data, [])


@pytest.mark.parametrize("framer", [SHORT_LINES, SHORT_BLOCKS], ids=["lines", "blocks"])
@given(data=STREAMS)
def test_every_byte_is_consumed_in_order(framer: Framer, data: bytes) -> None:
    frames, position = framed(framer, data, [])
    assert position.offset == len(data)
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    assert all(first.offset < second.offset for first, second in pairwise(frames))
    assert all(frame.line == data.count(b"\n", 0, frame.offset) + 1 for frame in frames)
    assert all(data.startswith(frame.raw, frame.offset) for frame in frames[1:])


@pytest.mark.parametrize("framer", [line_framer(limit=80), block_framer(START, limit=80)], ids=["lines", "blocks"])
@given(data=STREAMS)
def test_a_buffer_as_large_as_the_limit_always_gets_on(framer: Framer, data: bytes) -> None:
    position = Position()
    while len(data) - position.offset >= 80:
        after = framer(data[position.offset : position.offset + 80], position, False).position
        assert after.offset > position.offset
        position = after


def test_both_line_ends_are_taken_off() -> None:
    assert raws(frame_lines, b"a\nb\r\n\nc") == [b"a", b"b", b"", b"c"]


def test_an_unfinished_line_waits_until_the_end() -> None:
    assert raws(frame_lines, b"a\nb", at_end=False) == [b"a"]
    assert frame_lines(b"a\nb", Position(), False).position == Position(2, 1, 1)


def test_a_byte_order_mark_is_removed_at_the_start_only() -> None:
    assert raws(frame_lines, b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n") == [b"a", b"\xef\xbb\xbfb"]


def test_a_line_that_is_too_long_gives_its_head_and_the_rest_is_passed_over() -> None:
    first = SHORT_LINES(b"ab\ncdefgh", Position(), False)
    assert first.frames == (Frame(b"ab", 0, 1, 1), Frame(b"cdefg", 3, 2, 2, truncated=True))
    assert first.position == Position(9, 2, 1, skipping=True)
    second = SHORT_LINES(b"ij\nk\n", first.position, False)
    assert second.frames == (Frame(b"k", 12, 3, 3),)
    assert second.position == Position(14, 3, 3)


def test_the_shipped_limit_holds() -> None:
    frames = frame_lines(b"x" * (2 * MAX_RECORD_BYTES) + b"\ny\n", Position(), True).frames
    assert [(len(frame.raw), frame.truncated) for frame in frames] == [(MAX_RECORD_BYTES, True), (1, False)]


def test_a_block_ends_before_the_next_start() -> None:
    framing = block_framer(START)(b"junk\n1 a\n b\r\n\n2 c\n", Position(), True)
    assert framing.frames == (Frame(b"junk", 0, 1, 1), Frame(b"1 a\n b", 5, 2, 2), Frame(b"2 c", 14, 3, 5))
    assert framing.position == Position(18, 3, 5)


def test_the_last_block_waits_for_the_next_one() -> None:
    assert raws(block_framer(START), b"1 a\n b\n", at_end=False) == []
    assert raws(block_framer(START), b"1 a\n b\n2 c" + b" " * START_BYTES, at_end=False) == [b"1 a\n b"]


def test_the_tail_of_a_cut_block_is_not_taken_for_a_new_one() -> None:
    framer = block_framer(START, limit=START_BYTES + 5)
    first = framer(b"1 a\n " + b"7" * 70, Position(), False)
    assert [(frame.raw, frame.truncated) for frame in first.frames] == [(b"1 a\n ", True)]
    second = framer((b"1 a\n " + b"7" * 70)[first.position.offset :] + b"7\n8 z\n", first.position, True)
    assert [(frame.raw, frame.truncated) for frame in second.frames] == [(b"8 z", False)]


@given(data=STREAMS, cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=12), huge=st.booleans())
def test_whole_lines_are_the_lines_that_the_framer_cuts(data: bytes, cuts: list[int], huge: bool) -> None:  # noqa: FBT001  drawn
    if huge:
        data += b"z" * (MAX_RECORD_BYTES + 5) + b"\nend\n"
    ends = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    found: list[Frame] = []
    for block in whole_lines(data[start:end] for start, end in pairwise(ends)):
        if isinstance(block, Lines):
            assert [line.removesuffix(b"\r") for line in block.cut()] == [frame.raw for frame in block.frames()]
            found += block.frames()
        else:
            found += block
    assert tuple(found) == frame_lines(data, Position(), True).frames
