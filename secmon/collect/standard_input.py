"""Standard input that an interrupt always ends, also one that comes right before a read that waits.

Python notices a signal between two steps of its own, or when it breaks a system call off. One that comes after the
last look and before the call has begun is noticed when the call returns: with a pipe that is silent, never. What came
is therefore also written into a pipe of our own (`signal.set_wakeup_fd`), and both are waited for.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from typing import Final, Protocol

_PIECE: Final = 256 * 1024


class Readable(Protocol):
    """Bytes that can be read: a file, standard input, the rest of a request."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


class StandardInput:
    """Bytes of a descriptor, as they come.

    Args:
        descriptor: what is read.
        awake: holds the numbers of signals that came.
    """

    def __init__(self, descriptor: int, awake: int) -> None:
        self._descriptor, self._awake = descriptor, awake

    def read1(self, size: int) -> bytes:
        """Return what is there, at most so many bytes, as soon as there is any; b"" at the end.

        Raises:
            KeyboardInterrupt: SIGINT came.
            OSError: it cannot be read.
        """
        while True:
            ready, _, _ = select.select((self._awake, self._descriptor), (), ())
            if self._awake in ready:
                if signal.SIGINT in os.read(self._awake, 64):
                    raise KeyboardInterrupt
            else:
                return os.read(self._descriptor, size)

    def read(self, size: int = -1) -> bytes:
        """Return exactly so many bytes, fewer only at the end; all if `size` is negative. Raises as `read1`."""
        pieces: list[bytes] = []
        left = size
        while left and (more := self.read1(left if left > 0 else _PIECE)):
            pieces.append(more)
            left -= len(more) if left > 0 else 0
        return b"".join(pieces)


@contextmanager
def standard_input() -> Iterator[Readable]:
    """Yield standard input for the time of the block; nobody else may have read from it."""
    try:
        descriptor = sys.stdin.fileno()
    except (UnsupportedOperation, ValueError):  # it is no file: somebody put text in its place
        yield sys.stdin.buffer
        return
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread only
        yield sys.stdin.buffer
        return
    with signal_pipe() as awake:
        yield StandardInput(descriptor, awake)


@contextmanager
def signal_pipe() -> Iterator[int]:
    """Yield a descriptor that gives the number of each signal that comes, a byte each; in the main thread only.

    Signals that have a handler in Python; that they are in the pipe does not keep the handlers from running.
    """
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        yield awake
    finally:
        signal.set_wakeup_fd(before)
        os.close(awake)
        os.close(wake)
