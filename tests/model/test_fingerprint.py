"""Fingerprints: a stream is known by its bytes, at every size, and however they were committed."""

import hashlib
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.fingerprint import HEAD_BYTES, TAIL_BYTES, advance, head_length, head_of, heads_of, tail_of
from secmon.model.stream import Checkpoint, Position


def start() -> Checkpoint:
    return Checkpoint(source="s", kind="syslog", generation="g", position=Position(), day=date(2026, 9, 1))


@given(first=st.binary(min_size=1, max_size=3000))
def test_a_head_covers_more_than_half_of_a_short_stream(first: bytes) -> None:
    length = head_length(head_of(first))
    assert len(first) / 2 < length <= len(first)
    assert head_of(first) == f"{length}:{hashlib.sha256(first[:length]).hexdigest()}"


def test_a_head_covers_at_most_64_kib() -> None:
    assert head_length(head_of(bytes(HEAD_BYTES * 2))) == HEAD_BYTES


def test_no_bytes_have_no_fingerprint() -> None:
    assert (head_of(b""), tail_of(b""), head_length("")) == ("", "", 0)


@given(first=st.binary(max_size=3000), size=st.integers(1, 3000))
def test_the_head_of_a_shorter_time_is_among_the_heads_of_every_step(first: bytes, size: int) -> None:
    earlier = head_of(first[:size])
    assert not earlier or heads_of(first)[head_length(earlier)] == earlier


@given(cuts=st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_fingerprints_do_not_depend_on_the_size_of_the_batches(cuts: list[int]) -> None:
    text = hashlib.shake_128(b"any text").digest(sum(cuts))
    checkpoint = start()
    for cut in cuts:
        at = checkpoint.position.offset
        checkpoint = advance(
            checkpoint,
            replace(checkpoint.position, offset=at + cut),
            before=text[max(0, at - TAIL_BYTES) : at],
            data=text[at:],
        )
        assert checkpoint.tail == tail_of(text[: at + cut])
    assert checkpoint.head == head_of(text[: cuts[0]])


def test_a_head_that_is_known_is_never_made_shorter() -> None:
    seen = replace(start(), head=head_of(b"x" * 64))
    assert advance(seen, Position(offset=3), before=b"", data=b"x" * 64).head == seen.head


def test_a_chunk_that_ends_within_a_record_moves_only_its_mark() -> None:
    moved = advance(start(), Position(skipping=True), before=b"", data=b"half a rec")
    assert moved == replace(start(), position=Position(skipping=True))


@pytest.mark.parametrize("offset", [9, 16])
def test_a_position_outside_the_chunk_is_refused(offset: int) -> None:
    checkpoint = replace(start(), position=Position(offset=10))
    with pytest.raises(ValueError, match="outside the chunk"):
        advance(checkpoint, Position(offset=offset), before=b"0123456789", data=b"lines")
