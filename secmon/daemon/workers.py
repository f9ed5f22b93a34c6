"""Worker processes: they take records through all pure stages, the main process alone writes.

Each worker loads rules and classifiers itself (hyperscan databases are not shareable), so that only bytes and
results cross the process border.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime, tzinfo

from secmon.model.event import Frame
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, Processed, Stages, process

# (source, generation, kind, zone, place, asset, unit): a lane without its functions.
_LaneKey = tuple[str, str, str, tzinfo, str, str, str]

_stages: Stages | None = None


class PoolWork:
    """Works in N processes (app.work.Work).

    Args:
        make_stages: builds the stages inside a worker; must be importable there (a module-level function or partial).
        workers: number of processes.
    """

    def __init__(self, make_stages: Callable[[], Stages], *, workers: int) -> None:
        self._make_stages, self._workers = make_stages, workers
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
            try:
                return self._pool.submit(_work, key, tuple(frames), prefix, received_at)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = self._new_pool()
                return self._pool.submit(_work, key, tuple(frames), prefix, received_at)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        # spawn: a fork would copy threads' locks and hyperscan's scratch in an unknown state.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, context, initializer=_start, initargs=(self._make_stages,))


def _start(make_stages: Callable[[], Stages]) -> None:
    global _stages  # noqa: PLW0603  one set of stages a process, made once
    # Ctrl-C reaches the whole process group; the main process ends the workers when it has finished writing.
    # SIGTERM must end a worker: the pool sends it to the others when one of them has died, and waits for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _stages = make_stages()
    # Rules and classifiers stay as long as the process: the collector need not go through them again and again.
    gc.collect()
    gc.freeze()


def _end_with_parent() -> None:
    """End when the main process is gone: killed, it cannot tell us, and we would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(key: _LaneKey, frames: tuple[Frame, ...], prefix: bytes, received_at: datetime) -> Processed:
    if _stages is None:
        raise RuntimeError("the worker was not started")
    source, generation, kind, zone, place, asset, unit = key
    lane = Lane(source=source, generation=generation, kind=KINDS[kind], zone=zone, place=place, asset=asset, unit=unit)
    return process(frames, lane, _stages, prefix=prefix, received_at=received_at)
