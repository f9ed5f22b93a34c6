"""The thread that reads all sources, one after the other, and never lets one keep the others waiting."""

import threading
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

import structlog

from secmon.app import checkpoints
from secmon.app.accounts import Live
from secmon.app.ingest import ingest_stream
from secmon.app.installation import Installation
from secmon.app.work import Work
from secmon.errors import SecmonError
from secmon.model.access import job_access
from secmon.model.stream import Checkpoint
from secmon.ports import Collector

POLL_S = 1.0
STEPS_A_TURN = 16
"""Most batches of one stream before the next stream gets its turn."""
MAX_BACKOFF_S = 30.0

log = structlog.get_logger()


@dataclass(slots=True)
class ReadingState:
    """What the console and /readyz may know; replaced as a whole, never changed in place."""

    live: dict[str, Live] = field(default_factory=dict)
    store_problem: str = ""
    turns: int = 0
    steps: int = 0
    hits: dict[str, int] = field(default_factory=dict)


class Reading(threading.Thread):
    """Reads until it is told to stop; a store that is away makes it wait, never lose.

    Args:
        house: the installation.
        collectors: the sources.
        work: who works the records.
        committed: set after every committed step, so that alerts are looked at soon.
    """

    def __init__(
        self, house: Installation, collectors: Sequence[Collector], work: Work, *, committed: threading.Event
    ) -> None:
        super().__init__(name="reading", daemon=True)
        self._house, self._collectors, self._work, self._committed = house, collectors, work, committed
        self._stop = threading.Event()
        self._access = job_access("ingest")
        self.state = ReadingState()

    def stop(self) -> None:
        """Ask to stop after the batches in flight."""
        self._stop.set()

    def run(self) -> None:
        """Turn after turn; sleeps only when nothing came."""
        backoff = POLL_S
        while not self._stop.is_set():
            try:
                progressed = self.turn()
                backoff = POLL_S
                self.state.store_problem = ""
                if not progressed:
                    self._stop.wait(POLL_S)
            except SecmonError as error:
                # Full disk, lock, another writer: nothing in flight counted, the sources keep it; wait and try again.
                log.warning("ingest.waits", problem=str(error), retry_s=backoff)
                self.state.store_problem = str(error)
                self._stop.wait(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_S)
            except BrokenProcessPool:
                log.warning("ingest.worker_died", remedy="its records are read again from the checkpoint")
            except Exception:
                log.exception("ingest.failed")
                self.state.store_problem = "reading failed; see the log"
                self._stop.wait(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_S)

    def turn(self) -> bool:
        """Give every stream of every source its turn once; tell whether anything was committed."""
        progressed = False
        live: dict[str, Live] = {}
        for collector in self._collectors:
            known = checkpoints.load_all(self._house, self._access, collector.source)
            for stream in collector.streams(self._access, known):
                if self._stop.is_set():
                    return progressed
                progressed |= self._read(collector, stream)
            live[collector.source] = Live(problems=tuple(collector.problems()))
        self.state.live = live
        self.state.turns += 1
        return progressed

    def _read(self, collector: Collector, stream: Checkpoint) -> bool:
        steps = 0

        def stop() -> bool:
            return self._stop.is_set() or steps >= STEPS_A_TURN

        for progress in ingest_stream(self._house, self._access, collector, stream, work=self._work, stop=stop):
            steps += 1
            for rule, number in progress.hits.items():
                self.state.hits[rule] = self.state.hits.get(rule, 0) + number
            self.state.steps += 1
            self._committed.set()
        return steps > 0
