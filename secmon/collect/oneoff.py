"""One-off import of given files and of standard input (ports.Collector).

A file's stream is known by its first 64 KiB, uncompressed (`ids.generation_of_head`): the same file, renamed, copied,
packed or unpacked, is the same stream, and so is a file that was followed as part of the same source. Streams can be
read from any position, so that the use case can go through what was committed before and count it as duplicates.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from secmon.collect.content import Content, ForwardContent, open_content, read_behind
from secmon.collect.inflate import GZIP_MAGIC, Inflater
from secmon.collect.matching import SPENT_HEAD_BYTES, Look, Streams, look_into
from secmon.collect.scan import reason, shown
from secmon.errors import SecmonError
from secmon.model.access import Access
from secmon.model.fingerprint import head_length
from secmon.model.ids import generation_of_head
from secmon.model.stream import Checkpoint, Position
from secmon.ports import Chunk, Clock

STANDARD_INPUT = "-"


class ImportCollector:
    """Reads given files once, from wherever it is told to.

    Args:
        source: the source's id.
        kind: its kind.
        files: paths; "-" is standard input.
        clock: the clock.
        standard_input: what "-" reads. It cannot be read twice: `read` may only go forwards in it.
        retention: retention class of its partition.
    """

    def __init__(
        self,
        *,
        source: str,
        kind: str,
        files: Sequence[str],
        clock: Clock,
        standard_input: BinaryIO | None = None,
        retention: str = "security",
    ) -> None:
        self._source, self._kind, self._retention = source, kind, retention
        self._files, self._clock = tuple(dict.fromkeys(files)), clock
        self._standard_input = standard_input
        self._spool: Content | None = None
        self._open: tuple[str, Content] | None = None
        self._paths: dict[tuple[str, str], str] = {}
        self._problems: dict[str, str] = {}

    @property
    def source(self) -> str:
        """The source's id."""
        return self._source

    def streams(self, access: Access, known: Sequence[Checkpoint]) -> list[Checkpoint]:  # noqa: ARG002  one access: the importer's
        """Return one stream for each file that is not empty, in the order given; see `ports.Collector.streams`.

        Two files with the same content are one stream at two places: both are returned, and the committed state of
        the first is to be loaded again before the second is read.
        """
        streams = Streams()
        streams.learn(checkpoint for checkpoint in known if checkpoint.source == self._source)
        found = []
        for path in self._files:
            checkpoint = self._stream(path, streams)
            if checkpoint is not None:
                found.append(checkpoint)
                self._paths[checkpoint.generation, checkpoint.place] = path
        return found

    def read(self, access: Access, checkpoint: Checkpoint, *, max_bytes: int) -> Chunk | None:  # noqa: ARG002  as above
        """Return what follows a position of a stream; see `ports.Collector.read`."""
        path = self._path(checkpoint)
        if path is None:
            return None
        place = shown(path)
        try:
            content = self._content(path)
            piece = read_behind(content, checkpoint, max_bytes)
        except (OSError, SecmonError) as error:
            self._note(place, error)
            return None
        if content.failure is not None:
            self._note(place, content.failure)
        if piece.is_rewritten:
            self._problems[place] = f"{place}: it changed while it was imported (import it again)"
            return None
        if not piece.data:
            return None
        return Chunk(checkpoint=checkpoint, data=piece.data, at_end=piece.is_last, before=piece.before)

    def problems(self) -> list[str]:
        """Return why files could not be read, or not to their end; see `ports.Collector.problems`."""
        return list(self._problems.values())

    def close(self) -> None:
        """Give the open file back."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _stream(self, path: str, streams: Streams) -> Checkpoint | None:
        place = shown(path)
        try:
            look = look_into(self._content(path), is_thorough=path != STANDARD_INPUT)
            if not look.first:
                if look.content.failure is not None:
                    self._note(place, look.content.failure)
                return None
            checkpoint = _recognised(look, streams)
        except (OSError, SecmonError) as error:
            self._note(place, error)
            return None
        if checkpoint is not None:
            return replace(checkpoint, place=place)
        template = Checkpoint(
            source=self._source,
            kind=self._kind,
            generation="",
            position=Position(),
            day=self._clock.now().date(),
            place=place,
            retention=self._retention,
        )
        return streams.begin(template, look)

    def _path(self, checkpoint: Checkpoint) -> str | None:
        """Return the file at a checkpoint's place, or else any with the same stream."""
        exact = self._paths.get((checkpoint.generation, checkpoint.place))
        return exact or next(
            (p for (generation, _), p in self._paths.items() if generation == checkpoint.generation), None
        )

    def _content(self, path: str) -> Content:
        if path == STANDARD_INPUT:
            if self._spool is None:
                if self._standard_input is None:
                    raise SecmonError("there is no standard input", where=STANDARD_INPUT, hint="name a file")
                self._spool = _spooled(self._standard_input)
            return self._spool
        if self._open is None or self._open[0] != path:
            self.close()
            self._open = path, open_content(path, where=shown(path))
        return self._open[1]

    def _note(self, place: str, error: OSError | SecmonError) -> None:
        text = reason(error) if isinstance(error, OSError) else str(error)
        self._problems[place] = text if isinstance(error, SecmonError) and error.where else f"{place}: {text}"


def _recognised(look: Look, streams: Streams) -> Checkpoint | None:
    """Return the stream that a file is: one that it holds, or one that went further than it does."""
    held = streams.found_in(look)
    if held:
        return max(held, key=lambda checkpoint: checkpoint.position.offset)
    if not look.is_thorough:
        return None
    generation = generation_of_head(look.first)
    for checkpoint in streams.same_head(look):
        is_certain = checkpoint.generation == generation or head_length(checkpoint.head) >= SPENT_HEAD_BYTES
        # No byte where it was read to: a shorter piece of the same. The digests of its records will tell.
        if is_certain and not look.content.at(checkpoint.position.offset, 1):
            return checkpoint
    return None


def _spooled(stream: BinaryIO) -> Content:
    """Return standard input as content; it is unpacked if it begins like gzip."""
    # A piece at a time: an interrupt is noticed between two of them, and not first when all have come.
    more = getattr(stream, "read1", stream.read)
    ahead = stream.read(len(GZIP_MAGIC))
    is_packed = ahead == GZIP_MAGIC

    def read(count: int) -> bytes:
        nonlocal ahead
        if ahead:
            piece, ahead = ahead[:count], ahead[count:]
            return piece
        return bytes(more(count))

    return ForwardContent(
        lambda: Inflater(read, where=STANDARD_INPUT).read if is_packed else read,
        release=lambda: None,
        packed=is_packed,
        once=True,
    )
