"""The criteria file: corrected clauses, a mark on each, and every mistake told with its line."""

from pathlib import Path

import pytest

from secmon.bulletin.guide import load_guide
from secmon.compliance.framework import load_framework
from tests.bulletin.bulletin_cases import guide

PATH = Path(__file__).parent.parent.parent / "frameworks" / "incident-criteria.yaml"
TEXT = PATH.read_text(encoding="utf-8")


def test_every_entry_carries_its_mark() -> None:
    shipped = guide()
    for entries in (shipped.criteria, shipped.clocks, shipped.stages, shipped.items):
        assert entries
    marks = [one.confidence for one in shipped.criteria] + [one.confidence for one in shipped.clocks]
    marks += [one.confidence for one in shipped.stages] + [one.confidence for one in shipped.items]
    assert set(marks) <= set(shipped.legend)


def test_only_the_three_clauses_with_verified_numbers_are_compared() -> None:
    compared = {one.id: one.persons for one in guide().criteria if one.persons}
    assert compared == {"pi-100m": 100_000_000, "pi-10m": 10_000_000, "pi-1m": 1_000_000}


def test_numbers_of_the_consultation_draft_are_marked_and_left_to_people() -> None:
    drafts = [one for one in guide().criteria if "征求意见稿" in one.text + one.human]
    assert drafts
    assert all(one.confidence == "G" and one.human for one in drafts)


def test_the_clauses_that_corrections_ask_for_are_there() -> None:
    clauses = {one.id: one for one in guide().criteria}
    assert "50%以上人口" in clauses["livelihood-1"].text
    assert "就医、购物" in clauses["livelihood-1"].text
    assert "中央重点新闻网站" in clauses["portal-1"].text
    assert "企事业单位门户网站" in clauses["portal-institution"].text
    assert clauses["pi-general"].human


def test_three_stages_eight_items_and_three_routes() -> None:
    shipped = guide()
    assert [stage.id for stage in shipped.stages] == ["urgent", "ongoing", "after"]
    assert [item.number for item in shipped.items] == list(range(1, 9))
    assert [item.number for item in shipped.items if item.first] == [1, 2]
    within = {clock.id: clock.within for clock in shipped.clocks}
    assert (within["CII"], within["CENTRAL"], within["OTHER"]) == ("1小时内", "2小时内", "4小时内")


def test_no_technique_stands_in_two_categories() -> None:
    techniques = [one for category in guide().categories for one in category.techniques]
    assert len(techniques) == len(set(techniques))


def test_the_two_readers_pass_over_each_others_files() -> None:
    assert load_framework(PATH.name, TEXT) == (None, [])
    catalogue = PATH.parent / "mlps-l3-ces.yaml"
    assert load_guide(catalogue.name, catalogue.read_text(encoding="utf-8")) == (None, [])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("confidence: V2, compare", "confidence: Z, compare", "allowed"),
        ("compare: {persons: 100000000}", "compare: {persons: 0}", "1 or more"),
        ("compare: {persons: 100000000}", "compare: {persons: 1}, human: 人", "either compares"),
        (", when: always", ", when: sometimes", "allowed"),
        ("{id: urgent,", "{id: later,", "allowed"),
        (", first: true", ", first: maybe", "true or false"),
    ],
)
def test_a_mistake_is_told_and_the_rest_stays(old: str, new: str, words: str) -> None:
    assert old in TEXT
    found, errors = load_guide(PATH.name, TEXT.replace(old, new, 1))
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    assert found is not None
    assert [str(error).startswith(f"{PATH.name}:{line}: ") for error in errors] == [True]
    assert words in str(errors[0])
