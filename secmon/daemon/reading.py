"""The thread that reads all sources, one after the other, and never lets one keep the others waiting."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

import structlog

from secmon.app import checkpoints
from secmon.app.accounts import Live
from secmon.app.ingest import ingest_stream
from secmon.app.installation import Installation
from secmon.app.leases import ALONE, Alone, Member, source_lease
from secmon.app.recovery import recover, take_over
from secmon.app.spooling import SpooledCollector
from secmon.app.work import Desk, Work
from secmon.daemon.patience import Patience
from secmon.errors import ConflictError, SecmonError, StoreUnavailableError
from secmon.model.access import job_access
from secmon.model.stream import Checkpoint
from secmon.ports import Collector

POLL_S = 1.0
STEPS_A_TURN = 16
"""Most batches of one stream before the next stream gets its turn."""
MAX_STORE_WAIT_S = 4.0
"""Longest wait for a store that is away: what has space again is to go on within ten seconds."""
MAX_REST_S = 60.0
"""Longest rest of one stream that fails by itself."""

log = structlog.get_logger()


@dataclass(slots=True)
class ReadingState:
    """What the console and /readyz may know; replaced as a whole, never changed in place."""

    live: dict[str, Live] = field(default_factory=dict)
    store_problem: str = ""
    spool_problem: str = ""
    turns: int = 0
    steps: int = 0
    hits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rest:
    """A stream that failed by itself: why, how often in a row, and until when the others go on without it."""

    problem: str
    failures: int
    until_s: float


class Reading(threading.Thread):
    """Reads until it is told to stop; a store that is away makes it wait, never lose.

    Args:
        house: the installation.
        collectors: the sources.
        work: who works the records.
        share: which sources are ours to read.
        admit: makes sure that the store is there, before each turn.
        committed: set after every committed step, so that alerts are looked at soon.
        desk: the rules in force and who works by them; None keeps those of `house` and `work`.
    """

    def __init__(
        self,
        house: Installation,
        collectors: Sequence[Collector],
        work: Work,
        *,
        share: Alone | Member = ALONE,
        admit: Callable[[], None] = lambda: None,
        committed: threading.Event,
        desk: Callable[[], Desk] | None = None,
    ) -> None:
        super().__init__(name="reading", daemon=True)
        self._house, self._committed = house, committed
        given = Desk(house, work)
        self._desk = desk or (lambda: given)
        self._share, self._admit = share, admit
        self._terms: dict[str, int] = {}
        self._taken: dict[str, set[str]] = {}
        self._collectors = list(collectors)
        self._patience: Patience | None = None
        if house.spool is not None:
            spooled = [SpooledCollector(collector, house.spool) for collector in collectors]
            self._collectors = [*spooled]
            self._patience = Patience(house, spooled, is_ours=self._was_ours)
        self._stopping = threading.Event()  # not `_stop`: that is a method of Thread
        self._access = job_access("ingest")
        self._rests: dict[str, dict[str, _Rest]] = {}
        self.state = ReadingState()

    def stop(self) -> None:
        """Ask to stop after the batches in flight."""
        self._stopping.set()

    def run(self) -> None:
        """Turn after turn; sleeps only when nothing came."""
        wait_s = POLL_S
        while not self._stopping.is_set():
            problem, away = "", False
            try:
                self._admit()
                progressed = self.turn()
            except SecmonError as error:
                # Full disk, lock, another writer: nothing in flight counted, the sources keep it; wait and try again.
                problem, away = str(error), isinstance(error, StoreUnavailableError)
                log.warning("ingest.waits", problem=problem, retry_s=wait_s)
            except Exception:
                problem = "reading failed; see the log"
                log.exception("ingest.failed")
            self.state.store_problem = problem
            if problem:
                self._wait(wait_s, away=away)
                wait_s = min(wait_s * 2, MAX_STORE_WAIT_S)
            else:
                wait_s = POLL_S
                if not progressed:
                    self._stopping.wait(POLL_S)

    def _wait(self, wait_s: float, *, away: bool) -> None:
        """Wait for the store, at least so long; what could vanish meanwhile is put by."""
        if self._patience is None or not away:
            self._stopping.wait(wait_s)
            return
        for problem in self._patience.sit_out(wait_s, stopping=self._stopping, poll_s=POLL_S):
            self.state.spool_problem = problem

    def turn(self) -> bool:
        """Give every stream of every source its turn once; tell whether anything was committed.

        Raises:
            StoreUnavailableError: the store is away, which is everybody's problem; others are of one stream alone.
        """
        progressed = False
        live: dict[str, Live] = {}
        for collector in self._collectors:
            term = self._share.term(source_lease(collector.source))
            if term:
                self._enter(collector.source, term)
                progressed |= self._read_all(collector)
            else:
                self._terms.pop(collector.source, None)
                progressed |= self._empty_spool(collector)
            live[collector.source] = Live(problems=(*collector.problems(), *self._problems(collector.source)))
            if self._stopping.is_set():
                return progressed
        self._share.let_go()
        self.state.live = live
        self.state.spool_problem = ""
        self.state.turns += 1
        return progressed

    def _enter(self, source: str, term: int) -> None:
        """Begin with a source that others may have read meanwhile: nothing that was taken before is ours still."""
        if self._terms.get(source) == term or not self._house.is_shared:
            return
        if forwarded := recover(self._house, self._access, source):
            log.info("recovered", source=source, streams=forwarded)
        self._terms[source], self._taken[source] = term, set()
        self._rests.pop(source, None)
        log.info("source.taken", source=source, epoch=term, ruleset=self._desk().house.ruleset.digest)

    def _read_all(self, collector: Collector) -> bool:
        progressed = False
        known = checkpoints.load_all(self._house, self._access, collector.source)
        for stream in collector.streams(self._access, known):
            if self._is_over(collector.source):
                return progressed
            progressed |= self._take_turn(collector, stream)
        return progressed

    def _empty_spool(self, collector: Collector) -> bool:
        """Commit what was put by of a source that is another daemon's by now: perhaps nobody else has it any more.

        Each stream changes hands for it, and the other daemon goes on behind what was committed.
        """
        spool = self._house.spool
        if spool is None or not (ends := spool.ends(self._access, collector.source)):
            return False
        put_by = {end.generation for end in ends}
        self._taken[collector.source] = set()
        known = checkpoints.load_all(self._house, self._access, collector.source)
        progressed = False
        for stream in collector.streams(self._access, known):
            if stream.generation in put_by and not self._stopping.is_set():
                progressed |= self._take_turn(collector, stream)
        return progressed

    def _was_ours(self, source: str) -> bool:
        """Tell whether this daemon read a source when the store was there last; before that, it may have."""
        return not self._house.is_shared or self.state.turns == 0 or source in self._terms

    def _is_over(self, source: str) -> bool:
        """Tell whether to leave a source: we end, or it is not ours any more."""
        if self._stopping.is_set():
            return True
        return self._house.is_shared and self._share.term(source_lease(source)) != self._terms.get(source, 0)

    def _problems(self, source: str) -> list[str]:
        return [rest.problem for rest in self._rests.get(source, {}).values()]

    def _take_turn(self, collector: Collector, stream: Checkpoint) -> bool:
        """Read a stream unless it rests; one that fails by itself never keeps the others waiting."""
        rests = self._rests.setdefault(collector.source, {})
        rest = rests.get(stream.generation)
        if rest is not None and self._house.clock.monotonic_s() < rest.until_s:
            return False
        try:
            progressed = self._read(collector, stream)
        except StoreUnavailableError:
            raise
        except ConflictError:
            # An import reads it too, or another daemon took it over: what was in flight is dropped, and the next turn
            # begins at the checkpoint, under an epoch of our own if the source is still ours.
            log.info("ingest.overtaken", source=collector.source)
            self._taken.get(collector.source, set()).discard(stream.generation)
            return False
        except SecmonError as error:
            problem = str(error)
        except BrokenProcessPool:
            where = stream.place or collector.source
            problem = f"{where}: a worker process died over it; it is read again from the checkpoint (watch memory)"
        except Exception:
            log.exception("ingest.stream_failed", source=collector.source)
            problem = f"{stream.place or collector.source}: reading failed (the log says why; please report this)"
        else:
            rests.pop(stream.generation, None)
            return progressed
        failures = rest.failures + 1 if rest else 1
        rest_s = min(2.0 ** (failures - 1), MAX_REST_S)
        log.warning("ingest.stream_rests", source=collector.source, problem=problem, retry_s=rest_s)
        rests[stream.generation] = _Rest(problem, failures, self._house.clock.monotonic_s() + rest_s)
        return False

    def _read(self, collector: Collector, stream: Checkpoint) -> bool:
        steps = 0
        if self._house.is_shared and stream.version and stream.generation not in self._taken[collector.source]:
            if collector.read(self._access, stream, max_bytes=1) is None:
                return False  # thousands of files may lie there, read to their ends: they need not change hands
            stream = take_over(self._house, self._access, stream)
        if self._house.is_shared:
            self._taken[collector.source].add(stream.generation)

        def stop() -> bool:
            return steps >= STEPS_A_TURN or self._is_over(collector.source)

        at = self._desk()
        for progress in ingest_stream(
            at.house, self._access, collector, stream, work=at.work, stop=stop, desk=self._desk
        ):
            steps += 1
            for rule, number in progress.hits.items():
                self.state.hits[rule] = self.state.hits.get(rule, 0) + number
            self.state.steps += 1
            self._committed.set()
        return steps > 0
