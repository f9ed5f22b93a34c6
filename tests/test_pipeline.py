"""The order of a batch: masking before detection and storage; what a sender cannot forge; no record breaks a batch."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.model.event import Frame
from secmon.model.ids import stream_prefix
from secmon.model.stream import Position
from secmon.parse.kind import MAX_RECORD_BYTES
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, Processed, Stages, process
from tests.app.houses import NOON, access_line, stages_of

RAW = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a021"
CLASS = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a022"
RULES = f"""
title: A raw mobile number
id: {RAW}
taxonomy: ecs
logsource: {{category: webserver}}
detection:
  a: {{url.query|contains: '13800138000'}}
  b: {{event.original|contains: '13800138000'}}
  condition: a or b
level: low
---
title: A mobile number was seen
id: {CLASS}
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{data.classes: mobile}}, condition: a}}
level: low
"""
DAY = date(2026, 11, 21)
PHONE = "13800138000"


def lane(kind: str = "nginx.access", **more: Any) -> Lane:
    return Lane(source="web", generation="ab" * 32, kind=KINDS[kind], zone=ZoneInfo("Asia/Shanghai"), **more)


def run(lines: Sequence[str | bytes], on: Lane | None = None, stages: Stages | None = None) -> Processed:
    on = on or lane()
    data = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
    frames = on.kind.frame(data, Position(), True).frames
    prefix = stream_prefix(DAY, on.source, on.generation)
    return process(frames, on, stages or stages_of(RULES), prefix=prefix, received_at=NOON)


def events_of(done: Processed) -> list[dict[str, Any]]:
    return [orjson.loads(event.body) for event in done.events]


def test_rules_read_masked_events() -> None:
    done = run([access_line(NOON, f"/bind?phone={PHONE}")])
    assert [hit.rule_id for hit in done.hits] == [CLASS]
    assert [one.finding.data_class for one in done.findings] == ["mobile"] * len(done.findings)


def test_nothing_raw_leaves_the_pipeline() -> None:
    done = run([access_line(NOON, f"/bind?phone={PHONE}"), f"broken phone={PHONE}"])
    told = repr(replace(done, dead_letters=tuple(replace(one, raw=b"") for one in done.dead_letters)))
    assert PHONE not in told
    assert PHONE not in events_of(done)[0]["event.original"]
    assert done.dead_letters[0].raw == f"broken phone={PHONE}".encode()


def test_without_a_classifier_a_dead_letter_shows_nothing() -> None:
    done = run([f"broken phone={PHONE}"], stages=replace(stages_of(RULES), classifier=None))
    assert done.dead_letters[0].masked == ""


def test_without_a_classifier_events_stay_as_they_are() -> None:
    done = run([access_line(NOON, f"/bind?phone={PHONE}")], stages=replace(stages_of(RULES), classifier=None))
    assert [hit.rule_id for hit in done.hits] == [RAW]
    assert done.findings == ()


FORGED = {
    "event.id": "f" * 32,
    "event.hash": "f" * 32,
    "event.ingested": "1999-01-01T00:00:00.000Z",
    "event.original": "forged",
    "ecs.version": "0.0",
    "log.file.path": "/forged",
    "log.flags": ["forged", "twice"],
    "unit.id": "S-2",
    "asset.id": "A-2",
    "data.classes": ["cn_id18", "mobile"],
    "data.level": "L5",
    "data.token.mobile": "forged",
    "rule.level": "critical",
    "rule.digest": "forged",
    "alert.id": "forged",
    "case.id": "forged",
    "control.id": "forged",
    "evidence.id": "forged",
    "bulletin.id": "forged",
    "secmon.encoding": "forged",
    "deadletter.id": "forged",
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", FORGED)
def test_a_sender_cannot_forge_what_is_ours(name: str, nested: bool) -> None:  # noqa: FBT001  a parameter of the test
    fields: dict[str, Any] = {"@timestamp": "2026-11-21T11:00:00Z", "message": "m", "host.name": "web1"}
    given_field: Any = {name: FORGED[name]}
    if nested:
        for part in reversed(name.split(".")):
            given_field = {part: next(iter(given_field.values())) if name in given_field else given_field}
    event = events_of(run([orjson.dumps(fields | given_field)], lane("ecs", place="/var/log/a.json")))[0]
    assert event.get(name) != FORGED[name]
    assert (event["asset.id"], event["unit.id"]) == ("A-1", "S-1")
    assert event[f"secmon.sent.{name}"] == FORGED[name]


def test_masks_reach_what_a_sender_wrote_into_our_fields() -> None:
    line = orjson.dumps({"@timestamp": "2026-11-21T11:00:00Z", "unit.id": f"phone {PHONE}"})
    assert PHONE not in str(events_of(run([line], lane("ecs"))))


HOSTILE = [
    r'{"@timestamp":"2026-11-21T11:00:00Z","message":"\ud800"}',
    r'{"@timestamp":"2026-11-21T11:00:00Z","\ud800":"key"}',
    r'{"@timestamp":"2026-11-21T11:00:00Z","user":{"\udfff":{"x":"\ud800"}}}',
    '{"@timestamp":"2026-11-21T11:00:00Z","n":123456789012345678901234567890123456789}',
    '{"@timestamp":"2026-11-21T11:00:00Z","n":[1,123456789012345678901234567890]}',
    '{"@timestamp":"2026-11-21T11:00:00Z","n":-99999999999999999999999}',
    '{"@timestamp":"2026-11-21T11:00:00Z","n":1e999}',
    '{"@timestamp":"2026-11-21T11:00:00Z","n":NaN}',
    '{"@timestamp":"2026-11-21T11:00:00Z","event.action":123456789012345678901234567890}',
    r'{"@timestamp":"2026-11-21T11:00:00Z","host.name":["\ud800","web1"]}',
    r'{"@timestamp":"2026-11-21T11:00:00Z","user.name":"a\u0000b\u001f"}',
    r'{"@timestamp":"2026-11-21T11:00:00Z","user.phone":"\ud80013800138000"}',
    '{"@timestamp":"0001-01-01T00:00:00+14:00"}',
    '{"@timestamp":"0001-01-01T00:00:00Z","url.path":"/shell"}',
    '{"@timestamp":"9999-12-31T23:59:59.999999Z"}',
    '{"@timestamp":"9999-12-31T23:59:59-14:00"}',
    '{"@timestamp":-99999999999999999}',
    '{"@timestamp":1e300}',
    "[" * 5_000,
    '{"a":' * 5_000,
    "\x00" * 50,
    b"\xff\xfe\x00broken",
    b'{"@timestamp":"2026-11-21T11:00:00Z","m":"\xc4\xe3\xba\xc3"}',
]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_no_record_breaks_its_batch(hostile: str | bytes, kind: str) -> None:
    done = run([hostile], lane(kind))
    assert done.counts.received == done.counts.stored + done.counts.dead_lettered + sum(done.counts.dropped.values())
    for event in events_of(done):
        assert None not in event.values()


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), lines=st.lists(st.binary(max_size=200), max_size=5))
def test_no_bytes_break_a_batch(kind: str, lines: list[bytes]) -> None:
    done = run(lines, lane(kind))
    assert done.counts.received == done.counts.stored + done.counts.dead_lettered + sum(done.counts.dropped.values())
    assert len({event.id for event in done.events}) == len(done.events)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(st.sampled_from(["event", "user.name", "host.name", "a", "data.classes", "tags"]), JSON))
def test_no_ecs_document_breaks_a_batch(value: dict[str, Any]) -> None:
    line = json.dumps({"@timestamp": "2026-11-21T11:00:00Z"} | value)
    done = run([line], lane("ecs"))
    assert done.counts.received == 1
    for event in events_of(done):
        assert None not in event.values()


def test_a_record_that_was_cut_is_flagged() -> None:
    event = events_of(run(["Nov 21 12:00:00 web1 app: " + "x" * MAX_RECORD_BYTES], lane("syslog")))[0]
    assert event["log.flags"] == ["truncated"]


def test_an_event_belongs_to_the_unit_of_its_asset_then_of_its_source() -> None:
    line = orjson.dumps({"@timestamp": "2026-11-21T11:00:00Z", "message": "m"})
    found = orjson.dumps({"@timestamp": "2026-11-21T11:00:00Z", "host.name": "web1"})
    assert "unit.id" not in events_of(run([line], lane("ecs")))[0]
    assert events_of(run([line], lane("ecs", unit="S-9")))[0]["unit.id"] == "S-9"
    assert events_of(run([line], lane("ecs", asset="A-2", unit="S-9")))[0]["unit.id"] == "S-2"
    assert events_of(run([found], lane("ecs", asset="A-2", unit="S-9")))[0]["unit.id"] == "S-1"
    assert events_of(run([line], lane("ecs", asset="gone", unit="S-9")))[0]["unit.id"] == "S-9"


def test_ids_follow_the_offset_and_digests_the_key() -> None:
    one = run([access_line(NOON), access_line(NOON)])
    other = run([access_line(NOON)], stages=replace(stages_of(RULES), record_key=b"o" * 32))
    assert one.events[0].id != one.events[1].id
    assert one.events[0].digest == one.events[1].digest
    assert one.events[0].id == other.events[0].id
    assert one.events[0].digest != other.events[0].digest
    assert events_of(one)[0]["event.hash"] == one.events[0].digest.hex()


def test_counts_times_and_encodings() -> None:
    done = run([access_line(NOON), "", "nonsense", access_line(NOON - timedelta(hours=1))])
    assert (done.counts.received, done.counts.stored, done.counts.dead_lettered) == (4, 2, 1)
    assert (done.counts.dropped, done.counts.events) == ({"blank": 1}, 2)
    assert (done.first, done.last, done.skew_s) == (NOON - timedelta(hours=1), NOON, 0.0)
    assert done.encodings == {"utf-8": 4}


def test_no_frames_give_nothing() -> None:
    done = process([], lane(), stages_of(RULES), prefix=b"\0" * 8, received_at=NOON)
    assert (done.events, done.first, done.counts.received) == ((), None, 0)


ANOTHER_PROCESS = """
import hashlib
from tests.test_pipeline import access_line, lane, run, NOON, PHONE
done = run([access_line(NOON, f"/bind?phone={PHONE}&n={n}") for n in range(20)] + ["nonsense"])
print(hashlib.sha256(repr(done).encode()).hexdigest())
"""


def test_another_process_makes_the_same_of_the_same_frames() -> None:
    def told(seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", ANOTHER_PROCESS],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        )
        return done.stdout

    assert told("1") == told("2") != ""


def test_a_frame_by_hand_is_enough() -> None:
    frame = Frame(access_line(NOON).encode(), 7, 1, 1)
    done = process([frame], lane(), stages_of(RULES), prefix=b"\1" * 8, received_at=NOON)
    assert done.events[0].id == b"\1" * 8 + (7).to_bytes(6, "big") + b"\0\0"
