"""ImportCollector: the same content is the same stream, whatever it is called and however it is packed."""

import gzip
import io
from dataclasses import replace
from pathlib import Path

import pytest

from secmon.collect.oneoff import ImportCollector
from secmon.model.ids import generation_of_head
from secmon.model.stream import Checkpoint, Position
from tests.collect.harness import ACCESS, Follower, HandClock, drained, lines_of, numbered

LONG, SHORT = numbered(0, 5000), numbered(0, 10)


def importer(*files: Path | str, stdin: bytes | None = None) -> ImportCollector:
    return ImportCollector(
        source="jwxt",
        kind="nginx.access",
        files=[str(file) for file in files],
        clock=HandClock(),
        standard_input=None if stdin is None else io.BytesIO(stdin),
    )


def imported(collector: ImportCollector, known: list[Checkpoint]) -> tuple[list[bytes], list[Checkpoint]]:
    """Import what is behind the committed positions; return the lines and the new known states."""
    states = {checkpoint.generation: checkpoint for checkpoint in known}
    lines: list[bytes] = []
    for stream in collector.streams(ACCESS, known):
        start = replace(states.get(stream.generation, stream), place=stream.place)
        read, last = drained(collector, start)
        lines += read
        states[stream.generation] = replace(last, version=1)
    collector.close()
    return lines, list(states.values())


@pytest.mark.parametrize("data", [LONG, SHORT, b"x"])
def test_a_file_is_known_again_renamed_packed_and_on_standard_input(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.log").write_bytes(data)
    lines, known = imported(importer(tmp_path / "a.log"), [])
    assert b"".join(lines) == data
    assert [checkpoint.generation for checkpoint in known] == [generation_of_head(data[:65536])]
    (tmp_path / "b.log").write_bytes(data)
    (tmp_path / "c").write_bytes(gzip.compress(data))
    again = [
        importer(tmp_path / "b.log"),
        importer(tmp_path / "c"),
        importer("-", stdin=data),
        importer("-", stdin=gzip.compress(data)),
    ]
    assert [imported(collector, known)[0] for collector in again] == [[], [], [], []]


def test_what_was_committed_before_can_be_gone_through_again(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(LONG))
    _, known = imported(importer(tmp_path / "a.gz"), [])
    for collector in (importer(tmp_path / "a.gz"), importer("-", stdin=LONG)):
        [stream] = collector.streams(ACCESS, known)
        assert stream.position.offset == len(LONG)
        lines, last = drained(collector, replace(stream, position=Position(), tail=""))
        assert b"".join(lines) == LONG
        assert last.position == stream.position
        assert last.tail == stream.tail
        collector.close()


def test_a_file_that_has_grown_goes_on_where_it_was_left(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(SHORT)
    _, known = imported(importer(log), [])
    log.write_bytes(LONG)
    lines, known = imported(importer(log), known)
    assert SHORT + b"".join(lines) == LONG
    assert len(known) == 1


def test_a_piece_of_a_known_file_is_nothing_new(tmp_path: Path) -> None:
    (tmp_path / "whole.log").write_bytes(LONG)
    (tmp_path / "piece.log").write_bytes(LONG[:100_000])
    (tmp_path / "piece.gz").write_bytes(gzip.compress(LONG[:100_000]))
    _, known = imported(importer(tmp_path / "whole.log"), [])
    for name in ("piece.log", "piece.gz"):
        lines, [after] = imported(importer(tmp_path / name), known)
        assert lines == []
        assert (after.generation, after.position) == (known[0].generation, known[0].position)


def test_the_same_first_64_kib_before_other_lines_are_another_stream(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(LONG)
    (tmp_path / "b.log").write_bytes(LONG[:70_000] + numbered(7000, 12_000))
    _, known = imported(importer(tmp_path / "a.log"), [])
    lines, known = imported(importer(tmp_path / "b.log"), known)
    assert b"".join(lines) == LONG[:70_000] + numbered(7000, 12_000)
    assert len(known) == 2
    assert imported(importer(tmp_path / "b.log", tmp_path / "a.log"), known)[0] == []


def test_two_files_with_one_content_are_one_stream_at_two_places(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(SHORT)
    (tmp_path / "b.log").write_bytes(SHORT)
    collector = importer(tmp_path / "a.log", tmp_path / "b.log", tmp_path / "a.log")
    streams = collector.streams(ACCESS, [])
    assert [stream.place for stream in streams] == [str(tmp_path / "a.log"), str(tmp_path / "b.log")]
    lines, known = imported(collector, [])
    assert lines_of(b"".join(lines)) == lines_of(SHORT)
    assert len(known) == 1


def test_an_import_of_what_was_followed_is_nothing_new(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(SHORT[:40])
    follower = Follower(log)
    follower.poll()
    log.write_bytes(LONG)
    follower.settle()
    lines, _ = imported(importer(log), list(follower.known.values()))
    assert lines == []


def test_a_stream_that_was_imported_is_not_followed_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(SHORT)
    _, known = imported(importer(log), [])
    follower = Follower(log)
    follower.known = {checkpoint.generation: checkpoint for checkpoint in known}
    follower.poll()
    assert follower.lines == []


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"one\ntwo")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"three\nfour"))
    lines, _ = imported(importer(tmp_path / "a.log", tmp_path / "b.gz", "-", stdin=b"five\nsix"), [])
    assert lines == [b"one\n", b"two", b"three\n", b"four", b"five\n", b"six"]


def test_what_cannot_be_read_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_bytes(b"")
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + bytes(50))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LONG)[:3000])
    (tmp_path / "good.log").write_bytes(SHORT)
    files = [tmp_path / name for name in ("empty.log", "none.log", ".", "a.zip", "cut.gz", "good.log")]
    collector = importer(*files, "-")
    lines, _ = imported(collector, [])
    assert SHORT in b"".join(lines)
    assert [problem.split(" (")[0] for problem in collector.problems()] == [
        f"{tmp_path}/none.log: is not there",
        f"{tmp_path}: this is no regular file",
        f"{tmp_path}/a.zip: packed with zip, which is not read",
        "-: there is no standard input",
        f"{tmp_path}/cut.gz: the gzip file ends too early",
    ]


def test_standard_input_cannot_be_gone_back_in() -> None:
    collector = importer("-", stdin=LONG)
    [stream] = collector.streams(ACCESS, [])
    drained(collector, stream)
    assert collector.read(ACCESS, stream, max_bytes=1000) is None
    assert collector.problems() == ["-: this stream was read past the place that is asked for (give it again)"]


def test_a_file_that_changes_under_the_import_is_told(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(LONG)
    collector = importer(log)
    [stream] = collector.streams(ACCESS, [])
    _, half = drained(collector, stream, max_bytes=50_000, chunks=1)
    log.write_bytes(numbered(10_000, 15_000))
    assert collector.read(ACCESS, half, max_bytes=1000) is None
    assert collector.problems() == [f"{log}: it changed while it was imported (import it again)"]
    collector.close()
