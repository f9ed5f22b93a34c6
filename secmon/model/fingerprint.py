"""How a stream is recognised by its bytes, whatever its file is called now.

Two fingerprints stand in a checkpoint (`model.stream.Checkpoint`):

- head, "LENGTH:HEX": SHA-256 over the first LENGTH bytes, LENGTH a power of two up to 64 KiB. A file that grows gets
  a longer head step by step; the steps keep the number of different lengths small, so that a file of unknown name is
  looked up among thousands of heads with at most 17 digests.
- tail: 32 hex of SHA-256 over the last up to 256 bytes before the offset. If they change, the stream was rewritten.

Both cover only bytes that a collector has seen, so they never change while a file only grows.
"""

import hashlib
from dataclasses import replace

from secmon.model.stream import Checkpoint, Position

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 256
_TAIL_DIGITS = 32


def head_step(size: int) -> int:
    """Return how many bytes the head of a stream of `size` known bytes covers: 0, or a power of two ≤ 64 KiB."""
    return min(HEAD_BYTES, 1 << size.bit_length() - 1) if size > 0 else 0


def head_of(first: bytes) -> str:
    """Return the head of a stream that begins with `first`; "" of no bytes."""
    length = head_step(len(first))
    return f"{length}:{hashlib.sha256(first[:length]).hexdigest()}" if length else ""


def head_length(head: str) -> int:
    """Return how many bytes a head covers."""
    return int(head.partition(":")[0]) if head else 0


def heads_of(first: bytes) -> dict[int, str]:
    """Return the head of every step that `first` (up to 64 KiB) is long enough for: LENGTH → head."""
    heads: dict[int, str] = {}
    sha = hashlib.sha256()
    done, length = 0, 1
    while length <= min(len(first), HEAD_BYTES):
        sha.update(first[done:length])
        heads[length] = f"{length}:{sha.copy().hexdigest()}"
        done, length = length, length * 2
    return heads


def tail_of(before: bytes) -> str:
    """Return the tail of an offset that `before` stands in front of; "" at the start of a stream."""
    return hashlib.sha256(before[-TAIL_BYTES:]).hexdigest()[:_TAIL_DIGITS] if before else ""


def advance(checkpoint: Checkpoint, position: Position, *, before: bytes, data: bytes) -> Checkpoint:
    """Return the checkpoint moved to a later position, with the fingerprints that belong there.

    Nothing else of it changes: batch number, counts and times are the caller's.

    Args:
        checkpoint: as a chunk carries it (`ports.Chunk.checkpoint`).
        position: where the framer stopped.
        before: the chunk's bytes before its data (`ports.Chunk.before`).
        data: the chunk's data.

    Raises:
        ValueError: the position lies outside the chunk.
    """
    taken = position.offset - checkpoint.position.offset
    if not 0 <= taken <= len(data):
        raise ValueError("the position lies outside the chunk")
    if taken == 0:
        return replace(checkpoint, position=position)
    head = checkpoint.head
    if checkpoint.position.offset == 0 and head_step(taken) > head_length(head):
        head = head_of(data[: min(taken, HEAD_BYTES)])
    tail = tail_of(before[-TAIL_BYTES:] + data[max(0, taken - TAIL_BYTES) : taken])
    return replace(checkpoint, position=position, head=head, tail=tail)
