"""load_framework: every problem is told with path:line, and one broken control never switches off the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.compliance.framework import load_framework

HEAD = """\
id: t
version: "1"
title: {zh: 试, en: test}
source: {number: N, name: 名, effective: "2020-01-01"}
confidence_legend: {V: a, V2: b, G: c, P: d}
classes: [{code: CES, name: 环境}]
facts:
  logins: {title: 登录, any: [{where: {event.category: [authentication]}}]}
controls:
"""
CONTROL = """\
  - id: C-01
    clause: 8.1.4.1
    class: CES
    point: 点
    item: a
    level: [3]
    gist: 要点要点
    confidence: V
    checks:
      - id: one
        kind: query
        title: 查
        query: [logins]
        coverage: {logins: {count: 1}}
        valid_days: 30
        result_if:
          符合: {when: [{count: logins, at_least: 1}], reason: "{logins}条"}
          otherwise: 无
"""


def problems(text: str) -> list[str]:
    return [str(error) for error in load_framework("f.yaml", text)[1]]


def test_a_sound_file_has_no_problems() -> None:
    framework, errors = load_framework("f.yaml", HEAD + CONTROL)
    assert errors == []
    assert framework is not None
    assert framework.label == "t@1"
    assert [control.id for control in framework.controls] == ["C-01"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("confidence: V", "confidence: X", 17, "allowed"),
        ("    confidence: V\n", "", 10, "confidence is missing"),
        ("coverage: {logins: {count: 1}}", "required: true", 26, "符合 needs `coverage`"),
        ("{count: 1}", "{count: 0}", 23, "1 or more"),
        ("{count: logins,", "{peak: logins,", 26, "needs a fact with `by`"),
        ("{logins}条", "{logins.keys}个", 26, "needs a fact with `by`"),
        ("query: [logins]", "query: [nobody]", 22, "no fact"),
        ("at_least: 1", "at_least: lots", 26, "no bound"),
        ("count: logins", "count: other", 26, "does not ask"),
        ("{logins}条", "{other}条", 26, "names a fact"),
        ("{logins}条", "{logins!r}条", 26, "a place in a sentence"),
        ("valid_days: 30", "valid_days: 0", 24, "1 or more"),
        ("kind: query", "kind: guess", 20, "allowed"),
        ("class: CES", "class: XYZ", 12, "not listed"),
        ("    gist: 要点要点\n", "    gist: 要点要点\n    colour: red\n", 17, "unknown key colour"),
    ],
)
def test_a_mistake_is_told_at_its_line(old: str, new: str, line: int, words: str) -> None:
    (problem,) = problems(HEAD + CONTROL.replace(old, new, 1))
    assert problem.startswith(f"f.yaml:{line}: ")
    assert words in problem


def test_the_other_controls_stay() -> None:
    broken = CONTROL.replace("confidence: V", "confidence: X")
    framework, errors = load_framework("f.yaml", HEAD + broken + CONTROL.replace("C-01", "C-02"))
    assert framework is not None
    assert [control.id for control in framework.controls] == ["C-02"]
    assert len(errors) == 1


def test_a_control_that_stands_twice_is_told_and_the_first_one_stays() -> None:
    framework, errors = load_framework("f.yaml", HEAD + CONTROL + CONTROL)
    assert framework is not None
    assert len(framework.controls) == 1
    assert "twice" in str(errors[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "\x00",
        "- 1",
        "a: &x 1\nb: *x",
        "a: 1\na: 2",
        "[" * 5000,
        "{[1]: 2}",
        "a: " + "9" * 5000,
        "? - a\n: b",
    ],
)
def test_what_is_no_framework_is_refused_with_a_place(text: str) -> None:
    framework, errors = load_framework("f.yaml", text)
    assert framework is None
    assert str(errors[-1]).startswith("f.yaml")


@given(text=st.text(max_size=200) | st.from_regex(r"(- |a: |\[|\{|&x |\*x|\n| )*", fullmatch=True))
def test_no_text_breaks_the_reader(text: str) -> None:
    framework, errors = load_framework("f.yaml", text)
    assert framework is None
    assert errors


@given(cut=st.integers(0, len(HEAD + CONTROL)), junk=st.text(max_size=5))
def test_a_damaged_file_is_either_read_or_told(cut: int, junk: str) -> None:
    text = HEAD + CONTROL
    framework, errors = load_framework("f.yaml", text[:cut] + junk + text[cut:])
    assert framework is not None or errors
