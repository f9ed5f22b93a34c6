"""The embedded store when the disk is full, a file is damaged or not ours: clear errors, nothing half, going on."""

import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from secmon.errors import StoreError, StoreUnavailableError
from secmon.model.questions import EventQuery, HitQuery
from secmon.model.record import Document, RecordQuery
from secmon.store.sqlite import connection
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.store.sqlite.records import SqliteRecords
from tests.contracts.builders import DAY, ROOT_ACCESS, batch_of, event_at, hit_on


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: to SQLite the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteEventLog]:
    opened = SqliteEventLog(tmp_path / "events", writable=True)
    with closing(opened):
        yield opened


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqliteRecords]:
    opened = SqliteRecords(tmp_path / "control.db", writable=True)
    with closing(opened):
        yield opened


def partition(tmp_path: Path) -> Path:
    return tmp_path / "events" / f"security-{DAY.isoformat()}.db"


def stored_and_closed(tmp_path: Path, events: int = 600) -> Path:
    """Store one batch, and return the file of its partition."""
    with closing(SqliteEventLog(tmp_path / "events", writable=True)) as log:
        stored = [event_at(n, user_name=f"u{n}") for n in range(events)]
        log.commit(ROOT_ACCESS, batch_of(stored, hits=[hit_on(event) for event in stored[:20]]))
    return partition(tmp_path)


def test_a_full_disk_is_told_and_nothing_of_the_batch_is_stored(log: SqliteEventLog, tmp_path: Path) -> None:
    log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
    before = log.digest(ROOT_ACCESS)
    events = [event_at(n, message=f"{n:050d}", user_name=f"u{n}") for n in range(1, 5_000)]
    batch = batch_of(events, number=2, hits=[hit_on(event) for event in events])
    with no_file_above(Path(f"{partition(tmp_path)}-wal").stat().st_size + 100_000):
        for _ in range(3):
            with pytest.raises(StoreUnavailableError) as refused:
                log.commit(ROOT_ACCESS, batch)
            assert refused.value.retryable
            assert str(partition(tmp_path)) in str(refused.value)
        assert log.digest(ROOT_ACCESS) == before
    row = log.commit(ROOT_ACCESS, batch)
    assert row.hits == len(events)
    assert log.count(ROOT_ACCESS, EventQuery()) == {"": 5_000}
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_a_full_disk_at_the_very_first_commit_leaves_a_store_that_starts_later(log: SqliteEventLog) -> None:
    for size in (0, 5_000, 20_000, 60_000):
        with no_file_above(size), pytest.raises(StoreUnavailableError):
            log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
        assert list(log.events(ROOT_ACCESS, EventQuery())) == []
        assert log.partitions(ROOT_ACCESS) == []
    log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
    assert log.check(ROOT_ACCESS, deep=True) == []


def test_documents_survive_a_full_disk(records: SqliteRecords) -> None:
    first = records.create(ROOT_ACCESS, Document(kind="alert", id="a", body={"n": 1}))
    with no_file_above(200_000), pytest.raises(StoreUnavailableError):
        records.create_all(
            ROOT_ACCESS, [Document(kind="alert", id=f"{n}", body={"t": "x" * 1_000}) for n in range(2_000)]
        )
    assert records.count(ROOT_ACCESS, RecordQuery(kind="alert")) == {"": 1}
    assert records.replace(ROOT_ACCESS, first).version == 2
    assert records.check(ROOT_ACCESS, deep=True) == []


