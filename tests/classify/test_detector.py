"""The detector: traps that must give nothing, hard cases that must be found, and the exact place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.classify.detector import Detector, Match
from secmon.classify.validators import id_check_character

ID = "370000199003070018"
CARD = "6227000000000000003"
NUMBERS = {"cn_id18", "cn_id15", "hkmotw_residence", "student_no_national", "mobile", "bank_card", "uscc"}


def classes(detector: Detector, text: str) -> list[str]:
    return [match.definition.id for match in detector.find(text)]


def only(detector: Detector, text: str) -> Match:
    (match,) = detector.find(text)
    return match


@pytest.mark.parametrize(
    "text",
    [
        "ts=1757203269424 took 12 ms",
        "1757203269424133",  # µs
        "1757203269424133007",  # ns
        "snowflake 1834567890123456789",
        "550e8400-e29b-41d4-a716-446655440000",
        "traceId=4bf92f3577b34da6a3ce929d0e0e4736",
        "d41d8cd98f00b204e9800998ecf8427e",
        f"spanId={CARD}",
        f"orderNo: {ID}",
        '{"transactionId": "6227000000000000003"}',
        "wx order 4200001234202609071234567890",  # 28 digits
        "courier SF1380013800012",
        "id=13800138000",
        "seq: 13912345678",
        "/api/v1/item?id=15012345678",
        "load 0.13800138000 0.370000199003070018",
        "1.23e13800138000",
        "203.0.113.9:50022 -> 198.51.100.7:443",
        "2001:db8::1380:138:1111",
        "v1.13800138000.2",
        "138****8000 370***********0018 ************0003 G370***********0018",
        "l***@example.edu.cn",
        "姓名：张*，住址：山东省青岛市市南区***",
        "10000000000 11111111111 12000000000",  # no segment
        "370000202702300014",  # 30 February of a coming year
        "2026090700010900012",
        "serialVersionUID = 6813752049873645211L",
        "IMEI 861234567890128",
        "ISBN 9787302511625",
        "课程：高等数学 状态：成功 时间：常规",
        "0000000000000000000",
        "400-810-8888 95588 0532-88888888",
    ],
)
def test_a_trap_gives_nothing(detector: Detector, text: str) -> None:
    assert classes(detector, text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"学生{ID}已注册", ID),
        (f"{ID},", ID),
        ("x=11010519491231002x;", "11010519491231002X"),
        ("３７００００１９９００３０７００１８", ID),
        ("370000 19900307 0018", ID),
        ("370000-19900307-0018", ID),
        (f"%22{ID}%22", ID),
        (f"%E5%8F%B7{ID}", ID),
        (f"%C9%ED%B7%DD%D6%A4{ID}", ID),  # GBK
        ("%33%37%30%30%30%30199003070018", ID),
        ("%25E5%258F%25B7" + ID, ID),
        (f'{{\\"sfzh\\":\\"{ID}\\"}}', ID),
        (f'{{\\\\\\"sfzh\\\\\\":\\\\\\"{ID}\\\\\\"}}', ID),
        (f"\\u53f7{ID}", ID),
        (f"line\\n{ID}\\n", ID),
        (f"'{ID}", ID),
        (f"{ID}.0", ID),
    ],
)
def test_a_resident_id_is_found_in_any_disguise(detector: Detector, text: str, value: str) -> None:
    match = only(detector, text)
    assert (match.definition.id, match.value) == ("cn_id18", value)


@pytest.mark.parametrize(
    "text",
    [
        "用户13800138000登录",
        "+8613800138000",
        "+86 13800138000",
        "+86-13800138000",
        "008613800138000",
        "138 0013 8000",
        "138-0013-8000",
        "tel:13800138000",
        "userId=13800138000",
        "phone%3D13800138000",
        "%2B8613800138000",
    ],
)
def test_a_mobile_number_is_found_however_it_is_written(detector: Detector, text: str) -> None:
    match = only(detector, text)
    assert (match.definition.id, match.value) == ("mobile", "13800138000")


def test_two_numbers_side_by_side_are_two(detector: Detector) -> None:
    assert [match.value for match in detector.find("13800138000/13900139000 15800158000")] == [
        "13800138000",
        "13900139000",
        "15800158000",
    ]


@pytest.mark.parametrize(
    ("text", "class_id", "surface"),
    [
        (f"前{ID}后", "cn_id18", ID),
        ("%E5%8F%B7" + ID + "%20", "cn_id18", ID),
        ("xm=%E5%BC%A0%E4%B8%89&a=1", "name_cn", "%E5%BC%A0%E4%B8%89"),
        ('{\\"xm\\":\\"\\u5f20\\u4e09\\"}', "name_cn", "\\u5f20\\u4e09"),
        ("联系电话：+8613800138000。", "mobile", "13800138000"),
        ("mail=li.wei%40example.edu.cn", "email", "li.wei%40example.edu.cn"),
        ("password=Qwer1234&x=1", "password", "Qwer1234"),
        ("\\ud842\\udfb7" + ID, "cn_id18", ID),
    ],
)
def test_the_span_is_the_place_in_the_source(detector: Detector, text: str, class_id: str, surface: str) -> None:
    match = only(detector, text)
    assert match.definition.id == class_id
    assert text[match.start : match.end] == surface


@pytest.mark.parametrize(
    ("key", "text", "class_id"),
    [
        ("xm", "张三", "name_cn"),
        ("学生姓名", "欧阳小明", "name_cn"),
        ("stuXm", "张三", "name_cn"),
        ("home_address", "青岛市市南区香港中路10号", "address"),
        ("userPwd", "Qwer1234", "password"),
        ("passport_no", "E12345678", "passport_cn"),
        ("id_card", "370202800307001", "cn_id15"),
        ("yhkh", "6200000000000005", "bank_card"),
    ],
)
def test_the_name_of_a_field_is_a_key(detector: Detector, key: str, text: str, class_id: str) -> None:
    assert [match.definition.id for match in detector.find(text, key=key)] == [class_id]
    assert classes(detector, text) == []


@pytest.mark.parametrize("key", ["traceId", "order_no", "parentSpanId", "id", "订单号"])
def test_a_negative_name_of_a_field_refuses_a_number(detector: Detector, key: str) -> None:
    assert detector.find("13800138000", key=key) == []


def test_a_number_without_a_key_is_a_counter(detector: Detector) -> None:
    assert detector.find("13800138000", key="bytes", is_number=True) == []
    assert len(detector.find("13800138000", key="mobile", is_number=True)) == 1


def test_a_known_key_makes_a_finding_surer(detector: Detector) -> None:
    assert only(detector, "sjh=13800138000").confidence > only(detector, "13800138000").confidence
    assert only(detector, "sjh=13800138000").trace == ("validator:mobile", "key:sjh")


def test_a_match_does_not_show_its_value(detector: Detector) -> None:
    match = only(detector, f"37020219900307001{id_check_character('37020219900307001')}")
    assert match.value not in repr(match)


@given(text=st.text())
def test_no_text_breaks_the_detector(detector: Detector, text: str) -> None:
    for match in detector.find(text):
        assert 0 <= match.start < match.end <= len(text)


@given(digits=st.text("0123456789", min_size=10, max_size=30))
def test_letters_on_both_sides_hide_every_number(detector: Detector, digits: str) -> None:
    assert NUMBERS.isdisjoint(classes(detector, f"a{digits}b"))


# A text of this size takes well under a second; a quadratic step would take hours.
@pytest.mark.parametrize(
    "unit",
    ["13800138000 ", "张三姓名：", "a" * 50 + "=", "%E5", "\\", "\\u00", '"', "1", "姓", "a.", "@a.", "0.1", "- "],
)
def test_no_repetition_makes_it_slow(detector: Detector, unit: str) -> None:
    detector.find(unit * (60_000 // len(unit)))
