"""Validators: published vectors, each rule broken once, and no look-alike passing by chance."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.classify import validators
from secmon.classify.area_codes import STILL_IN_FORCE, area_codes
from secmon.classify.bank_bins import bank_bins, is_listed
from secmon.classify.validators import VALIDATORS, Verdict, id_check_character

TODAY = date(2026, 11, 21)


def resident_id(*, area: str = "370202", born: str = "19900307", order: str = "001") -> str:
    body = f"{area}{born}{order}"
    return body + id_check_character(body)


# The worked example of GB 11643-1999, and synthetic numbers.
@pytest.mark.parametrize("value", ["11010519491231002X", "370000199003070018", resident_id()])
def test_a_right_resident_id_passes(value: str) -> None:
    verdict = validators.cn_id18(value, TODAY)
    assert verdict is not None
    assert verdict.born == date(int(value[6:10]), int(value[10:12]), int(value[12:14]))


@pytest.mark.parametrize(
    "value",
    [
        "370000199003070019",  # check character
        resident_id(born="20050230"),  # no such day
        resident_id(born="20261122"),  # tomorrow
        resident_id(born="18991231"),  # nobody is that old
        resident_id(area="379999"),  # no such area
        resident_id(area="990101"),
        resident_id(area="810000"),  # a residence permit, another class
    ],
)
def test_one_broken_rule_refuses_a_resident_id(value: str) -> None:
    assert validators.cn_id18(value, TODAY) is None


# 崇文区 was abolished in 2010, 岳池县 had this code until 1997; other validators refuse both for everybody.
@pytest.mark.parametrize(("area", "last_year"), [("110103", 2009), ("513621", 1997)])
def test_an_abolished_area_is_right_for_those_born_before_its_end(area: str, last_year: int) -> None:
    assert area_codes()[area] == last_year
    assert validators.cn_id18(resident_id(area=area, born=f"{last_year}0101"), TODAY) is not None
    assert validators.cn_id18(resident_id(area=area, born=f"{last_year + 1}0101"), TODAY) is None


def test_somebody_born_before_an_area_code_existed_may_have_it() -> None:
    assert validators.cn_id18(resident_id(area="500101", born="19500101"), TODAY) is not None


def test_the_area_table_is_complete() -> None:
    assert len(area_codes()) == 7185
    assert area_codes()["370202"] == STILL_IN_FORCE
    assert all(len(code) == 6 and code.isdigit() for code in area_codes())


@pytest.mark.parametrize("area", ["810000", "820000", "830000"])
def test_residence_permits_follow_the_resident_id(area: str) -> None:
    value = resident_id(area=area)
    assert validators.hkmotw_residence(value, TODAY) is not None
    assert validators.hkmotw_residence(value[:-1] + ("1" if value[-1] != "1" else "2"), TODAY) is None


def test_a_resident_id_is_no_residence_permit() -> None:
    assert validators.hkmotw_residence(resident_id(), TODAY) is None


@pytest.mark.parametrize(
    ("value", "passes"),
    [("370202800307001", True), ("370202801307001", False), ("370202800230001", False), ("379999800307001", False)],
)
def test_a_first_generation_id_needs_area_and_date(value: str, *, passes: bool) -> None:
    assert (validators.cn_id15(value, TODAY) is not None) is passes


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (f"G{resident_id()}", True),
        ("G370000199003070019", False),
        (f"G{resident_id(area='810000')}", True),
        ("J370202201203150019", True),
        ("L370202201809019876", True),
        ("L370202201813019876", False),
        ("L379999201809019876", False),
        ("K370202201809019876", False),
    ],
)
def test_a_student_number_is_judged_by_its_kind(value: str, *, passes: bool) -> None:
    verdict = validators.student_no_national(value, TODAY)
    assert (verdict is not None) is passes


@pytest.mark.parametrize(("segment", "passes"), [("138", True), ("199", True), ("154", False), ("120", False)])
def test_a_mobile_number_is_in_a_segment_for_people(segment: str, *, passes: bool) -> None:
    assert (validators.mobile(f"{segment}00138000", TODAY) is not None) is passes


def test_a_card_with_a_listed_issuer_is_sure_and_one_without_is_not() -> None:
    listed, unlisted = "6227000000000000003", "6200000000000005"
    assert is_listed(listed)
    assert not is_listed(unlisted)
    assert validators.bank_card(listed, TODAY) == Verdict(1.0)
    assert validators.bank_card(unlisted, TODAY) == Verdict(0.0)
    assert validators.bank_card("6200000000000006", TODAY) is None


def test_a_listed_issuer_counts_for_its_own_length_only() -> None:
    assert "622700" in bank_bins()[19]
    assert not is_listed("6227000000000000")


@given(digits=st.text("0123456789", min_size=12, max_size=18), place=st.integers(0, 17), change=st.integers(1, 9))
def test_luhn_sees_every_single_wrong_digit(digits: str, place: int, change: int) -> None:
    number = next(digits + last for last in "0123456789" if validators.luhn(digits + last))
    place %= len(number)
    wrong = number[:place] + str((int(number[place]) + change) % 10) + number[place + 1 :]
    assert not validators.luhn(wrong)


@given(digits=st.text("0123456789", min_size=17, max_size=17), place=st.integers(0, 16), change=st.integers(1, 9))
def test_the_check_character_sees_every_single_wrong_digit(digits: str, place: int, change: int) -> None:
    wrong = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :]
    assert id_check_character(digits) != id_check_character(wrong)


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ("123700001234567894", True),
        ("123700001234567895", False),
        ("12379999123456789A", False),
        ("003700001234567894", False),
    ],
)
def test_a_credit_code_has_department_area_and_check_character(value: str, *, passes: bool) -> None:
    assert (validators.uscc(value, TODAY) is not None) is passes


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ("li.wei@example.edu.cn", True),
        ("a..b@example.edu.cn", False),
        ("logo@2x.png", False),
        (f"{'a' * 65}@example.edu.cn", False),
        ("a@-example.cn", False),
    ],
)
def test_a_mail_address_keeps_the_limits_of_rfc_5321(value: str, *, passes: bool) -> None:
    assert (validators.email(value, TODAY) is not None) is passes


@pytest.mark.parametrize("value", ["张三", "欧阳小明", "阿依古丽·买买提", "𠮷田文"])
def test_names_of_every_kind_pass(value: str) -> None:
    assert validators.han_name(value, TODAY) is not None


@pytest.mark.parametrize("value", ["张某某", "管理员", "未知", "张", "·张三"])
def test_what_is_no_name_is_refused(value: str) -> None:
    assert validators.han_name(value, TODAY) is None


@pytest.mark.parametrize("value", ["***", "null", "<secret>", "${PASSWORD}", "ab***cd", "xxxx"])
def test_a_placeholder_is_no_secret(value: str) -> None:
    assert validators.secret(value, TODAY) is None


@given(
    name=st.sampled_from(sorted(VALIDATORS)),
    value=st.text(min_size=1) | st.from_regex(r"[GJL]?[0-9]{13,19}X?", fullmatch=True),
)
def test_no_text_breaks_a_validator(name: str, value: str) -> None:
    verdict = VALIDATORS[name](value, TODAY)
    assert verdict is None or 0 <= verdict.strength <= 1
