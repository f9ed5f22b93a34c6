"""Reading once: everything comes, packed or not, in bounded pieces, whatever the pieces."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.collect.inflate import GzipError
from secmon.collect.oneshot import frames_of, open_reading, read_chunks, read_part
from secmon.errors import SecmonError
from secmon.parse.frame import frame_lines

DATA = b"".join(b"line %d\n" % number for number in range(100_000))
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_comes_whole_and_in_pieces(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(pack(DATA))
    pieces = list(read_chunks(str(path)))
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) < len(DATA)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_pipe_is_read_too(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    small = DATA[:30_000]
    writer = Thread(target=path.write_bytes, args=(pack(small),))  # opening a pipe waits for its reader
    writer.start()
    read = b"".join(read_chunks(str(path)))
    writer.join()
    assert read == small


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(64 << 20)))
    with pytest.raises(GzipError, match="bomb"):
        for _ in read_chunks(str(path)):
            pass


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecmonError, match=r"gone\.log: cannot be read"):
        next(read_chunks(str(tmp_path / "gone.log")))


def pieces_of(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\r\n"])).map(b"".join), st.lists(st.integers(0, 5)))
def test_frames_do_not_depend_on_the_pieces(data: bytes, sizes: list[int]) -> None:
    whole = [frame for frames in frames_of([data], frame_lines) for frame in frames]
    assert [frame for frames in frames_of(pieces_of(data, sizes), frame_lines) for frame in frames] == whole


def test_ids_depend_on_content_and_kind_only(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(DATA)
    first = open_reading(str(tmp_path / "a.log"), source="syslog", zone=ZONE)
    second = open_reading(str(tmp_path / "b.log"), source="syslog", zone=ZONE)
    other = open_reading(str(tmp_path / "a.log"), source="nginx.access", zone=ZONE)
    assert first.prefix == second.prefix != other.prefix
    assert first.prefix[:2] == b"\0\0"


def key_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def test_part_of_a_file_is_read_by_whoever_knows_where_it_stands(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\ntwo\nthree\n")
    reading = open_reading(str(log), source="syslog", zone=ZONE)
    assert reading.key == key_of(log)
    assert read_part(str(log), key_of(log), 4, 4) == b"two\n"
    assert read_part(str(log), key_of(log), 0, 4) == b"one\n"


def test_packed_files_have_no_parts(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(gzip.compress(b"one\n"))
    assert open_reading(str(log), source="syslog", zone=ZONE).key is None


def test_part_of_another_file_or_of_a_shorter_one_is_refused(tmp_path: Path) -> None:
    log, other = tmp_path / "a.log", tmp_path / "b.log"
    log.write_bytes(b"one\ntwo\n")
    key = key_of(log)
    with pytest.raises(SecmonError, match="changed while it was read"):
        read_part(str(log), key, 4, 5)
    other.write_bytes(b"1\n")
    with pytest.raises(SecmonError, match="cannot be read"):
        read_part(str(other), key, 0, 2)
