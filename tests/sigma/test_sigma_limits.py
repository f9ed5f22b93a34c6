"""Rules that want to be slow or to take all memory: refused with their line, and the others go on."""

import json
import re
import resource
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from secmon.sigma import limits
from secmon.sigma.condition_text import Selector
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from tests.sigma.rule_texts import ID, rule_text

GOOD_ID = ID.format(99)
HEAD = (
    f"title: T\nid: {ID.format(1)}\nstatus: test\nlogsource: {{category: authentication}}\ntaxonomy: ecs\nlevel: low\n"
)


def load(*texts: str, placeholders: dict[str, tuple[str, ...]] | None = None) -> RuleSet:
    files = [RuleFile(f"r{number}.yml", text) for number, text in enumerate(texts)]
    return load_rules([*files, RuleFile("good.yml", rule_text(number=99))], placeholders=placeholders)


def detecting(detection: dict[str, Any]) -> str:
    return HEAD + "detection: " + json.dumps(detection) + "\n"


def selecting(selection: dict[str, Any]) -> str:
    return detecting({"selection": selection, "condition": "selection"})


BOMB = "\n".join(
    [
        "a: &a []",
        *(
            f"{one}: &{one} [{', '.join([f'*{before}'] * 40)}]"
            for before, one in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ]
)
LONG = "x" * 90_000
REPEATING = {"s": {"user.name": [str(n) for n in range(900)]}, "condition": " or ".join(["(s and s)"] * 400)}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (HEAD + BOMB, 10, "too many values"),
        (HEAD + f"long: &l {LONG}\nmore: [{', '.join(['*l'] * 20)}]\n", 8, "too many values"),
        (HEAD + "detection: {s: " + "[" * 40 + "]" * 40 + "}\n", 7, "nested too deep"),
        (selecting({"user.name": ["a"] * 60_000}), 7, "too many values"),
        (selecting({"user.name|contains": "x" * 40_000}), 7, "longer than 32,767"),
        (selecting({"user.name": "?" * 40_000}), 7, "64 wildcards"),
        (selecting({"user.name|contains": "a" * 300 + "?b"}), 7, "with `?`"),
        (selecting({"user.name|" + "wide|" * 30 + "contains": "aaaa"}), 7, "more than 8 modifiers"),
        (selecting({"user.name|base64offset|base64offset|base64offset|base64offset": ["a" * 900] * 30}), 7, "too much"),
        (selecting({"user.name|windash|windash|windash|contains": " -a -b -c -d"}), 7, "too much"),
        (selecting({"user.name|wide|base64offset|contains": ["a" * 1000] * 900}), 7, "too much"),
        (selecting({"user.name|re": "a{1,1000}" * 1 + "(?:b{1,900}){1,900}"}), 7, "RE2 refuses"),
        (selecting({"user.name|re": ".{900}.{900}"}), 7, "10,000 steps"),
        (selecting({"user.name|re": "(" * 4_000 + "a" + ")" * 4_000}), 7, "4,096"),
        (selecting({"user.name|re": [f"a{{{number}}}" for number in range(700, 800)]}), 7, "20,000 steps"),
        (detecting({f"s{n}": {"user.name": "a"} for n in range(1_100)} | {"condition": "1 of them"}), 7, "detections"),
        (detecting(REPEATING), 7, "50,000 comparisons"),
        (detecting({"s": {"user.name": "a"}, "condition": "(" * 90 + "s" + ")" * 90}), 7, "nested too deep"),
        (detecting({"s": {"user.name": "a"}, "condition": ["s" * 2_000] * 9}), 7, "10,000 characters"),
        (selecting({"user.name|expand": "%many%%many%%many%"}), 7, "expands to too many values"),
        (selecting({"user.name|expand": ["%many%"] * 9}), 7, "50,000 comparisons"),
    ],
    ids=[
        "empty aliases", "long aliases", "deep", "keywords", "long text",
        "wildcards", "one wildcard", "modifiers", "offsets", "dashes",
        "wide", "repetition", "program", "brackets", "programs", "detections", "condition", "deep condition",
        "conditions", "placeholders", "lists",
    ],
)  # fmt: skip
def test_a_rule_that_would_take_too_much_is_told_with_its_line_and_the_others_go_on(
    text: str, line: int, problem: str
) -> None:
    ruleset = load(text, placeholders={"many": tuple(f"v{number}" for number in range(9_000))})
    assert [rule.id for rule in ruleset.rules] == [GOOD_ID]
    (found,) = ruleset.problems
    assert problem in found.problem
    assert (found.path, found.state) == ("r0.yml", "broken")
    assert found.line == line


