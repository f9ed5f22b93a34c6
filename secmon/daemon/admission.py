"""Whether the store is there, and ours: until then nothing is read, written or scheduled.

A cluster may be away when the daemon starts. The daemon lives, says at /readyz what is wrong, and goes on by itself.
"""

import threading
from collections.abc import Callable

import structlog

from secmon.app.installation import Installation
from secmon.app.recovery import recover
from secmon.model.access import job_access

log = structlog.get_logger()


class Admission:
    """The way from an opened installation to one that works. Any thread may use it.

    Args:
        house: the installation; it may have been opened patiently.
    """

    def __init__(self, house: Installation) -> None:
        self._house = house
        self._lock = threading.RLock()
        self._waiting: list[Callable[[], None]] = []
        self._is_done = False

    @property
    def is_done(self) -> bool:
        """Whether it has gone well."""
        return self._is_done

    def take(self) -> None:
        """Make sure of the store and recover what a crash left; does nothing once that has gone well.

        Raises:
            SecmonError: the store is away, or not ours.
        """
        if self._is_done and not self._waiting:
            return
        with self._lock:
            if not self._is_done:
                self._house.admit()
                # Where others read too, whoever takes a source recovers its streams (`daemon.reading`).
                if not self._house.is_shared and (forwarded := recover(self._house, job_access("recovery"))):
                    log.info("recovered", streams=forwarded)
                self._is_done = True
            while self._waiting:
                do = self._waiting.pop(0)
                try:
                    do()
                except BaseException:
                    self._waiting.insert(0, do)  # not done: the next call tries again
                    raise

    def then(self, do: Callable[[], None]) -> None:
        """Do something as soon as it has gone well: now, or in the thread that brings it about."""
        with self._lock:
            self._waiting.append(do)
            if self._is_done:
                self.take()
