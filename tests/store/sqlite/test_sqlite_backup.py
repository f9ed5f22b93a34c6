"""Copies of a store in use belong together; files of older schemas become current, of newer ones are refused."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from secmon.app import audit, integrity
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import ConflictError, StoreError
from secmon.model.record import RecordQuery
from secmon.store.sqlite import backup as module
from secmon.store.sqlite.backup import backup, migrate
from secmon.store.sqlite.schema import PARTITION
from tests.app.houses import OPERATOR, SetClock, opened_house
from tests.app.moves import fill, visit


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with opened_house(tmp_path / "state", clock) as opened:
        fill(opened, tmp_path, clock)
        yield opened


def test_a_copy_is_the_same_and_goes_on(house: Installation, tmp_path: Path, clock: SetClock) -> None:
    before = integrity.digest(house, OPERATOR)
    backup(tmp_path / "state", tmp_path / "copy")
    visit(house, tmp_path, 3)
    evaluate(house, OPERATOR)
    anchored = (tmp_path / "copy" / "audit.head").read_text(encoding="utf-8")
    with opened_house(tmp_path / "copy", clock) as copy:
        assert integrity.digest(copy, OPERATOR) == before
        assert integrity.check(copy, OPERATOR, store="sqlite", deep=True, anchored=anchored)["ok"]
        assert audit.verify(copy, OPERATOR, anchored=anchored) == []
        visit(copy, tmp_path, 3)
        evaluate(copy, OPERATOR)
        assert integrity.digest(copy, OPERATOR) == integrity.digest(house, OPERATOR)


def test_copies_made_while_it_is_written_belong_together(house: Installation, tmp_path: Path, clock: SetClock) -> None:
    stop = threading.Event()

    def write() -> None:
        for number in range(3, 60):
            if stop.is_set():
                return
            visit(house, tmp_path, number)
            evaluate(house, OPERATOR)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(4):
            backup(tmp_path / "state", tmp_path / f"copy-{number}")
    finally:
        stop.set()
        thread.join()
    for number in range(4):
        with opened_house(tmp_path / f"copy-{number}", clock) as copy:
            assert integrity.check(copy, OPERATOR, store="sqlite", deep=True)["ok"]
            evaluate(copy, OPERATOR)  # a mark behind the last commit would be refused
            batches = sum(1 for _ in copy.log.commits(OPERATOR))
            letters = copy.records.count(OPERATOR, RecordQuery(kind="deadletter"))[""]
            assert letters in {batches, batches + 1}  # each batch had one, and it is kept before its batch


@pytest.mark.usefixtures("house")
def test_a_backup_is_never_written_over(tmp_path: Path) -> None:
    backup(tmp_path / "state", tmp_path / "copy")
    with pytest.raises(ConflictError):
        backup(tmp_path / "state", tmp_path / "copy")


@pytest.mark.usefixtures("house")
def test_files_are_their_owner_s_alone(tmp_path: Path) -> None:
    backup(tmp_path / "state", tmp_path / "copy")
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "copy").rglob("*.db")} == {0}


def test_older_files_become_current_and_keep_what_they_hold(
    tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_house(tmp_path / "state", clock) as house:
        fill(house, tmp_path, clock)
        before = integrity.digest(house, OPERATOR)
    later = replace(PARTITION, migrations=(*PARTITION.migrations, "CREATE TABLE later (one INTEGER);"))
    monkeypatch.setattr(module, "PARTITION", later)
    assert len(migrate(tmp_path / "state")) == 3
    assert migrate(tmp_path / "state") == []
    for path in (tmp_path / "state" / "events").glob("*.db"):
        connection = apsw.Connection(str(path))
        assert connection.pragma("user_version") == later.version
        assert connection.execute("SELECT count(*) FROM later").get == 0
        connection.pragma("user_version", PARTITION.version)  # as this program knows it, to read it again
        connection.close()
    with opened_house(tmp_path / "state", clock) as house:
        assert integrity.digest(house, OPERATOR) == before


def test_files_of_a_newer_program_are_refused(tmp_path: Path, clock: SetClock) -> None:
    with opened_house(tmp_path / "state", clock) as house:
        fill(house, tmp_path, clock)
    path = min((tmp_path / "state" / "events").glob("*.db"))
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", PARTITION.version + 1)
    connection.close()
    with opened_house(tmp_path / "state", clock) as house, pytest.raises(StoreError, match="made by a newer secmon"):
        integrity.digest(house, OPERATOR)
