"""Windows events as JSON: every value verbatim beside its ECS copy, whatever the shape."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, Record
from secmon.model.stream import Position
from secmon.parse.evtx import frame_evtx
from secmon.parse.windows_json import parse_windows_json, recognise
from tests.parse.windows_builders import CONTEXT, NESTED, TIME, flat, nested, parse


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a  b ", "a  b "),
        ("", ""),
        ("-", "-"),
        ("0x1F", "0x1F"),
        (0, "0"),
        (-1, "-1"),
        (18446744073709551615, "18446744073709551615"),
        (True, "true"),
        (["a", 1, None], ["a", "1"]),
        ({"k": ["v"]}, '{"k":["v"]}'),
    ],
)
def test_a_value_stays_what_it_was(value: Any, text: Any) -> None:
    assert flat(Anything=value)["winlog.event_data.Anything"] == text


@pytest.mark.parametrize("number", ["1.50", "123456789012345678901234567890", "1e3", "-0.10", "0.1000000000000000055"])
def test_a_number_keeps_the_digits_it_was_written_with(number: str) -> None:
    event = parse(f'{{"EventID":1,"SystemTime":"{TIME}","N":{number}}}')
    assert event["winlog.event_data.N"] == number


@pytest.mark.parametrize("name", ["Threat Name", "a.b", "名称", "Image", "ProcessId", "Path", "Name"])
def test_a_name_stays_what_it_was(name: str) -> None:
    assert flat(**{name: "x"})[f"winlog.event_data.{name}"] == "x"


def test_nothing_is_made_of_null() -> None:
    assert "winlog.event_data.Gone" not in flat(Gone=None)


SYSTEM = {
    "Provider_Name": "winlog.provider_name",
    "SourceName": "winlog.provider_name",
    "Computer": "winlog.computer_name",
    "Hostname": "winlog.computer_name",
    "EventRecordID": "winlog.record_id",
    "RecordNumber": "winlog.record_id",
    "Level": "winlog.level",
    "Keywords": "winlog.keywords",
    "Channel": "winlog.channel",
    "EventID": "event.code",
}


@pytest.mark.parametrize(("name", "field"), SYSTEM.items())
def test_system_values_have_their_own_fields_and_are_text(name: str, field: str) -> None:
    event = flat(**{name: 7})
    assert event[field] == "7"
    assert f"winlog.event_data.{name}" not in event


def test_all_shapes_give_the_same_event() -> None:
    data = {"TargetUserName": "mori", "IpAddress": "192.0.2.9", "IpPort": "50000", "LogonType": "3"}
    system = {"Computer": "DC01", "EventRecordID": 7, "Keywords": "0x8020000000000000"}
    beat = {
        "@timestamp": TIME,
        "winlog": {
            "channel": "Security",
            "computer_name": "DC01",
            "record_id": 7,
            "keywords": "0x8020000000000000",
            "event_id": "4624",
            "event_data": data,
        },
    }
    dotted = {f"winlog.event_data.{name}": value for name, value in data.items()} | {
        "@timestamp": TIME,
        "event.code": "4624",
        "winlog.channel": "Security",
        "winlog.computer_name": "DC01",
        "winlog.record_id": "7",
        "winlog.keywords": "0x8020000000000000",
    }
    shapes = [flat(**system, **data), nested(data, system=system), parse(json.dumps(beat)), parse(json.dumps(dotted))]
    assert [event == shapes[0] for event in shapes] == [True] * 4
    assert shapes[0]["source.ip"] == "192.0.2.9"


@pytest.mark.parametrize(
    "code",
    [4624, "4624", {"#text": 4624, "#attributes": {"Qualifiers": ""}}, {"#text": "4624"}, {"Value": 4624}],
    ids=str,
)
def test_the_event_id_is_text_in_every_spelling(code: Any) -> None:
    assert nested({}, code=code)["event.code"] == "4624"


@pytest.mark.parametrize(
    "provider",
    [
        {"Provider": {"#attributes": {"Name": "P"}}},
        {"Provider": {"@Name": "P"}},
        {"Provider": {"Name": "P"}},
        {"Provider_attributes": {"Name": "P"}},
    ],
    ids=str,
)
def test_attributes_are_found_in_every_spelling(provider: dict[str, Any]) -> None:
    assert nested({}, system=provider)["winlog.provider_name"] == "P"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"Data": ["a", "b"]}, {"Data": ["a", "b"]}),
        ({"Data": {"#text": ["a", "b"]}}, {"Data": ["a", "b"]}),
        ({"Data": "a"}, {"Data": "a"}),
        ({"Data": {"#attributes": {"Name": "A"}, "#text": "x"}}, {"A": "x"}),
        ({"Data": [{"@Name": "A", "#text": "x"}, {"@Name": "A b", "#text": 2}]}, {"A": "x", "A b": "2"}),
        ({"#attributes": {"Name": "Stop", "xmlns:x": "u"}, "A": "x"}, {"Name": "Stop", "A": "x"}),
        ({"Binary": "00FF", "Data": None}, {"Binary": "00FF"}),
    ],
    ids=str,
)
def test_data_elements_are_read_in_every_spelling(data: dict[str, Any], expected: dict[str, Any]) -> None:
    event = nested(data)
    found = {name.removeprefix("winlog.event_data."): value for name, value in event.items() if "event_data" in name}
    assert found == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"EventXML": {"#attributes": {"xmlns": "Event_NS"}, "Param1": "x"}}, {"Param1": "x"}),
        ({"A": {"B": {"C": {"D": 1}}}}, {"B_C_D": "1"}),
        ({"A": {"B": {"#attributes": {"k": "v"}, "C": "x"}}}, {"B_k": "v", "B_C": "x"}),
    ],
    ids=str,
)
def test_user_data_goes_where_event_data_goes(data: dict[str, Any], expected: dict[str, Any]) -> None:
    event = nested(data, part="UserData")
    found = {name.removeprefix("winlog.event_data."): value for name, value in event.items() if "event_data" in name}
    assert found == expected


@pytest.mark.parametrize(
    ("name", "stamp", "expected"),
    [
        ("SystemTime", TIME, TIME),
        ("SystemTime", "2026-09-07T00:01:09.1234567Z", "2026-09-07T00:01:09.123456Z"),
        ("SystemTime", "2026-09-07 00:01:09.5", "2026-09-07T00:01:09.500Z"),
        ("EventTime", "2026-09-07 08:01:09", "2026-09-07T00:01:09.000Z"),
        ("EventTime", "2026-09-07T09:01:09.000+09:00", "2026-09-07T00:01:09.000Z"),
        ("@timestamp", "2026-09-07T00:01:09Z", "2026-09-07T00:01:09.000Z"),
        ("UtcTime", "2026-09-07 00:01:09.424", TIME),
        ("TimeCreated", "/Date(1788739269424)/", TIME),
        ("TimeCreated", 1788739269.424, TIME),
    ],
)
def test_the_time_is_read_from_every_shipper(name: str, stamp: object, expected: str) -> None:
    assert parse(json.dumps({"EventID": 1, name: stamp}))["@timestamp"] == expected


def test_the_log_s_own_time_goes_before_its_arrival() -> None:
    event = flat(**{"@timestamp": "2027-01-01T00:00:00.000Z", "EventTime": "2027-01-01 00:00:00"})
    assert event["@timestamp"] == TIME


def test_a_sender_cannot_forge_our_fields() -> None:
    text = json.dumps({"@timestamp": TIME, "winlog": {"event_id": 1}, "event": {"id": "x"}, "unit": {"id": "y"}})
    event = parse(text)
    assert "event.id" not in event
    assert "unit.id" not in event
    assert event["secmon.sent.event.id"] == "x"
    assert flat(**{"unit.id": "y"})["winlog.event_data.unit.id"] == "y"


def test_of_a_name_that_stands_twice_no_value_is_lost_in_the_nested_shape() -> None:
    assert parse(NESTED + '"EventData":{"A":"x","A":"y"}}}')["winlog.event_data.A"] == ["x", "y"]


def test_a_lone_surrogate_hides_nothing() -> None:
    assert parse(f'{{"EventID":1,"SystemTime":"{TIME}","C":"a\\ud800b"}}')["winlog.event_data.C"] == "a\\ud800b"
    assert parse(NESTED + '"EventData":{"C":"a\\ud800b"}}}')["winlog.event_data.C"] == "a\\ud800b"


def test_a_blank_line_is_dropped() -> None:
    assert parse_windows_json(Record(" \t", "x"), CONTEXT) == Dropped("blank")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "1",
        "{}",
        '{"EventID":1}',
        f'{{"EventID":null,"SystemTime":"{TIME}"}}',
        '{"EventID":1,"SystemTime":"soon"}',
        '{"Event":{"System":{"EventID":1}}}',
        '{"Event":7}',
        '{"winlog":{"event_id":1}}',
        f'{{"EventID":1,"SystemTime":"{TIME}","a":' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"Event":{"System":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}}",
        f'{{"EventID":1,"SystemTime":"{TIME}",' + ",".join(f'"n{i}":1' for i in range(1001)) + "}",
        f'{{"EventID":1,"SystemTime":"{TIME}","{"n" * 600}":1}}',
        NESTED + '"UserData":' + f'{{"{"n" * 60}":' * 30 + '{"a":1}' + "}" * 32,
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_windows_event_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"^log:record 1: "):
        parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [
        *("EventID", "Channel", "SystemTime", "EventData", "UserData", "System", "Event", "winlog", "Data", "#text"),
        *("#attributes", "TimeCreated", "Provider", "Keywords", "event", "@timestamp", "Hashes", "event_data"),
    ]
)
TELLING = st.sampled_from([4624, "1", TIME, "Security", "Microsoft-Windows-Sysmon/Operational", "0x8020000000000000"])
DOCUMENTS = st.recursive(
    JSON | TELLING, lambda inner: st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6), max_leaves=30
)
SHAPES: list[Callable[[Any], Any]] = [
    lambda value: value,
    lambda value: {"EventID": 4624, "Channel": "Security", "SystemTime": TIME, "EventData": value, "IpAddress": value},
    lambda value: {"Event": {"System": {"EventID": 1, "TimeCreated": {"SystemTime": TIME}}, "EventData": value}},
    lambda value: {"@timestamp": TIME, "winlog": {"event_id": 1, "event_data": value}},
]


@given(value=DOCUMENTS, shape=st.sampled_from(SHAPES))
def test_no_json_breaks_the_parser(value: Any, shape: Callable[[Any], Any]) -> None:
    with suppress(ParseError):
        event = parse(json.dumps(shape(value)))
        orjson.dumps(event)
        assert all(
            isinstance(item, str)
            for name, field in event.items()
            if name.startswith("winlog.")
            for item in (field if isinstance(field, list) else [field])
        )


@given(
    text=st.text() | st.text().map(lambda text: '{"Event":' + text) | st.text().map(lambda text: '{"EventID":' + text)
)
def test_no_text_breaks_the_parser(text: str) -> None:
    with suppress(ParseError):
        parse_windows_json(Record(text, "x"), CONTEXT)


def test_windows_events_are_recognised_and_other_json_is_not() -> None:
    assert recognise(['{"EventID":1,"Channel":"x"}', '{"winlog":{"channel":"x","event_id":1}}']) == 1.0
    assert recognise(['{"Event":{"System":{"EventID":1}}}', "", "x", '{"event_id":1}']) == 0.25
    assert recognise([]) == 0.0


@pytest.mark.corpora
def test_every_one_of_the_97000_events_is_read_and_no_value_changes() -> None:
    path = Path(os.environ["SECMON_CORPORA"]) / "windows" / "otrf-97k.jsonl.zst"
    count = 0
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            event, members = parse(line), orjson.loads(line)
            verbatim = {name: text for name, text in members.items() if f"winlog.event_data.{name}" in event}
            assert all(
                event[f"winlog.event_data.{name}"] in (text, str(text).lower()) for name, text in verbatim.items()
            )
            assert len(verbatim) >= len(members) - 13  # the rest are System values
            assert event["@timestamp"] == members["SystemTime"]
            count += 1
    assert count == 97_000


def trimmed(event: Event) -> Event:
    """Return an event without blanks around its values and in one case: some dumps were edited by hand."""
    return {name: value.strip().lower() if isinstance(value, str) else value for name, value in event.items()}


@pytest.mark.public_rules
def test_a_record_is_the_same_from_its_file_and_from_a_dump_of_it() -> None:
    folder = Path(os.environ["SECMON_PUBLIC_RULES"]) / "regression_data"
    compared = 0
    for path in sorted(folder.rglob("*.evtx")):
        dump = path.with_suffix(".json")
        frames = frame_evtx(path.read_bytes(), Position(), True).frames
        if len(frames) == 1 and dump.exists():
            assert trimmed(parse(frames[0].raw.decode())) == trimmed(parse(dump.read_text(encoding="utf-8")))
            compared += 1
    assert compared > 50
