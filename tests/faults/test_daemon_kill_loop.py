"""`secmon up` under SIGKILL, SIGTERM and the death of a worker, while files grow and rotate under it."""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.faults.running import (
    SOURCE,
    House,
    daemon,
    is_alive,
    is_balanced,
    loops,
    until,
    until_read,
    web_line,
)

pytestmark = pytest.mark.slow

LOOPS = loops(6)


class Writer(threading.Thread):
    """Writes numbered lines to `access.log` until it is told to stop, and rotates it by renaming now and then.

    Args:
        folder: where the log is.
        every_s: pause between two writes.
        seed: of what chance decides.
    """

    def __init__(self, folder: Path, *, every_s: float = 0.05, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self._folder, self._every_s = folder, every_s
        self._chance = random.Random(seed)  # noqa: S311  repeatable, no secret
        self._ended = threading.Event()
        self.lines: list[str] = []
        self.rotations = 0

    def run(self) -> None:
        path = self._folder / "access.log"
        file = path.open("a", encoding="utf-8")
        while not self._ended.is_set():
            for _ in range(self._chance.randint(1, 20)):
                line = numbered(len(self.lines))
                half = self._chance.randint(0, len(line))
                file.write(line[:half])
                file.flush()  # readers see half a line now and then
                file.write(line[half:] + "\n")
                self.lines.append(line)
            file.flush()
            if self._chance.random() < 0.05:
                file.close()
                self.rotations += 1
                path.rename(self._folder / f"access.log.{self.rotations:04d}")
                file = path.open("a", encoding="utf-8")
            self._ended.wait(self._every_s)
        file.close()

    def stop(self) -> list[str]:
        """Stop and return all lines that were written."""
        self._ended.set()
        self.join()
        return self.lines


def numbered(number: int) -> str:
    return web_line(f"/admin/shell.jsp?cmd=id&n={number}" if number % 89 == 0 else f"/jwxt?n={number}", number)


def once_each(count: int) -> Counter[int]:
    return Counter(range(count))


def has_grown(house: House, before: int) -> bool:
    return house.batches() > before


def are_gone(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def house(tmp_path: Path, logs: Path) -> House:
    return House(tmp_path / "house", [f"{logs}/access.log*"])


def quiet_alerts(folder: Path, lines: list[str]) -> set[str]:
    """Return the alerts of one uninterrupted import of the same lines."""
    (folder / "all.log").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    quiet = House(folder / "quiet", workers=0)
    quiet.output("import", "--source", SOURCE, str(folder / "all.log"))
    return quiet.alert_facts()


def test_a_killed_daemon_loses_and_doubles_no_line(house: House, logs: Path, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311  reproducible moments of death, no secret
    writer = Writer(logs)
    writer.start()
    inside = 0
    for _ in range(LOOPS):
        with daemon(house) as running:
            before = house.batches()
            until(partial(has_grown, house, before), "a batch of this life", every_s=0.02)
            time.sleep(chance.uniform(0, 1.5))
            workers = running.workers()
            running.kill()
        inside += bool(house.unfinished())
        assert is_balanced(house.account())
        until(partial(are_gone, workers), "the workers end with their parent")
    lines = writer.stop()
    with daemon(house) as running:
        until_read(house, len(lines))
        assert running.terminate() == 0
    sys.stdout.write(
        f"{LOOPS} kills, {inside} before the checkpoint, {len(lines)} lines, {writer.rotations} rotations\n"
    )
    assert house.numbers() == once_each(len(lines))
    account = house.account()
    assert (account["received"], account["stored"]) == (len(lines), len(lines))
    assert house.alert_facts() == quiet_alerts(tmp_path, lines)
    assert house.output("store", "check", "--deep")["ok"]


def test_a_killed_worker_costs_and_doubles_nothing(house: House, logs: Path) -> None:
    chance = random.Random(11)  # noqa: S311  reproducible moments of death, no secret
    writer = Writer(logs, seed=2)
    writer.start()
    with daemon(house) as running:
        for _ in range(max(3, LOOPS // 4)):
            until(lambda: bool(running.workers()), "a worker")
            time.sleep(chance.uniform(0, 1.0))
            for pid in running.workers():
                os.kill(pid, signal.SIGKILL)
            before = house.batches()
            until(partial(has_grown, house, before), "reading goes on with a new worker")
        lines = writer.stop()
        until_read(house, len(lines))
        assert running.get("healthz")[0] == 200
        until(lambda: running.check("sources")["state"] == "ok", "nothing is wrong any more")
        assert running.terminate() == 0
    assert house.numbers() == once_each(len(lines))
    assert is_balanced(house.account())


def test_sigterm_ends_cleanly_within_seconds(house: House, logs: Path) -> None:
    writer = Writer(logs, every_s=0.01, seed=3)
    writer.start()
    with daemon(house) as running:
        until(lambda: house.batches() > 1, "some batches")
        children = running.children()
        started = time.monotonic()
        assert running.terminate() == 0
        took_s = time.monotonic() - started
        until(partial(are_gone, children), "its processes end with it", within_s=5)
    lines = writer.stop()
    assert took_s < 15
    assert "Traceback" not in running.log()
    assert not (house.state / "secmon.sock").exists()
    assert house.unfinished() == 0
    assert house.numbers().total() == house.account()["stored"]
    assert set(house.numbers().values()) == {1}
    with daemon(house):
        until_read(house, len(lines))
    assert house.numbers() == once_each(len(lines))


def test_an_import_is_cut_short_by_sigterm_and_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    path.write_text("".join(f"{numbered(number)}\n" for number in range(30_000)), encoding="utf-8")
    house = House(tmp_path / "house")
    with daemon(house) as running:
        answers: list[int] = []
        asking = threading.Thread(
            target=lambda: answers.append(house.done("import", "--source", SOURCE, str(path)).returncode)
        )
        asking.start()
        until(lambda: house.batches() > 0, "the first batch")
        assert running.terminate() == 0
        asking.join()
    assert answers == [4]
    assert house.unfinished() == 0
    account = house.output("import", "--source", SOURCE, str(path))
    assert account["duplicate"] > 0
    assert account["duplicate"] + account["stored"] == 30_000
    assert house.numbers() == once_each(30_000)
