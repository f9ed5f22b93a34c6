"""Imports: exact accounts, proven duplicates, recovery, dead letters."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from secmon.app import accounts, checkpoints, deadletters, integrity
from secmon.app.imports import Imported, import_streams
from secmon.app.installation import Installation
from secmon.app.recovery import recover
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.errors import AccessError, SecmonError, StoreError
from secmon.model.questions import EventQuery
from tests.app.houses import NOON, OPERATOR, READER, SetClock, access_line, opened_house


def run(house: Installation, *paths: Path, source: str = "nginx.access") -> Imported:
    collector = ImportCollector(source=source, kind=source, files=list(map(str, paths)), clock=house.clock)
    try:
        return import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    finally:
        collector.close()


def log(folder: Path, lines: list[str], name: str = "access.log") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def lines(count: int) -> list[str]:
    return [access_line(NOON + timedelta(seconds=number), f"/page/{number}") for number in range(count)]


def settled(done: Imported) -> int:
    counts = done.counts
    return counts.stored + counts.duplicate + counts.dead_lettered + sum(counts.dropped.values())


def test_every_record_is_accounted_for(house: Installation, tmp_path: Path) -> None:
    done = run(house, log(tmp_path, [*lines(3), "", "nonsense", "# a header?"]))
    assert (done.counts.stored, done.counts.dead_lettered, done.counts.dropped) == (3, 2, {"blank": 1})
    assert done.counts.received == settled(done) == 6


def test_a_second_import_is_all_duplicates_and_changes_nothing(house: Installation, tmp_path: Path) -> None:
    path = log(tmp_path, [*lines(5), "nonsense", ""])
    run(house, path)
    digest = integrity.digest(house, OPERATOR)
    again = run(house, path)
    assert (again.counts.received, again.counts.duplicate, again.counts.stored) == (7, 7, 0)
    assert integrity.digest(house, OPERATOR) == digest


def test_a_renamed_copy_is_the_same_stream(house: Installation, tmp_path: Path) -> None:
    run(house, log(tmp_path, lines(4)))
    assert run(house, log(tmp_path, lines(4), "copy.log")).counts.duplicate == 4


def test_a_file_that_grew_adds_only_what_is_new(house: Installation, tmp_path: Path) -> None:
    run(house, log(tmp_path, lines(4)))
    grown = run(house, log(tmp_path, lines(6)))
    assert (grown.counts.duplicate, grown.counts.stored) == (4, 2)


def test_a_file_that_only_begins_the_same_is_no_duplicate(house: Installation, tmp_path: Path) -> None:
    common = lines(1200)  # well over the 64 KiB that name a stream
    run(house, log(tmp_path, [*common, *lines(50)]))
    other = [*common, *(access_line(NOON, f"/other/{number}") for number in range(50))]
    try:
        stored = run(house, log(tmp_path, other, "other.log")).counts.stored
    except StoreError as error:
        assert "differs" in str(error)  # noqa: PT017  refused with the place, or stored: never taken for a duplicate
    else:
        assert stored >= 50


def test_duplicates_stay_in_the_account_of_the_source(house: Installation, tmp_path: Path) -> None:
    path = log(tmp_path, lines(3))
    run(house, path)
    run(house, path)
    row = accounts.row(accounts.account(house, OPERATOR, "nginx.access"))
    assert (row["received"], row["stored"], row["duplicate"], row["in_flight"]) == (6, 3, 3, 0)


def test_a_durable_batch_without_its_checkpoint_is_rolled_forward(house: Installation, tmp_path: Path) -> None:
    path = log(tmp_path, lines(3))
    run(house, path)
    digest = integrity.digest(house, OPERATOR)
    checkpoint = checkpoints.load_all(house, OPERATOR)[0]
    # As if the process had died between (a) and (b): the batch is there, the checkpoint stands before it.
    before = replace(checkpoint, batch=0, position=replace(checkpoint.position, offset=0, number=0, line=0))
    checkpoints.save(house, OPERATOR, replace(before, counts=type(checkpoint.counts)()))
    assert recover(house, OPERATOR) == 1
    after = checkpoints.load_all(house, OPERATOR)[0]
    assert (after.position, after.counts) == (checkpoint.position, checkpoint.counts)
    assert run(house, path).counts.duplicate == 3
    assert integrity.digest(house, OPERATOR) == digest


def test_the_partition_follows_the_ingest_day_not_the_record(tmp_path: Path) -> None:
    clock = SetClock()
    with opened_house(tmp_path / "state", clock) as house:
        run(house, log(tmp_path, [access_line(NOON.replace(year=1970)), access_line(NOON.replace(year=2099))]))
        assert [one.day for one in house.log.partitions(OPERATOR)] == [NOON.date()]


def test_what_comes_after_midnight_lies_in_the_next_partition(tmp_path: Path) -> None:
    clock = SetClock()
    with opened_house(tmp_path / "state", clock) as house:
        run(house, log(tmp_path, lines(2)))
        clock.pass_time(days=1)
        run(house, log(tmp_path, lines(5)))
        assert [one.events for one in house.log.partitions(OPERATOR)] == [2, 3]
        assert run(house, log(tmp_path, lines(5))).counts.duplicate == 5


def test_personal_data_is_masked_before_it_is_stored(house: Installation, tmp_path: Path) -> None:
    run(house, log(tmp_path, [access_line(NOON, "/q?sfzh=370000199003070018")]))
    event = next(house.log.events(OPERATOR, EventQuery()))
    assert "370000199003070018" not in str(event)
    assert event["data.classes"] == ["cn_id18"]


def test_a_dead_letter_keeps_its_bytes_sealed_and_shows_them_masked(house: Installation, tmp_path: Path) -> None:
    run(house, log(tmp_path, ["broken sjh=13800138000"]))
    row = deadletters.list_letters(house, OPERATOR)[0][0]
    assert row["problem"]
    assert "13800138000" not in str(row)
    document = house.records.get(OPERATOR, "deadletter", str(row["deadletter.id"]))
    assert document is not None
    assert b"13800138000".hex() not in document.body["sealed"]


def test_a_replayed_record_moves_from_dead_to_stored(house: Installation, tmp_path: Path) -> None:
    line = access_line(NOON, "/late")
    run(house, log(tmp_path, ["nonsense"]))
    letter = deadletters.list_letters(house, OPERATOR)[0][0]
    document = house.records.get(OPERATOR, "deadletter", str(letter["deadletter.id"]))
    assert document is not None
    # As if today's parser could read what yesterday's could not.
    sealed = house.vault.seal(line.encode(), purpose=f"deadletter:{document.id}").hex()
    house.records.replace(OPERATOR, replace(document, body={**document.body, "sealed": sealed}))
    done = deadletters.replay(house, OPERATOR)
    assert (done.replayed, done.stored, done.still_malformed) == (1, 1, 0)
    row = accounts.row(accounts.account(house, OPERATOR, "nginx.access"))
    assert (row["received"], row["stored"], row["dead_lettered"]) == (1, 1, 0)
    assert deadletters.replay(house, OPERATOR).replayed == 0


def test_a_record_that_is_still_malformed_stays(house: Installation, tmp_path: Path) -> None:
    run(house, log(tmp_path, ["nonsense"]))
    assert deadletters.replay(house, OPERATOR).still_malformed == 1
    assert deadletters.list_letters(house, OPERATOR)[0][0]["attempts"] == 2


def test_dropping_needs_a_reason_and_keeps_the_row(house: Installation, tmp_path: Path) -> None:
    run(house, log(tmp_path, ["nonsense"]))
    letter = str(deadletters.list_letters(house, OPERATOR)[0][0]["deadletter.id"])
    with pytest.raises(SecmonError, match="needs a reason"):
        deadletters.drop(house, OPERATOR, [letter], reason=" ")
    assert deadletters.drop(house, OPERATOR, [letter], reason="磁盘损坏") == 1
    row = deadletters.show(house, OPERATOR, letter)
    assert (row["state"], row["by"], row["reason"]) == ("dropped", "user:mori", "磁盘损坏")
    account = accounts.row(accounts.account(house, OPERATOR, "nginx.access"))
    assert account["dropped"] == {"by_operator": 1}
    assert account["received"] == 1 == account["stored"] + account["dead_lettered"] + 1


def test_a_reader_may_not_touch_dead_letters(house: Installation) -> None:
    with pytest.raises(AccessError):
        deadletters.replay(house, READER)
