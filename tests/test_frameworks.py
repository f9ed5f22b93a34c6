"""The shipped catalogues: complete, marked, and nothing in them can be 符合 without data."""

from pathlib import Path

import pytest

from secmon.compliance.framework import load_framework
from secmon.model.assessment import Control, Framework, Result

FOLDER = Path(__file__).parent.parent / "frameworks"
# The level-3 items of 安全计算环境 whose check modes include L (logs).
LOG_ITEMS = [1, 2, 3, 4, 6, 7, 8, 9, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29, 30, 31, 35]


def shipped() -> Framework:
    path = FOLDER / "mlps-l3-ces.yaml"
    framework, errors = load_framework(path.name, path.read_text(encoding="utf-8"))
    assert [str(error) for error in errors] == []
    assert framework is not None
    return framework


CONTROLS = shipped().controls


def test_the_catalogue_has_exactly_the_26_items_that_logs_can_answer() -> None:
    assert len(LOG_ITEMS) == 26
    assert [control.id for control in CONTROLS] == [f"L3-CES1-{number:02}" for number in LOG_ITEMS]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_an_item_carries_its_place_and_its_mark(control: Control) -> None:
    assert control.clause.startswith("8.1.4.")
    assert control.class_code == "CES"
    assert control.level == (3,)
    assert control.confidence in {"V", "V2", "G", "P"}
    assert len(control.gist) >= 8


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_what_can_be_met_names_the_coverage_it_takes(control: Control) -> None:
    for check in control.checks:
        if any(outcome.result is Result.MET for outcome in check.outcomes):
            assert check.coverage
            assert all(coverage.count >= 1 for coverage in check.coverage)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_an_item_has_a_required_check(control: Control) -> None:
    assert any(check.required for check in control.checks)


def test_a_rule_check_looks_at_the_rules_of_its_own_item() -> None:
    for control in CONTROLS:
        for check in control.checks:
            if "hits" in check.facts:
                assert check.facts["hits"].controls == (control.id,)


def test_the_legend_explains_every_mark() -> None:
    assert set(shipped().legend) >= {"V", "V2", "G", "P"}
