"""Scanner: records, paths and exact byte spans in text, JSON lines and CSV of any encoding."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.classify.classifier import Classifier
from secmon.classify.scan import Layout, Located, Scanner

ID = "370000199003070018"
MOBILE = "13800138000"


def scanned(
    classifier: Classifier, data: bytes, *, layout: Layout = "auto", pieces: int = 1 << 20, threshold: float = 0.5
) -> list[Located]:
    scanner = Scanner(classifier, layout=layout, min_confidence=threshold)
    found: list[Located] = []
    for place in range(0, len(data), pieces):
        found += scanner.feed(data[place : place + pieces])
    return [*found, *scanner.feed(b"", at_end=True)]


def summary(found: Iterable[Located]) -> list[tuple[int, str, str]]:
    return [(one.record, one.finding.path, one.finding.data_class) for one in found]


def values(found: Iterable[Located], data: bytes, encoding: str = "utf-8") -> list[str]:
    spans = [one.finding.span for one in found]
    return [data[span[0] : span[1]].decode(encoding) for span in spans if span is not None]


def test_plain_text_is_scanned_line_by_line(classifier: Classifier) -> None:
    data = f"ok\n学生{ID}登录\n\n电话{MOBILE}".encode()
    found = scanned(classifier, data)
    assert summary(found) == [(2, "", "cn_id18"), (4, "", "mobile")]
    assert values(found, data) == [ID, MOBILE]


def test_a_json_line_names_the_path(classifier: Classifier) -> None:
    row = {"student": {"xm": "张三", "sfzh": ID, "tel": [{"sjh": int(MOBILE)}], "a b": {"mail": "a.b@example.edu.cn"}}}
    data = (json.dumps(row, ensure_ascii=False) + "\n").encode()
    found = scanned(classifier, data)
    assert summary(found) == [
        (1, "$.student.xm", "name_cn"),
        (1, "$.student.sfzh", "cn_id18"),
        (1, "$.student.tel[0].sjh", "mobile"),
        (1, "$.student['a b'].mail", "email"),
    ]
    assert values(found, data) == ["张三", ID, MOBILE, "a.b@example.edu.cn"]


def test_escaped_json_keeps_path_and_span(classifier: Classifier) -> None:
    data = json.dumps({"姓名": "张三", "payload": json.dumps({"身份证号": ID})}).encode()
    found = scanned(classifier, data)
    assert summary(found) == [(1, "$.姓名", "name_cn"), (1, "$.payload:身份证号", "cn_id18")]
    assert values(found, data) == ["\\u5f20\\u4e09", ID]


def test_a_json_counter_is_no_mobile_number(classifier: Classifier) -> None:
    assert scanned(classifier, b'{"bytes":13800138000,"seq":13800138001,"id":"13800138002"}\n') == []


def test_what_only_looks_like_json_is_text(classifier: Classifier) -> None:
    data = f'{{"sfzh":"{ID}"\n[INFO] {ID}\n'.encode()
    assert summary(scanned(classifier, data)) == [(1, "", "cn_id18"), (2, "", "cn_id18")]


CSV = (
    "\ufeff姓名,身份证号,家庭住址,备注\r\n"
    f'张三,{ID},青岛市市南区香港中路10号,"多行\n{MOBILE}，""引号"""\r\n李四,,,无\r\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_csv_column_names_its_values(classifier: Classifier, encoding: str) -> None:
    text = CSV if encoding == "utf-8" else CSV.removeprefix("\ufeff")
    data = text.encode(encoding)
    found = scanned(classifier, data)
    assert summary(found) == [
        (2, "column:姓名", "name_cn"),
        (2, "column:身份证号", "cn_id18"),
        (2, "column:家庭住址", "address"),
        (2, "column:备注", "mobile"),
        (3, "column:姓名", "name_cn"),
    ]
    assert values(found, data, encoding) == ["张三", ID, "青岛市市南区香港中路10号", MOBILE, "李四"]


