"""The job process: long reads (reports, files) work beside the main process and never hold up ingest.

It opens the store for reading only; what is to be kept is written by the main process.
"""

import multiprocessing
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Any

from secmon.app.installation import Installation
from secmon.app.operations import OPERATIONS
from secmon.config import Settings
from secmon.errors import StoreUnavailableError
from secmon.model.access import Access
from secmon.wiring import Texts, opened

TIMEOUT_S = 300.0

_house: Installation | None = None
_stack = ExitStack()


class Jobs:
    """One process for jobs, started with the first of them.

    Args:
        settings: the daemon's settings.
        texts: what its content is made of; None reads it.
    """

    def __init__(self, settings: Settings, texts: Texts | None = None) -> None:
        self._settings, self._texts = settings, texts
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def run(self, name: str, access: Access, args: dict[str, Any]) -> Any:
        """Do one operation of `app.operations` in the job process and return its result.

        Raises:
            SecmonError: what the operation refuses.
            StoreUnavailableError: the process died or took longer than five minutes; ask again.
        """
        with self._lock:
            self._pool = self._pool or self._new_pool()
            asked = self._pool.submit(_run, name, access, args)
        try:
            return asked.result(timeout=TIMEOUT_S)
        except (BrokenProcessPool, TimeoutError):
            self.close()
            raise StoreUnavailableError("the job did not finish", hint="try again") from None

    def renew(self, texts: Texts) -> None:
        """Do the next job with other content; one under way ends with its own."""
        with self._lock:
            pool, self._pool, self._texts = self._pool, None, texts
        if pool is not None:
            pool.shutdown(wait=False)

    def close(self) -> None:
        """Stop the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=_start, initargs=(self._settings, self._texts))


def _start(settings: Settings, texts: Texts | None) -> None:
    global _house  # noqa: PLW0603  one installation a process, opened once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _house = _stack.enter_context(opened(settings, writable=False, texts=texts))


def _run(name: str, access: Access, args: dict[str, Any]) -> Any:
    if _house is None:
        raise RuntimeError("the job process was not started")
    return OPERATIONS[name].run(_house, access, args)
