"""Gzip, unpacked piece by piece under limits: the one place that inflates what comes from outside.

Format: RFC 1952 (several members one after another are one stream, zero bytes may follow the last one); deflate
(RFC 1951) can reach 1,032 : 1, logs stay far below. Memory is bounded by one piece, whatever the file says.
"""

import zlib
from collections.abc import Callable

from secmon.errors import ParseError

GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 64 * 1024
_GZIP_WINDOW = 16 + zlib.MAX_WBITS

# A stream is refused as a bomb once it has given this many bytes and more than so many for each packed one.
MAX_RATIO = 250
RATIO_FREE_BYTES = 16 << 20

_CUT = "the gzip file ends too early"
_CUT_HINT = "if it is not still being written, restore it"


class GzipError(ParseError):
    """A gzip file cannot be unpacked any further.

    Args:
        incomplete: it only ends too early: it may still be being written.
    """

    def __init__(self, problem: str, *, where: str = "", hint: str = "", incomplete: bool = False) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.incomplete = incomplete


class Inflater:
    """Reads a gzip stream forwards.

    Args:
        read: gives up to so many packed bytes, b"" at the end.
        where: the place for errors.
        max_ratio: unpacked bytes for each packed one, beyond the first 16 MiB.
    """

    def __init__(self, read: Callable[[int], bytes], *, where: str = "", max_ratio: int = MAX_RATIO) -> None:
        self._read, self._where, self._max_ratio = read, where, max_ratio
        self._member: zlib._Decompress | None = None
        self._packed = b""
        self._taken = self._given = self._members = 0
        self._finished = False

    @property
    def given(self) -> int:
        """Bytes unpacked so far."""
        return self._given

    @property
    def finished(self) -> bool:
        """Whether the last member ended where the file ends, its checksum right."""
        return self._finished

    def read(self, max_bytes: int) -> bytes:
        """Return the next bytes, at least one and at most `max_bytes`; b"" at the end.

        Raises:
            GzipError: it is cut short, broken or a bomb. What was right before that has been returned.
            OSError: from `read`.
        """
        while not self._finished:
            piece = self._step(max_bytes)
            if piece:
                self._given += len(piece)
                if self._given > RATIO_FREE_BYTES and self._given > self._max_ratio * self._taken:
                    raise self._error(
                        "unpacks to far more than a log does: refused as a gzip bomb",
                        hint="unpack it yourself, if it really is a log",
                    )
                return piece
        return b""

    def _step(self, max_bytes: int) -> bytes:
        """Unpack a bit; b"" if that only moved on, into a header or behind a member."""
        if self._member is None:
            self._next_member()
            return b""
        at_end = not self._packed and not self._fill()
        try:
            piece = self._member.decompress(self._packed, max_bytes)
        except zlib.error:
            raise self._error("the gzip file is broken", hint="restore it, or unpack what is left of it") from None
        if self._member.eof:
            self._packed, self._member = self._member.unused_data, None
        elif piece or not at_end:
            self._packed = self._member.unconsumed_tail
        else:
            raise self._error(_CUT, hint=_CUT_HINT, incomplete=True)
        return piece

    def _next_member(self) -> None:
        """Begin the next member, or finish at the end of the file; zero padding is passed over."""
        while len(self._packed) < len(GZIP_MAGIC) and self._fill():
            if self._members:
                self._packed = self._packed.lstrip(b"\0")
        if self._members:
            self._packed = self._packed.lstrip(b"\0")
            if not self._packed:
                self._finished = not self._fill()
                return
        if not self._packed.startswith(GZIP_MAGIC):
            if len(self._packed) < len(GZIP_MAGIC):
                raise self._error(_CUT, hint=_CUT_HINT, incomplete=True)
            raise self._error("what follows is not gzip", hint="see what wrote into this file")
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._members += 1

    def _fill(self) -> bool:
        more = self._read(_READ_BYTES)
        self._taken += len(more)
        self._packed += more
        return bool(more)

    def _error(self, problem: str, *, hint: str, incomplete: bool = False) -> GzipError:
        return GzipError(problem, where=self._where, hint=hint, incomplete=incomplete)
