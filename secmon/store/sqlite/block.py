"""Blocks: bodies of consecutive events, one JSON object a line, compressed with zstd.

A block is what one look-up has to open, so it is bounded in events and in bytes.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import zstandard

from secmon.errors import StoreError

MAX_EVENTS = 500
MAX_BYTES = 1024 * 1024
# 630 B events take 267 B on disk, columns and hits included (bench/store.py). No trained dictionary: it would tie every
# block to a file that must not be lost.
LEVEL = 3
CACHE_BYTES = 16 * 1024 * 1024

# zstd objects hold a context each and must not be shared between threads.
_contexts = threading.local()


def cut(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (from, to) of consecutive blocks over bodies of these sizes; a giant body has a block of its own."""
    start = size = 0
    for at, more in enumerate(sizes):
        if at > start and (at - start == MAX_EVENTS or size + more > MAX_BYTES):
            yield start, at
            start, size = at, 0
        size += more
    if start < len(sizes):
        yield start, len(sizes)


def pack(bodies: Sequence[bytes]) -> bytes:
    """Return the block of some bodies.

    Raises:
        StoreError: a body holds a line end, which no compact JSON does.
    """
    text = b"\n".join(bodies)
    if text.count(b"\n") != len(bodies) - 1:
        raise StoreError("the body of an event is not JSON on one line", hint="please report this")
    compressor: zstandard.ZstdCompressor | None = getattr(_contexts, "compressor", None)
    if compressor is None:
        compressor = _contexts.compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    return compressor.compress(text)


def unpack(data: bytes, *, where: str) -> list[bytes]:
    """Return the bodies of a block.

    Raises:
        StoreError: its bytes were changed (zstd's own checksum tells).
    """
    decompressor: zstandard.ZstdDecompressor | None = getattr(_contexts, "decompressor", None)
    if decompressor is None:
        decompressor = _contexts.decompressor = zstandard.ZstdDecompressor()
    try:
        return decompressor.decompress(data).split(b"\n")
    except zstandard.ZstdError as error:
        raise StoreError("a block of events is damaged", where=where, hint="put the file back from a backup") from error


class BlockCache:
    """The blocks that a walk opened last, bounded in bytes: events of several sources come in turns."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._blocks: OrderedDict[tuple[object, int], tuple[list[bytes], int]] = OrderedDict()

    def get(self, owner: object, first: int) -> list[bytes] | None:
        """Return the bodies of a block, None if they are not at hand."""
        found = self._blocks.get((owner, first))
        if found is None:
            return None
        self._blocks.move_to_end((owner, first))
        return found[0]

    def put(self, owner: object, first: int, bodies: list[bytes]) -> None:
        """Keep the bodies of a block, and forget the longest unused ones beyond the bound."""
        size = sum(map(len, bodies))
        self._blocks[owner, first] = (bodies, size)
        self._bytes += size
        while self._bytes > self._max_bytes and len(self._blocks) > 1:
            self._bytes -= self._blocks.popitem(last=False)[1][1]
