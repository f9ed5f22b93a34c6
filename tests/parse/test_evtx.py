"""EVTX: every record at its true place, everything damaged reported, nothing fatal."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from struct import pack_into, unpack_from

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Event, Frame, ParseContext, Record
from secmon.model.stream import Position
from secmon.parse.encoding import decode
from secmon.parse.evtx import CHUNK_SIZE, FILE_HEADER_SIZE, frame_evtx, parse_evtx, recognise
from secmon.parse.evtx_limits import Expansion, TooLargeError
from secmon.parse.guess import guess
from secmon.parse.kind import MAX_RECORD_BYTES
from tests.parse.evtx_samples import sample_file
from tests.parse.evtx_writer import (
    BINXML,
    STRING,
    STRING_ARRAY,
    Body,
    Element,
    Logged,
    Template,
    chunk,
    event_template,
    file,
    instance,
    strings,
)

CONTEXT = ParseContext(UTC, datetime(2026, 9, 8, tzinfo=UTC))
FIRST_RECORD = FILE_HEADER_SIZE + 512
FAILED = Logged("4625", {"TargetUserName": "王老师", "IpAddress": "192.0.2.9", "Threat Name": "-"}, keywords="0x8010")
# Where the template of the first record of a chunk is defined: behind both headers.
DEFINED = 512 + 24 + 14
THREE = chunk([FAILED.body(), FAILED.body(DEFINED), FAILED.body(DEFINED)])


def frames(data: bytes, position: Position = Position()) -> tuple[Frame, ...]:  # noqa: B008  frozen
    return frame_evtx(data, position, True).frames


def offsets(data: bytes) -> list[int]:
    """Return the offsets of the records in the first chunk of a sound file."""
    at, found = FIRST_RECORD, []
    while data.startswith(b"**\0\0", at):
        found.append(at)
        at += unpack_from("<I", data, at + 4)[0]
    return found


def parsed(frame: Frame) -> Event:
    text, _ = decode(frame.raw)
    (event,) = parse_evtx(Record(text, "log.evtx:record 1"), CONTEXT)
    return event


def damaged(found: Sequence[Frame]) -> list[int]:
    """Return the offsets of the frames that the parser refuses."""
    refused = []
    for frame in found:
        try:
            parsed(frame)
        except ParseError:
            refused.append(frame.offset)
    return refused


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_every_record_stands_where_the_file_has_it() -> None:
    data = file([THREE, chunk([FAILED.body()], first_id=4)])
    found = frames(data)
    assert [frame.offset for frame in found] == [*offsets(data), FIRST_RECORD + CHUNK_SIZE]
    assert [frame.number for frame in found] == [1, 2, 3, 4]
    assert {frame.line for frame in found} == {0}
    assert damaged(found) == []


def test_a_template_is_used_again_by_later_records() -> None:
    first, second, _ = (parsed(frame) for frame in frames(file([THREE])))
    assert first == second
    assert first["winlog.event_data.TargetUserName"] == first["user.name"] == "王老师"
    assert first["winlog.event_data.Threat Name"] == "-"
    assert first["@timestamp"] == "2026-09-07T00:01:09.123456Z"
    assert first["event.outcome"] == "failure"


def test_unnamed_values_are_a_list() -> None:
    template = Template(
        Element(
            "Event", {}, [*_system("9"), Element("EventData", {}, [Element("Data", {}, 0), Element("Data", {}, 1)])]
        )
    )
    (frame,) = frames(file([chunk([instance(template, strings("one", "two"))])]))
    assert parsed(frame)["winlog.event_data.Data"] == ["one", "two"]


def test_of_values_with_the_same_name_none_is_lost() -> None:
    twice = [Element("Data", {"Name": "Twice"}, 0), Element("Data", {"Name": "Twice"}, 1)]
    template = Template(Element("Event", {}, [*_system("9"), Element("EventData", {}, twice)]))
    (frame,) = frames(file([chunk([instance(template, strings("one", "two"))])]))
    assert parsed(frame)["winlog.event_data.Twice"] == ["one", "two"]


def _system(code: str) -> list[Element]:
    time = Element("TimeCreated", {"SystemTime": "2026-09-07T00:01:09Z"})
    return [Element("System", {}, [Element("EventID", {}, code), time, Element("Channel", {}, "Application")])]


@pytest.mark.parametrize("cut", [1, 4095, 4096, 4097, 60_000, 69_631, 69_632, 100_000])
def test_a_chunk_waits_until_it_is_there_in_full(cut: int) -> None:
    data = file([THREE, chunk([FAILED.body()], first_id=4)])
    first = frame_evtx(data[:cut], Position(), False)
    assert first.position.offset == (0 if cut < FILE_HEADER_SIZE else cut - (cut - FILE_HEADER_SIZE) % CHUNK_SIZE)
    rest = frame_evtx(data[first.position.offset :], first.position, True)
    assert first.frames + rest.frames == frames(data)
    assert rest.position == Position(len(data), 4)


def test_a_record_that_cannot_be_decoded_costs_only_itself() -> None:
    data = file([THREE])
    _, second, _ = offsets(data)
    found = frames(patched(data, second + 24, b"\xff" * 30))
    assert damaged(found) == [second]
    assert found[1].raw.startswith(b"**\0\0")


@pytest.mark.parametrize("size", [0, 1, 27, 0x7FFF_FFFF, 0xFFFF_FFFF], ids=hex)
def test_a_hostile_size_costs_only_its_record(size: int) -> None:
    data = file([THREE])
    _, second, third = offsets(data)
    found = frames(patched(data, second + 4, size.to_bytes(4, "little")))
    assert [frame.offset for frame in found] == offsets(data)
    assert damaged(found) == [second]
    assert len(found[1].raw) == third - second


def test_a_record_without_its_magic_is_reported_and_the_next_one_found() -> None:
    data = file([THREE])
    first, second, third = offsets(data)
    assert damaged(frames(patched(data, second, b"\0\0"))) == [second]
    assert damaged(frames(patched(data, third, b"xxxx"))) == [third]
    # The template is defined in the first record: without it the others cannot be bounded or decoded safely.
    assert first in damaged(frames(patched(data, first, b"xxxx")))


def test_a_chunk_without_its_magic_is_one_damaged_record() -> None:
    data = file([THREE, THREE])
    (bad, *rest) = frames(patched(data, FILE_HEADER_SIZE, b"garbage!"))
    assert (bad.offset, len(bad.raw), bad.number) == (FILE_HEADER_SIZE, CHUNK_SIZE, 1)
    assert damaged([bad, *rest]) == [FILE_HEADER_SIZE]
    assert len(rest) == 3


@pytest.mark.parametrize("free", [0, 511, 65_537, 0xFFFF_FFFF])
def test_a_chunk_that_does_not_say_where_it_ends_is_reported_and_read(free: int) -> None:
    found = frames(patched(file([THREE]), FILE_HEADER_SIZE + 48, free.to_bytes(4, "little")))
    assert damaged(found) == [FILE_HEADER_SIZE]
    assert len(found) == 4


def test_an_unused_chunk_holds_nothing() -> None:
    assert frames(file([bytes(CHUNK_SIZE), THREE])) == tuple(
        frame._replace(offset=frame.offset + CHUNK_SIZE) for frame in frames(file([THREE]))
    )


def test_what_stands_behind_the_last_record_is_no_record() -> None:
    data = bytearray(file([THREE]))
    _, second, _ = offsets(bytes(data))
    pack_into("<I", data, FILE_HEADER_SIZE + 48, second - FILE_HEADER_SIZE)
    assert [frame.offset for frame in frames(bytes(data))] == [FIRST_RECORD]


def test_a_damaged_file_header_is_reported_and_the_chunks_are_read() -> None:
    found = frames(b"x" + file([THREE])[1:])
    assert damaged(found) == [0]
    assert len(found) == 4


@given(length=st.integers(min_value=1, max_value=FILE_HEADER_SIZE + CHUNK_SIZE - 1))
def test_a_truncated_file_is_never_taken_for_a_whole_one(length: int) -> None:
    data = file([THREE])
    framing = frame_evtx(data[:length], Position(), True)
    whole = [at for at in offsets(data) if at + unpack_from("<I", data, at + 4)[0] <= length]
    bad = damaged(framing.frames)
    assert [frame.offset for frame in framing.frames if frame.offset not in bad] == whole
    ends = FILE_HEADER_SIZE + unpack_from("<I", data, FILE_HEADER_SIZE + 48)[0]
    assert bool(bad) == (length < ends and length != FILE_HEADER_SIZE)
    assert framing.position.offset == length


def test_a_file_of_only_a_header_holds_nothing() -> None:
    assert frames(file([])) == ()


def bomb(times: int, inner: Body | None = None) -> Body:
    """Return a record whose template mentions its only value many times."""
    template = Template(Element("Event", {}, [Element("a", {}, 0) for _ in range(times)]))
    return instance(template, [(BINXML, inner)] if inner else strings("x" * 1000))


def test_a_record_that_would_grow_beyond_the_limit_is_not_decoded() -> None:
    (small,) = frames(file([chunk([bomb(15)])]))
    (large,) = frames(file([chunk([bomb(1500)])]))
    assert small.raw.startswith(b"{")
    assert large.raw.startswith(b"**")


def test_nested_templates_cannot_multiply() -> None:
    nested = bomb(200, bomb(200, bomb(200)))
    found = frames(file([chunk([nested, FAILED.body()])]))
    assert [frame.raw[:2] for frame in found] == [b"**", b'{"']


def test_many_large_records_are_bounded_together() -> None:
    template = Template(Element("Event", {}, [Element("a", {}, 0) for _ in range(100)]))
    first = instance(template, strings("x" * 800))
    again = instance(template, strings("x" * 800), known_at=DEFINED)
    found = frames(file([chunk([first, *[again] * 30])]))
    written = [frame for frame in found if frame.raw.startswith(b"{")]
    assert 0 < len(written) < len(found)
    assert sum(len(frame.raw) for frame in found) <= 8 << 20


def test_a_template_hidden_where_none_belongs_is_refused() -> None:
    def hidden(at: int) -> bytes:
        return b"\x0f\x01\x01\x00\x01" + bomb(2)(at + 5)

    with pytest.raises(TooLargeError):
        Expansion(hidden(0)).written_size(0, len(hidden(0)))


def _name_at(data: bytes, name: str) -> int:
    """Return the offset in its chunk of a name: where the next of its chain is, a hash, its length, its characters."""
    return data.index(name.encode("utf-16-le")) - 8 - FILE_HEADER_SIZE


def test_tables_that_lead_in_a_circle_are_not_followed() -> None:
    data = file([THREE])
    one, two = (_name_at(data, name) for name in ("Event", "xmlns"))
    for name, following in ((one, two), (two, one)):
        data = patched(data, FILE_HEADER_SIZE + name, following.to_bytes(4, "little"))
    data = patched(data, FILE_HEADER_SIZE + 128, one.to_bytes(4, "little"))
    assert damaged(frames(data)) == []


@given(
    texts=st.lists(st.text(max_size=300), min_size=1, max_size=4),
    mentions=st.lists(st.integers(min_value=0, max_value=3), min_size=1, max_size=30),
    kind=st.sampled_from([STRING, STRING_ARRAY]),
)
def test_the_estimate_is_never_too_small(texts: list[str], mentions: list[int], kind: int) -> None:
    template = Template(Element("Event", {"n": "v"}, [Element("a", {}, number) for number in mentions]))
    values: list[tuple[int, bytes | Body]] = [
        (kind, text.replace("\0", "").encode("utf-16-le", "replace")) for text in texts
    ]
    data = chunk([instance(template, values)])
    end = unpack_from("<I", data, 48)[0]
    bound = Expansion(data).written_size(512 + 24, end - 4)
    (frame,) = frames(file([data]))
    assert frame.raw.startswith(b"**") or len(frame.raw.decode()) <= bound


@settings(max_examples=300)
@given(
    changes=st.lists(
        st.tuples(st.integers(min_value=0, max_value=FILE_HEADER_SIZE + 4000), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=6,
    )
)
def test_no_change_to_a_file_breaks_the_framer_or_the_parser(changes: list[tuple[int, bytes]]) -> None:
    data = file([THREE])
    for at, new in changes:
        data = patched(data, at, new)
    framing = frame_evtx(data, Position(), True)
    assert framing.position.offset == len(data)
    assert all(len(frame.raw) <= MAX_RECORD_BYTES for frame in framing.frames)
    places = [frame.offset for frame in framing.frames]
    assert places == sorted(set(places))
    damaged(framing.frames)


@given(data=st.binary(max_size=9000), at_end=st.booleans())
def test_no_bytes_break_the_framer(data: bytes, at_end: bool) -> None:  # noqa: FBT001  Hypothesis passes by name
    framing = frame_evtx(data, Position(), at_end)
    assert framing.position.offset <= len(data)
    damaged(framing.frames)


@given(text=st.text() | st.text().map(lambda text: '{"Event":{' + text))
def test_no_text_breaks_the_parser(text: str) -> None:
    with suppress(ParseError):
        assert parse_evtx(Record(text, "x"), CONTEXT)


@pytest.mark.parametrize(
    ("start", "problem"),
    [
        (b"**\0\0", "the record cannot be decoded"),
        (b"ElfChnk\0", "the header of the chunk is wrong, or the chunk is cut short"),
        (b"ElfFile\0", "the file's header is cut short"),
        (b"\xff\xd8", "this part of the file is damaged"),
        (b"", "this part of the file is damaged"),
    ],
)
def test_the_problem_says_what_is_damaged(start: bytes, problem: str) -> None:
    with pytest.raises(ParseError) as caught:
        parsed(Frame(start, 0, 1, 0))
    assert caught.value.problem == problem


def test_an_evtx_file_is_recognised_from_its_first_bytes() -> None:
    data = file([THREE, THREE])
    assert guess(data[: 64 * 1024]) == ("windows.evtx", 1.0)
    assert guess(data) == ("windows.evtx", 1.0)
    assert recognise([]) == 0.0
    assert guess(orjson.dumps({"Event": {"System": {"EventID": 1}, "EventData": {}}}) + b"\n")[0] == "windows.json"


def test_the_names_of_a_template_reach_the_event() -> None:
    template = event_template(["A b", "C"])
    values = strings("P", "1", "0x0", "2026-09-07T00:01:09Z", "7", "Application", "PC", "x", "")
    (frame,) = frames(file([chunk([instance(template, values)])]))
    event = parsed(frame)
    assert event["winlog.event_data.A b"] == "x"
    assert event["winlog.event_data.C"] == ""
    assert event["winlog.record_id"] == "7"


@pytest.mark.public_rules
def test_every_record_of_the_public_samples_is_read() -> None:
    files = sorted((Path(os.environ["SECMON_PUBLIC_RULES"]) / "regression_data").rglob("*.evtx"))
    assert files
    for path in files:
        data = path.read_bytes()
        found = frames(data)
        assert found, path.name
        assert all(data.startswith(b"**\0\0", frame.offset) for frame in found)
        assert damaged(found) == [], path.name


def test_the_shipped_sample_is_what_the_writer_writes() -> None:
    shipped = Path(__file__).parents[2] / "test_corpora" / "windows.evtx" / "logons.evtx"
    assert shipped.read_bytes() == sample_file()
