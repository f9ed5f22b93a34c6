"""Inflater: gzip piece by piece, bounded, and honest about what is not whole."""

import contextlib
import gzip
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.collect.inflate import GzipError, Inflater


def unpacked(data: bytes, *, piece: int = 4096, max_ratio: int = 250) -> bytes:
    inflater = Inflater(io.BytesIO(data).read, where="a.gz", max_ratio=max_ratio)
    out = bytearray()
    while part := inflater.read(piece):
        assert len(part) <= piece
        out += part
    assert inflater.finished
    assert inflater.given == len(out)
    return bytes(out)


def drain(inflater: Inflater, out: bytearray, *, piece: int = 4096) -> None:
    while part := inflater.read(piece):
        out += part


@given(members=st.lists(st.binary(max_size=5000), min_size=1, max_size=4), piece=st.integers(1, 6000))
def test_members_one_after_another_are_one_stream(members: list[bytes], piece: int) -> None:
    packed = b"".join(gzip.compress(member) for member in members)
    assert unpacked(packed, piece=piece) == b"".join(members)


def test_zero_padding_behind_the_last_member_is_no_part_of_it() -> None:
    assert unpacked(gzip.compress(b"a line\n") + bytes(100_000)) == b"a line\n"


def test_a_member_behind_padding_is_read_too() -> None:
    assert unpacked(gzip.compress(b"a\n") + bytes(70_000) + gzip.compress(b"b\n")) == b"a\nb\n"


@given(data=st.binary(min_size=1, max_size=20_000), cut=st.integers(1, 20_000))
def test_a_cut_file_gives_what_is_right_and_then_says_that_it_is_cut(data: bytes, cut: int) -> None:
    packed = gzip.compress(data)
    inflater = Inflater(io.BytesIO(packed[: -min(cut, len(packed))]).read, where="a.gz")
    out = bytearray()
    with pytest.raises(GzipError) as caught:
        drain(inflater, out)
    assert caught.value.incomplete
    assert data.startswith(bytes(out))


def test_a_wrong_checksum_is_not_incomplete_but_broken() -> None:
    packed = bytearray(gzip.compress(b"a line\n" * 100))
    packed[-5] ^= 0xFF
    with pytest.raises(GzipError, match=r"^a\.gz: the gzip file is broken \(") as caught:
        unpacked(bytes(packed))
    assert not caught.value.incomplete


def test_text_behind_a_member_is_told() -> None:
    with pytest.raises(GzipError, match="what follows is not gzip"):
        unpacked(gzip.compress(b"a\n") + b"plain text")


def test_text_alone_is_told() -> None:
    with pytest.raises(GzipError, match="not gzip"):
        unpacked(b"\0\0" + gzip.compress(b"a\n"))


def test_a_bomb_is_refused_after_a_bounded_amount() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    inflater = Inflater(io.BytesIO(bomb).read, where="bomb.gz")
    with pytest.raises(GzipError, match=r"^bomb\.gz: .*bomb"):
        drain(inflater, bytearray(), piece=1 << 20)
    assert inflater.given <= 18 << 20


@given(data=st.binary(max_size=3000))
def test_no_bytes_break_it_in_another_way(data: bytes) -> None:
    inflater = Inflater(io.BytesIO(b"\x1f\x8b" + data).read)
    with contextlib.suppress(GzipError):
        drain(inflater, bytearray())
    assert inflater.given <= 1032 * (len(data) + 2)
