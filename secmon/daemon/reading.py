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
from secmon.app.spooling import SpooledCollector
from secmon.app.work import Work
from secmon.daemon.patience import Patience
from secmon.errors import SecmonError, StoreUnavailableError
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
        admit: makes sure that the store is there, before each turn.
        committed: set after every committed step, so that alerts are looked at soon.
    """

    def __init__(
        self,
        house: Installation,
        collectors: Sequence[Collector],
        work: Work,
        *,
        admit: Callable[[], None] = lambda: None,
        committed: threading.Event,
    ) -> None:
        super().__init__(name="reading", daemon=True)
        self._house, self._work, self._committed = house, work, committed
        self._collectors = list(collectors)
        self._patience: Patience | None = None
        if house.spool is not None:
            spooled = [SpooledCollector(collector, house.spool) for collector in collectors]
            self._collectors = [*spooled]
            self._patience = Patience(house, spooled)
        self._admit = admit
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
            known = checkpoints.load_all(self._house, self._access, collector.source)
            for stream in collector.streams(self._access, known):
                if self._stopping.is_set():
                    return progressed
                progressed |= self._take_turn(collector, stream)
            live[collector.source] = Live(problems=(*collector.problems(), *self._problems(collector.source)))
        self.state.live = live
        self.state.spool_problem = ""
        self.state.turns += 1
        return progressed

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

        def stop() -> bool:
            return self._stopping.is_set() or steps >= STEPS_A_TURN

        for progress in ingest_stream(self._house, self._access, collector, stream, work=self._work, stop=stop):
            steps += 1
            for rule, number in progress.hits.items():
                self.state.hits[rule] = self.state.hits.get(rule, 0) + number
            self.state.steps += 1
            self._committed.set()
        return steps > 0
