"""FileCollector through every kind of rotation, while it runs and while it is stopped: nothing lost, nothing twice."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collect.harness import Follower, lines_of, numbered

FIRST, REST, NEXT = numbered(0, 300), numbered(300, 500), numbered(500, 620)
Rotation = Callable[[Path], None]


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def rename_and_create(log: Path) -> None:
    log.rename(log.with_name(log.name + ".1"))
    log.write_bytes(NEXT)


def rename_to_a_date(log: Path) -> None:
    log.rename(log.with_name(log.name + "-20260901"))
    log.write_bytes(NEXT)


def copy_and_truncate(log: Path) -> None:
    shutil.copyfile(log, log.with_name(log.name + ".1"))
    os.truncate(log, 0)
    append(log, NEXT)


def copy_and_truncate_and_outgrow(log: Path) -> None:
    shutil.copyfile(log, log.with_name(log.name + ".1"))
    log.write_bytes(numbered(500, 1500))


def pack_after_rotation(log: Path) -> None:
    rotated = log.with_name(log.name + ".1")
    log.rename(rotated)
    log.write_bytes(NEXT)
    rotated.with_name(rotated.name + ".gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()


def rotate_twice(log: Path) -> None:
    first, second = log.with_name(log.name + ".1"), log.with_name(log.name + ".2.gz")
    log.rename(first)
    second.write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    log.write_bytes(numbered(500, 600))
    log.rename(first)
    log.write_bytes(numbered(600, 620))


ROTATIONS = {
    "rename": (rename_and_create, NEXT),
    "dateext": (rename_to_a_date, NEXT),
    "copytruncate": (copy_and_truncate, NEXT),
    "copytruncate, outgrown": (copy_and_truncate_and_outgrow, numbered(500, 1500)),
    "gzip": (pack_after_rotation, NEXT),
}


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_file_that_came_and_was_rotated_between_two_polls_is_read_where_the_pattern_names_it(
    tmp_path: Path, *, stopped: bool
) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(tmp_path / "access.log*")
    follower.poll()
    if stopped:
        follower.stop()
    append(log, REST)
    rotate_twice(log)
    if stopped:
        follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + NEXT)


@pytest.mark.parametrize("pattern", ["access.log*", "access.log"])
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize(("rotate", "added"), ROTATIONS.values(), ids=ROTATIONS.keys())
def test_rotation_loses_nothing_and_repeats_nothing(
    tmp_path: Path, *, rotate: Rotation, added: bytes, stopped: bool, pattern: str
) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(tmp_path / pattern)
    follower.poll()
    if stopped:
        follower.stop()
    append(log, REST)
    rotate(log)
    if stopped:
        follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + added)
    assert follower.lost_bytes == 0


@pytest.mark.parametrize("rotate", [rename_and_create, copy_and_truncate, pack_after_rotation])
def test_a_rotated_file_is_not_read_again_after_the_next_start(tmp_path: Path, rotate: Rotation) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST + REST)
    follower = Follower(tmp_path / "access.log*")
    follower.poll()
    rotate(log)
    follower.settle()
    follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + NEXT)


def test_a_program_that_writes_on_into_the_renamed_file_is_followed_there(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(tmp_path / "access.log*")
    follower.poll()
    log.rename(tmp_path / "access.log.1")
    follower.poll()
    append(tmp_path / "access.log.1", REST)
    follower.poll()
    log.write_bytes(NEXT)
    follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + NEXT)


def test_truncated_while_stopped_begins_a_new_stream_and_keeps_it_over_starts(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(log)
    follower.poll()
    follower.stop()
    log.write_bytes(NEXT)
    for _ in range(3):
        follower.start()
        follower.settle()
    assert follower.counted() == lines_of(FIRST + NEXT)
    assert len(follower.known) == 2


def test_truncated_while_running_and_unread_is_counted_as_lost(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(log)
    follower.poll()
    append(log, REST)
    follower.poll(stop_after=0)
    os.truncate(log, 0)
    append(log, NEXT)
    follower.settle()
    assert follower.counted() == lines_of(FIRST + NEXT)
    assert follower.lost_bytes == len(REST)
    assert any(f"{log}: {len(REST)} bytes were gone before they could be read" in text for text in follower.problems)


def test_an_inode_given_to_another_file_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(log)
    follower.poll()
    follower.stop()
    other = numbered(900, 1300)
    # Rewritten in place: a file system may give the inode of a deleted file to the next one, but need not.
    log.write_bytes(other)
    follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST + other)


def test_an_inode_reused_while_running_with_no_file_held_open(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(FIRST)
    (tmp_path / "b.log").write_bytes(b"other\n")
    follower = Follower(tmp_path / "*.log", max_open=2)
    follower.poll()
    follower.collector._open.close_all()
    with log.open("r+b") as same_inode:
        same_inode.truncate(0)
        same_inode.write(numbered(900, 1300))
    follower.settle()
    assert follower.counted() == lines_of(FIRST + numbered(900, 1300) + b"other\n")


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_symbolic_link_moved_on_finishes_the_old_file_first(tmp_path: Path, *, stopped: bool) -> None:
    old, new, link = tmp_path / "app-1.out", tmp_path / "app-2.out", tmp_path / "app.log"
    old.write_bytes(FIRST)
    link.symlink_to(old)
    follower = Follower(link)
    follower.poll()
    if stopped:
        follower.stop()
    append(old, REST)
    new.write_bytes(NEXT)
    (tmp_path / "swap").symlink_to(new)
    (tmp_path / "swap").replace(link)
    if stopped:
        follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + NEXT)


def test_a_file_deleted_while_open_is_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(log)
    follower.poll()
    with log.open("ab") as writer:
        log.unlink()
        writer.write(REST)
        writer.flush()
        follower.poll()
        writer.write(b"the last words, without an end")
        writer.flush()
        follower.poll()
        log.write_bytes(NEXT)
        follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + b"the last words, without an end") + lines_of(NEXT)
    assert follower.lost_bytes == 0
    assert len(follower.collector._open) == 1


def test_a_file_deleted_while_stopped_is_forgotten_in_peace(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(tmp_path)
    follower.poll()
    follower.stop()
    log.unlink()
    follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST)
    assert follower.problems == []


def test_bytes_written_between_copy_and_truncation_are_counted_where_they_were_seen(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(tmp_path / "access.log*")
    follower.poll()
    append(log, REST)
    shutil.copyfile(log, tmp_path / "access.log.1")
    append(log, numbered(700, 710))
    follower.poll(stop_after=0)
    os.truncate(log, 0)
    append(log, NEXT)
    follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + NEXT)
    assert follower.lost_bytes == len(numbered(700, 710))


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_copy_that_was_outrun_before_the_truncation_is_not_read_again(tmp_path: Path, *, stopped: bool) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(FIRST)
    follower = Follower(tmp_path / "access.log*")
    follower.poll()
    shutil.copyfile(log, tmp_path / "access.log.1")
    append(log, REST)
    follower.poll()
    if stopped:
        follower.stop()
    os.truncate(log, 0)
    append(log, NEXT)
    if stopped:
        follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST + REST + NEXT)
    assert follower.lost_bytes == 0


def test_a_copy_in_progress_is_not_a_stream_of_its_own(tmp_path: Path) -> None:
    log, copy = tmp_path / "access.log", tmp_path / "access.log.1"
    log.write_bytes(FIRST)
    follower = Follower(tmp_path / "access.log*")
    follower.poll()
    for size in (1, 100, 5000, len(FIRST)):
        copy.write_bytes(FIRST[:size])
        follower.poll()
    assert len(follower.known) == 1
    os.truncate(log, 0)
    append(log, NEXT)
    follower.settle()
    assert follower.counted() == lines_of(FIRST + NEXT)


def test_a_file_that_only_began_like_another_is_read_from_its_start(tmp_path: Path) -> None:
    banner = b"#Software: an application server, its banner the same at every start of the program\n" * 3
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    one.write_bytes(banner)
    two.write_bytes(banner)
    follower = Follower(tmp_path / "*.log")
    follower.poll()
    append(one, numbered(0, 10))
    append(two, numbered(10, 20))
    follower.settle()
    assert follower.counted() == lines_of(banner * 2 + numbered(0, 20))


def test_the_successor_at_the_same_place_may_begin_with_the_same_banner(tmp_path: Path) -> None:
    banner = b"#Version: 1.0\n"
    log = tmp_path / "u_ex.log"
    log.write_bytes(banner + FIRST)
    follower = Follower(tmp_path / "u_ex.log*")
    follower.poll()
    log.rename(tmp_path / "u_ex.log.1")
    follower.poll()
    log.write_bytes(banner)
    follower.poll()
    assert follower.counted() == lines_of(banner * 2 + FIRST)


def test_the_packed_file_beside_its_unpacked_original_is_not_read(tmp_path: Path) -> None:
    rotated = tmp_path / "access.log.1"
    rotated.write_bytes(FIRST + numbered(1000, 5000))
    follower = Follower(tmp_path / "access.log*")
    follower.poll()
    packed = gzip.compress(rotated.read_bytes())
    for size in (100, len(packed) // 2, len(packed)):
        (tmp_path / "access.log.1.gz").write_bytes(packed[:size])
        follower.settle()
    assert follower.problems == []
    rotated.unlink()
    follower.settle()
    follower.start()
    follower.settle()
    assert follower.counted() == lines_of(FIRST + numbered(1000, 5000))
    assert len(follower.known) == 1


def test_what_was_not_read_before_packing_is_read_from_the_packed_file(tmp_path: Path) -> None:
    rotated, data = tmp_path / "access.log.1", numbered(0, 9000)
    rotated.write_bytes(data)
    follower = Follower(tmp_path / "access.log*")
    follower.poll(stop_after=2)
    follower.stop()
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress(data))
    rotated.unlink()
    follower.start()
    follower.settle()
    assert follower.counted() == lines_of(data)


def test_a_tiny_stream_is_found_where_it_was_rotated_to(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"half a li")
    follower = Follower(log, takes_pieces=False)
    follower.poll()
    follower.stop()
    append(log, b"ne\n")
    log.rename(tmp_path / "access.log.1")
    log.write_bytes(b"another line\n")
    follower.start()
    follower.settle()
    assert follower.counted() == lines_of(b"half a line\nanother line\n")


def test_a_copy_that_begins_like_a_tiny_stream_is_not_mistaken_for_it(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    (tmp_path / "access.log.1").write_bytes(b"half a line\n" + FIRST)
    log.write_bytes(b"half a li")
    follower = Follower(tmp_path / "access.log*", takes_pieces=False)
    follower.poll()
    log.write_bytes(b"")
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(b"half a line\n" + FIRST))
    follower.settle()
    assert follower.counted() == lines_of(b"half a line\n" + FIRST)
