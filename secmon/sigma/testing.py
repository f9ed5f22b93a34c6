"""Tests that stand beside rules: what a rule must find, and what it must leave alone.

A case gives events as they are, or raw lines that go through the parser of their source; `repeat` makes a series
of each of them, for correlations; `history` is what went before, for baselines (`testing_baselines.py`). The rule is
evaluated alone with its base rules, by engine and definition alike; if the two disagree, the case fails.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from secmon.errors import ContentError
from secmon.model.event import Event, Scalar, format_time, parse_time
from secmon.model.hit import Hit
from secmon.model.indicator import Indicator, Kind, indicator_value
from secmon.model.patterns import Compiler, compiled
from secmon.sigma.correlate import group_hits, moments, with_derived
from secmon.sigma.documents import YamlDocument, documents
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.intel import Indicators, indicators_of
from secmon.sigma.match import Definition
from secmon.sigma.rule import CorrelationRule, Rule, RuleFile, RuleSet
from secmon.sigma.suppression import Suppression
from secmon.sigma.testing_baselines import Frame, count_unusual, read_frame
from secmon.sigma.testing_quiet import matchers_of, problem_of, rules_beside, suppressions_beside

# (kind, raw lines) → their events; raises SecmonError for an unknown kind or a malformed line. This package must
# not know the parsers.
ParseLines = Callable[[str, Sequence[str]], list[Event]]

MAX_REPEAT = 10_000
_NUMBER = re.compile(r"\{n(?::(0?)(\d{1,2}))?\}")
_SPAN = re.compile(r"(\d{1,6})(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_CASE_KEYS = frozenset(
    {"name", "expect", "near_miss", "hits", "events", "source", "repeat", "history", "until", "calendar", "intel"}
    | {"suppressed_by"}
)


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Args:
        where: "path:line".
        name: what it shows.
        expects_match: whether the rule must find something.
        is_near_miss: it is one event short of a match, or differs from one in a single value.
        hits: how many hits it must give; None if any number will do.
        events: what is matched, in order of time; its history too.
        frame: of a baseline, from when to when it is asked.
        indicators: threat intelligence that it is tried with.
        suppressed_by: id of what all its hits have to be suppressed by; "" for nothing; None if it does not matter.
    """

    where: str
    name: str
    expects_match: bool
    is_near_miss: bool
    hits: int | None
    events: tuple[Event, ...]
    frame: Frame = field(default_factory=Frame)
    indicators: Indicators = field(default_factory=Indicators)
    suppressed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one case of a rule, or of an exception, went; `problem` says why it could not be tried, or what was odd."""

    rule_id: str
    case: str
    expect: str
    got: str
    ok: bool
    where: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RunOfTests:
    """What the tests of some rules say.

    Args:
        outcomes: every case, in order of files.
        untested: rules that have no match case, or no near miss, as "path:line: problem".
    """

    outcomes: tuple[Outcome, ...]
    untested: tuple[str, ...]


def run_tests(
    ruleset: RuleSet, tests: Sequence[RuleFile], parse_lines: ParseLines, *, compiler: Compiler = compiled
) -> RunOfTests:
    """Run the tests in some files.

    Args:
        ruleset: the rules; every one that generates hits must have a match and a near-miss case.
        tests: files named as their rule's file, with `.test.yaml` for `.yml`.
        parse_lines: turns raw lines into events.
        compiler: makes pattern databases.
    """
    outcomes: list[Outcome] = []
    proven: dict[str, set[str]] = {}
    for file in tests:
        rule = _rule_of(ruleset, file)
        if rule is None:
            if quiet := suppressions_beside(ruleset, file):
                outcomes += _run_quiet(ruleset, quiet, file, parse_lines, compiler)
                continue
            problem = "no loaded rule stands beside this test"
            outcomes.append(Outcome("", "", "", "error", ok=False, where=f"{file.path}:1", problem=problem))
            continue
        try:
            cases = read_cases(file, parse_lines)
        except ContentError as error:
            outcomes.append(Outcome(rule.id, "", "", "error", ok=False, where=error.where, problem=str(error)))
            continue
        shown = proven.setdefault(rule.id, set())
        engine = Engine(RuleSet(rules=_bases(ruleset, rule)), compiler=compiler)
        for case in cases:
            outcomes.append(run_case(ruleset, rule, case, engine))
            shown.add("match" if case.expects_match else "near miss" if case.is_near_miss else "no match")
    everything: list[Rule | CorrelationRule] = [
        *ruleset.rules,
        *ruleset.intel_rules,
        *ruleset.correlations,
        *ruleset.baselines,
    ]
    return RunOfTests(tuple(outcomes), tuple(sorted(_untested(everything, proven))))


def _run_quiet(
    ruleset: RuleSet, quiet: Sequence[Suppression], file: RuleFile, parse_lines: ParseLines, compiler: Compiler
) -> list[Outcome]:
    """Run the tests beside exceptions: what they cover, and what they must leave alone."""
    try:
        cases = read_cases(file, parse_lines)
    except ContentError as error:
        return [Outcome(quiet[0].id, "", "", "error", ok=False, where=error.where, problem=str(error))]
    matchers = matchers_of(rules_beside(ruleset, quiet), compiler)
    return [_tried_quiet(ruleset, quiet, case, matchers) for case in cases]


def _tried_quiet(
    ruleset: RuleSet, quiet: Sequence[Suppression], case: Case, matchers: tuple[Engine, Definition]
) -> Outcome:
    events, fast = _worked(ruleset, case, matchers[0])
    slow = _worked(ruleset, case, matchers[1])[1]
    wanted = case.suppressed_by or ""
    expect = "match" if case.expects_match else "no_match"
    got = "match" if fast else "no_match"
    problem = problem_of(ruleset, events, fast, wanted) if case.expects_match and fast else ""
    if fast != slow:
        problem = "the engine and its definition disagree: please report this"
    elif not problem and case.hits is not None and len(fast) != case.hits:
        problem = f"{len(fast)} hits instead of {case.hits}"
    return Outcome(wanted or quiet[0].id, case.name, expect, got, expect == got and not problem, case.where, problem)


_UNTESTED = {
    ("match",): "the rule has no match case",
    ("near miss",): "the rule has no near miss case",
    ("match", "near miss"): "the rule has no match and no near miss case",
}


def _untested(rules: Iterable[Rule | CorrelationRule], proven: Mapping[str, set[str]]) -> Iterable[str]:
    for rule in rules:
        if not rule.generates:
            continue  # what serves a correlation only is shown by the tests of that
        missing = tuple(kind for kind in ("match", "near miss") if kind not in proven.get(rule.id, set()))
        if missing:
            yield f"{rule.path}:{rule.line}: {_UNTESTED[missing]}"


def _rule_of(ruleset: RuleSet, file: RuleFile) -> Rule | CorrelationRule | None:
    """Return the rule that a test file is about: of several in one file the correlation that makes hits."""
    path = file.path.removesuffix(".test.yaml") + ".yml"
    found: list[Rule | CorrelationRule] = [
        rule for rule in (*ruleset.correlations, *ruleset.baselines) if rule.path == path
    ]
    found.sort(key=lambda rule: not rule.generates)
    found += [rule for rule in (*ruleset.rules, *ruleset.intel_rules) if rule.path == path]
    return found[0] if found else None


def run_case(ruleset: RuleSet, rule: Rule | CorrelationRule, case: Case, engine: Engine | None = None) -> Outcome:
    """Try one case; `engine` is one over the rule's base rules, for callers with several cases."""
    bases = _bases(ruleset, rule)
    matchers = (engine or Engine(RuleSet(rules=bases)), Definition(bases))
    fast, slow = (_count(rule, _worked(ruleset, case, matcher)[1], case.frame) for matcher in matchers)
    ok = (fast > 0) == case.expects_match and (case.hits is None or fast == case.hits) and fast == slow
    problem = "" if fast == slow else "the engine and its definition disagree: please report this"
    expect = "match" if case.expects_match else "no_match"
    got = "match" if fast else "no_match"
    if not problem and case.hits is not None and fast != case.hits:
        problem = f"{fast} hits instead of {case.hits}"
    if not problem and case.suppressed_by is not None and fast:
        problem = problem_of(ruleset, *_worked(ruleset, case, matchers[0]), case.suppressed_by)
        ok = ok and not problem
    return Outcome(rule.id, case.name, expect, got, ok, case.where, problem)