def test_a_column_is_a_key_where_the_value_alone_says_nothing(classifier: Classifier) -> None:
    data = "护照号\t旧身份证号\t卡号\nE12345678\t370202800307001\t6200000000000005\n".encode()
    assert [one.finding.data_class for one in scanned(classifier, data)] == ["passport_cn", "cn_id15", "bank_card"]


def test_a_negative_column_refuses_its_numbers(classifier: Classifier) -> None:
    data = f"流水号,手机\n{MOBILE},{MOBILE}\n".encode()
    assert summary(scanned(classifier, data)) == [(2, "column:手机", "mobile")]


def test_csv_without_a_header_numbers_its_columns(classifier: Classifier) -> None:
    data = f"1;{ID}\n2;{ID}\n".encode()
    assert summary(scanned(classifier, data, layout="csv")) == [(1, "column:2", "cn_id18"), (2, "column:2", "cn_id18")]


def test_a_quote_that_never_closes_does_not_swallow_the_file(classifier: Classifier) -> None:
    data = ("手机,备注\n" + '"张三,x\n' + f"{MOBILE},{'x' * 2000}\n" * 1500).encode()
    found = scanned(classifier, data, pieces=1 << 18)
    assert len(found) > 1400


def test_mixed_encodings_keep_exact_spans(classifier: Classifier) -> None:
    data = f"学生{ID}\n".encode() + f"学生张三{ID}\n".encode("gb18030") + b"\xff\xfe " + MOBILE.encode() + b" \x80\n"
    found = scanned(classifier, data)
    assert [one.record for one in found] == [1, 2, 3]
    assert values(found, data, "latin-1") == [ID, ID, MOBILE]


def test_masked_output_gives_nothing(classifier: Classifier) -> None:
    data = f"sfzh={ID} sjh={MOBILE} xm=张三 mail=a.b@example.edu.cn\n".encode()
    masked = data
    for one in reversed(scanned(classifier, data)):
        assert one.finding.span is not None
        start, end = one.finding.span
        masked = masked[:start] + one.finding.masked.encode() + masked[end:]
    assert b"370***********0018" in masked
    assert scanned(classifier, masked) == []


def test_a_line_without_end_is_cut_and_still_scanned(classifier: Classifier) -> None:
    data = (f"x{'y' * 1000}," * 3000 + f"{ID}," + "z" * 10).encode()
    found = scanned(classifier, data, pieces=1 << 16)
    assert values(found, data) == [ID]


def test_the_lowest_confidence_is_the_callers(classifier: Classifier) -> None:
    data = f"{MOBILE} {ID}\n".encode()
    assert [one.finding.data_class for one in scanned(classifier, data, threshold=0.9)] == ["cn_id18"]


_PARTS = st.sampled_from(
    [
        ID,
        MOBILE,
        "姓名",
        "张三",
        ",",
        "\n",
        '"',
        "sfzh=",
        "{",
        "}",
        ":",
        '{"sfzh":"',
        '"}',
        "\\u53f7",
        " ",
        "a",
        "𠮷",
        "\r\n",
        "\t",
    ]
)


@given(parts=st.lists(_PARTS, max_size=25), encoding=st.sampled_from(["utf-8", "gb18030"]), pieces=st.integers(1, 40))
def test_the_size_of_the_pieces_makes_no_difference(
    classifier: Classifier, parts: list[str], encoding: str, pieces: int
) -> None:
    data = "".join(parts).encode(encoding)
    assert scanned(classifier, data, layout="text", pieces=pieces) == scanned(classifier, data, layout="text")


@given(data=st.binary(max_size=300), layout=st.sampled_from(["auto", "csv", "tsv", "text"]))
def test_no_bytes_break_the_scanner(classifier: Classifier, data: bytes, layout: Layout) -> None:
    for one in scanned(classifier, data, layout=layout, pieces=64):
        assert one.finding.span is not None
        assert 0 <= one.finding.span[0] < one.finding.span[1] <= len(data)
