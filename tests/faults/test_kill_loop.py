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
# Each life commits about two batches before it is killed: a batch ends with its file, or after 5,000 records.
SMALL_FILES, SMALL = 4 * LOOPS, 250
LARGE = 12_000
RECORDS = SMALL_FILES * SMALL + LARGE
SPREAD_S = 0.35


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return many small files and, between them, one of several batches."""
    folder = tmp_path_factory.mktemp("logs")
    sizes = [SMALL] * (SMALL_FILES // 2) + [LARGE] + [SMALL] * (SMALL_FILES - SMALL_FILES // 2)
    number = 0
    paths: list[str] = []
    for size in sizes:
        path = folder / f"access-{len(paths):04d}.log"
        path.write_text("".join(f"{log_line(one)}\n" for one in range(number, number + size)), encoding="utf-8")
        paths.append(str(path))
        number += size
    return paths


@pytest.fixture(scope="module")
def quiet(logs: list[str], tmp_path_factory: pytest.TempPathFactory) -> House:
    """Import everything once, without interruption."""
    house = House(tmp_path_factory.mktemp("quiet"), workers=0)
    account = house.output("import", "--source", SOURCE, *logs)
    assert account["received"] == RECORDS
    assert is_balanced(account)
    return house


def has_moved(house: House, process: subprocess.Popen[bytes], before: int) -> bool:
    """Tell whether a batch was committed since, or nothing was left to import."""
    return house.batches() > before or process.poll() is not None


@pytest.mark.slow
def test_killed_imports_end_like_a_quiet_one(logs: list[str], quiet: House, tmp_path: Path) -> None:
    house = House(tmp_path, workers=0)
    house.share_keys_of(quiet)
    chance = random.Random(20261121)  # noqa: S311  reproducible moments of death, no secret
    in_the_middle = between_batch_and_checkpoint = 0
    for _ in range(LOOPS):
        before = house.batches()
        process = subprocess.Popen(
            house.command("import", "--source", SOURCE, *logs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(partial(has_moved, house, process, before), "the first batch of this life", every_s=0.02)
        time.sleep(chance.uniform(0, SPREAD_S))
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


@pytest.mark.slow
def test_a_second_import_is_all_duplicates(logs: list[str], quiet: House) -> None:
    before = quiet.content(), quiet.output("store", "digest")
    account = quiet.output("import", "--source", SOURCE, *logs)
    assert (account["received"], account["duplicate"], account["stored"]) == (RECORDS, RECORDS, 0)
    assert (quiet.content(), quiet.output("store", "digest")) == before
