"""The daemon's jobs and workers when something goes wrong."""

import io
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from secmon.app.work import InlineWork
from secmon.config import load_settings
from secmon.daemon.service import Daemon
from secmon.daemon.workers import pool_of
from secmon.errors import StoreUnavailableError
from secmon.model.access import Access, job_access
from secmon.model.hit import Hit
from secmon.model.record import RecordQuery
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.wiring import opened, read_texts
from tests.app.houses import NOON, access_line, opened_house
from tests.faults.running import is_alive, until

ACCESS = job_access("test")


class AwayLog(SqliteEventLog):
    """A real store that cannot be read for the next so many questions for hits."""

    failures = 0

    def hits_since(self, access: Access, mark: str, *, limit: int = 50_000) -> tuple[list[Hit], str]:
        """Fail while it is away."""
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the disk is full")
        return super().hits_since(access, mark, limit=limit)


KEYS = ("pii.key", "vault.key", "record.key")


def made_keys(folder: Path) -> list[Path]:
    paths = [folder / name for name in KEYS]
    for path in paths:
        path.touch(mode=0o600)
    return paths


@pytest.fixture
def away(tmp_path: Path) -> Iterator[tuple[Daemon, AwayLog]]:
    """Return a daemon that follows nothing, and its store."""
    log = AwayLog(tmp_path / "away", writable=True)
    with opened_house(tmp_path / "state") as plain:
        house = replace(plain, log=log)
        yield Daemon(house, [], InlineWork(house.stages), state=tmp_path / "state", key_files=made_keys(tmp_path)), log
    log.close()


def test_alerts_that_could_not_be_made_are_made_at_the_next_tick(away: tuple[Daemon, AwayLog], tmp_path: Path) -> None:
    daemon, log = away
    daemon.evaluate()
    path = tmp_path / "access.log"
    path.write_text("".join(f"{access_line(NOON + timedelta(seconds=n), '/shell')}\n" for n in range(3)))
    log.failures = 1
    args = {"source": "nginx.access", "files": [str(path)], "wait": False}
    assert daemon.handle("import", args, "mori", io.BytesIO())["stored"] == 3
    with pytest.raises(StoreUnavailableError):
        daemon.evaluate()
    daemon.evaluate()  # nothing new was committed since
    assert len(daemon.house.records.find(ACCESS, RecordQuery(kind="alert")).documents) == 1


def test_a_job_that_fails_is_shown_until_it_has_gone_well(away: tuple[Daemon, AwayLog]) -> None:
    daemon, log = away
    log.failures = 1
    daemon._job("evaluate", daemon.evaluate)
    assert daemon._job_problems == {"evaluate": "evaluate: the disk is full"}
    daemon._job("evaluate", daemon.evaluate)
    assert daemon._job_problems == {}


@pytest.mark.slow
def test_workers_end_with_the_process_that_made_them(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    owner = context.Process(target=_own_a_pool, args=(tmp_path / "state", writer))
    owner.start()
    workers = reader.recv() if reader.poll(60) else []
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    assert workers
    until(lambda: not any(map(is_alive, workers)), "the workers end", within_s=10)


def _own_a_pool(state: Path, writer: Connection) -> None:
    settings = load_settings(None, flags={"secmon.state": str(state)})
    texts = read_texts(settings)
    with opened(settings, writable=True, texts=texts) as house:
        work = pool_of(settings, texts, house.ruleset.digest, workers=2)
    work._pool.submit(os.getpid).result()
    writer.send(list(work._pool._processes))
    time.sleep(60)


@pytest.mark.parametrize("lost", [KEYS[:1], KEYS], ids=["one", "all"])
def test_without_its_keys_a_running_daemon_is_not_ready(
    away: tuple[Daemon, AwayLog], tmp_path: Path, lost: Sequence[str]
) -> None:
    daemon, _ = away
    assert state_of(daemon, "keys") == "ok"
    for name in lost:
        (tmp_path / name).unlink()
    assert state_of(daemon, "keys") == "fail"
    assert daemon.ready()["ready"] is False


def state_of(daemon: Daemon, name: str) -> str:
    return next(one.state for one in daemon.checks() if one.check == name)
