"""An outage of the store loses and doubles nothing: what was put by is stored under the ids of a quiet run."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.app import accounts
from secmon.app.accounts import Account
from secmon.app.installation import Installation
from secmon.app.spooling import SpooledCollector
from secmon.app.work import InlineWork
from secmon.collect.files import FileCollector
from secmon.daemon.reading import Reading
from secmon.errors import SpoolFullError, StoreError, StoreUnavailableError
from secmon.model.access import Access, job_access
from secmon.model.batch import Batch, BatchRow, Counts
from secmon.model.questions import EventQuery
from secmon.model.record import Document, Page, RecordQuery
from secmon.store.spool import FileSpool
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.store.sqlite.records import SqliteRecords
from secmon.store.vault import FileVault
from tests.app.houses import NOON, SetClock, access_line, opened_house

ACCESS = job_access("test")


class Outage:
    """Whether the store is away, and after how many more questions it goes."""

    def __init__(self) -> None:
        self.left: int | None = None

    def check(self) -> None:
        if self.left is None:
            return
        if self.left == 0:
            raise StoreUnavailableError("the store is away")
        self.left -= 1


class AwayLog(SqliteEventLog):
    """A real store that can be away."""

    outage = Outage()

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        self.outage.check()
        return super().commit(access, batch)


class AwayRecords(SqliteRecords):
    """A real store that can be away."""

    outage = Outage()

    def get(self, access: Access, kind: str, id: str) -> Document | None:  # noqa: A002  the port's name
        self.outage.check()
        return super().get(access, kind, id)

    def find(self, access: Access, query: RecordQuery) -> Page:
        self.outage.check()
        return super().find(access, query)

    def create(self, access: Access, document: Document) -> Document:
        self.outage.check()
        return super().create(access, document)

    def replace(self, access: Access, document: Document) -> Document:
        self.outage.check()
        return super().replace(access, document)


@dataclass
class Rig:
    """An installation with a folder of logs, turned by hand.

    Args:
        house: the installation; its store can be away.
        outage: whether it is.
        logs: the folder.
        state: the state folder.
        wall: its clock.
    """

    house: Installation
    outage: Outage
    logs: Path
    state: Path
    wall: SetClock
    max_bytes: int = 1 << 30
    written: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin as a new process does: nothing is remembered but what is on the disk."""
        spool = FileSpool(self.state / "spool", FileVault(b"v" * 32), max_bytes=self.max_bytes, reserve_bytes=0)
        self.house = replace(self.house, spool=spool)
        self.inner = FileCollector(
            source="web", kind="nginx.access", paths=[f"{self.logs}/*.log*"], clock=self.wall, settle_s=0.0
        )
        self.collector = SpooledCollector(self.inner, spool)
        plain = replace(self.house, spool=None)  # the spool is turned by hand here
        self.reading = Reading(plain, [self.collector], InlineWork(self.house.stages), committed=threading.Event())

    def look(self) -> None:
        """Read into the store; if it is away, into the spool."""
        self.wall.pass_time(seconds=1)
        try:
            while self.reading.turn():
                pass
        except StoreUnavailableError:
            while self.collector.put_by(ACCESS):
                pass
        self.check_account()

    def write(self, count: int, *, ends: bool = True) -> None:
        """Append lines."""
        lines = [access_line(NOON, f"/shell/{self.written + number}") for number in range(count)]
        self.written += count
        with (self.logs / "a.log").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n" * (ends and count > 0))

    def rotate(self, *, keep: bool) -> None:
        """Rename the log, or delete the one that was renamed before as well."""
        if (self.logs / "a.log").exists():
            (self.logs / "a.log").replace(self.logs / "a.log.1")
        if not keep:
            (self.logs / "a.log.1").unlink(missing_ok=True)

    def account(self) -> Account:
        left, self.outage.left = self.outage.left, None
        try:
            (found,) = accounts.accounts(self.house, ACCESS)
        except ValueError:
            found = Account(source="web", kind="nginx.access", state="ok", counts=Counts(), encodings={})
        finally:
            self.outage.left = left
        return found

    def check_account(self) -> None:
        """Received = stored + duplicate + dead-lettered + dropped + in flight, and nothing was received twice."""
        row = accounts.row(self.account())
        settled = row["stored"] + row["duplicate"] + row["dead_lettered"] + sum(row["dropped"].values())
        assert row["received"] == settled + row["in_flight"]
        assert row["received"] <= self.written

    def digest(self) -> dict[str, str]:
        return self.house.log.digest(ACCESS)

    def stored(self) -> int:
        return self.house.log.count(ACCESS, EventQuery())[""]


@contextmanager
def rigged(folder: Path, *, max_bytes: int = 1 << 30) -> Iterator[Rig]:
    """Open an installation anew, with logs in `folder`/logs whatever its state folder is."""
    logs, state = folder / "logs", folder / "state"
    for each in (logs, state):
        rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    wall = SetClock()
    with opened_house(state, wall) as house:
        log, records = AwayLog(state / "away", writable=True), AwayRecords(state / "away.db", writable=True)
        log.outage = records.outage = Outage()
        try:
            yield Rig(replace(house, log=log, records=records), log.outage, logs, state, wall, max_bytes)
        finally:
            records.close()
            log.close()


