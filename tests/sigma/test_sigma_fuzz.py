"""Whole rules over awkward events: definition, fast engine, engine of lines and what comes back out of the cache agree.

SECMON_FAULT_LOOPS (`make faults`) makes it long: so many times 50 examples of each, also of `test_sigma_superset.py`.
"""

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event
from secmon.parse.native import read_native
from secmon.sigma.dump import dump, load
from secmon.sigma.index import Engine
from secmon.sigma.lines import LineEngine
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.rule import RuleSet
from tests.sigma.fuzzing import EVENTS, LINES, line_of, loaded, near, plain_rule_sets, rule_sets
from tests.sigma.raw_lines import worked

EXAMPLES = 50 * int(os.environ.get("SECMON_FAULT_LOOPS", "3"))
fuzzed = settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

PROCESSES = {
    "title": "Process 1",
    "taxonomy": "ecs",
    "level": "low",
    "logsource": {"product": "windows", "category": "process_creation"},
    "detection": {"sel": {"process.pid|exists": True}, "condition": "sel"},
}
SYSMON = {"winlog.channel": "Microsoft-Windows-Sysmon/Operational", "process.pid": 7}


@fuzzed
@given(ruleset=rule_sets(), events=st.lists(EVENTS, min_size=1, max_size=6), cache_bytes=st.sampled_from([0, 1 << 20]))
@example(ruleset=loaded([PROCESSES]), events=[SYSMON | {"event.code": 1}, SYSMON | {"event.code": True}], cache_bytes=0)
@example(ruleset=loaded([PROCESSES]), events=[SYSMON | {"event.code": True}, SYSMON | {"event.code": 1}], cache_bytes=0)
@example(
    ruleset=loaded([PROCESSES]), events=[SYSMON | {"event.code": [True]}, SYSMON | {"event.code": [1.0]}], cache_bytes=0
)
def test_the_engine_finds_what_the_definition_of_a_whole_rule_finds(
    ruleset: RuleSet, events: list[Event], cache_bytes: int
) -> None:
    engine, definition = Engine(ruleset, cache_bytes=cache_bytes), Definition(ruleset.rules)
    for event in [*events, *reversed(events)]:  # the second time out of the memories
        assert engine.match(event) == definition.match(event)


@fuzzed
@given(ruleset=rule_sets(native=True), lines=st.lists(LINES, min_size=1, max_size=6))
def test_the_engine_of_lines_finds_what_the_definition_of_a_whole_rule_finds(
    ruleset: RuleSet, lines: list[bytes]
) -> None:
    engine, definition = LineEngine(ruleset), Definition(ruleset.rules, router=native_route)
    for line in [*lines, *reversed(lines)]:
        try:
            event = read_native(line)
        except ParseError:
            continue
        if not isinstance(event, Dropped):
            assert engine.match(event) == definition.match(event)


@fuzzed
@given(ruleset=rule_sets(max_rules=3) | plain_rule_sets(), data=st.data())
def test_events_near_to_what_rules_look_for_get_the_answer_of_the_definition(
    ruleset: RuleSet, data: st.DataObject
) -> None:
    engine, definition = Engine(ruleset), Definition(ruleset.rules)
    events = data.draw(st.lists(near(ruleset), min_size=1, max_size=6))
    for event in [*events, *events]:  # the second time out of the memories
        assert engine.match(event) == definition.match(event)


@fuzzed
@given(ruleset=rule_sets(native=True, max_rules=3) | plain_rule_sets(native=True), data=st.data())
def test_lines_near_to_what_rules_look_for_get_the_answer_of_the_definition(
    ruleset: RuleSet, data: st.DataObject
) -> None:
    events = data.draw(st.lists(near(ruleset), min_size=1, max_size=6))
    drawn = [line_of(event, nested=data.draw(st.booleans()), plain=data.draw(st.booleans())) for event in events]
    worked(ruleset, b"".join(b"%b\n" % line for line in [*drawn, *drawn]))  # the second time by the lanes of the first


@fuzzed
@given(ruleset=rule_sets(max_rules=3), event=EVENTS)
def test_rules_out_of_the_cache_are_the_rules_that_went_in(ruleset: RuleSet, event: Event) -> None:
    again = load(dump(ruleset))
    assert repr(again) == repr(ruleset)  # equality alone would take 1 for True and 1.0
    assert Engine(again).match(event) == Definition(ruleset.rules).match(event)


@pytest.mark.parametrize(
    ("first", "second"), [(1, True), (True, 1), (1.0, True), ([1], [True]), (2**60, 2.0**60), ("1", True)], ids=repr
)
def test_values_that_python_takes_for_equal_are_routed_apart(first: object, second: object) -> None:
    ruleset = loaded([PROCESSES])
    engine, definition = Engine(ruleset), Definition(ruleset.rules)
    for code in (first, second):
        event: Event = SYSMON | {"event.code": code}  # type: ignore[assignment]  # any value
        assert engine.match(event) == definition.match(event)
