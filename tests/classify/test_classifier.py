"""Classifier: what of an event is masked and flagged, and that the fast path agrees with the plain one."""

from collections.abc import Sequence
from datetime import date

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.classify.classifier import Classifier, age_group
from secmon.classify.definition import Definition
from secmon.classify.validators import id_check_character
from secmon.errors import ConfigError
from secmon.model.event import Event, Scalar
from secmon.model.hit import Finding, Minor

TODAY = date(2026, 11, 21)
ID = "370000199003070018"
MOBILE = "13800138000"
CARD = "6227000000000000003"


def resident_id(born: str, area: str = "370202") -> str:
    body = f"{area}{born}001"
    return body + id_check_character(body)


def classified(classifier: Classifier, event: Event) -> tuple[Event, list[Finding]]:
    ((masked, findings),) = classifier.classify_events([event])
    return masked, findings


def access(query: str, **fields: str) -> Event:
    return {
        "@timestamp": "2026-09-07T00:01:09.000Z",
        "event.id": "0" * 32,
        "event.original": f'192.0.2.9 - - "GET /xs/list?{query} HTTP/1.1" 200 51',
        "url.original": f"/xs/list?{query}",
        "url.query": query,
        "http.response.status_code": 200,
        **fields,
    }


def test_an_address_with_its_escapes_undone_is_masked_too_and_counted_once(classifier: Classifier) -> None:
    meant = {"secmon.url.decoded": f"/xs/{ID}?sfzh={ID}", "secmon.url.path": f"/xs/{ID}"}
    masked, findings = classified(classifier, access(f"sfzh={ID}", **meant))
    assert ID.encode() not in orjson.dumps(masked)
    assert masked["secmon.url.path"] == "/xs/370***********0018"
    assert [finding.path for finding in findings] == ["url.query:sfzh"]


def test_an_event_without_findings_stays_the_same_object(classifier: Classifier) -> None:
    event = access("page=3")
    masked, findings = classified(classifier, event)
    assert masked is event
    assert findings == []


def test_a_value_is_masked_in_every_field_and_reported_once(classifier: Classifier) -> None:
    masked, findings = classified(classifier, access(f"sfzh={ID}&sjh={MOBILE}"))
    assert ID.encode() not in orjson.dumps(masked)
    assert MOBILE.encode() not in orjson.dumps(masked)
    assert masked["url.query"] == "sfzh=370***********0018&sjh=138****8000"
    assert masked["event.original"] == (
        '192.0.2.9 - - "GET /xs/list?sfzh=370***********0018&sjh=138****8000 HTTP/1.1" 200 51'
    )
    assert [(one.data_class, one.path) for one in findings] == [
        ("cn_id18", "url.query:sfzh"),
        ("mobile", "url.query:sjh"),
    ]


def test_the_event_says_what_was_found(classifier: Classifier) -> None:
    masked, (finding,) = classified(classifier, access(f"sfzh={resident_id('20150901')}"))
    assert masked["data.classes"] == ["cn_id18"]
    assert masked["data.level"] == "L3"
    assert masked["data.minor"] == ["under_14"]
    assert masked["data.token.cn_id18"] == [finding.digest]
    assert len(finding.digest) == 32


def test_the_same_value_has_the_same_token_however_it_is_written(classifier: Classifier) -> None:
    tokens = [
        classified(classifier, access(query))[0]["data.token.cn_id18"]
        for query in (
            "x=11010519491231002X",
            "身份证号:11010519491231002x",
            "n=110105+19491231+002X&sfzh=110105 19491231 002X",
        )
    ]
    assert tokens[0] == tokens[1] == tokens[2]


def test_another_key_gives_other_tokens(classifier: Classifier, definitions: Sequence[Definition]) -> None:
    other = Classifier(definitions, token_key=b"other", today=TODAY)
    assert classifier.token(ID) != other.token(ID)


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("percent", f"%22sfzh%22%3A%22{ID}%22"),
        ("json in json", f'{{\\"sfzh\\":\\"{ID}\\"}}'),
        ("unicode escapes", f"\\u8eab\\u4efd\\u8bc1{ID}"),
        ("plain", f"a,{ID},b"),
        ("full width", "ａ：３７００００１９９００３０７００１８"),
    ],
)
def test_a_value_is_masked_in_other_spellings_of_the_original(classifier: Classifier, name: str, original: str) -> None:
    masked, _ = classified(classifier, {"user.id": ID, "event.original": original})
    assert "19900307" not in str(masked["event.original"]), name
    assert "１９９００３０７" not in str(masked["event.original"]), name


