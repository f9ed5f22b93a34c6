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
from secmon.app.work import Work
from secmon.model.access import Access
from secmon.model.batch import Counts
from secmon.model.event import Frame
from secmon.model.fingerprint import advance
from secmon.model.stream import Checkpoint, Position
from secmon.ports import Collector


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
) -> Imported:
    """Import everything a collector offers and return the account of this run.

    Args:
        house: the installation.
        access: who imports.
        collector: offers the streams.
        work: who works the records.
        step: told of each committed step, for a progress bar.
        stop: asked between batches; True ends after what is in flight.

    Raises:
        StoreError: a file shares its beginning with one that was imported before, but not its records.
        StoreUnavailableError: the store cannot be written now; run the import again later.
    """
    done = Imported(collector.source)
    known = checkpoints.load_all(house, access, collector.source)
    for stream in collector.streams(access, known):
        if stop():
            break
        stored = checkpoints.load(house, access, stream.source, stream.generation)
        current = replace(stored, place=stream.place) if stored else stream
        if current.position.offset:
            current, duplicates = _gone_through(house, access, collector, current)
            done.counts += duplicates
        for progress in ingest_stream(house, access, collector, current, work=work, stop=stop):
            done.add(progress)
            step(progress)
    done.problems = collector.problems()
    details = {"received": done.counts.received, "stored": done.counts.stored, "duplicate": done.counts.duplicate}
    audit.append(house, access, "import", collector.source, details)
    return done


def _gone_through(
    house: Installation, access: Access, collector: Collector, stream: Checkpoint
) -> tuple[Checkpoint, Counts]:
    """Count the records that were committed before as duplicates, and keep the count with the stream."""
    number = 0
    rows = list(house.log.batches_of(access, f"{stream.source}:{stream.generation}"))
    for frames in _committed_frames(house, access, collector, stream):
        refuse_changed(house, access, stream, rows, frames)
        number += len(frames)
    duplicates = Counts(received=number, duplicate=number)
    if not number:
        return stream, duplicates
    return checkpoints.save(house, access, replace(stream, counts=stream.counts + duplicates)), duplicates


def _committed_frames(
    house: Installation, access: Access, collector: Collector, stream: Checkpoint
) -> Iterator[tuple[Frame, ...]]:
    """Yield the records before a stream's committed position, as far as they are there."""
    frame = lane_of(house, stream.source, stream.kind, stream.generation).kind.frame
    end = stream.position.offset
    at = replace(stream, position=Position(), head="", tail="")
    while at.position.offset < end:
        chunk = collector.read(access, at, max_bytes=CHUNK_BYTES)
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
