"""What runs by itself, and how often: the scheduler only asks, the ledger decides what is due."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from secmon.app import ledger
from secmon.app.accounts import Live, accounts
from secmon.app.installation import Installation
from secmon.app.retention import apply_retention
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
    """Keep what each source delivered by the end of an hour: the floor under "zero alerts" and 零报告."""
    del window
    rows = accounts(house, access, {name: Live() for name in house.sources})
    return {
        "ruleset": house.ruleset.digest,
        "sources": {row.source: {"state": row.state, "received": row.counts.received} for row in rows},
    }


TASKS = (
    Task("retention", timedelta(days=1), _retention),
    Task("coverage", timedelta(hours=1), _coverage),
)


def run_due(house: Installation, tasks: tuple[Task, ...] = TASKS) -> int:
    """Do every window that is due; return how many."""
    done = 0
    for task in tasks:
        access = job_access(task.name)
        for window in ledger.due(house, access, task.name, task.length):
            ledger.finish(house, access, window, "done", task.run(house, access, window))
            done += 1
    return done