def test_a_log_that_cannot_be_moved_back_keeps_the_commit(
    log: SqliteEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is durable in the log; that the database cannot grow now must not turn it into a failure."""
    monkeypatch.setattr(connection, "CHECKPOINT_PAGES", 1_000_000)
    for number in range(1, 6):
        log.commit(ROOT_ACCESS, batch_of([event_at(number * 1_000 + n) for n in range(500)], number=number))
    monkeypatch.setattr(connection, "CHECKPOINT_PAGES", 1)
    wal = Path(f"{partition(tmp_path)}-wal").stat().st_size
    assert partition(tmp_path).stat().st_size < wal
    with no_file_above(wal + 300_000):
        log.commit(ROOT_ACCESS, batch_of([event_at(0)], number=9))
    assert log.count(ROOT_ACCESS, EventQuery()) == {"": 2_501}


def test_the_log_is_moved_back_while_nobody_reads(
    log: SqliteEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CHECKPOINT_PAGES", 50)
    for number in range(1, 40):
        log.commit(ROOT_ACCESS, batch_of([event_at(number * 1_000 + n) for n in range(100)], number=number))
        assert Path(f"{partition(tmp_path)}-wal").stat().st_size < 2_000_000
    assert partition(tmp_path).stat().st_size > 200_000


def test_every_commit_is_synced_before_it_is_acknowledged(log: SqliteEventLog, records: SqliteRecords) -> None:
    """SQLite syncs the log at each commit in this mode (https://www.sqlite.org/pragma.html#pragma_synchronous)."""
    log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
    records.create(ROOT_ACCESS, Document(kind="alert", id="a", body={}))
    (writer,) = log._folder._writers.values()
    for opened in (writer._connection, records._writer):
        assert opened is not None
        assert opened.pragma("journal_mode") == "wal"
        assert opened.pragma("synchronous") == 2
        assert opened.pragma("wal_autocheckpoint") == 0


def test_a_closed_store_leaves_no_log_behind(tmp_path: Path) -> None:
    path = stored_and_closed(tmp_path)
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]


@pytest.mark.parametrize("place", [0, 16, 100, *(page * 4_096 for page in (1, 3, 7, 11, 20))])
def test_damaged_bytes_never_end_in_a_traceback(tmp_path: Path, place: int) -> None:
    path = stored_and_closed(tmp_path)
    content = bytearray(path.read_bytes())
    content[place : place + 600] = b"\xa5" * 600
    path.write_bytes(content)
    with closing(SqliteEventLog(tmp_path / "events", writable=True)) as log:
        problems = log.check(ROOT_ACCESS, deep=True)
        assert problems
        assert all(str(path) in problem for problem in problems)
        for ask in (
            lambda: list(log.events(ROOT_ACCESS, EventQuery())),
            lambda: list(log.hits(ROOT_ACCESS, HitQuery())),
            lambda: log.digest(ROOT_ACCESS),
            lambda: log.commit(ROOT_ACCESS, batch_of([event_at(9_999_999)], number=2)),
        ):
            try:
                ask()
            except StoreError as error:
                assert str(path) in str(error)  # noqa: PT017  an answer from the sound part is as good


def test_a_changed_block_is_noticed_by_its_checksum(tmp_path: Path) -> None:
    path = stored_and_closed(tmp_path)
    with closing(apsw.Connection(str(path))) as raw:
        data = bytearray(raw.execute("SELECT data FROM block WHERE first = 1").get)
        data[len(data) // 2] ^= 1
        raw.execute("UPDATE block SET data = ? WHERE first = 1", (bytes(data),))
    with closing(SqliteEventLog(tmp_path / "events", writable=False)) as log:
        (problem,) = log.check(ROOT_ACCESS, deep=True)
        assert str(path) in problem
        with pytest.raises(StoreError, match="backup"):
            list(log.events(ROOT_ACCESS, EventQuery()))


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM hit WHERE seq = 1",
        "DELETE FROM event WHERE seq = 600",
        "DELETE FROM block WHERE first = 501",
        "UPDATE facts SET events = 7",
        "DELETE FROM facts",
        "UPDATE event SET id = zeroblob(16) WHERE seq = 3",
        "DELETE FROM batch",
    ],
)
def test_a_missing_or_changed_row_is_noticed(tmp_path: Path, change: str) -> None:
    path = stored_and_closed(tmp_path)
    with closing(apsw.Connection(str(path))) as raw:
        raw.execute(change)
    with closing(SqliteEventLog(tmp_path / "events", writable=False)) as log:
        assert log.check(ROOT_ACCESS, deep=True) != []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    partition(tmp_path).parent.mkdir()
    partition(tmp_path).write_text("no database, and longer than its header would be " * 20, encoding="utf-8")
    with closing(SqliteEventLog(tmp_path / "events", writable=True)) as log:
        with pytest.raises(StoreError, match="damaged"):
            list(log.events(ROOT_ACCESS, EventQuery()))
        with pytest.raises(StoreError, match="damaged"):
            log.commit(ROOT_ACCESS, batch_of([event_at(0)]))


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with closing(SqliteRecords(path, writable=True)) as records:
        with pytest.raises(StoreError, match="not a database of secmon"):
            records.create(ROOT_ACCESS, Document(kind="alert", id="a", body={}))
        with pytest.raises(StoreError, match="not a database of secmon"):
            records.get(ROOT_ACCESS, "alert", "a")
    assert path.read_bytes() == before


