"""Worker processes: they take records through all pure stages, the main process alone writes.

Each worker prepares rules and classifiers itself (hyperscan databases are not shareable), so that only bytes and
results cross the process border. What it prepares them from is handed to it and never read again: a pool that is made
anew after a crash works by the same rules, whatever the files say by then.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime, tzinfo
from functools import partial

from secmon.app.work import InlineWork, Work
from secmon.config import Settings
from secmon.errors import SecmonError
from secmon.model.event import Frame
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, Processed, Stages, process
from secmon.wiring import Texts, load_keys, make_stages

# (source, generation, kind, zone, place, asset, unit): a lane without its functions.
_LaneKey = tuple[str, str, str, tzinfo, str, str, str]

POLL_S = 0.1
_stages: Stages | None = None


class PoolWork:
    """Works in N processes (app.work.Work).

    Args:
        make_stages: builds the stages inside a worker; must be importable there (a module-level function or partial),
            and carry all that they are made of.
        workers: number of processes.
        ruleset: digest of the rules that they work by; a worker with others does not begin.
    """

    def __init__(self, make_stages: Callable[[], Stages], *, workers: int, ruleset: str) -> None:
        self._make_stages, self._workers, self._ruleset = make_stages, workers, ruleset
        self._spare: Work | None = None
        self._lock = threading.Lock()  # the reading thread and imports submit at the same time
        self._pool = self._new_pool()

    @property
    def ahead(self) -> int:
        """Two submissions a worker: one worked, one waiting, nothing idle."""
        return 2 * self._workers

    def submit(self, frames: Sequence[Frame], lane: Lane, *, prefix: bytes, received_at: datetime) -> Future[Processed]:
        """Hand frames to a worker.

        A worker that was killed breaks the pool: the futures in flight raise BrokenProcessPool, the stream is read
        again from its checkpoint, and the next submission gets a new pool.
        """
        key = (lane.source, lane.generation, lane.kind.name, lane.zone, lane.place, lane.asset, lane.unit)
        with self._lock:
            spare = self._spare
            if spare is None:
                try:
                    return self._pool.submit(_work, key, tuple(frames), prefix, received_at)
                except BrokenProcessPool:
                    self._pool.shutdown(wait=False, cancel_futures=True)
                    self._pool = self._new_pool()
                    return self._pool.submit(_work, key, tuple(frames), prefix, received_at)
        return spare.submit(frames, lane, prefix=prefix, received_at=received_at)

    def warm_up(self, *, stopping: threading.Event) -> bool:
        """Wait until every worker is ready to work; tell whether that came before somebody wanted to stop.

        Raises:
            BrokenProcessPool: one of them died over it.
        """
        with self._lock:
            waiting = {self._pool.submit(_is_ready) for _ in range(self._workers)}
        while waiting and not stopping.is_set():
            done, waiting = wait(waiting, timeout=POLL_S)
            for one in done:
                one.result()
        return not waiting

    def retire(self, spare: Work) -> None:
        """Let the workers end with what they have been given.

        Args:
            spare: works by the same rules what is still submitted: by a reader that had not looked up yet.
        """
        with self._lock:
            self._spare = spare
            self._pool.shutdown(wait=False)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        # spawn: a fork would copy threads' locks and hyperscan's scratch in an unknown state.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            self._workers, context, initializer=_start, initargs=(self._make_stages, self._ruleset)
        )


def pool_of(settings: Settings, texts: Texts, ruleset: str, *, workers: int) -> PoolWork:
    """Return worker processes that work by the rules which these texts make (`ruleset` is their digest)."""
    return PoolWork(partial(make_stages, settings, texts, load_keys(settings)), workers=workers, ruleset=ruleset)


def retire(work: Work, stages: Stages) -> None:
    """Let whoever works end with what was submitted; what still comes is worked here, with the same stages."""
    if isinstance(work, PoolWork):
        work.retire(InlineWork(stages))


def close(work: Work) -> None:
    """Give back what somebody works with; nothing is submitted any more."""
    if isinstance(work, PoolWork):
        work.close()


def _start(make_stages: Callable[[], Stages], ruleset: str) -> None:
    global _stages  # noqa: PLW0603  one set of stages a process, made once
    # Ctrl-C reaches the whole process group; the main process ends the workers when it has finished writing.
    # SIGTERM must end a worker: the pool sends it to the others when one of them has died, and waits for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the main process reloads; a terminal tells the whole group
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _stages = made = make_stages()
    if made.ruleset is None or made.ruleset.digest != ruleset:
        raise SecmonError("a worker made other rules of the same texts", hint="please report this")
    # Rules and classifiers stay as long as the process: the collector need not go through them again and again.
    gc.collect()
    gc.freeze()


def _end_with_parent() -> None:
    """End when the main process is gone: killed, it cannot tell us, and we would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _is_ready() -> bool:
    """Say that this worker works; it is asked only behind its start."""
    return True


def _work(key: _LaneKey, frames: tuple[Frame, ...], prefix: bytes, received_at: datetime) -> Processed:
    if _stages is None:
        raise RuntimeError("the worker was not started")
    source, generation, kind, zone, place, asset, unit = key
    lane = Lane(source=source, generation=generation, kind=KINDS[kind], zone=zone, place=place, asset=asset, unit=unit)
    return process(frames, lane, _stages, prefix=prefix, received_at=received_at)
