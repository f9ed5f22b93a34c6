"""FileCollector: what is found, what is passed over, what is said about it, and what it costs."""

import gzip
import os
import shutil
import socket
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from secmon.model.ids import generation_of_head
from tests.collect.harness import ACCESS, Follower, lines_of, numbered

NOBODY = 65534


@pytest.fixture
def others_folder() -> Iterator[Path]:
    """A folder, and for the length of the test an account that may not read everything."""
    folder = Path(tempfile.mkdtemp(prefix="unreadable-"))
    folder.chmod(0o755)
    account = os.geteuid()
    if account == 0:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    os.seteuid(account)
    shutil.rmtree(folder)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_single_byte_is_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"\n")
    follower = Follower(tmp_path)
    follower.poll()
    assert follower.lines == [b"\n"]


def test_an_unfinished_line_is_taken_once_its_file_rests(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\n")
    follower = Follower(log)
    follower.poll()
    append(log, b"two, unfin")
    follower.poll()
    follower.poll()
    assert follower.lines == [b"one\n"]
    append(log, b"ished\nthree")
    follower.poll()
    assert follower.lines == [b"one\n", b"two, unfinished\n"]
    follower.poll(pass_s=4)
    assert follower.lines == [b"one\n", b"two, unfinished\n"]
    follower.poll(pass_s=4)
    assert follower.lines == [b"one\n", b"two, unfinished\n", b"three"]


def test_folders_patterns_and_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "教务处" / "2026").mkdir(parents=True)
    (tmp_path / "flat").mkdir()
    (tmp_path / "教务处" / "2026" / "访问日志 九月.log").write_bytes("登录\n".encode())
    (tmp_path / "flat" / "a.txt").write_bytes(b"flat\n")
    (tmp_path / "flat" / ".a.txt.swp").write_bytes(b"hidden\n")
    (tmp_path / "one.log").write_bytes(b"one\n")
    follower = Follower(tmp_path / "教务处" / "**" / "*.log", tmp_path / "flat", tmp_path / "one.log")
    follower.poll()
    assert follower.counted() == Counter(["登录\n".encode(), b"flat\n", b"one\n"])
    places = {checkpoint.place for checkpoint in follower.known.values()}
    assert str(tmp_path / "教务处" / "2026" / "访问日志 九月.log") in places


def test_a_name_that_is_no_utf_8_is_followed_and_can_be_stored(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xb7\xc3\xce\xca\n.log"
    with open(name, "wb") as file:  # noqa: PTH123  pathlib has no bytes paths
        file.write(b"line\n")
    follower = Follower(tmp_path)
    follower.poll()
    assert follower.lines == [b"line\n"]
    [checkpoint] = follower.known.values()
    assert checkpoint.place == f"{tmp_path}/\\xb7\\xc3\\xce\\xca\\x0a.log"


def test_a_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"line\n")
    (tmp_path / "b.log").hardlink_to(log)
    (tmp_path / "c.log").symlink_to(log)
    follower = Follower(tmp_path / "*.log", log)
    follower.poll()
    assert follower.lines == [b"line\n"]


def test_what_is_no_regular_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"line\n")
    os.mkfifo(tmp_path / "fifo.log")
    (tmp_path / "null.log").symlink_to("/dev/zero")
    (tmp_path / "dangling.log").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.log").symlink_to(tmp_path / "loop.log")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(tmp_path / "s.log"))
        follower = Follower(tmp_path / "*.log")
        follower.poll()
    assert follower.lines == [b"line\n"]
    assert follower.problems == []


def test_what_is_named_and_cannot_be_followed_is_a_problem(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "a.log").write_bytes(b"line\n")
    missing = [tmp_path / "missing.log", tmp_path / "missing" / "*.log", tmp_path / "*.txt"]
    follower = Follower(tmp_path / "fifo", *missing, tmp_path / "a.log")
    follower.poll()
    assert follower.lines == [b"line\n"]
    assert follower.problems == [
        f"{tmp_path}/fifo: is neither a regular file nor a folder (name a log file)",
        f"{tmp_path}/missing.log: is not there (create it, or correct `paths` of this source)",
        f"{tmp_path}/missing: is not there (create it, or correct `paths` of this source)",
        f"{tmp_path}/*.txt: no file matches (correct `paths` of this source, if there should be one)",
    ]
    (tmp_path / "missing.log").write_bytes(b"here\n")
    follower.poll()
    assert follower.lines == [b"line\n", b"here\n"]
    assert not any("missing.log" in problem for problem in follower.problems)


def test_a_file_without_right_is_a_problem_until_it_has_it(others_folder: Path) -> None:
    (others_folder / "a.log").write_bytes(b"a\n")
    (others_folder / "b.log").write_bytes(b"b\n")
    (others_folder / "a.log").chmod(0)
    follower = Follower(others_folder)
    follower.poll()
    assert follower.lines == [b"b\n"]
    assert [text.split(" (")[0] for text in follower.problems] == [f"{others_folder}/a.log: may not be read"]
    (others_folder / "a.log").chmod(0o600)
    follower.poll()
    assert follower.lines == [b"b\n", b"a\n"]
    assert follower.problems == []


