"""Clauses beside facts: 达到, 接近, 无法判定, 不适用, and never "not reached"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.bulletin.criteria import CriterionState, clocks_of, judge, propose_category
from tests.bulletin.bulletin_cases import alert, guide

GUIDE = guide()


def states(persons: int, techniques: tuple[str, ...] = ("T1213",)) -> dict[str, str]:
    facts = alert(persons=persons, techniques=techniques)
    return {one.criterion.id: one.state.value for one in judge(GUIDE, facts, propose_category(GUIDE, facts))}


@pytest.mark.parametrize(
    ("persons", "state"),
    [
        (1_000_000, "达到"),
        (999_999, "接近"),
        (500_000, "接近"),
        (499_999, "无法判定"),
        (1, "无法判定"),
        (0, "无法判定"),
    ],
)
def test_people_seen_are_compared_with_the_number_of_the_clause(persons: int, state: str) -> None:
    assert states(persons)["pi-1m"] == state


@given(persons=st.integers(0, 200_000_000))
def test_the_clause_without_a_number_is_always_for_people(persons: int) -> None:
    assert states(persons)["pi-general"] == "无法判定"


@given(persons=st.integers(0, 200_000_000))
def test_there_are_four_states_and_none_says_not_reached(persons: int) -> None:
    assert set(states(persons).values()) <= {state.value for state in CriterionState}
    assert set(CriterionState) == {"达到", "接近", "无法判定", "不适用"}


def test_what_the_category_cannot_concern_is_not_applicable_for_now() -> None:
    assert states(10)["portal-1"] == "不适用"
    assert states(10, techniques=("T1190",))["portal-1"] == "无法判定"


def test_the_clause_on_portals_of_institutions_is_always_for_people() -> None:
    for techniques in (("T1213",), ("T1110",), ()):
        assert states(0, techniques=techniques)["portal-institution"] == "无法判定"


@pytest.mark.parametrize(
    ("techniques", "controls", "code"),
    [
        (("T1110.003",), (), "NACRED"),
        (("T1505.003",), (), "NABACKIMPL"),
        (("T1565.003",), (), "NALINK"),
        (("T1565.001",), (), "DSDATAALTER"),
        (("T1070.001",), (), "ABOTH"),
        (("T11100",), (), "OTH"),
        ((), ("L3-CES1-35",), "DSDATASTEAL"),
        (("T9999",), ("L3-CES1-20",), "NAEXPLOIT"),
        ((), (), "OTH"),
    ],
)
def test_the_category_follows_technique_then_control(
    techniques: tuple[str, ...], controls: tuple[str, ...], code: str
) -> None:
    assert propose_category(GUIDE, alert(techniques=techniques, controls=controls)).code == code


def test_deadlines_for_personal_data_and_minors_show_only_where_they_may_run() -> None:
    assert {"PIPL57", "NDR11", "MINOR35"} <= {clock.id for clock in clocks_of(GUIDE, alert())}
    assert {"PIPL57", "NDR11", "MINOR35"}.isdisjoint(clock.id for clock in clocks_of(GUIDE, alert(persons=0)))
