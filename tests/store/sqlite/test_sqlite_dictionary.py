"""The dictionary of a partition: right whatever it has forgotten, and bounded in bytes."""

import contextlib
import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.store.sqlite import dictionary
from secmon.store.sqlite.connection import open_writer, transaction
from secmon.store.sqlite.dictionary import Dictionary
from secmon.store.sqlite.schema import PARTITION

MEBIBYTE = 1 << 20


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    opened = open_writer(tmp_path / "partition", PARTITION)
    yield opened
    opened.close()


def words(connection: apsw.Connection) -> dict[tuple[int, str], int]:
    return {(field, text): number for number, field, text in connection.execute("SELECT id, field, text FROM word")}


@pytest.mark.parametrize("cache_bytes", [0, 1_000, MEBIBYTE])
def test_every_text_has_one_number_however_little_is_remembered(
    tmp_path_factory: pytest.TempPathFactory, cache_bytes: int
) -> None:
    batches = st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.none() | st.text("ab\x1f", max_size=12), max_size=8)), max_size=12
    )

    @settings(deadline=None, max_examples=40)
    @given(batches, st.integers(0, 12), st.integers(0, 12))
    def check(batches: list[tuple[int, list[str | None]]], restart: int, failure: int) -> None:
        connection = open_writer(tmp_path_factory.mktemp("words") / "partition", PARTITION)
        ours = Dictionary(connection)
        for number, (field, texts) in enumerate(batches):
            if number == restart:
                ours = Dictionary(connection)
            if number == failure:
                with contextlib.suppress(apsw.SQLError), transaction(connection):
                    ours.encode(field, texts)
                    connection.execute("SELECT nothing")  # refused: all of it is rolled back
                ours.forget()
                continue
            with transaction(connection):
                numbers = ours.encode(field, texts)
            known = words(connection)
            assert numbers == [None if text is None else known[field, text] for text in texts]
        connection.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dictionary, "CACHE_BYTES", cache_bytes)
        patch.setattr(dictionary, "_MAX_CACHED_CHARS", 6)
        check()


def test_what_is_remembered_is_bounded_in_bytes(connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "CACHE_BYTES", MEBIBYTE)
    for _ in range(2):  # a new dictionary, and one that finds all of that in the file
        ours = Dictionary(connection)
        with transaction(connection):
            ours.encode(0, ["first"])
        gc.collect()
        tracemalloc.start()
        try:
            with transaction(connection):
                for number in range(60):
                    ours.encode(number % 4, [f"{number} {each} {'x' * (each % 3_000)}" for each in range(200)])
                    ours.encode(5, [f"{number} " + "y" * 50_000])
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < 1.5 * MEBIBYTE
        finally:
            tracemalloc.stop()
