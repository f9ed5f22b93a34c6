"""SIGKILL in the middle of an import, again and again: the end is the same as that of one uninterrupted run."""

import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.faults.running import SOURCE, House, is_balanced, log_line, loops, until

LOOPS = loops(20)
# Many places to die at: a batch ends with its file, or after 5,000 records.
SMALL_FILES, SMALL = 4 * LOOPS, 250
LARGE = 12_000
RECORDS = SMALL_FILES * SMALL + LARGE


@pytest.fixture
def logs(tmp_path: Path) -> list[str]:
    """Return many small files and, between them, one of several batches."""
    folder = tmp_path / "logs"
    folder.mkdir()
    sizes = [SMALL] * (SMALL_FILES // 2) + [LARGE] + [SMALL] * (SMALL_FILES - SMALL_FILES // 2)
    number = 0
    paths: list[str] = []
    for size in sizes:
        path = folder / f"access-{len(paths):04d}.log"
        path.write_text("".join(f"{log_line(one)}\n" for one in range(number, number + size)), encoding="utf-8")
        paths.append(str(path))
        number += size
    return paths


@pytest.fixture
def quiet(tmp_path: Path) -> House:
    """Return an installation that is to be left in peace; its keys are made."""
    house = House(tmp_path / "quiet", workers=0)
    house.output("import", "--source", SOURCE, "-")
    return house


def seconds(house: House, *files: str) -> float:
    """Import files and return how long that took."""
    started = time.monotonic()
    account = house.output("import", "--source", SOURCE, *files)
    assert is_balanced(account)
    return time.monotonic() - started


def last_write(house: House) -> int:
    """Return when a batch was last written, or begun to be."""
    return max((path.stat().st_mtime_ns for path in house.state.glob("events/*.db-wal")), default=0)


def is_moving(house: House, process: subprocess.Popen[bytes], before: int) -> bool:
    return last_write(house) > before or process.poll() is not None


@pytest.mark.slow
def test_killed_imports_end_like_a_quiet_one(logs: list[str], quiet: House, tmp_path: Path) -> None:
    house = House(tmp_path / "killed", workers=0)
    house.share_keys_of(quiet)
    start_s = seconds(quiet, "-")
    # On any machine: lives that import, together, about half of the logs before they are killed.
    spread_s = max(seconds(quiet, *logs) - start_s, 0.1) / LOOPS
    chance = random.Random(20261121)  # noqa: S311  reproducible shares of it, no secret
    in_the_middle = between_batch_and_checkpoint = 0
    for _ in range(LOOPS):
        before = last_write(house)
        process = subprocess.Popen(
            house.command("import", "--source", SOURCE, *logs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(partial(is_moving, house, process, before), "the first batch of this life", every_s=0.005)
        time.sleep(chance.uniform(0, spread_s))
        process.send_signal(signal.SIGKILL)
        in_the_middle += process.wait() == -signal.SIGKILL
        between_batch_and_checkpoint += bool(house.unfinished())
    account = house.output("import", "--source", SOURCE, *logs)
    sys.stdout.write(f"{LOOPS} kills, {in_the_middle} inside, {between_batch_and_checkpoint} before the checkpoint\n")
    assert in_the_middle > LOOPS * 3 // 4, "the kills came after the end: make the logs longer"
    assert house.content() == quiet.content()
    assert house.output("store", "check", "--deep")["ok"]
    assert is_balanced(account)
    assert is_balanced(house.account())
    digest = house.output("store", "digest")
    again = house.output("import", "--source", SOURCE, *logs)
    assert (again["received"], again["duplicate"], again["stored"]) == (RECORDS, RECORDS, 0)
    assert house.content() == quiet.content()
    assert house.output("store", "digest") == digest
