"""Waiting for the signal that ends the daemon, at whatever moment it comes; meanwhile SIGHUP makes it reload."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from secmon.collect.standard_input import signal_pipe

STOPS: Final = frozenset((signal.SIGTERM, signal.SIGINT))
RELOAD: Final = signal.SIGHUP
_PIECE: Final = 4096


class Wait(Protocol):
    """Waits for the end."""

    def __call__(self, reload: Callable[[], None] = ...) -> None:
        """Return when the daemon is to end; call `reload` whenever SIGHUP has come, once for many at a time."""
        ...


@contextmanager
def stop_signals() -> Iterator[Wait]:
    """Yield what waits for SIGTERM or SIGINT, also for one that came since the block began; in the main thread only.

    A handler that sets an event would do so in the very thread that waits for it: between two steps of `wait`, while
    that thread holds the event's lock, both would stand still for ever. Here nothing runs in a handler but a mark in a
    set, for the case that so many signals come that the pipe has no room for the last of them.
    """
    came: set[int] = set()

    def wait(reload: Callable[[], None] = lambda: None) -> None:
        while True:
            numbers = {*os.read(arrived, _PIECE), *came}
            if not STOPS.isdisjoint(numbers):
                return
            if RELOAD in numbers:
                came.discard(RELOAD)
                reload()

    with signal_pipe() as arrived:
        before = {number: signal.signal(number, lambda number, _: came.add(number)) for number in (*STOPS, RELOAD)}
        try:
            yield wait
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
