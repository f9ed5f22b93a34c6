"""行文方向: reports go to the unit's own superiors, warnings to units below; anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.bulletin.direction import DIRECTIONS, allowed_recipients, default_recipients, recipients
from secmon.errors import SecmonError
from secmon.model.bulletin import BulletinKind
from tests.bulletin.bulletin_cases import CITY, COUNTY, PROVINCE, SCHOOL, TREE, UNIVERSITY

WARNING, REPORT = BulletinKind.WARNING, BulletinKind.INCIDENT_REPORT


def test_every_kind_has_a_direction() -> None:
    assert set(DIRECTIONS) == set(BulletinKind)


def test_a_warning_goes_to_the_whole_subtree_and_nowhere_else() -> None:
    assert allowed_recipients(WARNING, CITY, TREE) == ("370203", "S1")


def test_a_report_goes_to_the_superior_by_right_and_by_region() -> None:
    assert allowed_recipients(REPORT, UNIVERSITY, TREE) == ("37", "370200")


def test_a_report_never_goes_over_the_superiors_head() -> None:
    assert allowed_recipients(REPORT, SCHOOL, TREE) == ("370203",)
    with pytest.raises(SecmonError, match="上行"):
        recipients(REPORT, SCHOOL, TREE, ["370200"])


@pytest.mark.parametrize("unit", ["37", "370200", "U1", "nobody", ""])
def test_a_warning_to_anybody_else_is_refused(unit: str) -> None:
    with pytest.raises(SecmonError, match="下行"):
        recipients(WARNING, CITY, TREE, [unit])


@pytest.mark.parametrize("unit", ["S1", "370203", "U1"])
def test_a_report_to_anybody_but_a_superior_is_refused(unit: str) -> None:
    with pytest.raises(SecmonError, match="上行"):
        recipients(REPORT, COUNTY, TREE, [unit])


def test_recipients_keep_their_order_and_stand_once() -> None:
    found = recipients(WARNING, CITY, TREE, ["S1", "370203", "S1"])
    assert [(one.unit_id, one.name, one.state) for one in found] == [
        ("S1", "示例中学", "pending"),
        ("370203", "示例区教育局", "pending"),
    ]


def test_defaults_go_one_step_up_or_down() -> None:
    assert default_recipients(WARNING, PROVINCE, TREE) == ("370200", "U1")
    assert default_recipients(REPORT, UNIVERSITY, TREE) == ("37",)
    assert default_recipients(WARNING, SCHOOL, TREE, ["S1"]) == ()
    assert default_recipients(REPORT, PROVINCE, TREE) == ()


@given(kind=st.sampled_from(BulletinKind), issuer=st.sampled_from(sorted(TREE.units)))
def test_defaults_are_always_allowed(kind: BulletinKind, issuer: str) -> None:
    unit = TREE.units[issuer]
    recipients(kind, unit, TREE, default_recipients(kind, unit, TREE, TREE.units))
