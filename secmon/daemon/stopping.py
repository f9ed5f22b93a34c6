"""Waiting for the signal that ends the daemon, at whatever moment it comes."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from secmon.collect.standard_input import signal_pipe

STOPS: Final = frozenset((signal.SIGTERM, signal.SIGINT))


@contextmanager
def stop_signals() -> Iterator[Callable[[], None]]:
    """Yield what waits for SIGTERM or SIGINT, also for one that came since the block began; in the main thread only.

    A handler that sets an event would do so in the very thread that waits for it: between two steps of `wait`, while
    that thread holds the event's lock, both would stand still for ever. Here nothing runs in a handler.
    """

    def wait() -> None:
        while STOPS.isdisjoint(os.read(arrived, 64)):
            pass

    with signal_pipe() as arrived:
        before = {number: signal.signal(number, lambda *_: None) for number in STOPS}
        try:
            yield wait
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
