"""The daemon: one writer, its reading thread, its scheduler, its control socket, and a clean end."""

import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from secmon.app import checkpoints
from secmon.app.coverage_sheets import note_failing
from secmon.app.evaluate import evaluate, is_current
from secmon.app.folding import OVERFLOW_SHOWN, overflows
from secmon.app.installation import Installation
from secmon.app.leases import ALONE, FORWARD, Alone, Member
from secmon.app.operations import OPERATIONS
from secmon.app.schedule import go_on
from secmon.app.work import Desk, Work
from secmon.collect.standard_input import Readable
from secmon.daemon.admission import Admission
from secmon.daemon.control import HEALTH, ControlServer
from secmon.daemon.health import (
    Check,
    clock,
    correlations,
    disk_space,
    guarded,
    keys,
    problems,
    readiness,
    spool,
    tuning,
)
from secmon.daemon.importing import import_into
from secmon.daemon.reading import Reading
from secmon.daemon.renewing import OPERATION as RELOAD
from secmon.daemon.renewing import InForce, Renewal, rules_in_force
from secmon.daemon.sharing import Sharing, daemon_id, member_of
from secmon.daemon.workers import close
from secmon.errors import SecmonError, StoreError
from secmon.model.access import ROOT, Access, Principal, Role, job_access
from secmon.ports import Collector

EVALUATE_S = 2
LEDGER_S = 60
FORWARD_WAIT_S = 30
"""How long a command waits for the daemon that brings alerts forward: as long as its work may take to change hands."""
log = structlog.get_logger()


