"""A commit loop around a collector, and a clock that a test moves: what the daemon does, without a store."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from secmon.collect.files import FileCollector
from secmon.model.access import job_access
from secmon.model.fingerprint import advance
from secmon.model.stream import Checkpoint, Position
from secmon.ports import Chunk, Collector

ACCESS = job_access("test")
MAX_BYTES = 1 << 16
TICK_S = 0.005


class HandClock:
    """A clock that only moves when it is told to; it begins a day ahead, so that every file of a test is old."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC) + timedelta(days=1)
        self.passed_s = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        return 1000.0 + self.passed_s


class Follower:
    """Follows paths as the daemon does: known checkpoints in, lines out, each commit stored before the next read."""

    def __init__(
        self, *paths: Path | str, max_open: int = 128, max_bytes: int = MAX_BYTES, takes_pieces: bool = True
    ) -> None:
        self.paths = [str(path) for path in paths]
        self.clock = HandClock()
        self.known: dict[str, Checkpoint] = {}
        self.lines: list[bytes] = []
        self.max_open, self.max_bytes, self.takes_pieces = max_open, max_bytes, takes_pieces
        self.collector = self._started()

    def _started(self) -> FileCollector:
        return FileCollector(
            source="jwxt", kind="nginx.access", paths=self.paths, clock=self.clock, max_open=self.max_open
        )

    def stop(self) -> None:
        """End the process: all that is only remembered is gone."""
        self.collector.close()

    def start(self) -> None:
        self.collector.close()
        self.collector = self._started()

    def poll(self, *, pass_s: float = 1.0, stop_after: int | None = None) -> None:
        """One turn of the daemon a second later; `stop_after` reads at most so many chunks of each stream.

        It really waits for a tick of the file system's clock, as a second would: changes before and after a poll
        then differ in time.
        """
        time.sleep(TICK_S)
        self.clock.passed_s += pass_s
        for checkpoint in self.collector.streams(ACCESS, list(self.known.values())):
            self.known.setdefault(checkpoint.generation, checkpoint)
            lines, last = drained(
                self.collector,
                checkpoint,
                max_bytes=self.max_bytes,
                chunks=stop_after,
                takes_pieces=self.takes_pieces,
            )
            if last.position != checkpoint.position:
                self.known[checkpoint.generation] = replace(last, version=1)
            self.lines += lines

    def settle(self) -> None:
        """Poll until everything that rests was taken as complete."""
        for _ in range(4):
            self.poll(pass_s=60)

    def counted(self) -> Counter[bytes]:
        return Counter(self.lines)

    @property
    def problems(self) -> list[str]:
        return self.collector.problems()

    @property
    def lost_bytes(self) -> int:
        return self.collector.lost_bytes


def framed(data: bytes, *, at_end: bool) -> list[bytes]:
    """Cut lines, each with its line end; the last one only if nothing follows."""
    lines = data.splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n") and not at_end:
        lines.pop()
    return lines


def moved(chunk: Chunk, lines: list[bytes]) -> Checkpoint:
    """Return the checkpoint behind some lines of a chunk."""
    old = chunk.checkpoint.position
    position = Position(
        offset=old.offset + sum(map(len, lines)), number=old.number + len(lines), line=old.line + len(lines)
    )
    return advance(chunk.checkpoint, position, before=chunk.before, data=chunk.data)


def drained(
    collector: Collector,
    checkpoint: Checkpoint,
    *,
    max_bytes: int = MAX_BYTES,
    chunks: int | None = None,
    takes_pieces: bool = True,
) -> tuple[list[bytes], Checkpoint]:
    """Read a stream until nothing follows; return its lines and where that ended.

    Without `takes_pieces` a line without an end is never taken, however long its file rests.
    """
    lines: list[bytes] = []
    while chunks is None or chunks > 0:
        chunk = collector.read(ACCESS, checkpoint, max_bytes=max_bytes)
        if chunk is None:
            break
        cut = framed(chunk.data, at_end=chunk.at_end and takes_pieces)
        if not cut:
            break
        checkpoint = moved(chunk, cut)
        lines += cut
        chunks = None if chunks is None else chunks - 1
    return lines, checkpoint


def numbered(start: int, stop: int, *, width: int = 0) -> bytes:
    """Return lines with the numbers from `start` to before `stop`."""
    return b"".join(b"2026-09-01T08:00:00 line %d %s\n" % (number, b"x" * width) for number in range(start, stop))


def lines_of(data: bytes) -> Counter[bytes]:
    return Counter(data.splitlines(keepends=True))
