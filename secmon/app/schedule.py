"""What runs by itself, and how often: the scheduler only asks, the ledger decides what is due."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from secmon.app import ledger
from secmon.app.installation import Installation
from secmon.app.retention import TASK as RETENTION
from secmon.app.retention import apply_retention
from secmon.errors import SecmonError
from secmon.model.access import Access, job_access
from secmon.model.record import Body


@dataclass(frozen=True, slots=True)
class Task:
    """Scheduled work.

    Args:
        name: stands in the ledger.
        length: length of its windows.
        run: does one window; returns what the ledger keeps.
    """

    name: str
    length: timedelta
    run: Callable[[Installation, Access, ledger.Window], Body]


def _retention(house: Installation, access: Access, window: ledger.Window) -> Body:
    del window
    return {"dropped": apply_retention(house, access)}


def _coverage(house: Installation, access: Access, window: ledger.Window) -> Body:
    """Keep what each source delivered in an hour, under which rules: the floor under "zero alerts" and 零报告.

    It is read from the batches that are stored, so a window that is made up for after an outage tells the same as one
    that is done in time.
    """
    received = dict.fromkeys(house.sources, 0)
    rulesets: dict[str, set[str]] = {}
    for batch in house.log.batches(access, since=window.since):
        if batch.received_at < window.until:
            received[batch.source] = received.get(batch.source, 0) + batch.counts.received
            rulesets.setdefault(batch.source, set()).add(batch.ruleset)
    return {"sources": {name: _covered(count, rulesets.get(name)) for name, count in sorted(received.items())}}


def _covered(received: int, rulesets: set[str] | None) -> Body:
    if rulesets is None:
        return {"state": "no_data", "received": 0}
    return {"state": "evaluated", "received": received, "rulesets": sorted(rulesets)}


TASKS = (
    Task(RETENTION, timedelta(days=1), _retention),
    Task("coverage", timedelta(hours=1), _coverage),
)


def run_due(house: Installation, tasks: tuple[Task, ...] = TASKS) -> int:
    """Do every window that is due; return how many.

    A task that fails keeps its window and those behind it for the next time, and does not keep other tasks waiting.

    Raises:
        SecmonError: a task failed (the first one that did); the others were done.
    """
    done = 0
    failure: SecmonError | None = None
    for task in tasks:
        access = job_access(task.name)
        try:
            for window in ledger.due(house, access, task.name, task.length):
                ledger.finish(house, access, window, "done", task.run(house, access, window))
                done += 1
        except SecmonError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return done
