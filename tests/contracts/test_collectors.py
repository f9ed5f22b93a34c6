"""ports.Collector: what the use case that commits may rely on, whatever the source is."""

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app.spooling import SpooledCollector
from secmon.collect.files import FileCollector
from secmon.collect.oneoff import ImportCollector
from secmon.model.fingerprint import advance, tail_of
from secmon.model.stream import Checkpoint, Position
from secmon.parse.frame import line_framer
from secmon.parse.kind import Framer
from secmon.ports import Collector
from secmon.store.spool import FileSpool
from secmon.store.vault import FileVault
from tests.collect.harness import ACCESS, HandClock, drained, numbered

DATA = numbered(0, 6000)
Make = Callable[[Path, bytes], Collector]


def followed(folder: Path, data: bytes) -> Collector:
    (folder / "a.log").write_bytes(data)
    return FileCollector(source="jwxt", kind="nginx.access", paths=[str(folder)], clock=HandClock())


def followed_packed(folder: Path, data: bytes) -> Collector:
    (folder / "a.log.gz").write_bytes(gzip.compress(data))
    return FileCollector(source="jwxt", kind="nginx.access", paths=[str(folder)], clock=HandClock())


def given_file(folder: Path, data: bytes) -> Collector:
    (folder / "a.log").write_bytes(data)
    files = [str(folder / "a.log")]
    return ImportCollector(source="jwxt", kind="nginx.access", files=files, clock=HandClock())


def given_packed_file(folder: Path, data: bytes) -> Collector:
    (folder / "a.gz").write_bytes(gzip.compress(data))
    files = [str(folder / "a.gz")]
    return ImportCollector(source="jwxt", kind="nginx.access", files=files, clock=HandClock())


def standard_input(_folder: Path, data: bytes) -> Collector:
    return ImportCollector(
        source="jwxt", kind="nginx.access", files=["-"], clock=HandClock(), standard_input=io.BytesIO(data)
    )