def _bases(ruleset: RuleSet, rule: Rule | CorrelationRule) -> tuple[Rule, ...]:
    wanted = {rule.id} if isinstance(rule, Rule) else rule.event_rule_ids
    return tuple(each for each in (*ruleset.rules, *ruleset.intel_rules) if each.id in wanted)


def _worked(ruleset: RuleSet, case: Case, matcher: Engine | Definition) -> tuple[list[Event], list[Hit]]:
    """Return a case's events with what intelligence says of them, and the hits on them."""
    events, hits = [dict(event) for event in case.events], list[Hit]()
    for event in events:
        hits += make_hits(ruleset, event, case.indicators.narrowed(event, matcher.match(event)))
    return events, hits


def _count(rule: Rule | CorrelationRule, hits: list[Hit], frame: Frame) -> int:
    if isinstance(rule, Rule):
        return len(hits)
    if rule.baseline is not None:
        return count_unusual(rule, rule.baseline, hits, frame)
    return sum(len(moments(rule, group)) for _, group in group_hits(rule, with_derived(rule, hits)))


def read_cases(file: RuleFile, parse_lines: ParseLines) -> list[Case]:
    """Read the cases of a test file.

    Raises:
        ContentError: it is wrong, with the line.
    """
    for document in documents(file.path, file.text):
        cases = document.data.get("cases") if isinstance(document.data, dict) else None
        stem = file.path.rpartition("/")[2].removesuffix(".test.yaml")
        if isinstance(document.data, dict) and document.data.get("rule", stem) != stem:
            where = f"{file.path}:{document.line_of('rule')}"
            raise ContentError(
                "`rule` is not the name of this file", where=where, hint="the file of a rule without .yml"
            )
        if not isinstance(cases, list) or not cases:
            raise ContentError("a test has a list `cases`", where=f"{file.path}:{document.line}")
        return [_case(document, index, case, parse_lines) for index, case in enumerate(cases)]
    raise ContentError("the file is empty", where=f"{file.path}:1")


