"""Twice as long a value, twice as many values or fields: at most twice the work, whatever the rule.

Work is counted, not timed: lines of Python that run, and every character that is handed to what works below Python
and is linear in it: Hyperscan and RE2 by their construction, without going back, and the folding of case. A search of a
text in a text counts as its call: CPython's takes time linear in both (two-way algorithm, since 3.10), and those of
patterns with wildcards go on where the last one ended.
"""

import json
from collections.abc import Callable

import pytest

from secmon.model.event import Event, Value
from secmon.parse.native import read_native
from secmon.sigma import direct, match, regexes, scanner
from secmon.sigma.direct import View, condition
from secmon.sigma.index import Engine
from secmon.sigma.lines import LineEngine
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.patterns import PatternSet
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.sigma.values import fold
from tests.sigma.rule_texts import rule_text
from tests.sigma.work import steps_of

ValueOf = Callable[[int], Value]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def many(text: str) -> ValueOf:
    """Return what makes values of so many different texts."""
    return lambda number: [text.format(each) for each in range(number)]


TRAPS: dict[str, tuple[str, dict[str, ValueOf]]] = {
    "nested quantifiers": ("a: {x|re: '(?:(?:a+)+)+b$'}", {"x": lambda n: "a" * n}),
    "quantifiers for RE2 alone": ("a: {x|re: '(?m)^(?:a*)*b$'}", {"x": lambda n: "a\n" * n}),
    "overlapping alternatives": ("a: {x|re: '(?:a|aa|aaa)+b.*(?:a|aa)+c'}", {"x": lambda n: "ab" * n}),
    "wildcards": ("a: {x: '*" + "*".join(LETTERS) + "*!'}", {"x": lambda n: LETTERS * (n // 26)}),
    "wildcards of one character": ("a: {x: '*a?a?a?a?b*a?b*'}", {"x": lambda n: "a" * n}),
    "wildcards at the end": ("a: {x: '" + "*a" * 60 + "*b'}", {"x": lambda n: "a" * n}),
    "windash": ("a: {x|windash|contains|all: [' -e -n -c', ' -x']}", {"x": lambda n: " -e -n -" * (n // 8)}),
    "base64offset": ("a: {x|base64offset|contains: [foobar, barfoo]}", {"x": lambda n: "Zm9v" * (n // 4)}),
    "wide base64offset": ("a: {x|wide|base64offset|contains: foobar}", {"x": lambda n: "ZgBvAG8A" * (n // 8)}),
    "network of a text": ("a: {x|cidr: [192.0.2.0/24, '2001:db8::/32']}", {"x": lambda n: "1" * n}),
    "number of a text": ("a: {x|gt: 5}", {"x": lambda n: "9" * n + "x"}),
    "time of a text": ("a: {x|hour: 5}", {"x": lambda n: "2026-" * n}),
    "fieldref of texts": ("a: {x|fieldref|contains: y}", {"x": lambda n: "a" * n, "y": lambda n: "a" * (n // 2) + "b"}),
    "contains in many values": ("a: {x|contains: [one, two, three]}", {"x": many("value {}")}),
    "expression in many values": ("a: {x|re: '(?:v+)+e \\d+y'}", {"x": many("value {}")}),
    "networks of many values": (
        "a: {x|cidr: [" + ", ".join(f"203.0.113.{each}/32" for each in range(60)) + "]}",
        {"x": lambda n: [f"192.0.{each // 256}.{each % 256}" for each in range(n)]},
    ),
    "fieldref of many values": ("a: {x|fieldref: y}", {"x": many("value {}"), "y": many("other {}")}),
    "fieldref beginning": ("a: {x|fieldref|startswith: y}", {"x": many("value {}"), "y": many("{} value")}),
    "fieldref ending": ("a: {x|fieldref|endswith: y}", {"x": many("value {}"), "y": many("{} value")}),
    "fieldref within": ("a: {x|fieldref|contains: y}", {"x": many("value {}"), "y": many("{} value")}),
    "keyword in a value": ("a: [needle, 'n*e*e*d*l*e*!']", {"x": lambda n: "needl" * (n // 5)}),
    "keyword in many values": ("a: [needle, 'n*e*e*d*l*e*!']", {"x": many("needl{}")}),
    "keyword expression": ("a: {'|re': '(?:n+)+eedle'}", {"x": many("nnn{}")}),
}


@pytest.fixture
def characters(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the characters that are handed to what works below Python."""
    counted: list[int] = []
    scan, finds = PatternSet.scan, regexes.finds

    def counted_scan(self: PatternSet, data: bytes) -> list[int]:
        counted.append(len(data))
        return scan(self, data)

    def counted_finds(expression: str, flags: str, text: str) -> bool:
        counted.append(len(text))
        return finds(expression, flags, text)

    def counted_fold(text: str) -> str:
        counted.append(len(text))
        return fold(text)

    monkeypatch.setattr(PatternSet, "scan", counted_scan)
    monkeypatch.setattr(regexes, "finds", counted_finds)
    for module in (match, scanner, direct):
        monkeypatch.setattr(module, "fold", counted_fold)
    return counted


def ruleset_of(detection: str) -> RuleSet:
    text = rule_text(f"{detection}\ncondition: a", logsource="product: windows").replace("taxonomy: ecs\n", "")
    ruleset = load_rules([RuleFile("r.yml", text)], native=True)
    assert not ruleset.problems
    return ruleset


def by_definition(ruleset: RuleSet, event: Event) -> bool:
    return bool(Definition(ruleset.rules, router=native_route).match(event))


def by_engine(ruleset: RuleSet, event: Event) -> bool:
    return bool(Engine(ruleset, router=native_route).match(event))


def by_lines(ruleset: RuleSet, event: Event) -> bool:
    return bool(LineEngine(ruleset).match(event))


def alone(ruleset: RuleSet, event: Event) -> bool:
    return condition(ruleset.rules[0].tree)(View(event))


@pytest.mark.parametrize("matcher", [by_definition, by_engine, by_lines, alone])
@pytest.mark.parametrize("trap", TRAPS)
def test_twice_as_much_is_twice_the_work(
    trap: str, matcher: Callable[[RuleSet, Event], bool], characters: list[int]
) -> None:
    detection, values = TRAPS[trap]
    ruleset = ruleset_of(detection)

    def work(number: int) -> int:
        event: Event = {"Channel": "Security"} | {name: value(number) for name, value in values.items()}
        characters.clear()
        found: list[bool] = []
        steps = steps_of(lambda: found.append(matcher(ruleset, event)))
        assert found == [False]  # nothing ends early
        return steps + sum(characters)

    work(104)  # what is made once for a rule
    assert_linear(work)


@pytest.mark.parametrize("matcher", [by_definition, by_engine, by_lines, alone])
@pytest.mark.parametrize("detection", ["a: [needle, 'n*e*e*d*l*e*!']", "a: {'|re': '(?:n+)+eedle'}", "a: {f1: x}"])
def test_twice_as_many_fields_are_twice_the_work(
    detection: str, matcher: Callable[[RuleSet, Event], bool], characters: list[int]
) -> None:
    ruleset = ruleset_of(detection)

    def work(number: int) -> int:
        event: Event = {"Channel": "Security", **{f"f{each}": f"needl {each}" for each in range(number)}}
        characters.clear()
        return steps_of(lambda: matcher(ruleset, event)) + sum(characters)

    work(104)
    assert_linear(work)


def nested(number: int) -> object:
    value: object = "x"
    for _ in range(number // 100):
        value = {"a": [value, {"b": "needl"}]}
    return [value] * 10


@pytest.mark.parametrize(
    "shape",
    [
        nested,
        lambda number: {f"k{each}": {"a": each} for each in range(number // 10)},
        lambda number: [{f"k{each}": each} for each in range(number // 10)],
        lambda number: [[each] for each in range(number)],
        lambda number: "\\" * number,
        lambda number: 10**number,
    ],
    ids=["nested", "objects", "list of objects", "list of lists", "escapes", "digits"],
)
def test_twice_as_large_a_line_is_read_with_twice_the_work(shape: Callable[[int], object]) -> None:

    def work(number: int) -> int:
        line = json.dumps({"Channel": "Security", "x": shape(number)}).encode()
        return len(line) + steps_of(lambda: read_native(line))

    assert_linear(work)


def assert_linear(work: Callable[[int], int]) -> None:
    """Compare what a thousand costs more than five hundred with what two thousand cost more than a thousand."""
    least, twice, most = work(520), work(1_040), work(2_080)
    assert most - twice <= 2.4 * (twice - least) + 60