def test_a_value_known_by_its_field_name_is_masked_where_no_key_stands(classifier: Classifier) -> None:
    masked, (finding,) = classified(classifier, {"user.passport": "E12345678", "message": "row 7: E12345678;x"})
    assert masked["message"] == "row 7: E*****678;x"
    assert finding.path == "user.passport"


def test_a_short_password_that_is_also_a_word_stays_readable_elsewhere(classifier: Classifier) -> None:
    masked, _ = classified(classifier, access("password=admin", **{"user.name": "admin", "url.path": "/admin/x"}))
    assert masked["url.query"] == "password=***"
    assert masked["url.original"] == "/xs/list?password=***"
    assert (masked["user.name"], masked["url.path"]) == ("admin", "/admin/x")


def test_kept_classes_are_flagged_and_not_masked(classifier: Classifier) -> None:
    event = access("xm=张三", **{"user.email": "li.wei@example.edu.cn"})
    masked, findings = classified(classifier, event)
    assert masked["user.email"] == "li.wei@example.edu.cn"
    assert masked["data.classes"] == ["email", "name_cn"]
    assert {one.masked for one in findings} == {"l***@example.edu.cn", "张*"}
    assert not any(name.startswith("data.token") for name in masked)


@pytest.mark.parametrize(
    ("policy", "shown"),
    [("token", "<mobile:{token}>"), ("drop", "<mobile>"), ("keep", MOBILE), ("partial", "138****8000")],
)
def test_the_operators_policy_decides(definitions: Sequence[Definition], policy: str, shown: str) -> None:
    classifier = Classifier(definitions, token_key=b"k", policy={"mobile": policy}, today=TODAY)
    masked, (finding,) = classified(classifier, {"message": f"tel {MOBILE}"})
    assert masked["message"] == f"tel {shown.format(token=finding.digest)}"
    assert finding.masked == "138****8000"


