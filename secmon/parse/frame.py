"""Streams of bytes to records: lines, and blocks of lines.

Both framers give the same frames and the same final position however the stream was cut into pieces, and a
buffer of `limit` bytes always lets them go on. A byte order mark at the very start of a stream is no part of its
first record.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from secmon.model.event import Frame
from secmon.model.stream import Position
from secmon.parse.kind import MAX_RECORD_BYTES, Framer, Framing

# Whether a line starts a block is decided from this many of its first bytes, so that it can be decided at all
# while the rest of a huge line is still to come.
START_BYTES = 64


def line_framer(limit: int = MAX_RECORD_BYTES) -> Framer:
    r"""Return a framer for one record a line, ended by "\n" or "\r\n"; a blank line is a record too.

    Args:
        limit: a line of this many bytes or more, its carriage return included, is cut to `limit` bytes.
    """

    def frame(data: bytes, position: Position, at_end: bool) -> Framing:  # noqa: FBT001  kind.Framer
        number, line, at = position.number, position.line, 0
        if position.skipping:
            newline = data.find(b"\n")
            if newline < 0:
                return Framing((), Position(position.offset + len(data), number, line, skipping=True))
            at, line = newline + 1, line + 1
        pieces = data[at:].split(b"\n") if at else data.split(b"\n")
        rest = pieces.pop()
        offset = position.offset + at
        frames: list[Frame] = []
        for piece in pieces:
            number += 1
            line += 1
            size = len(piece)
            if size >= limit:
                frames.append(Frame(piece[:limit], offset, number, line, truncated=True))
            else:
                frames.append(Frame(piece.removesuffix(b"\r"), offset, number, line))
            offset += size + 1
        skipping = len(rest) >= limit
        if skipping:
            number += 1
            frames.append(Frame(rest[:limit], offset, number, line + 1, truncated=True))
            offset += len(rest)
        elif rest and at_end:
            number, line = number + 1, line + 1
            frames.append(Frame(rest, offset, number, line))
            offset += len(rest)
        return Framing(_without_mark(frames), Position(offset, number, line, skipping=skipping))

    return frame


frame_lines: Framer = line_framer()


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a stream that are not cut yet: none is too long, none begins with a byte order mark.

    Args:
        data: the lines, each ended by a newline.
        position: where the first begins.
    """

    data: bytes
    position: Position

    def cut(self) -> list[bytes]:
        """Return the lines, a carriage return at the end of one included."""
        lines = self.data.split(b"\n")
        lines.pop()
        return lines

    def frames(self) -> tuple[Frame, ...]:
        """Return them as `frame_lines` cuts them."""
        return frame_lines(self.data, self.position, True).frames


def whole_lines(chunks: Iterable[bytes]) -> Iterator[Lines | tuple[Frame, ...]]:
    """Yield the lines of a stream, those that each chunk completes at a time; as frames where they are unusual."""
    position, data = Position(), b""
    for chunk in chunks:
        data += chunk
        end = data.rfind(b"\n") + 1
        usual = len(data) < MAX_RECORD_BYTES and not position.skipping
        if usual and not (position.offset == 0 and data.startswith(BOM_UTF8[: len(data)])):
            if end:
                yield Lines(data[:end], position)
                count = data.count(b"\n", 0, end)
                position = Position(position.offset + end, position.number + count, position.line + count)
            data = data[end:]
            continue
        framing = frame_lines(data, position, False)
        data = data[framing.position.offset - position.offset :]
        position = framing.position
        if framing.frames:
            yield framing.frames
    if last := frame_lines(data, position, True).frames:
        yield last


def block_framer(start: re.Pattern[bytes], limit: int = MAX_RECORD_BYTES) -> Framer:
    """Return a framer for records of several lines, each begun by a line that matches `start`.

    A block ends before the next such line, or with the stream: the last block of a growing file is handed out
    only when another begins or the collector says that nothing follows. Lines before the first start are a
    block of their own. Line ends at the end of a block are no part of it.

    Args:
        start: matched against the first `START_BYTES` bytes of a line, without its line end.
        limit: a block of nearly this many bytes (`limit - START_BYTES`) or more is cut.
    """
    return _BlockFramer(start, limit - START_BYTES)


class _BlockFramer:
    """The framer of one block format.

    While it skips, it stands inside a line of the record that is passed over, that line's newline still ahead:
    else the next call could not tell the tail of a line from the start of one.
    """

    def __init__(self, start: re.Pattern[bytes], limit: int) -> None:
        self._start, self._limit = start, limit

    def __call__(self, data: bytes, position: Position, at_end: bool) -> Framing:  # noqa: FBT001  kind.Framer
        base, number, line, at = position.offset, position.number, position.line, 0
        frames: list[Frame] = []
        skipping = position.skipping
        while True:
            if skipping:
                stop, skipping = self._skip(data, at, at_end=at_end)
                line += data.count(b"\n", at, stop)
                at = stop
                if skipping:
                    break
            stop, complete = self._block_end(data, at, at_end=at_end)
            if stop - at >= self._limit:
                skipping = True
                # Never behind a newline: see the class.
                stop = at + self._limit - (data[at + self._limit - 1] == _NEWLINE)
            elif not complete or stop == at:
                break
            number += 1
            raw = data[at:stop] if skipping else data[at:stop].rstrip(b"\r\n")
            frames.append(Frame(raw, base + at, number, line + 1, truncated=skipping))
            unterminated = not skipping and data[stop - 1] != _NEWLINE
            line += data.count(b"\n", at, stop) + unterminated
            at = stop
        return Framing(_without_mark(frames), Position(base + at, number, line, skipping=skipping))

    def _block_end(self, data: bytes, at: int, *, at_end: bool) -> tuple[int, bool]:
        """Return where the block from `at` ends, or how far it goes for certain; and whether that is its end."""
        newline = data.find(b"\n", at)
        while newline >= 0:
            starts = self._starts(data, newline + 1, at_end=at_end)
            if starts is None:
                return newline + 1, at_end
            if starts:
                return newline + 1, True
            if newline - at >= self._limit:
                return newline, False
            newline = data.find(b"\n", newline + 1)
        return len(data), at_end

    def _skip(self, data: bytes, at: int, *, at_end: bool) -> tuple[int, bool]:
        """Return how far to pass over, and whether the record goes on there."""
        newline = data.find(b"\n", at)
        while newline >= 0:
            starts = self._starts(data, newline + 1, at_end=at_end)
            if starts is None:
                return (newline + 1, False) if at_end else (newline, True)
            if starts:
                return newline + 1, False
            newline = data.find(b"\n", newline + 1)
        return len(data), True

    def _starts(self, data: bytes, at: int, *, at_end: bool) -> bool | None:
        """Tell whether the line at `at` starts a block; None: it cannot be told yet, or there is no such line."""
        head = data[at : at + START_BYTES]
        newline = head.find(b"\n")
        if newline >= 0:
            head = head[:newline].removesuffix(b"\r")
        elif len(head) < START_BYTES and not (at_end and head):
            return None
        return self._start.match(head) is not None


_NEWLINE = 0x0A


def _without_mark(frames: list[Frame]) -> tuple[Frame, ...]:
    """Take the byte order mark off the record at the very start of a stream."""
    if frames and frames[0].offset == 0 and frames[0].raw.startswith(BOM_UTF8):
        frames[0] = frames[0]._replace(raw=frames[0].raw[len(BOM_UTF8) :])
    return tuple(frames)
