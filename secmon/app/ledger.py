"""Windows of scheduled work: what is due is asked of the ledger, never of a timer.

A late, missed or doubled timer loses nothing: each task has windows of fixed length since the Unix epoch, and a
window is done when its row says so.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.event import format_time, parse_time
from secmon.model.ids import window_start
from secmon.model.record import Body, Document

KIND = "window"
MAX_CATCH_UP = 400
"""Most windows of one task that are made up for in one go, oldest first; the rest follow at the next tick."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a task, half-open."""

    task: str
    since: datetime
    until: datetime

    @property
    def id(self) -> str:
        """Identity of the window."""
        return f"{self.task}:{format_time(self.since)}"


def due(house: Installation, access: Access, task: str, length: timedelta) -> Iterator[Window]:
    """Yield the windows of a task that have ended and are not done, oldest first.

    A task that never ran owes the window that has just ended, not the whole past; that it owes it is written down at
    once, so that a first run that fails is made up for too.
    """
    end = window_start(house.clock.now(), length)
    head = house.records.get(access, "task", task) or _first_head(house, access, task, end - length)
    start = parse_time(head.body["done_until"])
    for number in range(MAX_CATCH_UP):
        since = start + number * length
        if since + length > end:
            return
        window = Window(task, since, since + length)
        if house.records.get(access, KIND, window.id) is None:
            yield window


def done_until(house: Installation, access: Access, task: str) -> datetime | None:
    """Return the time up to which a task is done, None if it never was due."""
    head = house.records.get(access, "task", task)
    return parse_time(head.body["done_until"]) if head else None


def _first_head(house: Installation, access: Access, task: str, start: datetime) -> Document:
    document = Document(kind="task", id=task, body={"done_until": format_time(start)})
    with contextlib.suppress(ConflictError):  # somebody else wrote the same
        return house.records.create(access, document)
    return document


def finish(house: Installation, access: Access, window: Window, state: str, result: Body) -> None:
    """Write a window's row, then move the task's head behind it; doing it twice changes nothing."""
    body: Body = {
        "task": window.task,
        "from": format_time(window.since),
        "to": format_time(window.until),
        "state": state,
        "at": format_time(house.clock.now()),
        "result": result,
    }
    keys = {"task": window.task, "from": body["from"], "state": state}
    with contextlib.suppress(ConflictError):  # done by somebody else, or by us before a crash
        house.records.create(access, Document(kind=KIND, id=window.id, body=body, keys=keys))
    head = house.records.get(access, "task", window.task)
    if head is not None and parse_time(head.body["done_until"]) < window.until:
        done = {"done_until": format_time(window.until)}
        with contextlib.suppress(ConflictError):  # another one moved it; the row stands
            house.records.replace(access, Document(kind="task", id=window.task, body=done, version=head.version))
