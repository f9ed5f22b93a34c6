"""One-off import: the whole pipeline over given files or standard input, with an exact account of this run.

What a stream had committed before is gone through again and counted as duplicates, so a second import of the same
file ends with all duplicates. Content is never an identity: the same bytes under the same stream are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from secmon.app import audit, checkpoints
from secmon.app.accounts import summary_row
from secmon.app.framing import framings
from secmon.app.ingest import CHUNK_BYTES, Progress, ingest_stream
from secmon.app.installation import Installation
from secmon.app.streams import lane_of
from secmon.app.verify import refuse_changed
from secmon.app.work import Desk, Work
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.batch import Counts
from secmon.model.event import Frame
from secmon.model.fingerprint import advance
from secmon.model.stream import Checkpoint, Position
from secmon.ports import Collector

_ATTEMPTS = 20


@dataclass(slots=True)
class Imported:
    """What an import did: its account of this run, hits, findings, and what could not be read."""

    source: str
    counts: Counts = field(default_factory=Counts)
    hits: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, progress: Progress) -> None:
        """Add one committed step."""
        self.counts += progress.counts
        self.hits += sum(progress.hits.values())
        for name, count in progress.findings.items():
            self.findings[name] = self.findings.get(name, 0) + count

    def row(self) -> dict[str, object]:
        """Return the object that `import` prints (contracts)."""
        return summary_row(self.source, self.counts)


def import_streams(
    house: Installation,
    access: Access,
    collector: Collector,
    *,
    work: Work,
    step: Callable[[Progress], None] = lambda _progress: None,
    stop: Callable[[], bool] = lambda: False,
    desk: Callable[[], Desk] | None = None,
) -> Imported:
    """Import everything a collector offers and return the account of this run.

    Args:
        house: the installation.
        access: who imports.
        collector: offers the streams.
        work: who works the records.
        step: told of each committed step, for a progress bar.
        stop: asked between batches; True ends after what is in flight.
        desk: asked between batches for the rules in force (`ingest_stream`).

    Raises:
        StoreError: a file shares its beginning with one that was imported before, but not its records.
        StoreUnavailableError: the store cannot be written now; run the import again later.
        ConflictError: others keep moving a stream without getting on; run the import again later.
    """
    done = Imported(collector.source)
    known = checkpoints.load_all(house, access, collector.source)
    for stream in collector.streams(access, known):
        if stop():
            break
        _import_stream(_Run(house, access, collector, work, step, stop, desk, done), stream)
    done.problems = collector.problems()
    details = {"received": done.counts.received, "stored": done.counts.stored, "duplicate": done.counts.duplicate}
    audit.append(house, access, "import", collector.source, details)
    return done


@dataclass(frozen=True, slots=True)
class _Run:
    """What the streams of one import share; arguments as of `import_streams`."""

    house: Installation
    access: Access
    collector: Collector
    work: Work
    step: Callable[[Progress], None]
    stop: Callable[[], bool]
    desk: Callable[[], Desk] | None
    done: Imported


def _import_stream(run: _Run, stream: Checkpoint) -> None:
    """Import one stream, whoever else reads it at the same moment.

    Each record is stored by one of them; for the others it is one that was committed before: a duplicate.
    """
    at = replace(stream, position=Position(), head="", tail="")  # up to here this run has accounted for the records
    conflicts, seen = 0, -1
    while conflicts < _ATTEMPTS:
        stored = checkpoints.load(run.house, run.access, stream.source, stream.generation)
        current = replace(stored, place=stream.place) if stored else stream
        conflicts = 0 if current.version != seen else conflicts
        seen = current.version
        try:
            current, duplicates = _gone_through(run, at, current)
            run.done.counts += duplicates
            at = current
            for progress in _ingested(run, current):
                run.done.add(progress)
                run.step(progress)
                at = progress.checkpoint
        except ConflictError:
            conflicts += 1
        else:
            return
    raise ConflictError("the stream keeps changing hands", where=stream.source, hint="run the import again")


def _ingested(run: _Run, current: Checkpoint) -> Iterator[Progress]:
    desk = run.desk() if run.desk is not None else Desk(run.house, run.work)
    return ingest_stream(desk.house, run.access, run.collector, current, work=desk.work, stop=run.stop, desk=run.desk)


def _gone_through(run: _Run, since: Checkpoint, stream: Checkpoint) -> tuple[Checkpoint, Counts]:
    """Count the records that others have committed since as duplicates, and keep the count with the stream."""
    if stream.position.offset <= since.position.offset:
        return stream, Counts()
    number = 0
    rows = list(run.house.log.batches_of(run.access, f"{stream.source}:{stream.generation}"))
    for frames in _committed_frames(run, since, stream):
        refuse_changed(run.house, run.access, stream, rows, frames)
        number += len(frames)
    duplicates = Counts(received=number, duplicate=number)
    if not number:
        return stream, duplicates
    counted = replace(stream, counts=stream.counts + duplicates)
    return checkpoints.save(run.house, run.access, counted), duplicates


def _committed_frames(run: _Run, since: Checkpoint, stream: Checkpoint) -> Iterator[tuple[Frame, ...]]:
    """Yield the records between two positions of a stream, as far as they are there."""
    frame = lane_of(run.house, stream.source, stream.kind, stream.generation).kind.frame
    end = stream.position.offset
    at = replace(stream, position=since.position, head=since.head, tail=since.tail)
    while at.position.offset < end:
        chunk = run.collector.read(run.access, at, max_bytes=CHUNK_BYTES)
        if chunk is None:
            return  # a shorter piece of the same
        data = chunk.data[: end - at.position.offset]
        is_last = len(data) == end - at.position.offset or chunk.at_end
        start = at
        for framing in framings(frame, data, start.position, at_end=is_last):
            yield framing.frames
            at = advance(start, framing.position, before=chunk.before, data=data)
        if at.position == start.position:
            return