def test_a_change_that_the_clock_of_the_file_system_hides_is_seen_at_the_next_poll(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\n")
    follower = Follower(log)
    follower.poll()
    before = log.stat()
    log.write_bytes(b"two\n")
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    follower.poll()
    assert follower.lines == [b"one\n", b"two\n"]


def test_the_generation_of_a_long_file_is_that_of_its_import(tmp_path: Path) -> None:
    data = numbered(0, 4000)
    (tmp_path / "a.log").write_bytes(data)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(data[::-1]))
    follower = Follower(tmp_path)
    follower.poll()
    assert set(follower.known) == {generation_of_head(data[:65536]), generation_of_head(data[::-1][:65536])}


def test_a_stream_keeps_its_generation_while_its_head_grows(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"2")
    follower = Follower(log)
    for start in range(0, 6000, 500):
        follower.poll()
        append(log, numbered(start, start + 500))
        follower.start()
    follower.settle()
    [checkpoint] = follower.known.values()
    assert checkpoint.generation == generation_of_head(b"2")
    assert checkpoint.head.startswith("65536:")
    assert sum(map(len, follower.lines)) == log.stat().st_size


def test_packed_otherwise_than_by_gzip_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.log.xz").write_bytes(b"\xfd7zXZ\x00" + bytes(100))
    follower = Follower(tmp_path)
    follower.poll()
    assert follower.known == {}
    assert follower.problems == [
        f"{tmp_path}/a.log.xz: packed with xz, which is not read (unpack it, or let the rotation use gzip)"
    ]


def test_a_packed_file_waits_until_it_rests(tmp_path: Path) -> None:
    packed = gzip.compress(numbered(0, 5000))
    follower = Follower(tmp_path)
    path = tmp_path / "a.log.gz"
    path.write_bytes(b"")
    follower.poll()
    for size in range(100, len(packed), 5000):
        path.write_bytes(packed[:size])
        follower.poll(pass_s=3)
    assert follower.lines == []
    path.write_bytes(packed)
    follower.settle()
    assert follower.counted() == lines_of(numbered(0, 5000))
    assert len(follower.known) == 1


def test_a_cut_packed_file_is_read_as_far_as_it_goes_and_told(tmp_path: Path) -> None:
    data = numbered(0, 20_000)
    packed = gzip.compress(data)
    (tmp_path / "a.log.gz").write_bytes(packed[:-9])
    follower = Follower(tmp_path)
    follower.settle()
    assert data.startswith(b"".join(follower.lines))
    assert len(follower.lines) > 15_000
    assert follower.problems == [
        f"{tmp_path}/a.log.gz: the gzip file ends too early (if it is not still being written, restore it)"
    ]
    (tmp_path / "a.log.gz").write_bytes(packed)
    follower.settle()
    assert follower.counted() == lines_of(data)
    assert follower.problems == []


def test_a_gzip_bomb_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress((b"x" * 1023 + b"\n") * 1024) for _ in range(100)) + packer.flush()
    (tmp_path / "bomb.gz").write_bytes(bomb)
    (tmp_path / "good.log").write_bytes(b"line\n")
    follower = Follower(tmp_path, max_bytes=4 << 20)
    follower.poll()
    follower.poll()
    assert b"line\n" in follower.lines
    assert sum(map(len, follower.lines)) <= 20 << 20
    refused = "unpacks to far more than a log does: refused as a gzip bomb"
    assert follower.problems == [f"{tmp_path}/bomb.gz: {refused} (unpack it yourself, if it really is a log)"]


def test_descriptors_stay_bounded(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}.log").write_bytes(b"%d\n" % number)
    follower = Follower(tmp_path, max_open=8)
    before = open_descriptors()
    for _ in range(3):
        follower.poll()
        for number in range(0, 100, 3):
            append(tmp_path / f"{number}.log", b"more\n")
    follower.settle()
    assert open_descriptors() <= before + 8
    assert len(follower.lines) == 100 + 3 * 34
    follower.stop()
    assert open_descriptors() == before


def test_files_of_another_source_are_not_this_one_s_streams(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"line\n")
    follower = Follower(tmp_path)
    follower.poll()
    [other] = [replace(checkpoint, source="other") for checkpoint in follower.known.values()]
    follower.start()
    streams = follower.collector.streams(ACCESS, [other])
    assert [(stream.source, stream.position.offset) for stream in streams] == [("jwxt", 0)]


@pytest.mark.slow
def test_ten_thousand_files_in_a_folder_cost_little(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / f"{number}.log").write_bytes(b"2026-09-01 the host %d says hello to everybody out there\n" % number)
    follower = Follower(tmp_path)
    started = time.perf_counter()
    follower.poll()
    first_s = time.perf_counter() - started
    assert len(follower.lines) == 10_000
    follower.settle()
    started = time.perf_counter()
    follower.poll()
    idle_s = time.perf_counter() - started
    assert first_s < 30
    assert idle_s < 1
    assert len(follower.lines) == 10_000