def half_put_by(folder: Path, data: bytes) -> Collector:
    """Return a collector with the first half of its records in the spool, the others only in their file."""
    half = data.rfind(b"\n", 0, len(data) // 2) + 1
    followed(folder, data[:half])
    inner = FileCollector(source="jwxt", kind="nginx.access", paths=[str(folder)], clock=HandClock(), settle_s=0.0)
    spool = FileSpool(folder / ".spool", FileVault(b"v" * 32), reserve_bytes=0, part_bytes=100_000)
    collector = SpooledCollector(inner, spool)
    collector.streams(ACCESS, [])
    collector.put_by(ACCESS)
    followed(folder, data)
    return collector


COLLECTORS = [followed, followed_packed, given_file, given_packed_file, standard_input, half_put_by]


@pytest.fixture(params=COLLECTORS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def test_a_new_stream_stands_at_its_start_under_its_source(make: Make, tmp_path: Path) -> None:
    collector = make(tmp_path, DATA)
    [stream] = collector.streams(ACCESS, [])
    assert (stream.source, stream.kind, stream.position) == (collector.source, "nginx.access", Position())
    assert (stream.version, stream.batch) == (0, 0)
    assert stream.generation
    assert stream.head
    assert isinstance(stream.day, date)


def test_a_stream_is_the_same_when_it_is_asked_for_again(make: Make, tmp_path: Path) -> None:
    collector = make(tmp_path, DATA)
    assert collector.streams(ACCESS, []) == collector.streams(ACCESS, [])


def test_a_stream_is_the_same_after_a_restart_and_keeps_its_state(make: Make, tmp_path: Path) -> None:
    [stream] = make(tmp_path, DATA).streams(ACCESS, [])
    stored = replace(stream, version=3, epoch=2, ruleset="r")
    assert make(tmp_path, DATA).streams(ACCESS, [stored]) == [stored]


def test_chunks_follow_each_other_without_a_gap(make: Make, tmp_path: Path) -> None:
    collector = make(tmp_path, DATA)
    [checkpoint] = collector.streams(ACCESS, [])
    data = b""
    while chunk := collector.read(ACCESS, checkpoint, max_bytes=50_000):
        assert 0 < len(chunk.data) <= 50_000
        assert chunk.checkpoint.position == checkpoint.position
        assert chunk.before == data[-256:]
        data += chunk.data
        position = Position(offset=len(data))
        checkpoint = advance(chunk.checkpoint, position, before=chunk.before, data=chunk.data)
        assert checkpoint.tail == tail_of(data)
        assert not chunk.at_end or len(data) == len(DATA) or data.endswith(b"\n")
    assert data == DATA


def test_an_unread_rest_is_given_again(make: Make, tmp_path: Path) -> None:
    collector = make(tmp_path, DATA)
    [checkpoint] = collector.streams(ACCESS, [])
    first = collector.read(ACCESS, checkpoint, max_bytes=5000)
    again = collector.read(ACCESS, checkpoint, max_bytes=5000)
    assert first is not None
    assert first == again


def test_reading_goes_on_at_a_committed_state_after_a_restart(make: Make, tmp_path: Path) -> None:
    collector = make(tmp_path, DATA)
    [stream] = collector.streams(ACCESS, [])
    lines, half = drained(collector, stream, max_bytes=40_000, chunks=2)
    again = make(tmp_path, DATA)
    [stream] = again.streams(ACCESS, [replace(half, version=7)])
    assert (stream.position, stream.version) == (half.position, 7)
    rest, _ = drained(again, stream)
    assert b"".join(lines + rest) == DATA


def test_a_read_stream_has_nothing_more_and_no_problem(make: Make, tmp_path: Path) -> None:
    collector = make(tmp_path, DATA)
    [stream] = collector.streams(ACCESS, [])
    _, last = drained(collector, stream)
    assert collector.read(ACCESS, last, max_bytes=1000) is None
    assert collector.problems() == []


def test_a_stream_that_nobody_offered_has_nothing(make: Make, tmp_path: Path) -> None:
    collector = make(tmp_path, DATA)
    [stream] = collector.streams(ACCESS, [])
    assert collector.read(ACCESS, replace(stream, generation="f" * 64), max_bytes=1000) is None


def test_checkpoints_of_another_source_mean_nothing(make: Make, tmp_path: Path) -> None:
    [stream] = make(tmp_path, DATA).streams(ACCESS, [])
    foreign = replace(stream, source="other", position=Position(offset=50), version=1)
    [mine] = make(tmp_path, DATA).streams(ACCESS, [foreign])
    assert (mine.source, mine.position, mine.version) == ("jwxt", Position(), 0)


@pytest.mark.parametrize("make_one", COLLECTORS, ids=lambda make: make.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.binary(min_size=1, max_size=4000), max_bytes=st.integers(64, 1500))
def test_the_shipped_framer_gets_every_byte_of_anything(
    tmp_path_factory: pytest.TempPathFactory, make_one: Make, data: bytes, max_bytes: int
) -> None:
    frame = line_framer(limit=64)
    collector = make_one(tmp_path_factory.mktemp("any"), b"plain " + data)
    [checkpoint] = collector.streams(ACCESS, [])
    moved: Checkpoint | None = checkpoint
    while moved is not None:
        checkpoint, moved = moved, _step(collector, moved, frame, max_bytes)
    assert checkpoint.position.offset == len(data) + len(b"plain ")


def _step(collector: Collector, checkpoint: Checkpoint, frame: Framer, max_bytes: int) -> Checkpoint | None:
    """Frame and commit one chunk; None if that moved nothing."""
    chunk = collector.read(ACCESS, checkpoint, max_bytes=max_bytes)
    if chunk is None:
        return None
    position = frame(chunk.data, checkpoint.position, chunk.at_end).position
    if position == checkpoint.position:
        return None
    return advance(chunk.checkpoint, position, before=chunk.before, data=chunk.data)
