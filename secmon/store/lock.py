"""The writer's lock: exactly one process writes an embedded store.

`flock` on `STATE/writer.lock`; the kernel lets go of it when the process ends, however it ends, so a stale file
means nothing. The file holds the pid of the holder, for people.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from secmon.errors import StoreUnavailableError

_MAX_PID_DIGITS = 20


class WriterLock:
    """The lock file `path`, made where it is not there; take it with `with`, or `acquire` and `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StoreUnavailableError: another process has it, or the file cannot be made.
        """
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreUnavailableError(
                "the writer lock cannot be made: {reason}",
                where=str(self._path),
                hint="check owner and mode of the state folder",
                values={"reason": os.strerror(error.errno or 0)},
            ) from error
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreUnavailableError(
                "process {pid} is writing this store",
                where=str(self._path),
                hint="use its console or stop it (`secmon up` is probably running)",
                values={"pid": holder(self._path) or "?"},
            ) from error
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except OSError:
            return  # a full disk: the lock is held all the same, only nobody can read by whom

    def release(self) -> None:
        """Let go of the lock; nothing happens if it is not held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)  # the file stays: removing it would race with the next taker

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(path: Path) -> int | None:
    """Return the pid that the lock file at `path` names, None if it names none. It may have ended since."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")[:_MAX_PID_DIGITS].strip()
    except OSError:
        return None
    return int(text) if text.isascii() and text.isdecimal() else None


def is_held(path: Path) -> bool:
    """Tell whether some process holds the lock file `path` now."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