@pytest.mark.parametrize("policy", [{"mobile": "hide"}, {"mobil": "keep"}])
def test_a_wrong_policy_is_refused(definitions: Sequence[Definition], policy: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^mask\."):
        Classifier(definitions, token_key=b"k", policy=policy, today=TODAY)


def test_numbers_and_lists_are_masked_in_their_place(classifier: Classifier) -> None:
    phones: list[Scalar] = [1, int(MOBILE), "x"]
    masked, _ = classified(classifier, {"labels.phone": phones, "http.response.bytes": 15800158000, "tags": ["a", ID]})
    assert masked["labels.phone"] == [1, "138****8000", "x"]
    assert masked["http.response.bytes"] == 15800158000
    assert masked["tags"] == ["a", "370***********0018"]


def test_our_own_fields_are_never_touched(classifier: Classifier) -> None:
    event: Event = {"event.id": MOBILE, "event.hash": ID, "asset.id": MOBILE, "message": MOBILE}
    masked, _ = classified(classifier, event)
    assert (masked["event.id"], masked["event.hash"], masked["asset.id"]) == (MOBILE, ID, MOBILE)


def test_masking_twice_changes_nothing(classifier: Classifier) -> None:
    query = f"sfzh={ID}&sjh={MOBILE}&yhkh={CARD}&password=Qwer1234&xjh=G{ID}"
    once, findings = classified(classifier, access(query))
    assert len(findings) == 5
    again, nothing = classified(classifier, once)
    assert again is once
    assert nothing == []


def test_a_finding_never_holds_the_value(classifier: Classifier) -> None:
    _, findings = classified(classifier, access(f"sfzh={ID}&sjh={MOBILE}&password=Qwer1234"))
    text = repr(findings)
    assert all(value not in text for value in (ID, MOBILE, "Qwer1234"))


def test_a_dead_letter_is_masked_by_the_same_policy(classifier: Classifier) -> None:
    assert classifier.mask_text(f'{{"sfzh":"{ID}","mail":"a.b@example.edu.cn","x":{{') == (
        '{"sfzh":"370***********0018","mail":"a.b@example.edu.cn","x":{'
    )


def test_a_record_cannot_hide_its_neighbours(classifier: Classifier) -> None:
    mark: Event = {"tags": ["a", "\x1e", "\x1e"], "message": "\x1e"}
    results = classifier.classify_events([mark, {"message": MOBILE}, mark])
    assert [len(findings) for _, findings in results] == [0, 1, 0]


def test_a_lone_surrogate_does_not_hide_a_value(classifier: Classifier) -> None:
    masked, findings = classified(classifier, {"message": f"\ud800{MOBILE}", "labels.n": 2**70})
    assert masked["message"] == "\ud800138****8000"
    assert len(findings) == 1


def test_no_events_give_no_results(classifier: Classifier) -> None:
    assert classifier.classify_events([]) == []


@pytest.mark.parametrize(
    ("born", "minor"),
    [
        (date(2012, 11, 22), Minor.UNDER_14),
        (date(2012, 11, 21), Minor.UNDER_18),
        (date(2008, 11, 22), Minor.UNDER_18),
        (date(2008, 11, 21), Minor.ADULT),
        (None, Minor.UNKNOWN),
    ],
)
def test_the_age_group_changes_on_the_birthday(born: date | None, minor: Minor) -> None:
    assert age_group(born, TODAY) is minor


_VALUES = st.sampled_from(
    [
        ID, "11010519491231002x", MOBILE, f"86{MOBILE}", f"+86-{MOBILE}", "138 0013 8000", CARD, "6200000000000005",
        f"G{ID}", "g370000199003070018", "123700001234567894", "370202800307001", "E12345678", "张三", "Qwer1234",
        "li.wei@example.edu.cn", "青岛市市南区香港中路10号", "1757203269424", "1834567890123456789",
        "192.0.2.1", "４００", "１３８００１３８０００", "6227 0000 0000 0000 003", "370000 19900307 0018",
    ]
)  # fmt: skip
_GLUE = st.sampled_from(
    [
        "", " ", ",", "\n", "\t", "\x01", "=", ":", "：", '"', "\\", '\\"', "%", "%20", "%3D", "%22", "%E5%8F%B7", "&",
        "\\u53f7", "\\n", "sfzh=", "身份证号：", "xm=", '"xm":"', '\\"xm\\":\\"', "姓名：", "jtzz=", "password=",
        "pwd:", "hzh", "护照 ", "yhkh ", "traceId=", "号", "a", "Z", "0", "1", ".", "-", "_", "/",
        "%E5%A7%93%E5%90%8D%3D", "\\u59d3\\u540d：",
    ]
)  # fmt: skip
_NAMES = st.sampled_from(
    [
        "message",
        "event.original",
        "url.query",
        "user.name",
        "user.xm",
        "labels.sfzh",
        "labels.home_address",
        "x.pwd",
        "a.zjh",
    ]
)
_TEXTS = st.lists(_VALUES | _GLUE | st.text(max_size=3), max_size=6).map("".join)
_EVENTS = st.dictionaries(
    _NAMES, _TEXTS | st.lists(_TEXTS, max_size=3) | st.sampled_from([int(MOBILE), int(ID), 5, 1.5, True]), max_size=4
)


@given(events=st.lists(_EVENTS, max_size=4))
def test_the_fast_path_agrees_with_the_plain_one(classifier: Classifier, events: list[Event]) -> None:
    assert classifier.classify_events(events) == [classifier.classify_event(event) for event in events]


@given(event=_EVENTS)
def test_what_was_masked_is_not_found_again(classifier: Classifier, event: Event) -> None:
    masked, findings = classifier.classify_event(event)
    _, again = classifier.classify_event(masked)
    hidden = {(one.data_class, one.digest) for one in findings if f"data.token.{one.data_class}" in masked}
    assert hidden.isdisjoint((one.data_class, one.digest) for one in again)
