"""A database whose maker was killed while it made it: the next writer makes it, a reader sees nothing in it."""

import shutil
from pathlib import Path

import apsw
import pytest

from secmon.model.access import job_access
from secmon.model.record import Document
from secmon.store.sqlite.records import SqliteRecords

ACCESS = job_access("test")


@pytest.fixture
def half_made(tmp_path: Path) -> Path:
    """Return a database file together with the rollback journal of a transaction that never ended."""
    making = tmp_path / "making.db"
    connection = apsw.Connection(str(making))
    connection.pragma("cache_size", 1)  # so that the transaction reaches the file before it ends
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE filler (value)")
    for _ in range(50):
        connection.execute("INSERT INTO filler VALUES (zeroblob(4000))")
    path = tmp_path / "control.db"
    shutil.copyfile(making, path)
    shutil.copyfile(f"{making}-journal", f"{path}-journal")
    connection.close()
    return path


def test_a_reader_of_a_half_made_database_sees_nothing(half_made: Path) -> None:
    records = SqliteRecords(half_made, writable=False)
    assert records.get(ACCESS, "alert", "a") is None
    records.close()


def test_the_next_writer_makes_it(half_made: Path) -> None:
    records = SqliteRecords(half_made, writable=True)
    assert records.get(ACCESS, "alert", "a") is None  # a reader comes first: it must not be the end
    records.create(ACCESS, Document(kind="alert", id="a", body={}))
    assert records.get(ACCESS, "alert", "a") is not None
    records.close()
