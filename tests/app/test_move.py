"""Moving a store: everything arrives once, whatever dies on the way; nothing is taken for what it is not."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from secmon.app import audit, deadletters, integrity
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.app.move import Progress, move, refuse_unfinished
from secmon.errors import ConflictError, StoreError, StoreUnavailableError
from secmon.model.questions import HitQuery
from secmon.model.record import Document, RecordQuery
from tests.app.houses import OPERATOR, SetClock
from tests.app.moves import Strike, fill, house_on, visit
from tests.contracts.backends import remove_store

ROOT = Path(__file__).parent.parent.parent
WAYS = [
    pytest.param(("sqlite", "elasticsearch"), id="to-elasticsearch", marks=pytest.mark.elasticsearch),
    pytest.param(("elasticsearch", "sqlite"), id="to-sqlite", marks=pytest.mark.elasticsearch),
    pytest.param(("sqlite", "sqlite"), id="to-another-folder"),
]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    source, target = request.param
    yield source, target
    remove_store(source, tmp_path / "old")
    remove_store(target, tmp_path / "new")


@pytest.fixture
def old(way: tuple[str, str], tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with house_on(way[0], tmp_path / "old", clock) as house:
        fill(house, tmp_path, clock)
        yield house


@pytest.fixture
def new(way: tuple[str, str], tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with house_on(way[1], tmp_path / "new", clock) as house:
        yield house


def test_everything_arrives(old: Installation, new: Installation, tmp_path: Path) -> None:
    before = integrity.digest(old, OPERATOR)
    told: list[Progress] = []
    found = move(old, new, OPERATOR, tell=told.append)
    assert (found["moved"], found["batches"], found["partitions"]) == (True, 3, 3)
    assert found["events"] == 15
    assert integrity.digest(new, OPERATOR) == before == integrity.digest(old, OPERATOR)
    assert new.records.kinds(OPERATOR) == tuple(sorted({*old.records.kinds(OPERATOR), "move"} - {"session"}))
    for kind in set(old.records.kinds(OPERATOR)) - {"session", "mark", "audit", "audit_head"}:
        assert new.records.find(OPERATOR, RecordQuery(kind=kind)) == old.records.find(OPERATOR, RecordQuery(kind=kind))
    assert {progress.step for progress in told} == {"events", "documents", "verify"}
    assert all(progress.done <= progress.total for progress in told)
    anchored = (tmp_path / "new" / "audit.head").read_text()
    assert audit.verify(new, OPERATOR, anchored=anchored) == []
    assert integrity.check(new, OPERATOR, store="new", deep=True)["ok"]


def test_partitions_keep_day_and_retention_class(old: Installation, new: Installation) -> None:
    move(old, new, OPERATOR)
    kept = [replace(one, bytes=0) for one in new.log.partitions(OPERATOR)]
    assert kept == [replace(one, bytes=0) for one in old.log.partitions(OPERATOR)]


def test_the_source_is_not_touched(old: Installation, new: Installation) -> None:
    documents = {kind: old.records.find(OPERATOR, RecordQuery(kind=kind)) for kind in old.records.kinds(OPERATOR)}
    move(old, new, OPERATOR)
    assert {kind: old.records.find(OPERATOR, RecordQuery(kind=kind)) for kind in documents} == documents
    assert set(documents) == set(old.records.kinds(OPERATOR))


def test_sealed_dead_letters_open_with_the_same_key(old: Installation, new: Installation) -> None:
    move(old, new, OPERATOR)
    rows, _ = deadletters.list_letters(new, OPERATOR)
    found = deadletters.replay(new, OPERATOR, ids=[row["deadletter.id"] for row in rows])
    assert (found.replayed, found.still_malformed) == (2, 2)


def test_alerts_go_on_as_if_nothing_was_moved(old: Installation, new: Installation, tmp_path: Path) -> None:
    move(old, new, OPERATOR)
    for house in (old, new):
        assert evaluate(house, OPERATOR).hits == 4  # of the import that waited for its tick, and of no other
        visit(house, tmp_path, 3)
        assert evaluate(house, OPERATOR).hits == 4
    assert integrity.digest(new, OPERATOR) == integrity.digest(old, OPERATOR)
    query = RecordQuery(kind="alert")
    assert new.records.find(OPERATOR, query) == old.records.find(OPERATOR, query)


def test_a_mark_behind_dropped_partitions_is_moved_too(old: Installation, new: Installation, tmp_path: Path) -> None:
    evaluate(old, OPERATOR)
    for partition in old.log.partitions(OPERATOR):
        old.log.drop_partition(OPERATOR, partition.day, partition.retention)
    visit(old, tmp_path, 3)
    move(old, new, OPERATOR)
    assert evaluate(new, OPERATOR).hits == 4


def test_an_empty_store_moves(way: tuple[str, str], tmp_path: Path) -> None:
    with house_on(way[0], tmp_path / "old") as old, house_on(way[1], tmp_path / "new") as new:
        found = move(old, new, OPERATOR)
    assert (found["moved"], found["events"], found["documents"]) == (True, 0, 0)


def test_a_second_move_says_that_it_is_done(old: Installation, new: Installation) -> None:
    first = move(old, new, OPERATOR)
    entries = new.records.count(OPERATOR, RecordQuery(kind="audit"))
    assert move(old, new, OPERATOR) == {**first, "moved": False}
    assert new.records.count(OPERATOR, RecordQuery(kind="audit")) == entries


@pytest.mark.parametrize("after", [8, 40])
def test_a_source_that_was_written_since_is_told(
    old: Installation, new: Installation, tmp_path: Path, after: int
) -> None:
    with contextlib.suppress(StoreUnavailableError):
        move(old, Strike(after).on(new), OPERATOR)
    visit(old, tmp_path, 3)
    with pytest.raises(ConflictError, match="the source is not what it was"):
        move(old, new, OPERATOR)


def test_a_source_that_is_written_during_the_move_is_told(old: Installation, new: Installation, tmp_path: Path) -> None:
    def write(progress: Progress) -> None:
        if progress == Progress("verify", 3, 3):
            visit(old, tmp_path, 3)

    with pytest.raises(ConflictError, match="the source is not what it was"):
        move(old, new, OPERATOR, tell=write)
    with pytest.raises(StoreError, match="was not finished"):
        refuse_unfinished(new.records, OPERATOR)


def test_a_target_that_holds_something_is_refused(old: Installation, new: Installation) -> None:
    new.records.create(OPERATOR, Document(kind="alert", id="a", body={}))
    with pytest.raises(ConflictError, match="the target holds something else"):
        move(old, new, OPERATOR)
    assert new.records.kinds(OPERATOR) == ("alert",)


def test_a_target_with_events_is_refused(old: Installation, new: Installation) -> None:
    new.log.commit(OPERATOR, old.log.contents(OPERATOR, next(old.log.commits(OPERATOR))[0]))
    with pytest.raises(ConflictError, match="the target holds something else"):
        move(old, new, OPERATOR)


def test_a_half_is_refused_by_everybody_else(old: Installation, new: Installation) -> None:
    with pytest.raises(StoreUnavailableError):
        move(old, Strike(12).on(new), OPERATOR)
    with pytest.raises(StoreError, match="was not finished"):
        refuse_unfinished(new.records, OPERATOR)
    move(old, new, OPERATOR)
    refuse_unfinished(new.records, OPERATOR)


def test_a_copy_that_is_not_the_same_is_never_used(old: Installation, new: Installation) -> None:
    def spoil(progress: Progress) -> None:
        if progress.step == "documents" and progress.done == progress.total:
            found = new.records.find(OPERATOR, RecordQuery(kind="alert")).documents[0]
            new.records.replace(OPERATOR, found)

    with pytest.raises(StoreError, match="not the same"):
        move(old, new, OPERATOR, tell=spoil)
    with pytest.raises(StoreError, match="was not finished"):
        refuse_unfinished(new.records, OPERATOR)


def test_failing_later_and_later_it_goes_on_and_ends(old: Installation, new: Installation) -> None:
    expected = integrity.digest(old, OPERATOR)
    for after in range(0, 400, 5):
        try:
            found = move(old, Strike(after).on(new), OPERATOR)
        except StoreUnavailableError:
            continue
        break
    assert after > 20
    assert (found["moved"], found["digest"]) == (
        True,
        {name: expected[name] for name in ("events", "hits", "findings")},
    )
    assert integrity.digest(new, OPERATOR) == expected
    assert new.records.count(OPERATOR, RecordQuery(kind="audit", equals={"action": ("store.move",)})) == {"": 1}
    assert len(list(new.log.hits(OPERATOR, HitQuery()))) == found["hits"] == 12


def test_failing_at_any_one_call_it_is_done_the_second_time(tmp_path: Path, clock: SetClock) -> None:
    with house_on("sqlite", tmp_path / "old", clock) as old:
        fill(old, tmp_path, clock, visits=2)
        expected = integrity.digest(old, OPERATOR)
        failed = 0
        for after in range(400):
            with house_on("sqlite", tmp_path / f"new-{after}", clock) as new:
                try:
                    move(old, Strike(after).on(new), OPERATOR)
                    break
                except StoreUnavailableError:
                    failed += 1
                found = move(old, new, OPERATOR)
                assert integrity.digest(new, OPERATOR) == expected
                assert found["events"] == 10
                assert audit.verify(new, OPERATOR) == []
        assert failed == after > 50


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS[:2], indirect=True)
def test_a_killed_move_goes_on(way: tuple[str, str], old: Installation, tmp_path: Path, clock: SetClock) -> None:
    """The process is killed at a later moment each time, until it lives to the end."""
    expected, killed = integrity.digest(old, OPERATOR), 0
    for after in range(2, 400, 19):
        command = [sys.executable, "-m", "tests.app.moving", *way, str(tmp_path), str(after)]
        status = subprocess.run(command, cwd=ROOT, check=False, timeout=120).returncode
        if status == 0:
            break
        assert status == -9
        killed += 1
    assert killed > 3
    with house_on(way[1], tmp_path / "new", clock) as new:
        refuse_unfinished(new.records, OPERATOR)
        assert integrity.digest(new, OPERATOR) == expected
        assert integrity.check(new, OPERATOR, store="new", deep=True)["ok"]
        assert audit.verify(new, OPERATOR) == []
