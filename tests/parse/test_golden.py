"""Every kind has golden corpora: logs with what each of their records becomes (contracts: Parser golden)."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, Frame, ParseContext, Record, format_time, parse_time
from secmon.model.stream import Position
from secmon.parse.encoding import decode
from secmon.parse.guess import guess
from secmon.parse.registry import KINDS

CORPORA = Path(__file__).parents[2] / "test_corpora"
CASES = sorted(CORPORA.glob("*/*.expected.jsonl"))
IDS = [f"{path.parent.name}/{path.name.removesuffix('.expected.jsonl')}" for path in CASES]

# Elastic Common Schema 9.5: which event types go with which category.
ALLOWED = {
    "api": {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"},
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "database": {"access", "change", "info", "error"},
    "driver": {"change", "end", "info", "start"},
    "email": {"info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "host": {"access", "change", "end", "info", "start"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "library": {"start"},
    "malware": {"info"},
    "network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
    "package": {"access", "change", "deletion", "info", "installation", "start"},
    "process": {"access", "change", "end", "info", "start"},
    "registry": {"access", "change", "creation", "deletion"},
    "session": {"start", "end", "info"},
    "threat": {"indicator"},
    "vulnerability": {"info"},
    "web": {"access", "error", "info"},
}
OF_THE_PIPELINE = {"event.id", "event.hash", "event.ingested", "event.original", "log.file.path"}
OUTCOMES = {"success", "failure", "unknown"}


@dataclass(frozen=True)
class Case:
    """One golden case: its header, its expected rows, and the records of its log."""

    about: dict[str, Any]
    expected: list[dict[str, Any]]
    log: Path

    @property
    def frames(self) -> tuple[Frame, ...]:
        return KINDS[self.about["kind"]].frame(self.log.read_bytes(), Position(), True).frames

    @property
    def context(self) -> ParseContext:
        now = self.about.get("year_from")
        return ParseContext(ZoneInfo(self.about["zone"]), parse_time(now) if now else datetime(2026, 10, 1, tzinfo=UTC))

    def outcome(self, frame: Frame) -> list[Event] | str:
        """Return the events of a record, or what else became of it."""
        text, encoding = decode(frame.raw)
        record = Record(text, f"case:record {frame.number}", encoding)
        try:
            result = KINDS[self.about["kind"]].parse(record, self.context)
        except ParseError as error:
            return f"malformed: {error.problem}"
        return f"dropped: {result.reason}" if isinstance(result, Dropped) else result


def read_case(path: Path) -> Case:
    header, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    name = path.name.removesuffix(".expected.jsonl")
    (log,) = [other for other in path.parent.glob(f"{name}.*") if other != path]
    return Case(header["case"], rows, log)


def differences(row: dict[str, Any], outcome: list[Event] | str) -> list[str]:
    """Return what a record's expectation and its outcome disagree about."""
    if isinstance(outcome, str):
        wanted = f"malformed: {row['malformed']}" if "malformed" in row else f"dropped: {row.get('dropped')}"
        return [] if outcome == wanted else [f"{outcome!r}, not {wanted!r}"]
    wanted_events = row["events"] if "events" in row else [row["fields"]] if "fields" in row else []
    if "fields" in row:
        outcome = outcome[:1]
    if len(wanted_events) != len(outcome):
        return [f"{len(outcome)} events, not {len(wanted_events)}"]
    return [
        f"{name}: {event.get(name)!r}, not {value!r}"
        for event, fields in zip(outcome, wanted_events, strict=True)
        for name, value in fields.items()
        if event.get(name) != value
    ]


def flaws(event: Event) -> list[str]:
    """Return where an event breaks what holds for every event of every parser."""
    found = [f"{name} is empty" for name, value in event.items() if value is None or value == []]
    found += [f"{name} belongs to the pipeline" for name in event.keys() & OF_THE_PIPELINE]
    categories, types = event.get("event.category", []), event.get("event.type", [])
    if not isinstance(categories, list) or not isinstance(types, list):
        return [*found, "event.category or event.type is no list"]
    found += [f"category {name}" for name in categories if name not in ALLOWED]
    allowed = set().union(*(ALLOWED.get(str(name), set()) for name in categories)) if categories else {"info"}
    found += [f"type {name} with {categories}" for name in types if name not in allowed]
    if event.get("event.outcome", "unknown") not in OUTCOMES:
        found.append("event.outcome")
    stamp = str(event["@timestamp"])
    return found if format_time(parse_time(stamp)) == stamp else [*found, "@timestamp"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_case(kind: str) -> None:
    assert [path for path in CASES if path.parent.name == kind]


@pytest.mark.parametrize("path", CASES, ids=IDS)
def test_every_record_becomes_what_is_expected(path: Path) -> None:
    case = read_case(path)
    frames = case.frames
    assert [frame.line or frame.number for frame in frames] == [row["line"] for row in case.expected]
    wrong = {
        row["line"]: problems
        for row, frame in zip(case.expected, frames, strict=True)
        if (problems := differences(row, case.outcome(frame)))
    }
    assert wrong == {}


@pytest.mark.parametrize("path", CASES, ids=IDS)
def test_every_event_is_good_ecs(path: Path) -> None:
    case = read_case(path)
    events = [event for frame in case.frames if not isinstance(made := case.outcome(frame), str) for event in made]
    assert {index: problems for index, event in enumerate(events) if (problems := flaws(event))} == {}


@pytest.mark.parametrize("path", CASES, ids=IDS)
def test_no_problem_quotes_its_record(path: Path) -> None:
    case = read_case(path)
    said = [made for frame in case.frames if isinstance(made := case.outcome(frame), str)]
    assert not [text for text in said if any(sign in text for sign in ("2026", "192.0.2", "30", "25:"))]


@pytest.mark.parametrize("path", CASES, ids=IDS)
def test_a_case_says_where_it_is_from(path: Path) -> None:
    about = read_case(path).about
    assert about["kind"] == path.parent.name
    assert about["origin"]
    assert about["licence"]


def mostly_right(path: Path) -> bool:
    """Tell whether three of four records of a case are right: a log of mostly broken ones is of no certain kind."""
    rows = read_case(path).expected
    return sum("malformed" not in row and "dropped" not in row for row in rows) >= 0.75 * len(rows)


@pytest.mark.parametrize("path", [path for path in CASES if mostly_right(path)], ids=str)
def test_the_kind_of_a_case_is_guessed(path: Path) -> None:
    case = read_case(path)
    guessed, _ = guess(case.log.read_bytes()[: 64 * 1024])
    alike = {"nginx.access", "apache.access"}  # one format: the lines alone seldom tell the server
    assert guessed == case.about["kind"] or {guessed, case.about["kind"]} == alike