def _case(document: YamlDocument, index: int, case: Any, parse_lines: ParseLines) -> Case:
    line = document.line_of("cases", index)
    where = f"{document.path}:{line}"
    if not isinstance(case, dict) or not isinstance(case.get("name"), str):
        raise ContentError("a case is a mapping with a name", where=where)
    for key in case:
        if key not in _CASE_KEYS:
            hint = "known: " + ", ".join(sorted(_CASE_KEYS))
            raise ContentError(
                "unknown key", where=f"{document.path}:{document.line_of('cases', index, key)}", hint=hint
            )
    expect = case.get("expect")
    if expect not in {"match", "no_match"}:
        raise ContentError("`expect` is match or no_match", where=where)
    hits = case.get("hits")
    if hits is not None and (not isinstance(hits, int) or isinstance(hits, bool) or hits < 0):
        raise ContentError("`hits` is a whole number", where=where)
    history = _history(case, where, parse_lines)
    events = [] if history and case.get("events") == [] else _series(case, where, parse_lines)
    frame = read_frame(document, index, history)
    events = _numbered([*history, *events], where)
    suppressed_by = case.get("suppressed_by")
    if suppressed_by is not None and (not isinstance(suppressed_by, str) or expect != "match"):
        hint = "the id of an exception, or '' for none; the rule has to match"
        raise ContentError("`suppressed_by` is wrong", where=where, hint=hint)
    is_near_miss = bool(case.get("near_miss", False))
    if is_near_miss and expect == "match":
        raise ContentError("a near miss expects no_match", where=where)
    found = _indicators(case, where)
    return Case(where, case["name"], expect == "match", is_near_miss, hits, tuple(events), frame, found, suppressed_by)


def _indicators(case: dict[str, Any], where: str) -> Indicators:
    """Return the indicators that a case lists: `{type: domain, value: bad.example}`."""
    found = []
    for each in case.get("intel", []):
        kind = Kind(each["type"]) if isinstance(each, dict) and each.get("type") in set(Kind) else None
        value = indicator_value(kind, str(each.get("value"))) if kind else None
        if kind is None or value is None:
            raise ContentError("`intel` of a case lists indicators with `type` and `value`", where=where)
        found.append(Indicator(kind=kind, value=value, source="test"))
    return indicators_of(found)


