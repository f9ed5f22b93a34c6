"""Cutting a chunk into records without letting a chunk of nothing but line ends fill the memory."""

from collections.abc import Iterator
from typing import Final

from secmon.model.stream import Position
from secmon.parse.kind import Framer, Framing

MAX_LINES: Final = 50_000
"""Line ends that are framed at once: a frame costs some 200 bytes, so 4 MiB of line ends would cost 800 MB."""


def framings(frame: Framer, data: bytes, position: Position, *, at_end: bool) -> Iterator[Framing]:
    """Yield what a framer makes of some bytes, piece by piece; together the same as of all at once.

    Args:
        frame: the framer.
        data: bytes that follow `position`.
        position: where they begin.
        at_end: nothing follows them.
    """
    start = 0
    while True:
        end = _end_of_piece(data, start)
        framing = frame(data[start:end], position, at_end and end == len(data))
        if framing.position == position and end < len(data):
            # One record holds more lines than a piece; the framer's own limit bounds it.
            end = len(data)
            framing = frame(data[start:], position, at_end)
        if framing.position == position:
            return
        yield framing
        start += framing.position.offset - position.offset
        position = framing.position
        if end == len(data):
            return


def _end_of_piece(data: bytes, start: int) -> int:
    """Return where a piece ends that begins at `start` and holds a bounded number of lines."""
    end = len(data)
    while data.count(b"\n", start, end) > MAX_LINES:
        end = start + (end - start) // 2
    return end
