"""Reading one stream into the store: batch, commit, checkpoint, exact accounting (design rules 1–5).

Commit order: (a) dead letters, then events, hits, findings and the batch row into one partition; (b) compare-and-swap
of the checkpoint; (c) the next batch, which is the acknowledgement of a stream that is read by offset. A crash
between (a) and (b) leaves a batch row that `recovery` rolls forward: nothing is worked twice, nothing counted twice.
A checkpoint that could not be written while the process lived on (a full disk) is rolled forward by the next attempt.
"""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import orjson

from secmon.app import checkpoints, deadletters, fields_seen, recovery, rulebook
from secmon.app.framing import framings
from secmon.app.installation import Installation
from secmon.app.poison import without_poison
from secmon.app.streams import lane_of
from secmon.app.work import Desk, Work
from secmon.errors import PoisonError, SecmonError
from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow, Counts
from secmon.model.event import Frame
from secmon.model.fingerprint import advance
from secmon.model.ids import stream_prefix
from secmon.model.stream import Checkpoint, Position
from secmon.pipeline import Lane, Processed
from secmon.ports import Chunk, Collector

CHUNK_BYTES: Final = 4 << 20
BATCH_RECORDS: Final = 5_000


@dataclass(frozen=True, slots=True)
class _Pending:
    """A batch that is being worked: its result, and the checkpoint it leads to (counts still to be added).

    The frames wait with it: what the store refuses of it is kept as it came.
    """

    result: Future[Processed]
    frames: tuple[Frame, ...]
    ahead: Checkpoint
    offset_from: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """One committed step of a stream.

    Args:
        checkpoint: the stream's committed state.
        counts: what this step added to the account.
        hits: hits in it, by rule id.
        findings: findings in it, by class.
    """

    checkpoint: Checkpoint
    counts: Counts
    hits: Mapping[str, int]
    findings: Mapping[str, int]


class _RolledForwardError(Exception):
    """The stream was further than its checkpoint said; what was read ahead of it is to be read again."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.checkpoint = checkpoint


def ingest_stream(
    house: Installation,
    access: Access,
    collector: Collector,
    start: Checkpoint,
    *,
    work: Work,
    stop: Callable[[], bool] = lambda: False,
    desk: Callable[[], Desk] | None = None,
) -> Iterator[Progress]:
    """Read a stream until nothing follows for now; yield each committed step.

    Args:
        house: the installation.
        access: whose job it is.
        collector: reads the stream.
        start: the stream's committed state (`Collector.streams`), stored by now or new.
        work: who works the records.
        stop: asked between batches; True ends after what is in flight.
        desk: asked between batches for the rules in force and who works by them; None keeps those of the beginning.

    Raises:
        ConflictError: another writer moved the stream; nothing in flight counts, what was yielded does. The caller
            reads the checkpoint again, and goes on if the stream is still its own.
        StoreUnavailableError: the store cannot be written now; nothing in flight counts.
    """
    at = _opened(house, access, start)
    given = Desk(house, work)
    while True:
        try:
            yield from _Reader(given, access, collector, desk or (lambda: given)).run(at, stop)
        except _RolledForwardError as found:
            at = found.checkpoint
        else:
            return


def _opened(house: Installation, access: Access, checkpoint: Checkpoint) -> Checkpoint:
    """Store a new stream's checkpoint before its first batch, so that recovery knows the stream."""
    today = _today(house)
    if checkpoint.version == 0:
        rulebook.keep(house, access)
        fresh = replace(checkpoint, day=today, ruleset=house.ruleset.digest)
        return checkpoints.save(house, access, fresh)
    return checkpoint


def _today(house: Installation) -> date:
    """Return the partition day: the ingest day in UTC, whatever the records say."""
    return house.clock.now().date()


