"""What a file holds, whether it is packed or not: bytes of the uncompressed stream by their offset.

Only regular files are opened, never waiting (a FIFO could hold up every other stream) and never as a terminal.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from secmon.collect.inflate import GZIP_MAGIC, GzipError, Inflater
from secmon.errors import SecmonError
from secmon.model.fingerprint import TAIL_BYTES, tail_of
from secmon.model.stream import Checkpoint

_PIECE = 256 * 1024
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LENGTH_FIELD = 4
_FOREIGN = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
_MAGIC_BYTES = 8


class Content(Protocol):
    """Bytes of one uncompressed stream.

    `packed`: it was unpacked on the way. `failure`: why it cannot be unpacked any further. `stated_length`: what the
    end of a gzip file states as its uncompressed length modulo 2^32 (right for a whole file of one member).
    """

    packed: bool
    failure: GzipError | None
    stated_length: int | None

    def at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset` on; fewer only where the content ends (or `failure` says why).

        Raises:
            OSError: the file cannot be read.
        """
        ...

    def end(self) -> int | None:
        """Return where the content ends now; None while that is not known."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class PlainContent:
    """A regular file, read where asked."""

    packed = False
    failure: GzipError | None = None
    stated_length: int | None = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def at(self, offset: int, count: int) -> bytes:
        """See `Content.at`. One read wherever the system allows it, so that a rewrite cannot come between."""
        data = os.pread(self._descriptor, count, offset)
        while data and len(data) < count:
            more = os.pread(self._descriptor, count - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def end(self) -> int:
        """See `Content.end`."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """See `Content.close`."""
        os.close(self._descriptor)


class ForwardContent:
    """A stream that can only be read forwards: a window over it, begun again when somebody asks for what lies before.

    Args:
        begin: starts the stream at its first byte and returns its reader, which gives up to so many bytes.
        release: gives its resources back.
        packed: whether what is read was unpacked.
        stated_length: see `Content`.
        once: it cannot be begun a second time (standard input).
    """

    def __init__(
        self,
        begin: Callable[[], Callable[[int], bytes]],
        *,
        release: Callable[[], None],
        packed: bool,
        stated_length: int | None = None,
        once: bool = False,
    ) -> None:
        self.packed, self.stated_length = packed, stated_length
        self.failure: GzipError | None = None
        self._begin, self._release, self._once = begin, release, once
        self._read = begin()
        self._window = bytearray()
        self._from = 0
        self._end: int | None = None

    def at(self, offset: int, count: int) -> bytes:
        """See `Content.at`.

        Raises:
            SecmonError: it lies before the window of a stream that cannot be begun again.
        """
        if offset < self._from:
            self._again()
        while self._from + len(self._window) < offset + count and self._end is None and self.failure is None:
            self._forget(offset)
            self._more(min(_PIECE, offset + count - self._from - len(self._window)))
        self._forget(offset)
        return bytes(self._window[:count]) if self._from == offset else b""

    def end(self) -> int | None:
        """See `Content.end`."""
        return self._end

    def close(self) -> None:
        """See `Content.close`."""
        self._release()

    def _more(self, count: int) -> None:
        try:
            piece = self._read(count)
        except GzipError as error:
            self.failure = error
            return
        if not piece:
            self._end = self._from + len(self._window)
        self._window += piece

    def _forget(self, offset: int) -> None:
        """Drop what lies before an offset."""
        passed = min(offset - self._from, len(self._window))
        if passed > 0:
            del self._window[:passed]
            self._from += passed

    def _again(self) -> None:
        if self._once:
            raise SecmonError("this stream was read past the place that is asked for", hint="give it again")
        self._read, self.failure, self._end = self._begin(), None, None
        self._window.clear()
        self._from = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """What follows a position.

    Args:
        before: the last up to 256 bytes before it.
        data: the bytes; b"" if there are none now.
        is_rewritten: the bytes before the position are not those that were read there.
        is_last: they reach to where the content ends now, or to where it cannot be unpacked any further.
    """

    before: bytes
    data: bytes
    is_rewritten: bool
    is_last: bool


def read_behind(content: Content, checkpoint: Checkpoint, max_bytes: int) -> Piece:
    """Read what follows a committed position, and check that it does follow.

    Raises:
        OSError: it cannot be read.
    """
    offset = checkpoint.position.offset
    reach = min(offset, TAIL_BYTES)
    # One read for both: nothing can rewrite the file between the check and the data.
    data = content.at(offset - reach, reach + max_bytes)
    before, data = data[:reach], data[reach:]
    is_rewritten = len(before) < reach or bool(checkpoint.tail and tail_of(before) != checkpoint.tail)
    is_broken = content.failure is not None and not content.failure.incomplete
    is_last = offset + len(data) == content.end() or (is_broken and len(data) < max_bytes)
    return Piece(before, data, is_rewritten, is_last)


def open_content(path: str, *, where: str, key: tuple[int, int] | None = None) -> Content:
    """Open a regular file; gzip is known by its magic, not by its name.

    Args:
        path: the file.
        where: its place in errors.
        key: device and inode it must have, if it was seen before.

    Raises:
        OSError: it cannot be opened, or the path leads to another file by now.
        SecmonError: it is no regular file, or packed in another way than gzip.
    """
    descriptor = os.open(path, _OPEN)
    try:
        magic, stated = _examined(descriptor, where, key)
    except BaseException:
        os.close(descriptor)
        raise
    if not magic.startswith(GZIP_MAGIC):
        return PlainContent(descriptor)
    return ForwardContent(
        lambda: Inflater(_reader(descriptor), where=where).read,
        release=lambda: os.close(descriptor),
        packed=True,
        stated_length=stated,
    )


def _examined(descriptor: int, where: str, key: tuple[int, int] | None) -> tuple[bytes, int]:
    """Return how a regular file begins, and the number that its last four bytes are."""
    status = os.fstat(descriptor)
    if key is not None and key != (status.st_dev, status.st_ino):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not stat.S_ISREG(status.st_mode):
        raise SecmonError("this is no regular file", where=where, hint="name a log file")
    magic = os.pread(descriptor, _MAGIC_BYTES, 0)
    for sign, packer in _FOREIGN.items():
        if magic.startswith(sign):
            raise SecmonError(
                "packed with {packer}, which is not read",
                where=where,
                hint="unpack it, or let the rotation use gzip",
                values={"packer": packer},
            )
    stated = os.pread(descriptor, _LENGTH_FIELD, max(0, status.st_size - _LENGTH_FIELD))
    return magic, int.from_bytes(stated, "little")


def _reader(descriptor: int) -> Callable[[int], bytes]:
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        data = os.pread(descriptor, count, at)
        at += len(data)
        return data

    return read
