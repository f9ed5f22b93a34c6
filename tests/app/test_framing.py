"""Framing piece by piece is framing at once, only smaller."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.app import framing
from secmon.app.framing import framings
from secmon.model.event import Frame
from secmon.model.stream import Position
from secmon.parse.frame import block_framer, line_framer
from secmon.parse.kind import Framer

FRAMERS = {"lines": line_framer(40), "blocks": block_framer(re.compile(rb"\d"), 200)}


def pieces(frame: Framer, data: bytes, *, at_end: bool) -> tuple[list[Frame], Position]:
    position, frames = Position(), list[Frame]()
    for one in framings(frame, data, position, at_end=at_end):
        frames += one.frames
        position = one.position
    return frames, position


@pytest.mark.parametrize("name", FRAMERS)
@given(
    parts=st.lists(st.sampled_from([b"\n", b"\n\n\n", b"1 start\n", b"more\n", b"x" * 90, b"x\r\n", b"tail"])),
    lines=st.integers(1, 6),
    at_end=st.booleans(),
)
def test_pieces_make_the_same_records(name: str, parts: list[bytes], lines: int, *, at_end: bool) -> None:
    data, frame = b"".join(parts), FRAMERS[name]
    whole = frame(data, Position(), at_end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "MAX_LINES", lines)
        frames, position = pieces(frame, data, at_end=at_end)
    # A piece may end where the framer would have gone on; the next call goes on from there.
    rest = frame(data[position.offset :], position, at_end)
    assert (*frames, *rest.frames) == whole.frames
    assert rest.position == whole.position
