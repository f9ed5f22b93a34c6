"""The spool's files: what was put by comes back, sealed, bounded, after any crash; what cannot be opened is kept."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import SpoolFullError, StoreError, StoreUnavailableError
from secmon.model.access import job_access
from secmon.model.fingerprint import advance
from secmon.model.stream import Checkpoint, Position
from secmon.ports import Spooled
from secmon.store.spool import FileSpool
from secmon.store.vault import FileVault

ACCESS = job_access("test")
KEY = b"v" * 32
STREAM = Checkpoint(
    source="web", kind="nginx.access", generation="g" * 64, position=Position(), day=date(2026, 11, 21), place="/a.log"
)


def spool_in(folder: Path, *, key: bytes = KEY, max_bytes: int = 1 << 20, part_bytes: int = 1 << 20) -> FileSpool:
    return FileSpool(folder, FileVault(key), max_bytes=max_bytes, part_bytes=part_bytes, reserve_bytes=0)


def following(start: Checkpoint, data: bytes, *, before: bytes = b"", at_end: bool = False) -> Spooled:
    old = start.position
    position = replace(old, offset=old.offset + len(data), number=old.number + data.count(b"\n"))
    end = advance(start, position, before=before, data=data)
    return Spooled(start=start, end=end, data=data, before=before, at_end=at_end)


def filled(spool: FileSpool, pieces: Sequence[bytes], start: Checkpoint = STREAM) -> Checkpoint:
    """Put pieces by, one behind the other; return where that ended."""
    at, before = start, b""
    for data in pieces:
        piece = following(at, data, before=before)
        spool.append(ACCESS, piece)
        at, before = piece.end, (before + data)[-256:]
    return at


def content(spool: FileSpool, start: int = 0, *, max_bytes: int = 1 << 20, stream: Checkpoint = STREAM) -> bytes:
    """Return everything from an offset on, read as the ingest reads it."""
    found = b""
    while piece := spool.read(ACCESS, stream.source, stream.generation, start + len(found), max_bytes=max_bytes):
        assert piece.data
        found += piece.data
    return found


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8),
    max_bytes=st.integers(1, 2_000),
    part_bytes=st.integers(1, 3_000),
    reopened=st.booleans(),
)
def test_what_was_put_by_comes_back_from_any_offset(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], max_bytes: int, part_bytes: int, *, reopened: bool
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = spool_in(folder, part_bytes=part_bytes)
    end = filled(spool, pieces)
    if reopened:
        spool = spool_in(folder, part_bytes=part_bytes)
    whole = b"".join(pieces)
    assert spool.ends(ACCESS, "web") == [end]
    for offset in range(0, len(whole) + 1, 37):
        assert content(spool, offset, max_bytes=max_bytes) == whole[offset:]
        piece = spool.read(ACCESS, "web", STREAM.generation, offset, max_bytes=max_bytes)
        if piece is not None:
            assert piece.before == whole[max(0, offset - len(piece.before)) : offset]
            assert len(piece.before) == min(offset, 256)


def test_pieces_that_ended_with_their_stream_or_have_another_place_are_not_joined(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    first = following(STREAM, b"no line end", at_end=True)
    second = following(first.end, b"more\n", before=first.data)
    third = following(replace(second.end, place="/a.log.1"), b"moved\n", before=first.data + second.data)
    for piece in (first, second, third):
        spool.append(ACCESS, piece)
    found = []
    offset = 0
    while given_back := spool.read(ACCESS, "web", STREAM.generation, offset, max_bytes=1 << 20):
        found.append((given_back.start.place, given_back.data, given_back.at_end))
        offset += len(given_back.data)
    assert found == [("/a.log", b"no line end", True), ("/a.log", b"more\n", False), ("/a.log.1", b"moved\n", False)]


@pytest.mark.parametrize("filler", [b"", b"\0", b"\xff"], ids=["cut", "zeros", "ones"])
def test_a_piece_that_a_crash_cut_short_at_any_byte_was_never_put_by(tmp_path: Path, filler: bytes) -> None:
    end = filled(spool_in(tmp_path), [b"first\n"])
    (path,) = tmp_path.glob("*.part")
    whole_first = path.read_bytes()
    later = filled(spool_in(tmp_path), [b"second\n"], end)
    whole = path.read_bytes()
    for length in range(len(whole_first), len(whole)):
        path.write_bytes(whole[:length] + filler * (len(whole) - length))
        spool = spool_in(tmp_path)
        assert spool.problems() == []
        assert spool.ends(ACCESS, "web") == [end]
        assert content(spool) == b"first\n"
        assert path.stat().st_size == len(whole_first)
        assert filled(spool, [b"second\n"], end) == later  # and goes on where it was cut
        assert content(spool) == b"first\nsecond\n"


def test_a_file_whose_only_piece_was_cut_short_is_nothing(tmp_path: Path) -> None:
    filled(spool_in(tmp_path), [b"first\n"])
    (path,) = tmp_path.glob("*.part")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert spool_in(tmp_path).ends(ACCESS, "web") == []
        assert not path.exists()


def changed_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(bytes(data))


def without_its_first_piece(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(b"SPL?" + data[4:])


@pytest.mark.parametrize("hurt", [changed_in_the_middle, without_its_first_piece], ids=lambda hurt: hurt.__name__)
def test_what_no_crash_leaves_is_named_and_kept(tmp_path: Path, hurt: Callable[[Path], None]) -> None:
    filled(spool_in(tmp_path), [b"first\n", b"second\n", b"third\n"])
    (path,) = tmp_path.glob("*.part")
    hurt(path)
    size = path.stat().st_size
    spool = spool_in(tmp_path)
    with pytest.raises(StoreError, match="damaged") as told:
        content(spool)
    assert str(path) in str(told.value)
    assert path.stat().st_size == size


def test_a_gap_between_two_files_is_named(tmp_path: Path) -> None:
    filled(spool_in(tmp_path, part_bytes=1), [b"first\n", b"second\n", b"third\n"])
    sorted(tmp_path.glob("*.part"))[1].unlink()
    spool = spool_in(tmp_path)
    assert len(spool.problems()) == 1
    with pytest.raises(StoreError, match="damaged"):
        content(spool)


def test_another_key_opens_nothing_and_removes_nothing(tmp_path: Path) -> None:
    end = filled(spool_in(tmp_path), [b"first\n"])
    spool_in(tmp_path).remember(ACCESS, "web", [STREAM])
    other = spool_in(tmp_path, key=b"w" * 32)
    assert len(other.problems()) == 1
    assert "another key" in other.problems()[0]
    for attempt in (
        lambda: content(other),
        lambda: filled(other, [b"second\n"], end),
        lambda: other.remembered(ACCESS, "web"),
    ):
        with pytest.raises(StoreError, match="another key"):
            attempt()
    assert content(spool_in(tmp_path)) == b"first\n"
    assert spool_in(tmp_path).remembered(ACCESS, "web") == [STREAM]


def test_nothing_of_a_record_and_no_name_lies_on_the_disk_in_the_clear(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    stream = replace(STREAM, source="somebody's log", place="/var/log/somebody")
    filled(spool, [b"11010519491231002X somebody\n"], stream)
    spool.remember(ACCESS, stream.source, [stream])
    files = [path for path in (tmp_path / "spool").iterdir() if path.is_file()]
    assert len(files) == 2
    for path in files:
        assert b"11010519491231002X" not in path.read_bytes()
        assert b"somebody" not in path.read_bytes() + path.name.encode()
        assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0


def test_a_piece_cannot_be_moved_to_another_stream_or_offset(tmp_path: Path) -> None:
    filled(spool_in(tmp_path), [b"first\n"])
    other = replace(STREAM, generation="h" * 64)
    filled(spool_in(tmp_path), [b"other\n"], other)
    one, two = sorted(tmp_path.glob("*.part"))
    one.write_bytes(two.read_bytes())
    assert len(spool_in(tmp_path).problems()) == 1


def test_it_never_holds_more_than_it_may(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, max_bytes=20_000, part_bytes=4_000)
    at = STREAM
    with suppress(SpoolFullError):
        while True:
            at = filled(spool, [b"x" * 999 + b"\n"], at)
    held = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 10_000 < held <= 20_000
    assert spool.usage() == (held, 20_000)
    assert content(spool) == (b"x" * 999 + b"\n") * at.position.number
    spool.settle(ACCESS, replace(at, position=Position(offset=at.position.offset // 2)))
    filled(spool, [b"y\n"], at)  # there is room again
    assert content(spool, at.position.offset) == b"y\n"


def test_it_leaves_the_last_space_of_the_disk_alone(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, FileVault(KEY), reserve_bytes=1 << 60)
    with pytest.raises(SpoolFullError, match="no room"):
        filled(spool, [b"first\n"])
    assert list(tmp_path.iterdir()) == []


def test_files_are_removed_once_all_of_them_is_committed(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, part_bytes=1)
    end = filled(spool, [b"first\n", b"second\n"])
    spool.settle(ACCESS, replace(STREAM, position=Position(offset=7)))
    assert len(list(tmp_path.glob("*.part"))) == 1
    with pytest.raises(StoreError, match="begins behind"):
        content(spool)
    spool.settle(ACCESS, end)
    assert list(tmp_path.glob("*.part")) == []
    assert spool.ends(ACCESS, "web") == []
    assert spool_in(tmp_path).usage()[0] == 0


def test_what_does_not_follow_is_refused(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    filled(spool, [b"first\n"])
    with pytest.raises(StoreError, match="does not go on"):
        filled(spool, [b"first\n"])
    assert content(spool) == b"first\n"


def test_a_disk_that_fails_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreUnavailableError, match="cannot be read or written") as told:
        filled(spool_in(tmp_path / "file"), [b"first\n"])
    assert "\n" not in str(told.value)


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415  the limit is taken back at once
    import signal  # noqa: PLC0415

    spool = spool_in(tmp_path)
    end = filled(spool, [b"first\n"])
    (path,) = tmp_path.glob("*.part")
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:
        with pytest.raises(SpoolFullError):
            filled(spool, [b"x" * 1_000 + b"\n"], end)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == whole
    filled(spool, [b"second\n"], end)
    assert content(spool_in(tmp_path)) == b"first\nsecond\n"


def test_what_is_known_of_streams_is_kept_whole(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    assert spool.remembered(ACCESS, "web") is None
    spool.remember(ACCESS, "web", [])
    assert spool.remembered(ACCESS, "web") == []
    spool.remember(ACCESS, "web", [STREAM, replace(STREAM, generation="h" * 64, version=3)])
    (tmp_path / "left.new").write_bytes(b"of a crash")
    os.sync()
    again = spool_in(tmp_path)
    assert again.remembered(ACCESS, "web") == [STREAM, replace(STREAM, generation="h" * 64, version=3)]
    assert again.remembered(ACCESS, "mail") is None
    assert again.usage()[0] == 0
    assert not (tmp_path / "left.new").exists()