def test_what_a_file_repeats_is_bounded_and_what_it_repeated_before_stays() -> None:
    many = {"user.name": [f"v{number}" for number in range(5_000)]}
    text = selecting(many) + "---\naction: repeat\n" * 1_500
    ruleset = load(text)
    assert 2 <= len(ruleset.rules) < 13
    assert {problem.problem for problem in ruleset.problems} == {"the file repeats too much"}
    assert ruleset.problems[-1].line == 7 + 2 * 1_500


def test_a_global_document_is_bounded_as_well() -> None:
    shared = "action: global\nlogsource: {category: authentication}\ntaxonomy: ecs\ndetection: " + json.dumps(
        {"selection": {"user.name": [f"v{number}" for number in range(5_000)]}, "condition": "selection"}
    )
    ruleset = load(shared + "".join(f"\n---\ntitle: T\nid: {ID.format(number)}" for number in range(1, 90)))
    assert 2 <= len(ruleset.rules) < 13
    assert {problem.problem for problem in ruleset.problems} == {"the file repeats too much"}


def test_a_file_of_very_many_documents_is_refused() -> None:
    ruleset = load("--- a\n" * 150_000)
    assert ruleset.problems[-1].problem == "too many documents"
    assert ruleset.problems[-1].line == limits.MAX_DOCUMENTS + 1
    assert len(ruleset.problems) == limits.MAX_DOCUMENTS + 1


def test_all_rules_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secmon.sigma.ruleset.RULE_SET", limits.Weight(50, 10_000, 1_000))
    texts = [
        selecting({"user.name": [f"v{n}" for n in range(20)]}).replace(ID.format(1), ID.format(n)) for n in (1, 2, 3)
    ]
    ruleset = load(*texts)
    assert [rule.id for rule in ruleset.rules] == [ID.format(1), ID.format(2), GOOD_ID]
    (found,) = ruleset.problems
    assert (found.path, found.line, found.problem) == ("r2.yml", 1, "more than 50 comparisons")
    replaced = load(*texts[:2], texts[0], texts[1])  # an overlay gives back what it replaces
    assert not replaced.problems


def test_filters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secmon.sigma.ruleset.MAX_NARROWINGS", 2)
    monkeypatch.setattr("secmon.sigma.ruleset.MAX_FILTERS", 3)
    one = (
        "title: F\nid: {}\nlogsource: {{category: authentication}}\ntaxonomy: ecs\n"
        "filter: {{rules: any, selection: {{user.name: a}}, condition: not selection}}\n"
    )
    ruleset = load(*(one.format(ID.format(number)) for number in range(1, 6)))
    assert [(found.path, found.line, found.problem) for found in ruleset.problems] == [
        ("r2.yml", 5, "filters are applied more than 2 times"),
        ("r3.yml", 1, "there are more than 3 documents of its kind"),
        ("r4.yml", 1, "there are more than 3 documents of its kind"),
    ]
    assert [rule.id for rule in ruleset.rules] == [GOOD_ID]


