"""What runs by itself, and how often: the scheduler only asks, the ledger decides what is due."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from secmon.app import baselines, ledger
from secmon.app.coverage_writing import bring_forward
from secmon.app.installation import Installation
from secmon.app.retention import TASK as RETENTION
from secmon.app.retention import apply_retention
from secmon.app.watching import watch
from secmon.errors import SecmonError
from secmon.model.access import Access, job_access
from secmon.model.record import Body

COVERAGE = "coverage"


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


TASKS = (
    Task(RETENTION, timedelta(days=1), _retention),
    Task(baselines.TASK, baselines.LENGTH, baselines.run),
)


def go_on(house: Installation, *, failing: Iterable[str] = ()) -> int:
    """Do all that is due: the coverage ledger, what it says about sources and rules, and the windows of all tasks.

    Args:
        house: the installation.
        failing: sources that cannot be read now.

    Returns:
        How many windows were done, and documents of the ledger written.

    Raises:
        SecmonError: something failed (the first that did); the rest was done.
    """
    done = 0
    failure: SecmonError | None = None
    try:
        access = job_access(COVERAGE)
        written = bring_forward(house, access, failing=failing)
        done += written
        watch(house, access, thoroughly=written > 0)
    except SecmonError as error:
        failure = error
    done += run_due(house)
    if failure is not None:
        raise failure
    return done


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
