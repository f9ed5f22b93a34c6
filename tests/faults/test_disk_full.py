"""No space, no right to write: a clear state, nothing lost, and on it goes as soon as there is space again."""

import contextlib
import os
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.running import Daemon, House, daemon, is_balanced, until, until_read, web_line

pytestmark = pytest.mark.slow

LINES = 400
RESUMES_WITHIN_S = 10.0
_IS_ROOT = os.geteuid() == 0


@contextlib.contextmanager
def mounted(place: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount a small file system in memory, or skip where that is not allowed."""
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    if not _IS_ROOT or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of its own needs root and the right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


class Limited:
    """What fills and empties the disk: no file of the daemon may grow beyond four kilobytes."""

    def __init__(self, running: Daemon) -> None:
        self._pid = running.pid
        self._hard = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)[1]

    def fill(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (4096, self._hard))

    def empty(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (self._hard, self._hard))


class Ballast:
    """What fills and empties the disk: a file that takes all there is."""

    def __init__(self, running: Daemon) -> None:
        self._path = running.house.state.parent / "ballast"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._path.open("ab", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def empty(self) -> None:
        self._path.unlink()


@pytest.fixture(params=["limit", "tmpfs"])
def disk(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Path, Callable[[Daemon], Limited | Ballast]]]:
    """Return a state folder and what fills its disk."""
    if request.param == "limit":
        yield tmp_path / "state", Limited
        return
    with mounted(tmp_path / "disk", megabytes=24) as place:
        yield place / "state", Ballast


def append(path: Path, numbers: range) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{web_line(f'/admin/shell.jsp?cmd=id&n={number}', number)}\n" for number in numbers)


def test_a_full_disk_makes_sources_wait_and_loses_nothing(
    disk: tuple[Path, Callable[[Daemon], Limited | Ballast]], tmp_path: Path
) -> None:
    state, filling = disk
    log = tmp_path / "access.log"
    append(log, range(LINES))
    house = House(tmp_path / "house", [str(log)], state=state)
    with daemon(house) as running:
        until_read(house, LINES)
        until(lambda: running.check("store")["state"] == "ok", "all is well")
        space = filling(running)
        space.fill()
        append(log, range(LINES, 2 * LINES))
        until(lambda: running.check("store")["state"] == "fail", "the store is shown as full")
        assert running.get("readyz")[0] == 503
        assert running.get("healthz")[0] == 200
        time.sleep(8)  # longer than it takes until the waits between two attempts have their full length
        assert running.check("reading")["state"] == "ok"
        assert house.account()["received"] == LINES
        space.empty()
        took_s = until_read(house, 2 * LINES)
        until(lambda: running.check("store")["state"] == "ok", "all is well again")
        until(lambda: running.check("scheduler")["state"] == "ok", "jobs are done again")
        until(lambda: len(house.alert_facts()) > 0, "alerts of what came")
        assert running.terminate() == 0
    assert took_s < RESUMES_WITHIN_S
    assert house.numbers() == Counter(range(2 * LINES))
    assert is_balanced(house.account())
    assert house.output("store", "check", "--deep")["ok"]


def test_sigterm_on_a_full_disk_is_a_clean_end_too(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    append(log, range(LINES))
    house = House(tmp_path / "house", [str(log)])
    with daemon(house) as running:
        until_read(house, LINES)
        Limited(running).fill()
        append(log, range(LINES, 2 * LINES))
        until(lambda: running.check("store")["state"] == "fail", "the store is shown as full")
        assert running.terminate() == 0
    assert house.done("up", "--once").returncode == 0
    assert house.numbers() == Counter(range(2 * LINES))


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that nobody may write into, not even root."""
    if not _IS_ROOT:
        place = tmp_path / "disk"
        place.mkdir(mode=0o500)
        yield place
        place.chmod(0o700)
        return
    with mounted(tmp_path / "disk", megabytes=8) as place:
        (place / "there").mkdir(mode=0o700)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        yield place


@pytest.mark.parametrize("state", ["missing", "there"])
def test_a_state_folder_that_may_not_be_written_is_told_at_the_start(
    read_only: Path, tmp_path: Path, state: str
) -> None:
    house = House(tmp_path / "house", state=read_only / state)
    done = house.done("up")
    assert done.returncode == 4
    assert str(read_only / state).encode() in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""
