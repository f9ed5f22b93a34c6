"""Stores to be moved: filled by imports, ticks, triage and people; and ways to fail in the middle."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from secmon.app import audit, deadletters
from secmon.app.evaluate import evaluate
from secmon.app.imports import import_streams
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.errors import StoreUnavailableError
from secmon.model.record import Document
from tests.app.houses import NOON, OPERATOR, SetClock, access_line, opened_house
from tests.contracts.backends import store_of

KIND = "nginx.access"


@contextmanager
def house_on(backend: str, state: Path, clock: SetClock | None = None) -> Iterator[Installation]:
    """Open an installation whose store is of this backend, in a state folder."""
    with ExitStack() as stack:
        house = stack.enter_context(opened_house(state / "house", clock))
        store = stack.enter_context(store_of(backend, state))
        yield replace(house, log=store.log, records=store.records, anchor=_anchor(state / "audit.head"))


def _anchor(path: Path) -> Callable[[str], None]:
    def write(head: str) -> None:
        path.write_text(head, encoding="utf-8")

    return write


def visit(house: Installation, folder: Path, number: int) -> None:
    """Import one log of a day: shells, refused requests for a correlation, a line that nothing can read."""
    path = folder / f"access-{number}.log"
    at = NOON + timedelta(minutes=number)
    lines = [access_line(at + timedelta(seconds=one), f"/page/{number}/{one}", status=401) for one in range(3)]
    lines += [access_line(at, "/up/shell.jsp", address="198.51.100.7"), f"nonsense {number}"]
    lines += [access_line(at + timedelta(seconds=9), f"/q?id=11010519491231002X&n={number}")]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    collector = ImportCollector(source=KIND, kind=KIND, files=[str(path)], clock=house.clock)
    try:
        import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    finally:
        collector.close()


def fill(house: Installation, folder: Path, clock: SetClock, *, visits: int = 3) -> None:
    """Fill a store over a few days; the last import waits for its tick when it is moved."""
    for number in range(visits):
        if number:
            evaluate(house, OPERATOR)
            clock.pass_time(days=1)
        visit(house, folder, number)
    audit.append(house, OPERATOR, "test.fill", "store")
    house.records.create(OPERATOR, Document(kind="user", id="li", body={"roles": ["operator"]}))
    house.records.create(OPERATOR, Document(kind="session", id="s", body={}, keys={"expires": "2026"}))
    deadletters.drop(house, OPERATOR, _first_letter(house), reason="测试")


def _first_letter(house: Installation) -> list[str]:
    rows, _ = deadletters.list_letters(house, OPERATOR)
    return [rows[0]["deadletter.id"]]


class Port:
    """A port whose n-th call fails: before anything is done, or behind it. Walks fail at their first step."""

    def __init__(self, port: Any, strike: "Strike") -> None:
        self._port, self._strike = port, strike

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)

        def call(*args: Any, **more: Any) -> Any:
            self._strike()
            answer = found(*args, **more)
            self._strike()
            return answer

        return call


class Strike:
    """Does something at its n-th moment, once.

    Args:
        after: moments before it.
        act: what it does; the default fails as a store that is away.
    """

    def __init__(self, after: int, act: Callable[[], None] | None = None) -> None:
        self.left, self._act = after, act or _away

    def __call__(self) -> None:
        """Count one moment."""
        self.left -= 1
        if self.left == -1:
            self._act()

    def on(self, house: Installation) -> Installation:
        """Return the installation with both ports struck."""
        return replace(house, log=Port(house.log, self), records=Port(house.records, self))


def _away() -> None:
    raise StoreUnavailableError("struck", where="test")


def die() -> None:
    """Be killed, as by the kernel."""
    os.kill(os.getpid(), signal.SIGKILL)
