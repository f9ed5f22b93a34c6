"""Which stream a file holds: the streams of one source, looked up by their fingerprints."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from secmon.collect.content import Content
from secmon.model.fingerprint import HEAD_BYTES, TAIL_BYTES, head_length, head_of, heads_of, tail_of
from secmon.model.ids import generation_of_head
from secmon.model.stream import Checkpoint

# A head of this many bytes is enough to call a shorter file elsewhere a copy of a stream that was read further.
# Below that it could be a banner that programs write at every start, and is read again rather than lost.
SPENT_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Look:
    """What one look into a file showed.

    Args:
        first: its first up to 64 KiB, uncompressed.
        size: its uncompressed size; None if that is not known (a packed file that is longer than `first`).
        content: for further looks.
        is_thorough: look anywhere in it; else only at `first`, and take what lies further on trust until it is read.
    """

    first: bytes
    size: int | None
    content: Content
    is_thorough: bool

    def holds(self, offset: int) -> bool:
        """Tell whether it may reach as far as an offset."""
        return self.size is None or offset <= self.size

    def tail(self, offset: int) -> str | None:
        """Return the tail of an offset; None where that would mean a look at more than the first 64 KiB."""
        start = max(0, offset - TAIL_BYTES)
        if offset <= len(self.first):
            return tail_of(self.first[start:offset])
        if not self.is_thorough:
            return None
        return tail_of(self.content.at(start, offset - start))


def look_into(content: Content, *, is_thorough: bool) -> Look:
    """Read what is needed to recognise a file; see `Look`.

    Raises:
        OSError: it cannot be read.
    """
    first = content.at(0, HEAD_BYTES)
    size = content.end()
    if content.packed and size is None and len(first) < HEAD_BYTES:
        size = len(first)  # cut short: this is all there is now
    return Look(first, size, content, is_thorough)


class Streams:
    """The streams of one source: those that were committed and those that were only seen."""

    def __init__(self) -> None:
        self._checkpoints: dict[str, Checkpoint] = {}
        self._by_head: dict[str, set[str]] = {}

    def __contains__(self, generation: str) -> bool:
        return generation in self._checkpoints

    def __getitem__(self, generation: str) -> Checkpoint:
        return self._checkpoints[generation]

    def learn(self, known: Iterable[Checkpoint]) -> None:
        """Take over committed states."""
        for checkpoint in known:
            generation = checkpoint.generation
            old = self._checkpoints.get(generation)
            self._checkpoints[generation] = checkpoint
            if old is None or old.head != checkpoint.head:
                if old is not None:
                    self._by_head[old.head].discard(generation)
                self._by_head.setdefault(checkpoint.head, set()).add(generation)

    def all(self) -> Iterable[Checkpoint]:
        """Return every stream."""
        return self._checkpoints.values()

    def found_in(self, look: Look) -> list[Checkpoint]:
        """Return the streams that a file holds: the same head, long enough, and the same bytes before the offset."""
        return [
            checkpoint
            for checkpoint in self.same_head(look)
            if look.holds(checkpoint.position.offset) and _same_tail(checkpoint, look)
        ]

    def gone_beyond(self, look: Look) -> list[Checkpoint]:
        """Return the streams with the same long head that were read further than the file reaches."""
        return [
            checkpoint
            for checkpoint in self.same_head(look)
            if head_length(checkpoint.head) >= SPENT_HEAD_BYTES and not look.holds(checkpoint.position.offset)
        ]

    def begin(self, template: Checkpoint, look: Look) -> Checkpoint:
        """Return a new stream, told apart from all others.

        Its generation is that of an import of the same file (`ids.generation_of_head`), over what there is of its
        first 64 KiB now; if another stream has this id already, one derived from it by a number.
        """
        base = generation_of_head(look.first)
        generation, number = base, 1
        while generation in self._checkpoints:
            number += 1
            generation = hashlib.sha256(f"{base}:{number}".encode()).hexdigest()
        checkpoint = replace(template, generation=generation, head=head_of(look.first))
        self.learn([checkpoint])
        return checkpoint

    def same_head(self, look: Look) -> Iterable[Checkpoint]:
        """Yield the streams with the same head."""
        for head in heads_of(look.first).values():
            for generation in self._by_head.get(head, ()):
                yield self._checkpoints[generation]


def _same_tail(checkpoint: Checkpoint, look: Look) -> bool:
    if not checkpoint.tail:
        return True
    tail = look.tail(checkpoint.position.offset)
    return tail is None or tail == checkpoint.tail