def _history(case: dict[str, Any], where: str, parse_lines: ParseLines) -> list[Event]:
    """Return the events of all series of a history; each has a time of its own."""
    series = case.get("history", [])
    if not isinstance(series, list) or not all(isinstance(each, dict) for each in series):
        raise ContentError("`history` is a list of series", where=where, hint="each with `events` and `repeat`")
    events = [event for each in series for event in _series(each, where, parse_lines)]
    if any("@timestamp" not in event for event in events):
        raise ContentError("an event of the history has no @timestamp", where=where)
    return events


def _series(part: dict[str, Any], where: str, parse_lines: ParseLines) -> list[Event]:
    return _repeated(_events(part, where, parse_lines), part.get("repeat"), where)


def _events(case: dict[str, Any], where: str, parse_lines: ParseLines) -> list[Event]:
    if ("events" in case) == ("source" in case):
        raise ContentError("a case has either `events` or `source`", where=where)
    if "events" in case:
        events = case["events"]
        if not isinstance(events, list) or not events or not all(isinstance(event, dict) for event in events):
            raise ContentError("`events` is a list of mappings of field to value", where=where)
        return [_checked(event, where) for event in events]
    source = case["source"]
    if not isinstance(source, dict) or not isinstance(source.get("lines"), list) or "kind" not in source:
        raise ContentError("`source` has `kind` and a list `lines`", where=where)
    try:
        return parse_lines(str(source["kind"]), [str(line) for line in source["lines"]])
    except ContentError as error:
        raise ContentError(error.problem, where=where, hint=error.hint, values=error.values) from error


def _checked(event: dict[str, Any], where: str) -> Event:
    checked: Event = {}
    for name, value in event.items():
        values = value if isinstance(value, list) else [value]
        if value is None or not all(isinstance(each, str | int | float | bool) for each in values):
            raise ContentError(
                "the field {name} is neither a value nor a list of values", where=where, values={"name": name}
            )
        checked[name] = value
    return checked


def _repeated(events: list[Event], repeat: Any, where: str) -> list[Event]:
    """Return the series that `repeat` asks for: `count` copies of the events, `step` apart, values varied."""
    if repeat is None:
        return events
    if not isinstance(repeat, dict) or not set(repeat) <= {"count", "step", "vary"}:
        raise ContentError("`repeat` has `count`, `step` and `vary`", where=where)
    count, step, vary = repeat.get("count"), _SPAN.fullmatch(str(repeat.get("step", "1s"))), repeat.get("vary", {})
    if not isinstance(count, int) or not 0 < count <= MAX_REPEAT or step is None or not isinstance(vary, dict):
        raise ContentError("`count` is a number and `step` a span of time, such as 5s", where=where)
    width = timedelta(seconds=int(step[1]) * _SECONDS[step[2]])
    return [_varied(event, width * n, vary, n) for n in range(count) for event in events]


def _varied(event: Event, later: timedelta, vary: Mapping[str, Any], number: int) -> Event:
    changed = dict(event)
    if "@timestamp" in event:
        changed["@timestamp"] = format_time(_time(event) + later)
    for name, template in vary.items():
        changed[name] = _filled(template, number + 1)
    return changed


def _filled(template: Any, number: int) -> Scalar:
    """Return a varied value: `{n}` and `{n:02}` are the number of the copy from 1; of a list, one after the other."""
    if isinstance(template, list) and template:
        return _filled(template[(number - 1) % len(template)], number)
    if not isinstance(template, str):
        return template if isinstance(template, int | float) else str(template)
    return _NUMBER.sub(lambda found: str(number).zfill(int(found[2] or 0)), template)


def _time(event: Event) -> Any:
    return parse_time(str(event["@timestamp"]))


def _numbered(events: list[Event], where: str) -> list[Event]:
    """Return the events in order of time, each with an id; one without a time comes a second after the one before."""
    at = parse_time("2026-09-07T00:00:00Z")
    for event in events:
        try:
            at = _time(event) if "@timestamp" in event else at + timedelta(seconds=1)
        except ValueError as error:
            hint = "such as 2026-09-07T00:01:09Z"
            raise ContentError("`@timestamp` is no time with an offset", where=where, hint=hint) from error
        event["@timestamp"] = format_time(at)
    ordered = sorted(events, key=lambda event: str(event["@timestamp"]))
    for number, event in enumerate(ordered):
        event["event.id"] = f"{number:032x}"
    return ordered