Step = tuple[str, int]
CALM: tuple[str, ...] = ("write", "half", "rotate", "delete")


def do(rig: Rig, step: Step) -> None:
    """Do one step, and look: what nobody ever saw cannot be kept."""
    what, number = step
    if what == "write":
        rig.write(number)
    elif what == "half":
        rig.write(number, ends=False)
    elif what == "rotate":
        rig.rotate(keep=True)
    elif what == "delete":
        rig.rotate(keep=False)
    elif what == "away":
        rig.outage.left = number
    elif what == "back":
        rig.outage.left = None
    elif what == "restart":
        rig.inner.close()
        rig.start()
    rig.look()


STEPS = st.lists(
    st.tuples(st.sampled_from([*CALM, "write", "delete", "away", "away", "back", "restart"]), st.integers(0, 9)),
    min_size=3,
    max_size=14,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_any_outage_ends_in_what_a_quiet_run_stores(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[Step]
) -> None:
    folder = tmp_path_factory.mktemp("rig")
    first: list[Step] = [("write", 2)]  # the store was there once
    with rigged(folder) as rig:
        for step in [*first, *steps, ("back", 0)]:
            do(rig, step)
        with_outage, count = rig.digest(), rig.stored()
        account = rig.account()
        rig.look()
        assert not list((rig.state / "spool").glob("*.part"))
    with rigged(folder) as rig:
        for step in [*first, *(one for one in steps if one[0] in CALM)]:
            do(rig, step)
        assert (with_outage, count) == (rig.digest(), rig.stored())
        assert account.counts == rig.account().counts
    assert account.in_flight == 0


def test_files_that_were_rotated_and_deleted_in_an_outage_are_stored_after_it(tmp_path: Path) -> None:
    with rigged(tmp_path) as rig:
        rig.write(10)
        rig.look()
        rig.outage.left = 0
        for _ in range(3):
            rig.write(10)
            rig.look()
            rig.rotate(keep=False)
        assert list(rig.logs.iterdir()) == []
        assert rig.stored() == 10
        assert (rig.account().in_flight, rig.account().counts.received) == (30, 10)
        rig.inner.close()
        rig.start()  # a kill, and a start without the store
        rig.write(5)
        rig.look()
        assert rig.account().in_flight == 35
        rig.outage.left = None
        rig.look()
        assert rig.stored() == 45
        assert rig.account().in_flight == 0
        rig.look()
        assert not list((rig.state / "spool").glob("*.part"))


def test_a_full_spool_takes_no_more_and_the_source_waits(tmp_path: Path) -> None:
    with rigged(tmp_path, max_bytes=20_000) as rig:
        rig.write(1)
        rig.look()
        rig.outage.left = 0
        with suppress(SpoolFullError):
            while True:
                rig.write(20)
                rig.look()
        assert sum(path.stat().st_size for path in (rig.state / "spool").glob("*.part")) <= 20_000
        waiting = rig.account().in_flight
        assert 0 < waiting < rig.written
        rig.outage.left = None
        rig.look()
        assert rig.stored() == rig.written  # what was put by, and then what had waited in its file


def test_nothing_is_put_by_before_the_streams_are_known(tmp_path: Path) -> None:
    with rigged(tmp_path) as rig:
        rig.outage.left = 0
        rig.write(3)
        with pytest.raises(StoreUnavailableError, match="there once"):
            rig.look()
        rig.outage.left = None
        rig.look()
        assert rig.stored() == 3


def test_a_spool_of_another_key_stops_only_what_nobody_else_has(tmp_path: Path) -> None:
    with rigged(tmp_path) as rig:
        rig.write(1)
        rig.look()
        rig.outage.left = 0
        rig.write(2)
        rig.look()
        rig.house = replace(rig.house, spool=None)
        sealed_elsewhere = FileSpool(rig.state / "spool", FileVault(b"w" * 32), reserve_bytes=0)
        collector = SpooledCollector(rig.inner, sealed_elsewhere)
        with pytest.raises(StoreError, match="another key"):
            SpooledCollector(rig.inner, sealed_elsewhere).put_by(ACCESS)
        rig.outage.left = None
        reading = Reading(rig.house, [collector], InlineWork(rig.house.stages), committed=threading.Event())
        reading.turn()
        assert rig.stored() == 3  # the file is still there
        assert any("another key" in problem for problem in reading.state.live["web"].problems)
        assert sealed_elsewhere.problems()


def test_the_reading_thread_sits_an_outage_out_by_itself(tmp_path: Path) -> None:
    with rigged(tmp_path) as rig:
        rig.write(5)
        reading = Reading(rig.house, [rig.inner], InlineWork(rig.house.stages), committed=threading.Event())
        reading.start()
        try:
            wait_for(lambda: rig.stored() == 5)
            rig.outage.left = 0
            rig.write(5)
            wait_for(lambda: rig.account().in_flight == 5)
            rig.rotate(keep=False)
            assert reading.state.store_problem
            rig.outage.left = None
            wait_for(lambda: rig.stored() == 10)
            wait_for(lambda: not reading.state.store_problem)
        finally:
            reading.stop()
            reading.join()
        assert rig.account().in_flight == 0


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the test's own time-out ends what never is."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.02)
