"""Typical events: gates that are made of rules alone, before any line was seen."""

from typing import Any

import pytest

from secmon.model.event import Event
from secmon.model.hit import Level
from secmon.model.patterns import Patterns, compiled
from secmon.sigma.lines import LineEngine
from secmon.sigma.literals import written
from secmon.sigma.rule import LogSource, Rule, RuleSet
from secmon.sigma.tree import ANY_TEXT, And, Node, Or, Text, fields_of
from secmon.sigma.typical import typical_events

EVENTS = list(typical_events())
TOOLS = [f"strange-tool-{letter * 3}" for letter in "abcdefghij"]


class Kept(dict[str, bytes]):
    """Notes in memory."""

    def put(self, name: str, content: bytes) -> None:
        self[name] = content


class Refusing:
    """Notes that cannot be kept."""

    def get(self, name: str) -> None:
        """Return nothing."""

    def put(self, name: str, content: bytes) -> None:
        """Keep nothing."""


def contains(field: str, text: str) -> Text:
    return Text(field, (ANY_TEXT, text, ANY_TEXT), cased=False)


def rule_set(tree: Node) -> RuleSet:
    rule = Rule(
        id="r",
        name="",
        level=Level.LOW,
        path="",
        line=1,
        digest="",
        logsource=LogSource(product="windows", category="process_creation", service=""),
        tree=tree,
        fields=fields_of(tree),
    )
    return RuleSet(rules=(rule,))


def process(line: str) -> Event:
    channel = {"Channel": "Microsoft-Windows-Sysmon/Operational", "Provider_Name": "Microsoft-Windows-Sysmon"}
    return {**channel, "EventID": 1, "Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": line}


def test_each_typical_event_can_stand_in_a_line() -> None:
    assert None not in map(written, EVENTS)


def test_a_gate_looks_for_what_is_rare_among_typical_events() -> None:
    tree = And((contains("Image", "\\Windows\\System32\\"), contains("CommandLine", "strange")))
    engine = LineEngine(rule_set(tree))
    lane = engine.lane(process(""))
    assert lane is not None
    assert not lane.candidates(written(process("cmd.exe /c ver")) or b"")
    assert lane.candidates(written(process("strange")) or b"")


def test_what_was_rehearsed_is_not_made_again() -> None:
    rules, notes, made = rule_set(Or(tuple(contains("CommandLine", tool) for tool in TOOLS))), Kept(), list[Patterns]()

    def counting(patterns: Patterns) -> Any:
        made.append(patterns)
        return compiled(patterns)

    LineEngine(rules, compiler=counting, notes=notes).rehearse()
    assert any(set(patterns.expressions) == {tool.encode() for tool in TOOLS} for patterns in made)
    kept = dict(notes)
    made.clear()
    engine = LineEngine(rules, compiler=counting, notes=notes)
    engine.rehearse()
    assert not made
    assert [rule.id for rule in engine.match(process(f"run {TOOLS[3]}"))] == ["r"]
    assert engine.match(process("run nothing")) == []
    assert notes == kept


def test_nothing_is_rehearsed_where_nothing_can_be_kept() -> None:
    def never(_: Patterns) -> Any:
        pytest.fail("a database was made")

    LineEngine(rule_set(contains("CommandLine", TOOLS[0])), compiler=never, notes=Refusing()).rehearse()
