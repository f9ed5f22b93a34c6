"""Both ports across processes: killed writers, readers beside a writer, swaps from everywhere."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from secmon.model.hit import Hit
from secmon.model.questions import EventQuery, HitQuery
from secmon.model.record import Document
from tests.contracts.backends import Opened, empty_store, store_of
from tests.contracts.builders import ROOT_ACCESS
from tests.contracts.other_process import BATCHES, EVENTS, SWAPS, numbered_batch

ROOT = Path(__file__).parent.parent.parent


def other_process(job: str, backend: str, state: Path, seed: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contracts.other_process", job, backend, str(state), str(seed)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def seen_by_another_process(backend: str, state: Path) -> dict[str, Any]:
    with other_process("read", backend, state) as process:
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    seen: dict[str, Any] = json.loads(text)
    return seen


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_acknowledged_and_halves_nothing(backend: str, tmp_path: Path) -> None:
    killed = 0
    for seed in range(12):
        with other_process("write", backend, tmp_path, seed) as process:
            text, _ = process.communicate(timeout=60)
        killed += process.returncode == -signal.SIGKILL
        acknowledged = {int(line) for line in text.split("\n")[:-1]}
        with store_of(backend, tmp_path, writable=False) as store:
            numbers = {row.number for row in store.log.batches(ROOT_ACCESS)}
            assert acknowledged <= numbers
            assert store.log.count(ROOT_ACCESS, EventQuery()) == {"": EVENTS * len(numbers)}
            assert len(list(store.log.hits(ROOT_ACCESS, HitQuery(keys=("k",))))) == EVENTS // 10 * len(numbers)
            assert store.log.check(ROOT_ACCESS, deep=True) == []
    assert killed > 0
    with store_of(backend, tmp_path) as store, empty_store(backend) as uninterrupted:
        for number in range(1, BATCHES + 1):
            store.log.commit(ROOT_ACCESS, numbered_batch(number))
            uninterrupted.log.commit(ROOT_ACCESS, numbered_batch(number))
        assert store.log.digest(ROOT_ACCESS) == uninterrupted.log.digest(ROOT_ACCESS)
        assert store.log.check(ROOT_ACCESS, deep=True) == []


def test_another_process_sees_what_was_committed_at_once(backend: str, store: Opened, tmp_path: Path) -> None:
    store.log.commit(ROOT_ACCESS, numbered_batch(1))
    store.records.create(ROOT_ACCESS, Document(kind="alert", id="x", body={}))
    assert seen_by_another_process(backend, tmp_path) == {
        "digest": store.log.digest(ROOT_ACCESS), "events": EVENTS, "documents": 1,
    }  # fmt: skip


def test_a_store_that_was_closed_is_there_again(backend: str, tmp_path: Path) -> None:
    with store_of(backend, tmp_path) as store:
        store.log.commit(ROOT_ACCESS, numbered_batch(1))
        store.records.create(ROOT_ACCESS, Document(kind="alert", id="x", body={}))
        before, mark = store.log.digest(ROOT_ACCESS), store.log.hits_since(ROOT_ACCESS, "")[1]
    with store_of(backend, tmp_path) as store:
        assert store.log.digest(ROOT_ACCESS) == before
        assert store.log.hits_since(ROOT_ACCESS, mark) == ([], mark)
        assert store.records.get(ROOT_ACCESS, "alert", "x") is not None


def test_an_empty_folder_can_be_read(backend: str, tmp_path: Path) -> None:
    with store_of(backend, tmp_path, writable=False) as store:
        assert list(store.log.events(ROOT_ACCESS, EventQuery())) == []
        assert store.records.get(ROOT_ACCESS, "alert", "x") is None
    assert list(tmp_path.iterdir()) == []


def test_a_reader_beside_the_writer_sees_whole_batches_and_misses_no_hit(
    backend: str, store: Opened, tmp_path: Path
) -> None:
    done = threading.Event()

    def write() -> None:
        try:
            for number in range(1, BATCHES + 1):
                store.log.commit(ROOT_ACCESS, numbered_batch(number))
        finally:
            done.set()

    writer = threading.Thread(target=write)
    with store_of(backend, tmp_path, writable=False) as reader:
        writer.start()
        mark, hits, partial = "", list[Hit](), 0
        while not done.is_set():
            partial += reader.log.count(ROOT_ACCESS, EventQuery())[""] % EVENTS
            fresh, mark = reader.log.hits_since(ROOT_ACCESS, mark)
            hits += fresh
        writer.join()
        hits += reader.log.hits_since(ROOT_ACCESS, mark)[0]
    assert partial == 0
    assert len(hits) == len({hit.event_id for hit in hits}) == BATCHES * EVENTS // 10


def test_processes_that_swap_the_same_document_lose_no_change(backend: str, store: Opened, tmp_path: Path) -> None:
    store.records.create(ROOT_ACCESS, Document(kind="counter", id="n", body={"n": 0}))
    processes = [other_process("swap", backend, tmp_path) for _ in range(2)]
    for process in processes:
        with process:
            process.communicate(timeout=60)
        assert process.returncode == 0
    read = store.records.get(ROOT_ACCESS, "counter", "n")
    assert read is not None
    assert read.body == {"n": 2 * SWAPS}
