"""How much may be under way to the cluster: more, step by step, while it keeps up; half as much when it does not.

As TCP does it (RFC 5681): additive increase, multiplicative decrease, once for all requests that were under way at the
same time. "Does not keep up" is an answer 429 or 503, or requests that take much longer a byte than the fastest did.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

MIN_BYTES: Final = 256 * 1024
FIRST_BYTES: Final = 512 << 10
MAX_BYTES: Final = 1 << 20
"""Larger ones bring nothing (docs/benchmarks.md): while one is made, the cluster waits."""
FIRST_REQUESTS: Final = 2
MAX_REQUESTS: Final = 8
MAX_BYTES_UNDER_WAY: Final = 16 << 20
"""Of all requests together; a single larger one goes alone."""

_STEP_BYTES: Final = 64 * 1024
_SLOW: Final = 4.0
"""So many times as long a byte as the fastest: the requests only queue up at the cluster."""
_SMOOTHING: Final = 0.2
_FORGETTING: Final = 1.01


class Pace:
    """Decides how large requests are and how many go at once; any thread may use it.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._size = FIRST_BYTES
        self._window = float(FIRST_REQUESTS)
        self._running = 0
        self._bytes_under_way = 0
        self._decreases = 0
        self._fastest = self._usual = 0.0

    @property
    def bytes(self) -> int:
        """Bytes of one request."""
        return self._size

    @property
    def requests(self) -> int:
        """Requests at once."""
        return int(self._window)

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Wait until a request of so many bytes may go; it is under way for the time of the block."""
        self.enter(size)
        try:
            yield
        finally:
            self.leave(size)

    def enter(self, size: int) -> None:
        """Wait until a request of so many bytes may go."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(size))
            self._running += 1
            self._bytes_under_way += size

    def leave(self, size: int) -> None:
        """Say that it is done."""
        with self._changed:
            self._running -= 1
            self._bytes_under_way -= size
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        if not self._running:
            return True
        return self._running < self.requests and self._bytes_under_way + size <= MAX_BYTES_UNDER_WAY

    def start(self) -> tuple[float, int]:
        """Return what `went_well` and `overloaded` want to know of the beginning of a request."""
        return self._clock(), self._decreases

    def went_well(self, started: tuple[float, int], size: int) -> None:
        """A request was taken as a whole."""
        begun, decreases = started
        with self._changed:
            if size >= MIN_BYTES and self._is_slow((self._clock() - begun) / size):
                self._fewer(decreases)
                return
            self._size = min(self._size + _STEP_BYTES, MAX_BYTES)
            self._window = min(self._window + 1 / self._window, MAX_REQUESTS)
            self._changed.notify_all()

    def overloaded(self, started: tuple[float, int]) -> None:
        """The cluster said that it is too much."""
        with self._changed:
            if self._fewer(started[1]):
                self._size = max(self._size // 2, MIN_BYTES)

    def too_large(self) -> None:
        """The cluster takes no request of this size, however little it has to do."""
        with self._changed:
            self._size = max(self._size // 2, MIN_BYTES)

    def _fewer(self, decreases: int) -> bool:
        """Halve how many go at once, unless that was done since the request began."""
        if decreases != self._decreases:
            return False
        self._decreases += 1
        self._window = max(self._window / 2, 1.0)
        self._usual = 0.0
        return True

    def _is_slow(self, seconds_a_byte: float) -> bool:
        # The fastest is forgotten little by little: a cluster that has become slower for good is no overload.
        self._fastest = min(self._fastest * _FORGETTING or seconds_a_byte, seconds_a_byte)
        self._usual += ((seconds_a_byte - self._usual) * _SMOOTHING) if self._usual else seconds_a_byte
        return self._usual > self._fastest * _SLOW
