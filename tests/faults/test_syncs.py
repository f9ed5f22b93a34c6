"""Power may go at any moment: what is acknowledged was synced before, and death at any sync is survived."""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.faults.running import SOURCE, House, is_balanced, log_line, loops

pytestmark = pytest.mark.slow

# Every place where an import waits for the disk is a place to die at; CI tries a few of them.
IS_LONG = loops(0) > 0
STEP = 1 if IS_LONG else 8
MOST_SYNCS = 120
_CALL = re.compile(r"(?:\d+ +)?(\w+)\((\d+)<([^>]*)>")


@cache
def strace() -> str:
    """Return the path of a strace that may trace, or skip."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed")
    if subprocess.run([path, "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    return path


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("logs")
    paths = []
    for name, numbers in (("a.log", range(300)), ("b.log", range(300, 6_300))):
        path = folder / name
        path.write_text("".join(f"{log_line(number)}\n" for number in numbers), encoding="utf-8")
        paths.append(str(path))
    return paths


@pytest.fixture(scope="module")
def quiet(logs: list[str], tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("quiet"), workers=0)
    house.output("import", "--source", SOURCE, *logs)
    return house


def test_nothing_is_acknowledged_before_it_is_synced(logs: list[str], tmp_path: Path) -> None:
    house = House(tmp_path / "house", workers=0)
    trace = tmp_path / "trace"
    options = ("-f", "-y", "-qq", "-s", "0", "-o", str(trace), "-e", "trace=write,pwrite64,fsync,fdatasync")
    command = house.command("import", "--source", SOURCE, *logs)
    done = subprocess.run([strace(), *options, *command], capture_output=True, check=False)
    assert done.returncode == 5, done.stderr.decode()
    events, control = "events/security-", "control.db-wal"
    unsynced: set[str] = set()
    batches = early_checkpoints = early_answers = 0
    for call, descriptor, path in _CALL.findall(trace.read_text(encoding="utf-8", errors="replace")):
        if call in {"fsync", "fdatasync"}:
            batches += events in path and path in unsynced
            unsynced.discard(path)
        elif path.endswith("-wal"):
            unsynced.add(path)
            # A checkpoint of a stream lies in the control store: nothing is written there over a batch in the air.
            early_checkpoints += control in path and any(events in other for other in unsynced)
        elif call == "write" and descriptor == "1":
            early_answers += bool(unsynced)
    assert batches >= 3
    assert (early_checkpoints, early_answers) == (0, 0)


def test_death_at_any_sync_is_survived(logs: list[str], quiet: House, tmp_path: Path) -> None:
    number, deaths, unfinished = 4, 0, 0  # the first three make the first key
    while number < MOST_SYNCS:
        house = House(tmp_path / f"house{number}", workers=0)
        house.share_keys_of(quiet)
        inject = f"inject=fsync,fdatasync:signal=SIGKILL:when={number}"
        command = house.command("import", "--source", SOURCE, *logs)
        done = subprocess.run(
            [strace(), "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject, *command],
            capture_output=True,
            check=False,
        )
        if done.returncode == 5:
            break  # it needs no more syncs than that
        deaths += 1
        unfinished += bool(house.batches() and house.unfinished())
        assert is_balanced(house.output("import", "--source", SOURCE, *logs))
        assert house.content() == quiet.content(), f"killed at sync {number}"
        assert is_balanced(house.account())
        assert house.output("store", "check", "--deep")["ok"]
        number += STEP
    sys.stdout.write(f"{deaths} deaths at syncs, {unfinished} before the checkpoint\n")
    assert deaths > 2
    assert unfinished or not IS_LONG
