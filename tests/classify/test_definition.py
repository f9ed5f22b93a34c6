"""Classifier files: what is refused, where, and that the good ones go on."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.classify.definition import Definition, load_definitions
from secmon.classify.detector import Detector

GOOD = """\
id: badge
name: {zh: 工牌号, en: badge number}
source: {confidence: P}
level: {edu: L2, national: 一般}
match: {pattern: "B[0-9]{6}"}
confidence: {prior: 0.8}
mask: {partial: {keep_start: 1, keep_end: 2}, default: partial}
tests: {match: ["B123456"], no_match: ["B12345"]}
"""


def problem_of(text: str) -> str:
    loaded, errors = load_definitions([("badge.yaml", text)])
    assert loaded == ()
    assert len(errors) == 1
    return str(errors[0])


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_is_read() -> None:
    (badge,), errors = load_definitions([("badge.yaml", GOOD)])
    assert errors == []
    assert (badge.id, badge.level, badge.mark, badge.mask.keep_end) == ("badge", "L2", "P", 2)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("id: badge", "id: Badge No", "badge.yaml:1: id: the text has not the right form"),
        ("source: {confidence: P}", "source: {confidence: X}", "badge.yaml:3: source.confidence: not one of"),
        ("level: {edu: L2", "level: {edu: 2", "badge.yaml:4: level.edu: not one of"),
        ("match: {", "match: {colour: red, ", "badge.yaml:5: match.colour: unknown key"),
        ("match: {", "match: {digits: [12], ", "badge.yaml:5: match: either digits or pattern"),
        ("B[0-9]{6}", "B[0-9", "badge.yaml:5: match.pattern: RE2 refuses the pattern"),
        ("B[0-9]{6}", "(?=B)[0-9]", "badge.yaml:5: match.pattern: RE2 refuses the pattern"),
        ("B[0-9]{6}", "[0-9]*", "badge.yaml:5: match.pattern: the pattern matches empty text"),
        ("B[0-9]{6}", "工[0-9]{6}", "badge.yaml:5: match.pattern: only ASCII"),
        ("prior: 0.8", "prior: 8", "badge.yaml:6: confidence.prior: a number from 0 to 1"),
        ("default: partial", "default: hide", "badge.yaml:7: mask.default: not one of"),
        ('no_match: ["B12345"]', "no_match: []", "badge.yaml:8: tests: at least one text"),
        ("level: {edu: L2, national: 一般}\n", "", "badge.yaml:1: level is missing"),
        ("confidence: {prior: 0.8}", "confidence: {prior: 0.8}\nvalidator: magic", "badge.yaml:7: validator: not one"),
        ("confidence: {prior: 0.8}", "confidence: {prior: 0.8}\nid: again", "badge.yaml:7: a key stands twice"),
        ("confidence: {prior: 0.8}", "confidence: [", "badge.yaml:8: not YAML"),
        ("name: {", "name: &a {", "ok"),
    ],
)
def test_a_broken_file_is_reported_with_its_line(old: str, new: str, problem: str) -> None:
    text = changed(old, new)
    if problem == "ok":
        assert load_definitions([("badge.yaml", text)])[1] == []
    else:
        assert problem_of(text).startswith(problem)


def test_an_alias_is_refused() -> None:
    assert "aliases are not allowed" in problem_of(changed("id: badge", "id: &a badge") + "validator: *a\n")


def test_one_broken_file_does_not_stop_the_others() -> None:
    loaded, errors = load_definitions([("a.yaml", "- 1"), ("badge.yaml", GOOD), ("c.yaml", "[" * 5000)])
    assert [one.id for one in loaded] == ["badge"]
    assert [error.where for error in errors] == ["a.yaml:1", "c.yaml:1"]


def test_an_operators_file_replaces_ours_with_the_same_id() -> None:
    loaded, errors = load_definitions([("ours.yaml", GOOD), ("theirs.yaml", changed("L2", "L3"))])
    assert errors == []
    assert [(one.level, one.path) for one in loaded] == [("L3", "theirs.yaml")]


def test_a_level_for_the_authority_to_decide_is_a_candidate() -> None:
    (badge,), _ = load_definitions([("badge.yaml", changed("L2", "L4"))])
    assert badge.is_candidate


def test_the_shipped_classes_are_those_of_the_contract(definitions: tuple[Definition, ...]) -> None:
    assert {one.id for one in definitions} >= {
        "cn_id18", "cn_id15", "hkmotw_residence", "student_no_national", "mobile", "bank_card", "email", "password",
        "name_cn", "address", "uscc", "passport_cn",
    }  # fmt: skip
    assert all(Path(one.path).stem == one.id for one in definitions)
    assert not any(one.is_candidate for one in definitions)


def test_the_shipped_classes_keep_their_own_examples(definitions: tuple[Definition, ...], detector: Detector) -> None:
    for definition in definitions:
        for text in definition.matching:
            found = [match.definition.id for match in detector.find(text)]
            assert definition.id in found, (definition.id, text)
        for text in definition.not_matching:
            found = [match.definition.id for match in detector.find(text)]
            assert definition.id not in found, (definition.id, text)


def test_the_example_of_the_guide_works() -> None:
    guide = (Path(__file__).parent.parent.parent / "docs" / "classifiers.md").read_text(encoding="utf-8")
    example = guide.partition("```yaml\n")[2].partition("```")[0]
    loaded, errors = load_definitions([("badge.yaml", example)])
    assert errors == []
    detector = Detector(loaded, today=date(2026, 11, 21))
    assert all(detector.find(text) for text in loaded[0].matching)
    assert not any(detector.find(text) for text in loaded[0].not_matching)


@given(text=st.text())
def test_no_text_breaks_the_loader(text: str) -> None:
    loaded, errors = load_definitions([("x.yaml", text)])
    assert len(loaded) + len(errors) == 1