class _Reader:
    """Keeps a few batches of one stream ahead in work and commits them in order."""

    def __init__(self, given: Desk, access: Access, collector: Collector, desk: Callable[[], Desk]) -> None:
        self._house, self._work, self._access, self._collector = given.house, given.work, access, collector
        self._desk = desk
        self._pending: deque[_Pending] = deque()

    def run(self, committed: Checkpoint, stop: Callable[[], bool]) -> Iterator[Progress]:
        ahead = committed
        while not stop():
            chunk = self._collector.read(self._access, ahead, max_bytes=CHUNK_BYTES)
            if chunk is None:
                break
            if self._is_behind(ahead):  # looked up now: reading may have waited for long
                ahead = committed = yield from self._turned((yield from self._drain(committed)))
                continue
            before = ahead
            for frames, reached in self._pieces(chunk):
                # One after the other, so that no more results wait here than workers can make use of.
                self._pending.append(self._submitted(frames, ahead, reached))
                ahead = reached
                while len(self._pending) >= self._work.ahead:
                    committed = yield from self._commit_one(committed)
            if ahead is before:
                break  # only the beginning of a record
        yield from self._drain(committed)

    def _is_behind(self, ahead: Checkpoint) -> bool:
        """Tell whether the next batch is of another day, or under other rules, than the checkpoint says."""
        desk = self._desk()
        if desk.work is not self._work:
            return True
        return self._day_after(ahead) != ahead.day or ahead.ruleset != self._house.ruleset.digest

    def _turned(self, committed: Checkpoint) -> Generator[Progress, None, Checkpoint]:
        """Commit the change of day or rules before a batch under them: the checkpoint names both."""
        desk = self._desk()
        self._house, self._work = desk.house, desk.work
        # The batch would get another name under another day. One that is under way under the old one (a request that
        # timed out, another reader of the stream) must not become durable any more: that is a change of hands.
        turned, row = recovery.next_epoch(self._house, self._access, committed)
        if row is not None:
            yield from self._rolled_forward(row, turned)
        rulebook.keep(self._house, self._access)
        turned = replace(turned, day=self._day_after(committed), ruleset=self._house.ruleset.digest)
        return checkpoints.save(self._house, self._access, turned)

    def _rolled_forward(self, row: BatchRow, further: Checkpoint) -> Generator[Progress, None, None]:
        """Go on behind a batch of an earlier attempt, which failed between the batch and its checkpoint."""
        self._pending.clear()
        rolled = checkpoints.save(self._house, self._access, further)
        yield Progress(rolled, row.counts, {}, {})
        raise _RolledForwardError(rolled)

    def _day_after(self, checkpoint: Checkpoint) -> date:
        """Return the partition day of the next batch: a clock that was set back never takes a stream back."""
        return max(checkpoint.day, _today(self._house))

    def _pieces(self, chunk: Chunk) -> Iterator[tuple[tuple[Frame, ...], Checkpoint]]:
        """Yield the records of a chunk, a batch at a time, each with the checkpoint that it leads to."""
        # A chunk may stand on a corrected checkpoint (a longer head, a new place); it is the one to go on from.
        base = moved = chunk.checkpoint
        frame = self._lane(base).kind.frame
        for framing in framings(frame, chunk.data, base.position, at_end=chunk.at_end):
            frames, start = framing.frames, 0
            for cut in [*range(BATCH_RECORDS, len(frames), BATCH_RECORDS), len(frames)]:
                position = framing.position if cut == len(frames) else _before(frames[cut])
                data, before = _rest(chunk, base, moved)
                moved = advance(moved, position, before=before, data=data)
                yield frames[start:cut], moved
                start = cut

    def _submitted(self, frames: tuple[Frame, ...], ahead: Checkpoint, reached: Checkpoint) -> _Pending:
        received_at = self._house.clock.now()
        prefix = stream_prefix(reached.day, reached.source, reached.generation)
        result = self._work.submit(frames, self._lane(reached), prefix=prefix, received_at=received_at)
        return _Pending(result, frames, reached, ahead.position.offset, received_at)

    def _lane(self, checkpoint: Checkpoint) -> Lane:
        return lane_of(self._house, checkpoint.source, checkpoint.kind, checkpoint.generation, checkpoint.place)

    def _drain(self, committed: Checkpoint) -> Generator[Progress, None, Checkpoint]:
        while self._pending:
            committed = yield from self._commit_one(committed)
        return committed

    def _commit_one(self, committed: Checkpoint) -> Generator[Progress, None, Checkpoint]:
        pending = self._pending.popleft()
        result = pending.result.result()
        while True:
            try:
                row, after = self._attempt(pending, committed, result)
            except PoisonError as error:
                result = without_poison(error, result, pending.frames, self._lane(pending.ahead), self._house.stages)
            else:
                break
        if (row.offset_to, row.counts) != (after.position.offset, result.counts):
            # That attempt had cut the stream elsewhere, or made something else of it.
            yield from self._rolled_forward(row, recovery.after(row, committed))
        saved = checkpoints.save(self._house, self._access, after)
        hits = Counter(hit.rule_id for hit in result.hits)
        findings = Counter(one.finding.data_class for one in result.findings)
        yield Progress(saved, result.counts, hits, findings)
        return saved

    def _attempt(self, pending: _Pending, committed: Checkpoint, result: Processed) -> tuple[BatchRow, Checkpoint]:
        """Make a batch durable; return its row and the checkpoint behind it.

        Raises:
            PoisonError: the store refuses some of its events for ever.
            SecmonError: it was worked by other rules than the checkpoint names.
        """
        if result.ruleset != pending.ahead.ruleset:
            raise SecmonError(
                "the records met other rules than their checkpoint names",
                where=committed.source,
                hint="it is read again from the checkpoint; please report this",
            )
        deadletters.keep(self._house, self._access, result.dead_letters)
        fields_seen.note(self._house, self._access, committed.source, pending.ahead.day, result.seen)
        after = _reached(pending, committed, result)
        batch = Batch(
            source=committed.source,
            generation=committed.generation,
            number=after.batch,
            epoch=after.epoch,
            day=pending.ahead.day,
            retention=pending.ahead.retention,
            offset_from=pending.offset_from,
            offset_to=after.position.offset,
            ruleset=result.ruleset,
            received_at=pending.received_at,
            counts=result.counts,
            state=orjson.dumps(checkpoints.to_body(after)).decode(),
            events=result.events,
            hits=result.hits,
            findings=result.findings,
        )
        return self._house.log.commit(self._access, batch), after


