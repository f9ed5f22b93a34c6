"""The reading thread: one stream's trouble is not the others', a store that is away is waited for."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from secmon.app import accounts, checkpoints, deadletters
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.collect.files import FileCollector
from secmon.daemon.reading import Reading
from secmon.errors import StoreError, StoreUnavailableError
from secmon.model.access import Access, job_access
from secmon.model.batch import Batch, BatchRow
from secmon.model.event import Frame
from secmon.model.questions import EventQuery
from secmon.model.record import Document
from secmon.pipeline import Lane, Processed
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.store.sqlite.records import SqliteRecords
from tests.app.houses import NOON, SetClock, access_line, opened_house

ACCESS = job_access("test")


class FullDisk(SqliteRecords):
    """A real store whose disk is full for the next so many checkpoints."""

    failures = 0

    def replace(self, access: Access, document: Document) -> Document:
        """Fail while there is no space."""
        if document.kind == checkpoints.KIND and self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the disk is full")
        return super().replace(access, document)


class FullLog(SqliteEventLog):
    """A real store whose disk is full for the next so many batches."""

    failures = 0

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        """Fail while there is no space."""
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the disk is full")
        return super().commit(access, batch)


class Trouble(InlineWork):
    """Works, except on records of one place: there it fails with `error`, `times` times."""

    place = ""
    error: Exception = StoreError("this stream contradicts itself")
    times = 10**9

    def submit(self, frames: Sequence[Frame], lane: Lane, *, prefix: bytes, received_at: datetime) -> Future[Processed]:
        """Work, or fail."""
        if lane.place == self.place and self.times:
            self.times -= 1
            future: Future[Processed] = Future()
            future.set_exception(self.error)
            return future
        return super().submit(frames, lane, prefix=prefix, received_at=received_at)


@pytest.fixture
def wall() -> SetClock:
    return SetClock()


@pytest.fixture
def house(tmp_path: Path, wall: SetClock) -> Iterator[Installation]:
    with opened_house(tmp_path / "state", wall) as opened:
        yield opened


def reading_of(house: Installation, folder: Path, work: Trouble | None = None) -> Reading:
    collector = FileCollector(
        source="web", kind="nginx.access", paths=[f"{folder}/*.log"], clock=house.clock, settle_s=0.0
    )
    return Reading(house, [collector], work or Trouble(house.stages), committed=threading.Event())


def write(path: Path, first: int, count: int = 1) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{access_line(NOON, f'/{first + number}')}\n" for number in range(count))


def stored(house: Installation) -> int:
    return house.log.count(ACCESS, EventQuery())[""]


@pytest.mark.parametrize(
    "error", [StoreError("contradiction"), BrokenProcessPool("killed"), RuntimeError("nobody foresaw this")]
)
def test_a_failing_stream_keeps_no_other_waiting(house: Installation, tmp_path: Path, error: Exception) -> None:
    write(tmp_path / "a.log", 0)
    write(tmp_path / "b.log", 1)
    work = Trouble(house.stages)
    work.place, work.error = str(tmp_path / "a.log"), error
    reading = reading_of(house, tmp_path, work)
    assert reading.turn()
    assert stored(house) == 1
    problems = reading.state.live["web"].problems
    assert len(problems) == 1
    (account,) = accounts.accounts(house, ACCESS, reading.state.live)
    assert account.state == "failing"


def test_a_failing_stream_rests_longer_each_time_and_comes_back(
    house: Installation, wall: SetClock, tmp_path: Path
) -> None:
    write(tmp_path / "a.log", 0)
    work = Trouble(house.stages)
    work.place, work.times = str(tmp_path / "a.log"), 2
    reading = reading_of(house, tmp_path, work)
    assert not reading.turn()
    assert not reading.turn()  # it rests
    assert work.times == 1
    wall.pass_time(seconds=1.1)
    assert not reading.turn()
    wall.pass_time(seconds=1.1)
    assert not reading.turn()  # its second rest is longer
    wall.pass_time(seconds=1.1)
    assert reading.turn()
    assert reading.state.live["web"].problems == ()
    assert stored(house) == 1


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("next_day", [False, True])
def test_a_checkpoint_that_could_not_be_written_is_made_up_for(
    house: Installation, wall: SetClock, tmp_path: Path, *, grows: bool, next_day: bool
) -> None:
    disk = FullDisk(tmp_path / "full.db", writable=True)
    full = replace(house, records=disk)
    write(tmp_path / "a.log", 0, 3)
    reading = reading_of(full, tmp_path)
    disk.failures = 1
    with pytest.raises(StoreUnavailableError):
        reading.turn()
    assert stored(house) == 3  # the batch is durable, its checkpoint is not
    write(tmp_path / "a.log", 3, 2 * grows)
    wall.pass_time(days=int(next_day), seconds=1)
    reading.turn()
    assert stored(house) == 3 + 2 * grows
    (checkpoint,) = checkpoints.load_all(full, ACCESS, "web")
    assert checkpoint.counts.received == checkpoint.counts.stored == 3 + 2 * grows
    disk.close()


def test_a_dead_letter_is_kept_once_however_often_its_batch_is_tried(
    house: Installation, wall: SetClock, tmp_path: Path
) -> None:
    (tmp_path / "a.log").write_text("no access log line\n", encoding="utf-8")
    log = FullLog(tmp_path / "full", writable=True)
    reading = reading_of(replace(house, log=log), tmp_path)
    log.failures = 1
    with pytest.raises(StoreUnavailableError):  # the letter is kept, its batch is not
        reading.turn()
    wall.pass_time(days=1)
    assert reading.turn()
    assert deadletters.count_letters(house, ACCESS) == {"waiting": 1}
    (account,) = accounts.accounts(house, ACCESS)
    assert (account.counts.received, account.counts.dead_lettered) == (1, 1)
    log.close()