class Daemon:
    """Everything that runs, except the console.

    Args:
        house: the installation, opened for writing, perhaps patiently.
        collectors: the sources to follow.
        work: who works the records.
        state: the state folder.
        key_files: without them it must not go on: what it seals could not be opened again.
        takes_all: it ends by itself, and takes what no other daemon reads (`up --once`).
        renewal: puts other rules in force while it runs; None keeps those of the start.
    """

    def __init__(
        self,
        house: Installation,
        collectors: Sequence[Collector],
        work: Work,
        *,
        state: Path,
        key_files: Sequence[Path],
        takes_all: bool = False,
        renewal: Renewal | None = None,
    ) -> None:
        self._desk, self._state, self._key_files = Desk(house, work), state, key_files
        self._renewal = renewal
        if renewal is not None:
            renewal.serve(self.desk, self._take)
        self.admission = Admission(house)
        self._committed = threading.Event()
        self._stopping = threading.Event()
        # Alerts and windows are brought forward by one at a time; imports of one source wait for each other, and
        # nobody else for them: standard input may take days.
        self._forward = threading.Lock()
        self._imports: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._share: Alone | Member = ALONE
        self._sharing: Sharing | None = None
        if house.is_shared:
            names = [collector.source for collector in collectors]
            self._share = member_of(house, state, names, takes_all=takes_all)
            self._sharing = Sharing(self._share)
        self.reading = Reading(
            house,
            collectors,
            work,
            share=self._share,
            admit=self.admission.take,
            committed=self._committed,
            desk=self.desk,
        )
        self._scheduler = BackgroundScheduler(
            # A timer over the ledger's windows: late is fine, twice at once is not, nothing is forgotten.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            executors={"default": ThreadPoolExecutor(2)},
            timezone="UTC",
        )
        self._control: ControlServer | None = None
        self._started = house.clock.now()
        self._evaluated_at: datetime | None = None
        self._job_problems: dict[str, str] = {}

    def desk(self) -> Desk:
        """Return the installation with the rules in force, and who works by them."""
        return self._desk

    def _take(self, desk: Desk) -> None:
        """Go on at another desk; who reads finds it between two batches."""
        self._desk = desk
        if isinstance(self._share, Member):
            self._share.ruleset = desk.house.ruleset.digest

    @property
    def _house(self) -> Installation:
        return self._desk.house

    @property
    def house(self) -> Installation:
        """The installation, once its store is there and known to be ours.

        Raises:
            SecmonError: it is not.
        """
        self.admission.take()
        return self._house

    def start(self) -> None:
        """Recover what a crash left, then read, schedule and answer; all that as soon as the store is there.

        Raises:
            ConfigError: the store was made with other keys.
        """
        with contextlib.suppress(StoreError):  # the reading thread tries again, and says what is wrong
            self.admission.take()
        self._scheduler.add_listener(self._note, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self.admission.then(self._join)
        self.admission.then(self._schedule)
        self._control = ControlServer(self._state, self.handle)
        self.reading.start()
        self._scheduler.start()
        if self._renewal is not None:
            self._renewal.start()

    def reload(self) -> None:
        """Put in force what the rule files say now, soon; returns at once."""
        if self._renewal is not None:
            self._renewal.ask()

    def _join(self) -> None:
        """Be one of the daemons of a shared store: at once, so that the only one reads without delay."""
        if self._sharing is not None:
            self._sharing.begin()

    def _schedule(self) -> None:
        self._every("evaluate", EVALUATE_S, self.evaluate)
        self._every("ledger", LEDGER_S, self.run_windows)

    def _every(self, name: str, seconds: int, run: Callable[[], None]) -> None:
        self._scheduler.add_job(self._job, "interval", (name, run), seconds=seconds, id=name)

    def stop(self) -> None:
        """End cleanly: batches in flight are committed, alerts brought up to date, nothing is cut off."""
        self._stopping.set()
        self.reading.stop()
        if self._renewal is not None:
            self._renewal.stop()
        if self._control is not None:
            self._control.close()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        if self.reading.is_alive():
            self.reading.join()
        self._committed.set()
        if self.admission.is_done:
            self._job("evaluate", self.evaluate)  # a full disk is no reason to end badly: the next start does it
        if self._sharing is not None:
            self._sharing.stop()

    def close(self) -> None:
        """Give back who works; behind `stop`."""
        close(self._desk.work)

    def run_once(self) -> None:
        """Read what is there, do all windows that are due."""
        self.admission.take()
        self._join()
        try:
            while self.reading.turn():
                pass
            self._committed.set()
            self.evaluate()
            self.run_windows()
        finally:
            if self._sharing is not None:
                self._sharing.stop()

    def evaluate(self) -> None:
        """Bring alerts up to date if anything was committed since the last time, and it is ours to do."""
        if not self._share.term(FORWARD):
            return
        if not (self._house.is_shared or self._committed.is_set()) and self._evaluated_at is not None:
            self._evaluated_at = self.house.clock.now()
            return
        self._committed.clear()
        try:
            with self._forward:
                done = evaluate(self.house, job_access("evaluate"))
        except BaseException:
            self._committed.set()  # not done: the next tick tries again, whether or not anything new comes
            raise
        self._evaluated_at = self.house.clock.now()
        if done.new or done.revised:
            log.info("alerts", new=done.new, revised=done.revised, hits=done.hits)

    def run_windows(self) -> None:
        """Do every scheduled window that is due, if it is ours to do; else tell whose it is what we cannot read."""
        failing = [name for name, one in self.reading.state.live.items() if one.problems]
        if self._share.term(FORWARD):
            with self._forward:
                go_on(self.house, failing=failing)
        elif failing:
            note_failing(self.house, job_access("coverage"), daemon_id(self._state), failing)

    def handle(self, name: str, args: dict[str, Any], by: str, data: Readable) -> Any:
        """Do one operation for a command (`daemon.control`)."""
        if name == HEALTH:
            return [check.row() for check in self.checks()]
        access = Access(Principal(f"os:{by}", frozenset(Role)), ROOT)
        if name == RELOAD:
            return self._reload(access, args)
        if name == "import":
            result = self._import(access, args, data)
        else:
            operation = OPERATIONS.get(name)
            if operation is None:
                raise SecmonError("the daemon does not know this operation", hint="use the same version of secmon")
            result = operation.run(self.house, access, args)
        self._committed.set()
        if args.get("wait", True):
            self._bring_up_to_date()
        return result

    def _reload(self, access: Access, args: dict[str, Any]) -> dict[str, Any]:
        if self._renewal is None:
            raise SecmonError("this daemon keeps the rules of its start", hint="restart it")
        return self._renewal.renew(access, "command", accept_empty=bool(args.get("accept_empty")))

    def _bring_up_to_date(self) -> None:
        """Bring alerts up to date, or wait until the daemon whose work it is has done so; not for ever."""
        for _ in range(FORWARD_WAIT_S):
            if self._share.term(FORWARD):
                self.evaluate()
                return
            if is_current(self.house, job_access("evaluate")) or self._stopping.wait(1):
                return

    def _import(self, access: Access, args: dict[str, Any], data: Readable) -> dict[str, Any]:
        stop = self._stopping.is_set
        with self._imports[str(args["source"])]:
            self.admission.take()
            at = self.desk()
            done = import_into(at.house, access, args, work=at.work, data=data, stop=stop, desk=self.desk)
        return {**done.row(), "problems": done.problems}

    def checks(self) -> list[Check]:
        """Return the state of everything that runs."""
        live = self.reading.state.live
        found = [problem for one in live.values() for problem in one.problems]
        waits = self.reading.state.store_problem
        store = guarded("store", lambda: problems("store", [waits] if waits else self._store_problems(), "writable"))
        return [
            store,
            guarded("disk_space", lambda: disk_space(self._state)),
            guarded("keys", lambda: keys(self._key_files, started=True)),
            Check("reading", "ok", f"{self.reading.state.steps} batches")
            if self.reading.is_alive()
            else Check("reading", "fail", "the reading thread is not running", "restart secmon"),
            self._scheduler_check(),
            guarded("spool", lambda: spool(self.house.spool, self.reading.state.spool_problem)),
            guarded("correlations", lambda: correlations(self._cut_correlations(store))),
            *([self._sharing.check()] if self._sharing is not None else ()),
            problems("sources", found, f"{len(live)} sources"),
            guarded("rules", self._rules),
            problems("content", self._house.problems, f"{len(self._house.ruleset.rules)} rules", state="warn"),
            guarded("tuning", lambda: tuning(self._house)),
            guarded("clock", lambda: clock(self._house.clock.now(), self._last_received(store))),
        ]

    def ready(self) -> dict[str, Any]:
        """Return the object of /readyz."""
        return readiness(self.checks()) | {"ruleset": self.ruleset().row()}

    def ruleset(self) -> InForce:
        """Return which rules apply since when, and what became of the last attempt to change them."""
        if self._renewal is not None:
            return self._renewal.state
        return InForce(digest=self._house.ruleset.digest, since=self._started, counts=Counter())

    def _rules(self) -> Check:
        return rules_in_force(self.ruleset(), len(self._house.ruleset.by_id))

    def _store_problems(self) -> list[str]:
        house = self.house
        house.admit()
        house.records.get(job_access("health"), "mark", "alerts")
        return []

    def _cut_correlations(self, store: Check) -> list[str]:
        if store.state == "fail":
            return []  # it would only be asked in vain once more
        since = self._house.clock.now() - OVERFLOW_SHOWN
        return overflows(self.house, job_access("health"), since)

    def _last_received(self, store: Check) -> datetime | None:
        if store.state == "fail":
            return None  # it would only be asked in vain once more
        streams = checkpoints.load_all(self.house, job_access("health"))
        return max((one.last_received for one in streams if one.last_received), default=None)

    def _scheduler_check(self) -> Check:
        if not self._scheduler.running:
            return Check("scheduler", "fail", "the scheduler is not running", "restart secmon")
        if self._job_problems:
            return Check("scheduler", "warn", "; ".join(sorted(self._job_problems.values())), "see the log")
        return Check("scheduler", "ok", "running")

    def _job(self, name: str, run: Callable[[], None]) -> None:
        """Run a job; what goes wrong is logged and shown until the job has gone well again."""
        try:
            run()
        except SecmonError as error:
            self._job_problems[name] = f"{name}: {error}"
            log.warning("job.waits", job=name, problem=str(error))
        except Exception:
            self._job_problems[name] = f"{name}: failed"
            log.exception("job.failed", job=name)
        else:
            self._job_problems.pop(name, None)

    def _note(self, event: Any) -> None:
        """Note that a job is late; nothing is lost by it, the ledger knows what is due."""
        self._job_problems[event.job_id] = f"{event.job_id}: late"
        log.warning("job.late", job=event.job_id)
