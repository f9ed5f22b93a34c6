"""SIGKILL in the middle of an import, again and again: the end is the same as that of one uninterrupted run."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.installations import Installations, installations_on
from tests.faults.running import SOURCE, House, is_balanced, log_line, loops, until

LOOPS = {"sqlite": loops(20), "elasticsearch": max(1, loops(20) // 4)}
# Many places to die at: a batch ends with its file, or after 5,000 records.
FILES_A_LIFE, SMALL = 4, 250
LARGE = 12_000


@pytest.fixture(params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the kind of store."""
    return str(request.param)


@pytest.fixture
def installations(kind: str, tmp_path: Path) -> Iterator[Installations]:
    with installations_on(kind, tmp_path) as found:
        yield found


@pytest.fixture
def logs(kind: str, tmp_path: Path) -> list[str]:
    """Return many small files and, between them, one of several batches."""
    folder = tmp_path / "logs"
    folder.mkdir()
    half = [SMALL] * (FILES_A_LIFE * LOOPS[kind] // 2)
    sizes = [*half, LARGE, *half]
    number = 0
    paths: list[str] = []
    for size in sizes:
        path = folder / f"access-{len(paths):04d}.log"
        path.write_text("".join(f"{log_line(one)}\n" for one in range(number, number + size)), encoding="utf-8")
        paths.append(str(path))
        number += size
    return paths


@pytest.fixture
def quiet(installations: Installations) -> House:
    """Return an installation that is to be left in peace; its keys are made."""
    house = installations.house("quiet")
    house.output("import", "--source", SOURCE, "-")
    return house


def seconds(house: House, *files: str) -> float:
    """Import files and return how long that took."""
    started = time.monotonic()
    account = house.output("import", "--source", SOURCE, *files)
    assert is_balanced(account)
    return time.monotonic() - started


def is_moving(installations: Installations, house: House, process: subprocess.Popen[bytes], before: int) -> bool:
    return installations.last_write(house) > before or process.poll() is not None


@pytest.mark.slow
def test_killed_imports_end_like_a_quiet_one(
    kind: str, installations: Installations, logs: list[str], quiet: House
) -> None:
    house = installations.house("killed")
    house.share_keys_of(quiet)
    kills = LOOPS[kind]
    start_s = seconds(quiet, "-")
    # On any machine: lives that import, together, a third of the logs before they are killed, and their first batches.
    spread_s = max(seconds(quiet, *logs) - start_s, 0.1) / kills * 2 / 3
    chance = random.Random(20261121)  # noqa: S311  reproducible shares of it, no secret
    in_the_middle = unfinished = 0
    for _ in range(kills):
        before = installations.last_write(house)
        process = subprocess.Popen(
            house.command("import", "--source", SOURCE, *logs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(partial(is_moving, installations, house, process, before), "the first batch of this life", every_s=0.005)
        time.sleep(chance.uniform(0, spread_s))
        process.send_signal(signal.SIGKILL)
        in_the_middle += process.wait() == -signal.SIGKILL
        unfinished += bool(house.unfinished())
    account = house.output("import", "--source", SOURCE, *logs)
    sys.stdout.write(f"{kind}: {kills} kills, {in_the_middle} inside, {unfinished} before the checkpoint\n")
    assert in_the_middle > kills * 3 // 4, "the kills came after the end: make the logs longer"
    assert house.content() == quiet.content()
    assert house.output("store", "check", "--deep")["ok"]
    assert is_balanced(account)
    assert is_balanced(house.account())
    digest = house.output("store", "digest")
    assert digest == quiet.output("store", "digest")
    records = sum(len(Path(path).read_text(encoding="utf-8").splitlines()) for path in logs)
    again = house.output("import", "--source", SOURCE, *logs)
    assert (again["received"], again["duplicate"], again["stored"]) == (records, records, 0)
    assert house.content() == quiet.content()
    assert house.output("store", "digest") == digest
