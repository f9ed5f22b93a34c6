"""One file of the spool: pieces of one stream, each sealed by itself, one behind the other.

A piece is a head, in the clear, and sealed bytes: "SPL1" · length (4 bytes) · CRC-32 (4) · from (8) · to (8) · sealed,
all numbers big endian. From and to are offsets of the stream; the CRC covers them and the sealed bytes. It tells a
piece that a crash cut short (removed, it was never acknowledged) from one that the key at hand does not open (kept).
Stream and offsets are bound to the seal, so that no piece can be put elsewhere.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from secmon.errors import StoreError

_MAGIC: Final = b"SPL1"
_HEAD: Final = struct.Struct(">4sIIQQ")
_OFFSETS: Final = struct.Struct(">QQ")


class Piece(NamedTuple):
    """Where a piece stands.

    Args:
        at: offset in the file of its sealed bytes.
        length: how many.
        crc: CRC-32 of offsets and sealed bytes.
        start: offset in the stream of its first byte.
        end: offset behind its last byte.
    """

    at: int
    length: int
    crc: int
    start: int
    end: int


@dataclass(slots=True)
class Part:
    """One file.

    Args:
        path: where it is.
        start: offset in the stream of its first byte.
        end: offset behind its last whole piece.
        size: bytes of its pieces.
    """

    path: Path
    start: int
    end: int
    size: int


def packed(sealed: bytes, start: int, end: int) -> bytes:
    """Return a piece as it stands in a file."""
    return _HEAD.pack(_MAGIC, len(sealed), _crc(sealed, start, end), start, end) + sealed


def pieces(descriptor: int, *, at: int = 0) -> Iterator[Piece]:
    """Yield the pieces of a file from a place between two of them on, until none follows whole.

    Raises:
        OSError: it cannot be read.
    """
    size = os.fstat(descriptor).st_size
    while len(head := os.pread(descriptor, _HEAD.size, at)) == _HEAD.size:
        magic, length, crc, start, end = _HEAD.unpack(head)
        at += _HEAD.size
        if magic != _MAGIC or end < start or at + length > size:
            return
        yield Piece(at, length, crc, start, end)
        at += length


def sealed_of(descriptor: int, piece: Piece, path: Path) -> bytes:
    """Return the sealed bytes of a piece.

    Raises:
        OSError: it cannot be read.
        StoreError: they are not those that were written.
    """
    sealed = os.pread(descriptor, piece.length, piece.at)
    if _crc(sealed, piece.start, piece.end) != piece.crc:
        raise damaged(path)
    return sealed


def ends_of(descriptor: int, path: Path, *, writable: bool) -> list[Piece]:
    """Return the first and the last whole piece of a file, none if it has none; cut off what a crash left behind them.

    Raises:
        OSError: it cannot be read or cut.
        StoreError: it was damaged in another way than a crash does; nothing is cut.
    """
    found: list[Piece] = []
    for piece in pieces(descriptor):
        if found and piece.start != found[-1].end:
            break
        found.append(piece)
    if found and not _is_whole(descriptor, found[-1]):
        found.pop()
    size = found[-1].at + found[-1].length if found else 0
    rest = os.pread(descriptor, os.fstat(descriptor).st_size - size, size)
    if rest.find(_MAGIC, 1) >= 0:  # another piece behind the broken one: no crash leaves that
        raise damaged(path)
    if rest and writable:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    return [found[0], found[-1]] if found else []


def _is_whole(descriptor: int, piece: Piece) -> bool:
    return _crc(os.pread(descriptor, piece.length, piece.at), piece.start, piece.end) == piece.crc


def damaged(path: Path) -> StoreError:
    """Return the error of a file that was changed by something else than secmon."""
    return StoreError(
        "the spool is damaged",
        where=str(path),
        hint="put it back from a backup, or move it away: its records are then read from their source, if still there",
    )


def _crc(sealed: bytes, start: int, end: int) -> int:
    return zlib.crc32(sealed, zlib.crc32(_OFFSETS.pack(start, end)))
