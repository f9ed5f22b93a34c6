"""Lines that want to be slow or to break something: decided as the definition says, each rule tried once at most."""

from datetime import UTC
from functools import partial

import pytest

from secmon.app.detect_lines import LineStation, SkimStation
from secmon.parse.frame import whole_lines
from secmon.parse.native import NATIVE
from secmon.pipeline import Lane as LogLane
from secmon.sigma import gate
from secmon.sigma.lines import LineEngine
from secmon.sigma.literals import Covers
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.rule import LogSource
from secmon.sigma.tree import ANY_TEXT, And, Keyword, Node, Not, Regex, Text
from tests.sigma.trees import compiled

MEGABYTE = 1_000_000
HUGE_RULES: list[tuple[Node, LogSource]] = [
    (Text("Image", (ANY_TEXT, "needle", ANY_TEXT)), LogSource(product="windows")),
    (Regex("Image", r"(?:a+)+b$", ""), LogSource(product="windows")),
    (Regex("Image", r"needle\s*\d+", "i"), LogSource(product="windows", service="security")),
    (Keyword((ANY_TEXT, "keyword", ANY_TEXT)), LogSource(product="windows")),
    (And((Text("x", ("1",)), Not(Text("Image", ("*",))))), LogSource(product="windows")),
]


@pytest.mark.parametrize(
    "value",
    [
        '"' + "a" * (MEGABYTE - 100) + '"',
        '"' + "needle " * (MEGABYTE // 8) + '7"',
        '"' + "\\\\" * (MEGABYTE // 4) + 'needle"',
        '"' + "\\u0000" * 100_000 + 'needle"',
        '"' + "\\ud800" * 100_000 + 'keyword"',
        '"' + "\\/" * 400_000 + '"',
        "[" + ",".join(['"needle"', *(str(number) for number in range(100_000))]) + "]",
        "[" * 900 + "]" * 900,
        '{"y":' * 900 + '"needle"' + "}" * 900,
        "9" * 5_000,
        '"' + "中" * 300_000 + 'NEEDLE 1"',
        '"cut off',
    ],
    ids=[
        "letters", "needles", "backslashes", "nuls", "surrogates", "slashes",
        "items", "deep", "deep objects", "digits", "wide", "broken",
    ],
)  # fmt: skip
def test_monstrous_values_are_decided_as_the_definition_says(value: str) -> None:
    ruleset = compiled(HUGE_RULES)
    lane = LogLane(source="native", generation="", kind=NATIVE, zone=UTC, place="a.jsonl")
    lines = [f'{{"Channel":"Security","x":1,"Image":{each}}}' for each in ('"calc.exe"', value, '"a needle 5"')]
    data = "".join(f"{line}\n" for line in lines * 2).encode()
    slow = LineStation(Definition(ruleset.rules, router=native_route), ruleset)
    station = SkimStation(LineEngine(ruleset), ruleset)
    blocks = list(whole_lines(data[at : at + 200_000] for at in range(0, len(data), 200_000)))
    assert [station.work(block, lane, bytes(8)) for block in blocks] == [
        slow.work(block, lane, bytes(8)) for block in blocks
    ]


def test_each_rule_is_tried_at_most_once_on_a_line_however_often_its_texts_stand_in_it() -> None:
    ruleset = compiled([(Text("Image", (ANY_TEXT, f"needle{number}", ANY_TEXT)), LogSource()) for number in range(50)])
    lane = gate.Lane(
        [gate.Trial(rule, partial(getattr, rule, "tree")) for rule in ruleset.rules], gate.Tools(Covers(()))
    )
    assert lane.candidates(b'{"Image":"calc.exe"}') == ()
    assert [trial.rule.id for trial in lane.candidates(b'{"Image":"' + b"needle7 needle8 " * 60_000 + b'"}')] == [
        "07",
        "08",
    ]
