"""Files and standard input read once, from start to end: what `parse` and `detect` read. Memory stays bounded."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from itertools import chain

from secmon.collect.content import Content, open_content
from secmon.collect.inflate import GZIP_MAGIC, Inflater
from secmon.collect.standard_input import Readable, standard_input
from secmon.errors import SecmonError
from secmon.model.event import Frame
from secmon.model.ids import GENERATION_HEAD_BYTES, generation_of_head, stream_prefix
from secmon.model.stream import Position
from secmon.parse.guess import guess
from secmon.parse.kind import Framer
from secmon.parse.registry import READ_ONCE
from secmon.pipeline import Lane

STDIN = "-"
AUTO = "auto"
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """One file or standard input, opened for reading once.

    Args:
        lane: its kind, zone and place. The source is the kind, so that ids depend on content and kind only.
        prefix: first 8 bytes of its events' ids, of no partition.
        chunks: its bytes, to be read once.
        confidence: how sure its kind is: 1.0 where it was given.
        key: device and inode of a regular file that is not packed, by which others may read it too; None of others.
    """

    lane: Lane
    prefix: bytes
    chunks: Iterator[bytes]
    confidence: float = 1.0
    key: tuple[int, int] | None = None

    @property
    def frames(self) -> Iterator[tuple[Frame, ...]]:
        """Its records, a chunk's worth at a time."""
        return frames_of(self.chunks, self.lane.kind.frame)


def open_reading(path: str, *, source: str, zone: tzinfo) -> Reading:
    """Open a file, or standard input for "-", as a stream of records of one kind.

    Args:
        path: the file; gzip is known by its magic and unpacked on the way.
        source: name of the kind, "native" among them, or "auto".
        zone: time zone of its stamps where they carry none.

    Raises:
        SecmonError: it cannot be read, or its kind cannot be told.
    """
    head, chunks = _with_head(read_chunks(path))
    name, confidence = (source, 1.0) if source != AUTO else guess(head)
    if not name and head.strip():
        raise SecmonError("cannot tell what kind of log this is", where=path, hint="name it with --source")
    kind = READ_ONCE[name or "syslog"]  # an empty file is of any kind
    generation = generation_of_head(head)
    lane = Lane(source=kind.name, generation=generation, kind=kind, zone=zone, place=path)
    return Reading(lane, stream_prefix(None, kind.name, generation), chunks, confidence, _key_of(path))


def _key_of(path: str) -> tuple[int, int] | None:
    """Return the key of a regular file that is not packed; None where nothing can be said."""
    if path == STDIN:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116  a text path is what the command was given
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(path, "rb") as stream:  # noqa: PTH123  the same
            return None if stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC else (status.st_dev, status.st_ino)
    except OSError:
        return None


def read_part(path: str, key: tuple[int, int], offset: int, size: int) -> bytes:
    """Return some bytes of a regular file that somebody else has read up to there.

    Raises:
        SecmonError: it cannot be read, or it is another file by now, or shorter.
    """
    try:
        content = _opened(path, key)
        data = content.at(offset, size)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SecmonError("cannot be read: {reason}", where=path, values={"reason": reason}) from error
    if len(data) < size:
        raise SecmonError("the file was changed while it was read", where=path, hint="run the command again")
    return data


@lru_cache(maxsize=1)  # parts of a file are read one after another; an open file is closed when nobody has it any more
def _opened(path: str, key: tuple[int, int]) -> "_Open":
    return _Open(open_content(path, where=path, key=key))


class _Open:
    """Content that is given back when it is forgotten.

    Args:
        content: the content.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self.at = content.at

    def __del__(self) -> None:
        self._content.close()


def read_chunks(path: str) -> Iterator[bytes]:
    """Yield the bytes of a file, or of standard input for "-", unpacked if they are gzip.

    Raises:
        GzipError: the packed file is cut short, broken or a bomb; what was right before that has been yielded.
        SecmonError: it cannot be read, or is packed in another way.
    """
    try:
        if path == STDIN:
            with standard_input() as stream:
                yield from _stream(stream, path)
        elif stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  a text path is what the command was given
            yield from _file(path)
        else:
            with open(path, "rb") as stream:  # noqa: PTH123  the same
                yield from _stream(stream, path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SecmonError("cannot be read: {reason}", where=path, values={"reason": reason}) from error


def frames_of(chunks: Iterable[bytes], frame: Framer) -> Iterator[tuple[Frame, ...]]:
    """Yield the records of a stream, those that each chunk completes at a time."""
    position, data = Position(), b""
    for chunk in chunks:
        data += chunk
        framing = frame(data, position, False)
        data = data[framing.position.offset - position.offset :]
        position = framing.position
        if framing.frames:
            yield framing.frames
    if last := frame(data, position, True).frames:
        yield last


def _with_head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes of a stream, and the whole stream."""
    head: list[bytes] = []
    size = 0
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size >= GENERATION_HEAD_BYTES:
            break
    return b"".join(head)[:GENERATION_HEAD_BYTES], chain(head, chunks)


def _file(path: str) -> Iterator[bytes]:
    content = open_content(path, where=path)
    try:
        offset = 0
        while piece := content.at(offset, _CHUNK):
            yield piece
            offset += len(piece)
        if content.failure is not None:
            raise content.failure
    finally:
        content.close()


def _stream(stream: Readable, place: str) -> Iterator[bytes]:
    """Read a pipe: as much as is there, so that `tail -f | secmon parse` shows what comes."""
    read = getattr(stream, "read1", stream.read)
    first = read(_CHUNK)
    while first and len(first) < len(GZIP_MAGIC) and (more := read(_CHUNK)):
        first += more
    if not first.startswith(GZIP_MAGIC):
        while first:
            yield first
            first = read(_CHUNK)
        return
    pending = first

    def packed(count: int) -> bytes:
        nonlocal pending
        if pending:
            piece, pending = pending[:count], pending[count:]
            return piece
        return bytes(read(count))

    inflater = Inflater(packed, where=place)
    while piece := inflater.read(_CHUNK):
        yield piece
