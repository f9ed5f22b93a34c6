"""Waiting for a store that is away: sources go on being read, into the spool."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import structlog

from secmon.app import checkpoints
from secmon.app.installation import Installation
from secmon.app.spooling import SpooledCollector
from secmon.errors import SecmonError
from secmon.model.access import job_access

log = structlog.get_logger()


class Patience:
    """Sits out the time that the store is away.

    Args:
        house: the installation, with a spool.
        collectors: the sources.
        is_ours: tells whether a source is this daemon's to read; the others are put by elsewhere.
    """

    def __init__(
        self,
        house: Installation,
        collectors: Sequence[SpooledCollector],
        *,
        is_ours: Callable[[str], bool] = lambda _source: True,
    ) -> None:
        self._house, self._collectors, self._is_ours = house, collectors, is_ours
        self._access = job_access("spool")

    def sit_out(self, wait_s: float, *, stopping: threading.Event, poll_s: float) -> Iterator[str]:
        """Put records by until the store answers again; yield after each look why that does not go well, if so.

        Args:
            wait_s: how long it is left alone first.
            stopping: ends it at once.
            poll_s: pause between two looks at the sources.
        """
        asked: _Question | None = None
        ask_at = time.monotonic() + wait_s
        while not stopping.is_set():
            yield self._put_by()
            stopping.wait(min(poll_s, max(0.0, ask_at - time.monotonic())) if asked is None else poll_s)
            if asked is not None and not asked.is_alive():
                if asked.is_back:
                    return
                asked, ask_at = None, time.monotonic() + wait_s
            elif asked is None and time.monotonic() >= ask_at:
                # In a thread of its own: a cluster that hangs answers late or never, and files go on rotating.
                asked = _Question(self._house)
                asked.start()

    def _put_by(self) -> str:
        """Put by what each source has now; one that cannot be read keeps no other waiting."""
        problems = []
        for collector in self._collectors:
            if not self._is_ours(collector.source):
                continue
            try:
                collector.put_by(self._access)
            except SecmonError as error:
                problems.append(str(error))
            except Exception:
                log.exception("spool.failed", source=collector.source)
                problems.append(f"{collector.source}: putting records by failed (the log says why; please report this)")
        for problem in problems:
            log.warning("spool.waits", problem=problem)
        return "; ".join(dict.fromkeys(problems))


class _Question(threading.Thread):
    """Asks the store something cheap."""

    def __init__(self, house: Installation) -> None:
        super().__init__(name="is-the-store-back", daemon=True)
        self._house = house
        self.is_back = False

    def run(self) -> None:
        try:
            self._house.records.get(job_access("spool"), checkpoints.KIND, "none")
        except SecmonError:
            return
        self.is_back = True
