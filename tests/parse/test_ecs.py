"""Ready ECS documents: one shape, nothing forged, nothing lost."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.ecs import parse_ecs, recognise
from secmon.parse.ecs_arrays import is_array
from secmon.parse.ecs_reserved import RESERVED_FIELDS, RESERVED_NAMESPACES, is_reserved

CONTEXT = ParseContext(timezone(timedelta(hours=8)), datetime(2026, 9, 8, tzinfo=UTC))
TIME = "2026-09-07T00:01:09.424Z"


def ecs(document: dict[str, Any] | None = None, /, **fields: Any) -> Event:
    text = json.dumps({"@timestamp": TIME, **(document or {}), **fields})
    result = parse_ecs(Record(text, "ecs:record 1"), CONTEXT)
    assert not isinstance(result, Dropped)
    (event,) = result
    return event


def test_nested_and_dotted_names_are_the_same() -> None:
    nested = ecs(user={"name": "mori", "target": {"name": "x"}}, event={"category": ["iam"]})
    dotted = ecs({"user.name": "mori", "user.target.name": "x", "event.category": ["iam"]})
    assert nested == dotted


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("event.category", "web", ["web"]),
        ("host.ip", "192.0.2.1", ["192.0.2.1"]),
        ("process.args", ["a", "b"], ["a", "b"]),
        ("dns.answers.data", "192.0.2.1", ["192.0.2.1"]),
        ("user.target.entity.type", "x", ["x"]),
        ("source.ip", ["192.0.2.1"], "192.0.2.1"),
        ("user.email", ["a", "b"], ["a", "b"]),
        ("my.own", [1], 1),
        ("http.response.status_code", 200, 200),
        ("a", 1.5, 1.5),
        ("a", True, True),
    ],
)
def test_a_field_has_the_shape_that_ecs_gives_it(name: str, value: Any, expected: Any) -> None:
    assert ecs({name: value})[name] == expected


@pytest.mark.parametrize("name", [*sorted(RESERVED_FIELDS), *(f"{space}.x.y" for space in sorted(RESERVED_NAMESPACES))])
def test_a_sender_cannot_set_what_is_ours(name: str) -> None:
    event = ecs({name: "forged"})
    assert name not in event
    assert event[f"secmon.sent.{name}"] == "forged"


@pytest.mark.parametrize(
    "name", ["data_stream.type", "dataset", "units", "rule.id", "rule.name", "event.created", "log.level"]
)
def test_what_only_looks_like_ours_stays(name: str) -> None:
    assert ecs({name: "x"})[name] == "x"


@given(name=st.text(min_size=1, max_size=30))
def test_a_name_moved_aside_is_never_read_as_ours(name: str) -> None:
    assert is_reserved(f"secmon.sent.{name}")


@pytest.mark.parametrize(
    ("name", "value"), [("event.kind", "nonsense"), ("event.kind", ["event", "alert"]), ("event.outcome", 1)]
)
def test_what_decides_must_be_a_value_of_ecs(name: str, value: Any) -> None:
    event = ecs({name: value})
    assert event.get(name) == {"event.kind": "event"}.get(name)
    assert event[f"secmon.sent.{name}"] == value


def test_what_an_event_always_has_is_added() -> None:
    event = ecs(message="x")
    assert event == {
        "@timestamp": TIME,
        "message": "x",
        "event.kind": "event",
        "event.category": ["host"],
        "event.type": ["info"],
        "event.dataset": "ecs",
        "event.module": "ecs",
    }


def test_what_routes_is_text() -> None:
    event = ecs({"event.code": 4625, "event.action": ["a", "b"], "event.dataset": True})
    assert (event["event.code"], event["event.action"], event["event.dataset"]) == ("4625", "a", "true")


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-09-07T08:01:09.424+08:00", TIME),
        ("2026-09-07T08:01:09.424", TIME),
        (1788739269424, TIME),
        ("2026-09-07T00:01:09.4242426Z", "2026-09-07T00:01:09.424242Z"),
    ],
)
def test_the_time_becomes_utc(stamp: Any, expected: str) -> None:
    assert ecs({"@timestamp": stamp})["@timestamp"] == expected


@pytest.mark.parametrize(
    "stamp", [None, "", "soon", [TIME], [TIME, TIME], {"x": TIME}, True, "2026-02-30T00:00:00Z"], ids=str
)
def test_without_a_time_it_is_refused(stamp: Any) -> None:
    with pytest.raises(ParseError, match=r"^ecs:record 1: no @timestamp that can be read \(RFC 3339 is expected\)$"):
        ecs({"@timestamp": stamp})


def test_a_blank_line_is_dropped() -> None:
    assert parse_ecs(Record("\t", "x"), CONTEXT) == Dropped("blank")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ParseError):
        parse_ecs(Record('{"a":' * 10_000 + "1" + "}" * 10_000, "x"), CONTEXT)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from(["event", "kind", "category", "event.type", "unit", "secmon", "host", "ip", "event.code"])


@given(document=st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=8))
def test_no_document_breaks_the_parser_or_forges_a_field(document: dict[str, Any]) -> None:
    with suppress(ParseError):
        event = ecs({name: value for name, value in document.items() if name != "@timestamp"})
        orjson.dumps(event)
        assert all(not is_reserved(name) or name.startswith("secmon.sent.") for name in event)
        assert all(isinstance(value, list) for name, value in event.items() if is_array(name))
        assert {
            "@timestamp",
            "event.kind",
            "event.category",
            "event.type",
            "event.dataset",
            "event.module",
        } <= event.keys()


@given(text=st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    with suppress(ParseError):
        parse_ecs(Record(text, "x"), CONTEXT)


def test_ecs_is_recognised_less_surely_than_what_knows_its_json_better() -> None:
    assert recognise(['{"@timestamp":"x","event.kind":"event"}']) == 0.9
    assert recognise(['{"@timestamp":"x","a":1}', '{"a":1}']) == 0.3
    assert recognise([]) == 0.0
