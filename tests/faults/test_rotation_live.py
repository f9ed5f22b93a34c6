"""Files that rotate, are packed, appear and vanish under the running daemon: every line once.

The collector's own tests have the whole matrix (tests/collect); these prove that it is wired to the store.
"""

import gzip
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.running import House, daemon, is_balanced, until_read, web_line

pytestmark = pytest.mark.slow

PART = 300


def write(path: Path, first: int, *, mode: str = "a") -> None:
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(f"{web_line(f'/jwxt?n={number}', number)}\n" for number in range(first, first + PART))


def rename_and_create(folder: Path) -> None:
    (folder / "access.log").rename(folder / "access.log.1")
    write(folder / "access.log", PART)


def copy_and_truncate(folder: Path) -> None:
    shutil.copyfile(folder / "access.log", folder / "access.log.1")
    write(folder / "access.log", PART, mode="w")


def rename_and_pack(folder: Path) -> None:
    (folder / "access.log").rename(folder / "access.log.1")
    write(folder / "access.log", PART)
    with (folder / "access.log.1").open("rb") as plain, gzip.open(folder / "access.log.2.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    (folder / "access.log.1").unlink()


def vanish_and_come_back(folder: Path) -> None:
    moved = folder.with_name("moved")
    folder.rename(moved)
    folder.mkdir()
    write(folder / "access.log", PART)


@pytest.mark.parametrize("change", [rename_and_create, copy_and_truncate, rename_and_pack, vanish_and_come_back])
def test_every_line_is_stored_once(change: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    house = House(tmp_path / "house", [f"{folder}/access.log*"], workers=0)
    with daemon(house) as running:
        folder.mkdir()  # it was not there when the daemon started
        write(folder / "access.log", 0)
        until_read(house, PART)
        change(folder)
        until_read(house, 2 * PART)
        assert running.terminate() == 0
    write(folder / "access.log", 2 * PART)
    assert house.done("up", "--once").returncode == 0  # what is there still is known again
    assert house.numbers() == Counter(range(3 * PART))
    assert is_balanced(house.account())


def test_a_folder_that_vanishes_is_told_and_read_again_when_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    write(folder / "access.log", 0)
    house = House(tmp_path / "house", [str(folder / "access.log")], workers=0)
    with daemon(house) as running:
        until_read(house, PART)
        shutil.rmtree(folder)
        status, _ = running.get("readyz")
        assert status == 200  # a source of many is away: the others go on
        folder.mkdir()
        write(folder / "access.log", PART)
        until_read(house, 2 * PART)
        assert running.terminate() == 0
    assert house.numbers() == Counter(range(2 * PART))
