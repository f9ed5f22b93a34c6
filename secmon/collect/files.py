"""Files that grow, rotate and vanish: the collector that follows them (ports.Collector).

Exactly once, as long as the bytes stay readable until they were read; docs/collect.md has the rules and the table.
What identifies a stream is its bytes (`model.fingerprint`); path and inode only say where to look first.
"""

from collections.abc import Sequence
from dataclasses import replace

from secmon.collect.content import Content, read_behind
from secmon.collect.roster import Roster
from secmon.collect.scan import Scanner, reason
from secmon.collect.tracking import OpenFiles, Tracked
from secmon.errors import SecmonError
from secmon.model.access import Access
from secmon.model.fingerprint import head_length, head_of, head_step, heads_of
from secmon.model.stream import Checkpoint, Position
from secmon.ports import Chunk, Clock

SETTLE_S = 5.0
LINGER_S = 60.0
MAX_OPEN = 128


class FileCollector:
    """Follows the files of one source.

    Args:
        source: the source's id.
        kind: its kind.
        paths: files, folders and patterns (`scan.Scanner`).
        clock: the clock.
        retention: retention class of its partition.
        settle_s: how long a file must rest before its last piece counts as a whole record, and before a packed
            file is taken as finished.
        linger_s: how long a file without a name is kept open after its last change.
        max_open: most files held open at once.
    """

    def __init__(
        self,
        *,
        source: str,
        kind: str,
        paths: Sequence[str],
        clock: Clock,
        retention: str = "security",
        settle_s: float = SETTLE_S,
        linger_s: float = LINGER_S,
        max_open: int = MAX_OPEN,
    ) -> None:
        self._source, self._kind, self._retention = source, kind, retention
        self._clock, self._settle_s = clock, settle_s
        self._open = OpenFiles(max_open)
        self._roster = Roster(Scanner(paths), self._open, settle_s=settle_s, linger_s=linger_s)
        self._scan_problems: list[str] = []

    @property
    def source(self) -> str:
        """The source's id."""
        return self._source

    @property
    def lost_bytes(self) -> int:
        """Bytes that were seen and were gone before they could be read."""
        return sum(count for _place, count in self._roster.lost())

    def streams(self, access: Access, known: Sequence[Checkpoint]) -> list[Checkpoint]:  # noqa: ARG002  one access: the daemon's
        """Look once what is there; see `ports.Collector.streams`.

        A stream that is returned for the first time must be stored before anything of it is committed: its
        generation was made from what there was of the file when it was first seen, and is not made the same again.
        """
        roster = self._roster
        roster.streams.learn(checkpoint for checkpoint in known if checkpoint.source == self._source)
        now = self._clock.now()
        template = Checkpoint(
            source=self._source,
            kind=self._kind,
            generation="",
            position=Position(),
            day=now.date(),
            retention=self._retention,
        )
        scan = roster.update(template, now_s=self._clock.monotonic_s(), wall_s=now.timestamp())
        self._scan_problems = list(scan.problems.values())
        return [_placed(roster.streams[generation], file) for generation, file in roster.live.items()]

    def read(self, access: Access, checkpoint: Checkpoint, *, max_bytes: int) -> Chunk | None:  # noqa: ARG002  as above
        """Return what follows a position of a stream; see `ports.Collector.read`.

        Args:
            access: who asks.
            checkpoint: as `streams` returned it, or advanced from there.
            max_bytes: most bytes; at least `parse.kind.MAX_RECORD_BYTES`, so that a framer can always go on.
        """
        file = self._roster.live.get(checkpoint.generation)
        if file is None or _is_read(file, checkpoint.position.offset):
            return None
        try:
            return self._chunk(file, self._open.content(file), checkpoint, max_bytes)
        except FileNotFoundError:
            return None  # it just went; the next poll says what became of it
        except OSError as error:
            file.problem = f"{file.place}: {reason(error)}"
        except SecmonError as error:
            file.problem = str(error)
        self._open.close(file)
        file.waiting = True
        return None

    def problems(self) -> list[str]:
        """Return what keeps it from reading, and what was lost; see `ports.Collector.problems`."""
        files = [file.problem for file in self._roster.files.values() if file.problem]
        lost = [
            f"{place}: {count} bytes were gone before they could be read"
            " (let the rotation keep one unpacked generation, and rename instead of copytruncate)"
            for place, count in self._roster.lost()
        ]
        return [*self._scan_problems, *files, *lost]

    def close(self) -> None:
        """Give all files back."""
        self._open.close_all()

    def _chunk(self, file: Tracked, content: Content, checkpoint: Checkpoint, max_bytes: int) -> Chunk | None:
        piece = read_behind(content, checkpoint, max_bytes)
        if piece.is_rewritten:
            file.suspect = True
            return None
        file.problem = str(content.failure) if content.failure else ""
        if not piece.data:
            if content.packed:
                file.packed_end = checkpoint.position.offset
            return None
        at_end = piece.is_last
        if not content.packed:
            rested_s = self._clock.monotonic_s() - file.changed_at
            at_end = at_end and content.end() == file.sighting.size and rested_s >= self._settle_s
        checkpoint = _with_longer_head(_placed(checkpoint, file), content)
        return Chunk(checkpoint=checkpoint, data=piece.data, at_end=at_end, before=piece.before)


def _placed(checkpoint: Checkpoint, file: Tracked) -> Checkpoint:
    """Return a checkpoint that names the place where its stream is now."""
    place = file.place
    return checkpoint if checkpoint.place == place else replace(checkpoint, place=place)


def _is_read(file: Tracked, offset: int) -> bool:
    """Tell whether a file was read to its end, as it was seen last: without asking the system."""
    if file.packed:
        return file.packed_end is not None and offset >= file.packed_end
    return offset >= file.sighting.size


def _with_longer_head(checkpoint: Checkpoint, content: Content) -> Checkpoint:
    """Return a checkpoint whose head covers as much of what is committed as a head can."""
    wanted = head_step(checkpoint.position.offset)
    if content.packed or wanted <= head_length(checkpoint.head):
        return checkpoint
    first = content.at(0, wanted)
    is_same = heads_of(first).get(head_length(checkpoint.head), "") == checkpoint.head
    return replace(checkpoint, head=head_of(first)) if is_same else checkpoint