def test_python_compiles_no_expression_of_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Python's re was asked")

    load()  # whatever is compiled once
    monkeypatch.setattr("sigma.types.re.compile", refuse)
    ruleset = load(selecting({"user.name|re|i": "[\\x00-\\x{10ffff}]" * 200}))
    assert not ruleset.problems
    assert len(ruleset.rules) == 2


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
@example("*a*a*a*b", "aaaaaa")
def test_a_pattern_of_detections_means_what_it_says(pattern: str, name: str) -> None:
    def fits(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return any(fits(pattern[1:], name[at:]) for at in range(len(name) + 1))
        return name[:1] == pattern[0] and fits(pattern[1:], name[1:])

    assert Selector(needs_all=False, pattern=pattern).fits(name) is fits(pattern, name)


def test_a_pattern_of_detections_does_not_backtrack() -> None:
    assert not Selector(needs_all=False, pattern="*a" * 2_000 + "*b").fits("a" * 9_000)


_SCALARS = st.sampled_from(
    [
        "a", "''", "~", "5", "1e400", ".inf", "-.nan", "0x10", "9" * 400, "1" * 5_000, "!!python/object:os.system x",
        "!!binary aGk=", "!!int 5", "!x y", "&a a", "*a", "<<", "'%x%'", '"\\ud800"', '"\\0"', "'*?\\*'", "2026-01-01",
        "=", "- -", "? x", "|", ">", "{", "]", "\t",
    ]
)  # fmt: skip
_KEYS = st.sampled_from(
    """
    title id name action logsource detection condition selection category product service level custom secmon
    secmon.conflict correlation filter override maintenance rules type group-by timespan tags taxonomy status date
    related user.name|re user.name|cidr user.name|windash|base64offset user.name|lt |all a|b|c fields references
    falsepositives intel baseline expires owner aliases generate author scope
    """.split()  # noqa: SIM905  a block of words is read more easily than a list of quotes
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(_KEYS, inner), max_size=4).map(
            lambda items: "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in items) + "}"
        ),
        inner.map(lambda one: f"&b {one}"),
    ),
    max_leaves=10,
)
_DOCUMENTS = st.lists(st.tuples(_KEYS, _VALUES), max_size=8).map(
    lambda items: "\n".join(f"{json.dumps(key)}: {value}" for key, value in items)
)
_RULES = st.tuples(st.just(HEAD), _DOCUMENTS).map("".join)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_DOCUMENTS | _RULES | st.text(max_size=30), min_size=1, max_size=4).map("\n---\n".join))
@example('"secmon.conflict": 5')
@example('"secmon.conflict": []')
@example(HEAD + "detection: {selection: {user.name: [&a [*a]]}, condition: selection}")
@example(HEAD + "detection: {selection: {? [a] : b}, condition: selection}")
@example(HEAD + "detection: 5\ncorrelation: 5\nfilter: 5")
def test_no_document_breaks_the_loader(text: str) -> None:
    ruleset = load(text)
    assert GOOD_ID in {rule.id for rule in ruleset.rules}
    for problem in ruleset.problems:
        assert problem.path in {"r0.yml", "good.yml"}
        assert 1 <= problem.line <= text.count("\n") + 2
        assert problem.problem


def test_hostile_files_take_bounded_memory() -> None:
    bombs = [
        HEAD + BOMB,
        selecting({"user.name|windash|windash|windash|contains": " -a -b -c -d"}),
        selecting({"user.name|" + "wide|" * 8 + "contains": ["a" * 60_000] * 10}),
        selecting({"user.name|expand": "%many%%many%%many%"}),
        detecting(REPEATING),
    ]
    load()
    tracemalloc.start()
    try:
        load(*bombs, placeholders={"many": tuple(f"v{number}" for number in range(9_000))})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20  # kilobytes: what tracemalloc does not see


def test_the_guide_names_every_number() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    section = guide.partition("## Limits")[2].partition("\n## ")[0]
    numbers = {name: value for name, value in vars(limits).items() if name.startswith("MAX_")} | {
        "EXPRESSION_STEPS": limits.EXPRESSION_STEPS
    }
    del numbers["MAX_NAME"]  # of a message
    assert [name for name, value in numbers.items() if not re.search(rf"(?<![\d,]){value:,}(?![\d,])", section)] == []
