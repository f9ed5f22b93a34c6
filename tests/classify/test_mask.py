"""Masked forms: what stays, what never stays, and that nothing of it is recognised again."""

from collections.abc import Sequence

import pytest

from secmon.classify.definition import Definition
from secmon.classify.detector import Detector
from secmon.classify.mask import masked_value, replacement


def of(definitions: Sequence[Definition], class_id: str) -> Definition:
    return next(one for one in definitions if one.id == class_id)


@pytest.mark.parametrize(
    ("class_id", "value", "masked"),
    [
        ("cn_id18", "370000199003070018", "370***********0018"),
        ("cn_id15", "370202800307001", "370*********001"),
        ("student_no_national", "G370000199003070018", "G370***********0018"),
        ("mobile", "13800138000", "138****8000"),
        ("bank_card", "6227000000000000003", "***************0003"),
        ("passport_cn", "E12345678", "E*****678"),
        ("email", "li.wei@example.edu.cn", "l***@example.edu.cn"),
        ("password", "Qwer1234", "***"),
        ("name_cn", "张三", "张*"),
        ("name_cn", "欧阳小明", "欧***"),
        ("name_cn", "阿依古丽·买买提", "阿***·***"),
        ("address", "山东省青岛市市南区香港中路10号3单元201室", "山东省青岛市市南区***"),
        ("address", "香港中路10号", "***"),
        ("address", "中山路花园小区3号", "***"),
        ("address", "内蒙古自治区阿拉善盟额济纳旗某镇1号", "内蒙古自治区阿拉善盟额济纳旗***"),
        ("address", "胶州市福州南路1号", "胶州市***"),
    ],
)
def test_each_class_keeps_its_form(
    definitions: Sequence[Definition], detector: Detector, class_id: str, value: str, masked: str
) -> None:
    definition = of(definitions, class_id)
    assert masked_value(definition, value) == masked
    assert detector.find(f"{definition.keys[0] if definition.keys else 'x'}={masked}") == []


def test_the_birth_date_never_stays(definitions: Sequence[Definition]) -> None:
    for class_id, value in (("cn_id18", "370000199003070018"), ("student_no_national", "G370000199003070018")):
        assert "1990" not in masked_value(of(definitions, class_id), value)


def test_what_is_too_short_is_hidden_whole(definitions: Sequence[Definition]) -> None:
    assert masked_value(of(definitions, "mobile"), "1380013") == "*******"


@pytest.mark.parametrize(("policy", "shown"), [("token", f"<mobile:{'1' * 32}>"), ("drop", "<mobile>")])
def test_tokens_and_dropped_values_are_not_found_again(
    definitions: Sequence[Definition], detector: Detector, policy: str, shown: str
) -> None:
    assert policy in {"token", "drop"}
    written = replacement(of(definitions, "mobile"), "token" if policy == "token" else "drop", "13800138000", "1" * 32)
    assert written == shown
    assert detector.find(f"手机 {written}") == []