def test_a_database_of_a_newer_secmon_is_refused(tmp_path: Path) -> None:
    path = stored_and_closed(tmp_path)
    with closing(apsw.Connection(str(path))) as raw:
        raw.pragma("user_version", 99)
    for writable in (True, False):
        with closing(SqliteEventLog(tmp_path / "events", writable=writable)) as log:
            with pytest.raises(StoreError, match=r"schema 99, known [0-9]+.*install"):
                list(log.events(ROOT_ACCESS, EventQuery()))
            assert log.check(ROOT_ACCESS) != []


def test_files_that_are_no_partitions_are_passed_over(tmp_path: Path) -> None:
    path = stored_and_closed(tmp_path)
    for name in ("notes.txt", "security-2026-02-30.db", "Security-2026-11-21.db", "security-2026-11-20.db.bak"):
        shutil.copy(path, path.with_name(name))
    with closing(SqliteEventLog(tmp_path / "events", writable=False)) as log:
        assert len(log.partitions(ROOT_ACCESS)) == 1


def test_a_half_made_partition_is_no_partition_yet(tmp_path: Path) -> None:
    path = stored_and_closed(tmp_path)
    path.with_name("security-2026-11-20.db").touch()
    with closing(SqliteEventLog(tmp_path / "events", writable=False)) as log:
        assert [one.day for one in log.partitions(ROOT_ACCESS)] == [DAY]
        assert log.check(ROOT_ACCESS, deep=True) == []


def test_a_log_without_its_database_does_not_come_alive_in_the_next_one(tmp_path: Path) -> None:
    """A drop that was killed between two files; the old log must not come alive in a new database."""
    path, kept = partition(tmp_path), tmp_path / "kept"
    with closing(SqliteEventLog(path.parent, writable=True)) as log:
        log.commit(ROOT_ACCESS, batch_of([event_at(7)]))
        shutil.copy(f"{path}-wal", kept)
        log.drop_partition(ROOT_ACCESS, DAY, "security")
    shutil.copy(kept, f"{path}-wal")
    with closing(SqliteEventLog(path.parent, writable=True)) as log:
        log.commit(ROOT_ACCESS, batch_of([event_at(0)]))
        assert [event["event.id"] for event in log.events(ROOT_ACCESS, EventQuery())] == [event_at(0)["event.id"]]
        assert log.check(ROOT_ACCESS, deep=True) == []


def test_a_broken_floor_file_is_named(tmp_path: Path) -> None:
    stored_and_closed(tmp_path)
    floor = tmp_path / "events" / "commit.floor"
    for content in (b"", b"x", b"\xff"):
        floor.write_bytes(content)
        opened = closing(SqliteEventLog(tmp_path / "events", writable=False))
        with opened as log, pytest.raises(StoreError, match=r"commit\.floor"):
            log.hits_since(ROOT_ACCESS, "")


def test_what_was_opened_for_reading_does_not_write(tmp_path: Path) -> None:
    path = stored_and_closed(tmp_path)
    with (
        closing(SqliteEventLog(tmp_path / "events", writable=False)) as log,
        closing(SqliteRecords(tmp_path / "control.db", writable=False)) as records,
    ):
        with pytest.raises(StoreError, match="for reading"):
            log.commit(ROOT_ACCESS, batch_of([event_at(0)], number=2))
        with pytest.raises(StoreError, match="for reading"):
            log.drop_partition(ROOT_ACCESS, DAY, "security")
        with pytest.raises(StoreError, match="for reading"):
            records.create(ROOT_ACCESS, Document(kind="alert", id="a", body={}))
    assert path.exists()
    assert not (tmp_path / "control.db").exists()


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StoreError, match="WAL-reset"):
        SqliteEventLog(tmp_path / "events", writable=True).commit(ROOT_ACCESS, batch_of())


def test_more_partitions_than_open_writers_take_turns(log: SqliteEventLog, tmp_path: Path) -> None:
    days = [DAY + timedelta(days=n) for n in range(7)]
    for number in range(1, 4):
        for day in days:
            log.commit(ROOT_ACCESS, batch_of([event_at(number, day=day)], day=day, number=number))
    assert log.count(ROOT_ACCESS, EventQuery()) == {"": 21}
    assert log.check(ROOT_ACCESS, deep=True) == []
    assert len(list((tmp_path / "events").glob("*.db"))) == 7
