"""Each stage of the pipeline timed over the same batches, by the very functions that `pipeline.process` calls."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from bench.measure import Spent
from secmon.app import checkpoints
from secmon.app.ingest import BATCH_RECORDS, CHUNK_BYTES
from secmon.app.installation import Installation
from secmon.app.streams import lane_of
from secmon.app.work import InlineWork, Work
from secmon.errors import ContentError
from secmon.model.access import job_access
from secmon.model.batch import Batch, Counts
from secmon.model.event import Frame
from secmon.model.ids import stream_prefix
from secmon.model.stream import Checkpoint, Position
from secmon.parse.kind import Framer
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, classify, detect, encode, enrich, parse_frames
from secmon.ports import EventLog

ACCESS = job_access("bench")
GENERATION = "b" * 64
WARM_RECORDS = 50
STAGES = (
    "frame",
    "decode, parse, finish",
    "ids, enrich",
    "classify, mask",
    "detect",
    "encode",
    "commit",
    "checkpoint",
)


@dataclass(slots=True)
class StageTimes:
    """What the stages took, and what they made.

    Args:
        spent: stage → time.
        bare: a bare commit of the same batches into an empty store.
    """

    spent: dict[str, Spent] = field(default_factory=lambda: {name: Spent() for name in STAGES})
    bare: Spent = field(default_factory=Spent)
    records: int = 0
    events: int = 0
    hits: int = 0
    findings: int = 0

    def add(self, batch: Batch) -> None:
        """Count what a batch holds; the batch itself is not kept: memory that is never given back slows the rest."""
        self.records += batch.counts.received
        self.events += len(batch.events)
        self.hits += len(batch.hits)
        self.findings += len(batch.findings)


def warm(house: Installation, work: Work, path: Path, kind: str, *, processes: int = 1) -> None:
    """Take the first records through every process once: building databases of patterns belongs to the start."""
    with path.open("rb") as file:
        lines = b"".join(islice(file, WARM_RECORDS))
    frames = KINDS[kind].frame(lines, Position(), True).frames
    lane, now = lane_of(house, kind, kind, GENERATION), datetime.now(UTC)
    for one in [work.submit(frames, lane, prefix=bytes(8), received_at=now) for _ in range(processes)]:
        one.result()


def staged(house: Installation, bare: EventLog, path: Path, kind: str) -> StageTimes:
    """Take a file through all stages, batch by batch, into the store of `house`; commit each batch to `bare` too."""
    lane = lane_of(house, kind, kind, GENERATION, str(path))
    line = _Line(house, bare, lane, StageTimes())
    warm(house, InlineWork(house.stages), path, kind)
    start = Checkpoint(
        source=lane.source,
        kind=kind,
        generation=GENERATION,
        position=Position(),
        day=datetime.now(UTC).date(),
        ruleset=house.ruleset.digest,
    )
    committed = checkpoints.save(house, ACCESS, start)
    for frames in _framed(path, KINDS[kind].frame, line.times.spent["frame"]):
        committed = line.work(frames, committed)
    return line.times


def _framed(path: Path, frame: Framer, spent: Spent) -> Iterator[tuple[Frame, ...]]:
    """Yield frames as `app.ingest` cuts them; reading the file is not timed."""
    data, position = path.read_bytes(), Position()
    while position.offset < len(data):
        chunk = data[position.offset : position.offset + CHUNK_BYTES]
        with spent.timed():
            framing = frame(chunk, position, position.offset + len(chunk) == len(data))
        if framing.position == position:
            raise ContentError("a record is longer than a chunk", where=str(path))
        for at in range(0, len(framing.frames), BATCH_RECORDS):
            yield framing.frames[at : at + BATCH_RECORDS]
        position = framing.position


@dataclass(frozen=True, slots=True)
class _Line:
    """One stream on its way through the stages."""

    house: Installation
    bare: EventLog
    lane: Lane
    times: StageTimes

    def work(self, frames: tuple[Frame, ...], committed: Checkpoint) -> Checkpoint:
        """Take one batch through all stages, and the checkpoint forward."""
        spent = self.times.spent
        batch = self._batch(frames, committed)
        self.times.add(batch)
        with self.times.bare.timed():
            self.bare.commit(ACCESS, batch)
        with spent["commit"].timed():
            self.house.log.commit(ACCESS, batch)
        with spent["checkpoint"].timed():
            reached = replace(committed, batch=batch.number, counts=committed.counts + batch.counts)
            return checkpoints.save(self.house, ACCESS, reached)

    def _batch(self, frames: tuple[Frame, ...], committed: Checkpoint) -> Batch:
        spent, lane, stages, received_at = self.times.spent, self.lane, self.house.stages, datetime.now(UTC)
        prefix = stream_prefix(committed.day, lane.source, lane.generation)
        assert stages.classifier is not None  # noqa: S101  an installation with content has one
        with spent["decode, parse, finish"].timed():
            parsed = parse_frames(frames, lane, now=received_at)
        with spent["ids, enrich"].timed():
            events, ids = enrich(parsed, lane, stages.register, prefix=prefix, received_at=received_at)
        with spent["classify, mask"].timed():
            events, findings = classify(events, stages.classifier)
        with spent["detect"].timed():
            hits = detect(events, stages)
        with spent["encode"].timed():
            stored = encode(events, ids, [frame.raw for _, frame, _ in parsed.events], stages.record_key)
        return Batch(
            source=lane.source,
            generation=lane.generation,
            number=committed.batch + 1,
            epoch=1,
            day=committed.day,
            retention="security",
            offset_from=frames[0].offset,
            offset_to=frames[-1].offset + len(frames[-1].raw),
            ruleset=committed.ruleset,
            received_at=received_at,
            counts=Counts(received=len(frames), stored=parsed.records, events=len(stored)),
            events=tuple(stored),
            hits=tuple(hits),
            findings=tuple(findings),
        )