def _before(frame: Frame) -> Position:
    """Return the position that stands right before a frame."""
    return Position(offset=frame.offset, number=frame.number - 1, line=max(frame.line - 1, 0))


def _rest(chunk: Chunk, base: Checkpoint, moved: Checkpoint) -> tuple[bytes, bytes]:
    """Return the chunk's data behind a position inside it, and the bytes before that."""
    done = moved.position.offset - base.position.offset
    if done == 0:
        return chunk.data, chunk.before
    return chunk.data[done:], (chunk.before + chunk.data[:done])[-1024:]


def _reached(pending: _Pending, committed: Checkpoint, result: Processed) -> Checkpoint:
    """Return the checkpoint after a batch: its position and fingerprints, with the account brought forward."""
    encodings = dict(committed.encodings)
    for name, count in result.encodings.items():
        encodings[name] = encodings.get(name, 0) + count
    return replace(
        pending.ahead,
        batch=committed.batch + 1,
        counts=committed.counts + result.counts,
        encodings=encodings,
        first_event=_earliest(committed.first_event, result.first),
        last_event=_latest(committed.last_event, result.last),
        last_received=pending.received_at,
        skew_s=result.skew_s if result.events else committed.skew_s,
        version=committed.version,
    )


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one and other else one or other


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other
