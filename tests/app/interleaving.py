"""A second daemon that runs between any two calls that the first one makes to the store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from secmon.app import audit
from secmon.app.installation import Installation


class Stopped(BaseException):
    """The process ends here."""


class Frozen:
    """One port of a daemon that is frozen before its n-th call, while something else happens; then it goes on.

    Args:
        port: the port.
        calls: counts the calls of all ports of this daemon.
    """

    def __init__(self, port: Any, calls: "Calls") -> None:
        self._port, self._calls = port, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            self._calls.count()
            return found(*args, **kwargs)

        return called


class Calls:
    """Counts calls, and does something before one of them."""

    def __init__(self, at: int, do: Callable[[], object]) -> None:
        self.made, self._at, self._do = 0, at, do

    def count(self) -> None:
        self.made += 1
        if self.made == self._at:
            self._do()


def frozen(house: Installation, at: int, do: Callable[[], object]) -> tuple[Installation, Calls]:
    """Return the installation as a daemon has it that does something before its call number `at`, from 1."""
    calls = Calls(at, do)
    return replace(house, log=Frozen(house.log, calls), records=Frozen(house.records, calls)), calls


def stopping(house: Installation, at: int) -> Installation:
    """Return the installation as a daemon has it that dies before its call number `at`."""

    def stop() -> None:
        raise Stopped

    return frozen(house, at, stop)[0]


def every_point(
    opened: Callable[[], Any], act: Callable[[Installation], object], other: Callable[[Installation], object]
) -> Iterator[tuple[int, Installation]]:
    """Let `other` run before each call of `act` in turn, on a fresh installation each; yield them to be judged."""
    at = 1
    while True:
        with opened() as house, _one_thread_for_two():
            first, calls = frozen(house, at, partial(other, house))
            act(first)
            if calls.made < at:
                return
            yield at, house
        at += 1


@contextmanager
def _one_thread_for_two() -> Iterator[None]:
    """Let both daemons, which have a lock each, run in one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "_appending", nullcontext())
        yield
