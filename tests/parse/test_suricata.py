"""Suricata EVE: alerts and protocol events in ECS; what has no ECS name is kept flat."""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.suricata import parse_eve, recognise
from secmon.parse.suricata_fields import FIELDS

CONTEXT = ParseContext(UTC, datetime(2026, 9, 8, tzinfo=UTC))
TIME = "2026-09-07T08:01:09.424242+0800"


def eve(kind: str = "alert", /, **members: Any) -> Event:
    text = json.dumps({"timestamp": TIME, **members, "event_type": kind})
    result = parse_eve(Record(text, "eve:record 1"), CONTEXT)
    assert not isinstance(result, Dropped)
    (event,) = result
    return event


def alert(**members: Any) -> dict[str, Any]:
    return {"action": "allowed", "signature_id": 2034125, "signature": "S", "severity": 1, **members}


def test_an_alert_names_its_rule() -> None:
    event = eve(alert=alert(rev=4, category="C", gid=1))
    assert (event["event.kind"], event["event.severity"]) == ("alert", 1)
    assert (event["rule.id"], event["rule.name"], event["rule.category"], event["rule.version"]) == (
        "2034125",
        "S",
        "C",
        "4",
    )
    assert event["suricata.eve.alert.gid"] == 1


@pytest.mark.parametrize(
    ("members", "types"),
    [
        ({"alert": alert(action="allowed")}, ["info", "allowed"]),
        ({"alert": alert(action="blocked")}, ["info", "denied"]),
        ({"alert": alert(action="allowed"), "verdict": {"action": "drop"}}, ["info", "allowed", "denied"]),
        ({"alert": alert(action="new word")}, ["info"]),
        ({"alert": alert(action=["allowed"])}, ["info"]),
    ],
    ids=str,
)
def test_an_alert_says_whether_the_packet_passed(members: dict[str, Any], types: list[str]) -> None:
    assert eve(**members)["event.type"] == types


def test_attack_techniques_are_lists() -> None:
    event = eve(alert=alert(metadata={"mitre_technique_id": ["T1190"], "mitre_tactic_id": "TA0001"}))
    assert (event["threat.technique.id"], event["threat.tactic.id"]) == (["T1190"], ["TA0001"])


@pytest.mark.parametrize(
    "name", ["src_ip", "src_port", "proto", "http.status", "dns.answers.ttl", "tls.version", "flow.start"]
)
@pytest.mark.parametrize("value", ["junk", -1, True, 1.5, ["x", 1]], ids=str)
def test_a_value_that_is_not_what_its_name_promises_is_kept_aside(name: str, value: Any) -> None:
    field, _ = FIELDS[name]
    event = eve("http", **{name: value})
    if field in event:
        assert name == "proto"
    else:
        assert event[f"suricata.eve.{name}"] == value


def test_no_value_is_lost() -> None:
    members: dict[str, Any] = {
        "a": {"b": [1, {"c": "x"}]},
        "dns": {"rrname": "n", "queries": [{"rrname": "m"}]},
        "vlan": [7],
    }
    event = eve("dns", **members)
    assert event["suricata.eve.a.b"] == [1]
    assert event["suricata.eve.a.b.c"] == "x"
    assert event["dns.question.name"] == "n"
    assert event["suricata.eve.dns.queries.rrname"] == "m"
    assert event["suricata.eve.vlan"] == [7]


def test_a_flow_s_bytes_are_added_up() -> None:
    event = eve("flow", flow={"bytes_toserver": 60, "bytes_toclient": 40, "pkts_toserver": 1, "pkts_toclient": 2})
    assert (event["network.bytes"], event["network.packets"]) == (100, 3)


def test_counters_are_one_text_however_many_they_are() -> None:
    event = eve("stats", stats={f"c{i}": {"d": i} for i in range(5000)})
    assert event["event.kind"] == "metric"
    counters = orjson.loads(str(event["suricata.eve.stats"]))
    assert counters["c4999"] == {"d": 4999}


def test_an_unknown_type_is_a_protocol() -> None:
    event = eve("new-protocol", **{"new-protocol": {"x": 1}})
    assert event["event.category"] == ["network"]
    assert event["suricata.eve.new-protocol.x"] == 1


def test_a_sender_reaches_none_of_our_fields() -> None:
    event = eve(**{"event.id": "x", "unit": {"id": "y"}, "suricata.eve.z": 1})
    assert event["suricata.eve.event.id"] == "x"
    assert event["suricata.eve.unit.id"] == "y"
    assert not event.keys() & {"event.id", "unit.id"}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        f'{{"timestamp":"{TIME}"}}',
        f'{{"timestamp":"{TIME}","event_type":""}}',
        f'{{"timestamp":"{TIME}","event_type":{{}}}}',
        '{"timestamp":"now","event_type":"dns"}',
        f'{{"timestamp":"{TIME}","event_type":"dns","a":' + "[" * 10_000 + "]" * 10_000 + "}",
        f'{{"timestamp":"{TIME}","event_type":"dns",' + ",".join(f'"k{i}":1' for i in range(1001)) + "}",
    ],
    ids=lambda text: text[:60],
)
def test_what_is_no_eve_event_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"^eve:record 1: "):
        parse_eve(Record(text, "eve:record 1"), CONTEXT)


def test_a_blank_line_is_dropped() -> None:
    assert parse_eve(Record("", "x"), CONTEXT) == Dropped("blank")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    members=st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=5), VALUES, max_size=8),
    event_type=st.sampled_from(["alert", "flow", "dns", "http", "fileinfo", "stats"]) | st.text(max_size=5),
)
def test_no_json_breaks_the_parser(members: dict[str, Any], event_type: str) -> None:
    with suppress(ParseError):
        event = eve(event_type, **members)
        orjson.dumps(event, option=orjson.OPT_SERIALIZE_NUMPY)
        assert all(value is not None for value in event.values())


def test_eve_events_are_recognised_and_other_json_is_not() -> None:
    assert recognise(['{"event_type":"alert","src_ip":"192.0.2.1"}', '{"event_type":"x"}', "", "{}"]) == 0.25
    assert recognise([]) == 0.0


@pytest.mark.corpora
def test_a_real_output_is_read() -> None:
    path = Path(os.environ["SECMON_CORPORA"]) / "suricata-verify/expected/output-eve-fileinfo__expected__eve.json"
    lines = path.read_text(encoding="utf-8").splitlines()
    events = [parse_eve(Record(line, "x"), CONTEXT) for line in lines]
    assert events
    assert all(isinstance(event, list) for event in events)
