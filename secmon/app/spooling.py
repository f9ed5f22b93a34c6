"""Putting records by while the store is away, and giving them back when it is there again.

A collector under this one takes what is spooled for committed: it is durable, if not yet stored. So it goes on in
files that grow, rotate and vanish just as it does while the store is there. Towards the ingest nothing changes
either: what is asked for at a committed position comes from the spool where the spool holds it, else from the source.
Stream, offset and so every event id are those of a run without an outage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from secmon.app.framing import framings
from secmon.errors import StoreError, StoreUnavailableError
from secmon.model.access import Access
from secmon.model.fingerprint import advance, head_length, tail_of
from secmon.model.stream import Checkpoint, Position
from secmon.parse.registry import KINDS
from secmon.ports import Chunk, Collector, Spool, Spooled

CHUNK_BYTES = 4 << 20
CHUNKS_A_TURN = 16
"""Most chunks of one stream before the next stream gets its turn."""


class SpooledCollector:
    """A collector whose records survive their source (ports.Collector).

    Args:
        inner: finds and reads the streams.
        spool: keeps what was read while the store was away.
    """

    def __init__(self, inner: Collector, spool: Spool) -> None:
        self._inner, self._spool = inner, spool
        self._known: list[Checkpoint] | None = None
        self._is_kept = False
        self._problems: list[str] = []

    @property
    def source(self) -> str:
        """The source's id."""
        return self._inner.source

    def streams(self, access: Access, known: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Return the streams that are there or in the spool; see `ports.Collector.streams`.

        Args:
            access: who asks.
            known: the committed states, as the store has them now.
        """
        self._problems = []
        known = [checkpoint for checkpoint in known if checkpoint.source == self.source]
        for checkpoint in known:
            self._spool.settle(access, checkpoint)
        before = {checkpoint.generation for checkpoint in self._known or ()}
        had_none = self._known is None
        found = self._found(access, known)
        self._known = [*known, *(stream for stream in found if stream.version == 0)]
        if had_none or any(stream.generation not in before for stream in self._known):
            # A generation is made once (`FileCollector.streams`): kept before anything of it is committed, so that a
            # start without the store does not make another.
            self._keep(access)
        else:
            self._is_kept = False
        return found

    def _found(self, access: Access, known: Sequence[Checkpoint]) -> list[Checkpoint]:
        ends = {end.generation: end for end in self._spool.ends(access, self.source)}
        committed = {checkpoint.generation: checkpoint for checkpoint in known}
        durable = {**committed, **{name: _ahead(committed.get(name), end) for name, end in ends.items()}}
        found: dict[str, Checkpoint] = {}
        for stream in self._inner.streams(access, list(durable.values())):
            name = stream.generation
            is_spooled = name in ends
            found[name] = replace(_base(committed, ends[name]), place=stream.place) if is_spooled else stream
        for name, end in ends.items():
            found.setdefault(name, _base(committed, end))
        return list(found.values())

    def read(self, access: Access, checkpoint: Checkpoint, *, max_bytes: int) -> Chunk | None:
        """Return what follows a position of a stream; see `ports.Collector.read`."""
        offset = checkpoint.position.offset
        try:
            piece = self._spool.read(access, self.source, checkpoint.generation, offset, max_bytes=max_bytes)
        except StoreError:
            chunk = self._inner.read(access, checkpoint, max_bytes=max_bytes)
            if chunk is None:
                raise
            return chunk
        if piece is None:
            return self._inner.read(access, checkpoint, max_bytes=max_bytes)
        if checkpoint.tail and tail_of(piece.before) != checkpoint.tail:
            raise StoreError(
                "the spool does not follow what is committed", where=self.source, hint="please report this"
            )
        # Inside a record that is passed over, its framer wants to see how it goes on, if anybody knows.
        if piece.end.position.skipping and not piece.at_end:
            chunk = self._inner.read(access, checkpoint, max_bytes=max_bytes)
            if chunk is not None:
                return chunk
        # Head and place as they were then: events name the file as it was called when they were read.
        head = max(piece.start.head, checkpoint.head, key=head_length)
        start = replace(checkpoint, head=head, place=piece.start.place)
        data = piece.data[:max_bytes]
        return Chunk(checkpoint=start, data=data, at_end=len(data) == len(piece.data), before=piece.before)

    def problems(self) -> list[str]:
        """Return what keeps it from reading; see `ports.Collector.problems`."""
        return [*self._inner.problems(), *self._problems]

    def reached(self, access: Access) -> Mapping[str, int]:
        """Return generation → records of that stream that are committed or spooled, of those in the spool."""
        return {end.generation: end.position.number for end in self._spool.ends(access, self.source)}

    def put_by(self, access: Access) -> bool:
        """Take into the spool what the source has now, a turn's worth of each stream; tell whether there was any.

        Raises:
            SpoolFullError: there is no room left.
            StoreUnavailableError: the spool's disk does not take it now.
            StoreError: the spool cannot be opened, or nobody knows the streams of this source.
        """
        self._problems = []
        if self._known is None:
            self._known = self._spool.remembered(access, self.source)
            self._is_kept = True
            for checkpoint in self._known or ():
                self._spool.settle(access, checkpoint)
        if self._known is None:
            raise StoreUnavailableError(
                "nothing is put by before the store was there once", where=self.source, hint="see `secmon doctor`"
            )
        if not self._is_kept:
            self._keep(access)
        taken = False
        for stream in self._found(access, self._known):
            taken |= self._take(access, stream)
        return taken

    def _take(self, access: Access, stream: Checkpoint) -> bool:
        ends = {end.generation: end for end in self._spool.ends(access, self.source)}
        end = ends.get(stream.generation)
        at = stream if end is None else _ahead(stream, end)
        frame = KINDS[at.kind].frame
        for turn in range(CHUNKS_A_TURN):
            chunk = self._inner.read(access, at, max_bytes=CHUNK_BYTES)
            if chunk is None:
                return turn > 0
            start, position = chunk.checkpoint, chunk.checkpoint.position
            for framing in framings(frame, chunk.data, position, at_end=chunk.at_end):
                position = framing.position
            if position == start.position:
                return turn > 0  # only the beginning of a record
            at = advance(start, position, before=chunk.before, data=chunk.data)
            taken = position.offset - start.position.offset
            self._spool.append(
                access,
                Spooled(
                    start=start,
                    end=at,
                    data=chunk.data[:taken],
                    before=chunk.before,
                    at_end=chunk.at_end and taken == len(chunk.data),
                ),
            )
        return True

    def _keep(self, access: Access) -> None:
        """Keep what is known for a start without the store; where that fails reading goes on all the same."""
        try:
            self._spool.remember(access, self.source, self._known or ())
        except StoreUnavailableError as error:
            self._problems.append(str(error))
            self._is_kept = False
        else:
            self._is_kept = True


def _ahead(committed: Checkpoint | None, end: Checkpoint) -> Checkpoint:
    """Return how far a stream is durable: committed or spooled."""
    if committed is None or committed.position.offset < end.position.offset:
        return end
    return committed


def _base(committed: Mapping[str, Checkpoint], end: Checkpoint) -> Checkpoint:
    """Return the committed state of a stream; of one that only the spool knows, its first."""
    return committed.get(end.generation) or replace(end, position=Position(), tail="", version=0)
