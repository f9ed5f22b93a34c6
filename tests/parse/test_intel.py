"""Files of threat intelligence: what is read, what is named, and that no file breaks the reader."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.indicator import Kind, Tlp, guessed_kind, indicator_value, normalised, refanged
from secmon.parse import intel_reading
from secmon.parse.intel import read_feed
from secmon.parse.intel_reading import Feed

WRITTEN = datetime(2026, 11, 1, tzinfo=UTC)
TTL = timedelta(days=90)


def read(data: bytes | str | dict[str, Any] | list[Any]) -> Feed:
    raw = data if isinstance(data, bytes) else data.encode() if isinstance(data, str) else orjson.dumps(data)
    return read_feed("feed", raw, written=WRITTEN, ttl=TTL)


def values(feed: Feed) -> list[tuple[str, str]]:
    return [(one.kind.value, one.value) for one in feed.indicators]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Kind.IPV4, "192.0.2.1", "192.0.2.1"),
        (Kind.IPV4, "::ffff:192.0.2.1", "192.0.2.1"),
        (Kind.IPV4, "192.0.2.256", None),
        (Kind.IPV6, "2001:0DB8:0:0::1", "2001:db8::1"),
        (Kind.IPV6, "192.0.2.1", None),
        (Kind.DOMAIN, "BAD.Example.NET.", "bad.example.net"),
        (Kind.DOMAIN, "例子.example.net", "xn--fsqu00a.example.net"),
        (Kind.DOMAIN, "xn--fsqu00a.example.net", "xn--fsqu00a.example.net"),
        (Kind.DOMAIN, "localhost", None),
        (Kind.DOMAIN, "a b.example.net", None),
        (Kind.URL, "HTTP://Bad.Example.net:80", "http://bad.example.net/"),
        (Kind.URL, "https://bad.example.net/%7ea%2f?q=%41#top", "https://bad.example.net/~a%2F?q=A"),
        (Kind.URL, "http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        (Kind.URL, "javascript:alert(1)", None),
        (Kind.URL, "http://bad.example.net:99999/", None),
        (Kind.HASH, "AB" * 16, "ab" * 16),
        (Kind.HASH, "ab" * 15, None),
        (Kind.EMAIL, "HR@Bad.example.net", "hr@bad.example.net"),
        (Kind.EMAIL, "hr@", None),
    ],
)
def test_a_value_has_one_form(kind: Kind, text: str, expected: str | None) -> None:
    assert normalised(kind, text) == expected


@given(kind=st.sampled_from(list(Kind)), text=st.text(max_size=60))
def test_the_one_form_of_a_form_is_itself(kind: Kind, text: str) -> None:
    once = normalised(kind, text)
    assert once is None or normalised(kind, once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.0/28", "203.0.113.0/28"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("203.0.113.7/28", "203.0.113.0/28"),
        ("0.0.0.0/0", None),
        ("10.0.0.0/7", None),
    ],
)
def test_a_block_that_names_no_one_is_refused(text: str, expected: str | None) -> None:
    assert indicator_value(Kind.IPV4, text) == expected


def test_a_csv_with_a_head_tells_all_it_knows() -> None:
    feed = read(
        "value,type,name,source,confidence,tlp,valid_from,valid_until\n"
        "203.0.113.7,ip,scanner,某省情报,90,TLP:AMBER,2026-09-01,2026-12-01T00:00:00Z\n"
        '*.bad.example.net,domain,"a, b",,,white,,\n'
    )
    first, second = feed.indicators
    assert feed.problems == ()
    assert (first.kind, first.source, first.confidence, first.tlp) == (Kind.IPV4, "某省情报", 90, Tlp.AMBER)
    assert (first.since, first.until) == (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert (second.value, second.name, second.tlp, second.source) == ("*.bad.example.net", "a, b", Tlp.CLEAR, "feed")
    assert second.until == WRITTEN + TTL


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hxxp://bad[.]example[.]net/x", "http://bad.example.net/x"),
        ("HXXPS[:]//bad(.)example{.}net", "HttPS://bad.example.net"),
        ("203[.]0[.]113[.]7", "203.0.113.7"),
        ("hr[at]bad[dot]example.net", "hr@bad.example.net"),
        ("http://[2001:db8::1]/x", "http://[2001:db8::1]/x"),
        ("hxxp.example.net", "hxxp.example.net"),
        (" bad.example.net ", "bad.example.net"),
    ],
)
def test_what_was_made_harmless_is_read_as_it_is_meant(text: str, meant: str) -> None:
    assert refanged(text).lower() == meant.lower()
    assert values(read(f"value\n{text}\n")) == values(read(f"value\n{meant}\n"))
    assert read(f"value\n{text}\n").problems == ()


def test_a_spreadsheet_in_gb18030_is_read() -> None:
    feed = read("value,name\nbad.example.net,钓鱼网站㐂\n".encode("gb18030"))
    assert [(one.value, one.name) for one in feed.indicators] == [("bad.example.net", "钓鱼网站㐂")]
    assert [error.problem for error in read(b"value\n\xff\xff\xff").problems] == [
        "the file of indicators is neither UTF-8 nor GB18030"
    ]


def test_a_list_of_values_needs_no_head() -> None:
    feed = read(
        "# 情报\n203.0.113.7\n\nbad.example.net\nhttp://bad.example.net/x\nhr@bad.example.net\n"
        + "a" * 64
        + "\nnonsense\n"
    )
    assert [kind for kind, _ in values(feed)] == ["ipv4", "domain", "url", "email", "hash"]
    assert [error.where for error in feed.problems] == ["feed:8"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("bad.example.net,registry-key,", "the type of the indicator is not supported"),
        ("bad.example.net,ipv4,", "this is no value of the kind {kind}"),
        ("bad.example.net,domain,soon", "this is no time of an indicator"),
        ('"bad,domain,', "this is no line of CSV"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_count(line: str, problem: str) -> None:
    feed = read(f"value,type,valid_until\n{line}\n203.0.113.7,ip,\n")
    assert [(error.problem, error.where) for error in feed.problems] == [(problem, "feed:2")]
    assert values(feed) == [("ipv4", "203.0.113.7")]


def bundle(pattern: str, **more: Any) -> dict[str, Any]:
    indicator = {"type": "indicator", "id": "indicator--1", "pattern": pattern, "pattern_type": "stix"}
    return {"type": "bundle", "objects": [indicator | {"valid_from": "2026-09-01T00:00:00Z"} | more]}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ipv4-addr:value = '203.0.113.7']", [("ipv4", "203.0.113.7")]),
        ("[ipv4-addr:value ISSUBSET '203.0.113.0/28']", [("ipv4", "203.0.113.0/28")]),
        (
            "[ domain-name:value='BAD.example.net' OR url:value = 'http://bad.example.net/\\'x' ]",
            [("domain", "bad.example.net"), ("url", "http://bad.example.net/'x")],
        ),
        ("[file:hashes.'SHA-256' = '" + "A" * 64 + "']", [("hash", "a" * 64)]),
        (
            "[file:hashes.MD5 = '" + "A" * 32 + "'] OR [email-addr:value = 'hr@bad.example.net']",
            [("hash", "a" * 32), ("email", "hr@bad.example.net")],
        ),
        ("[ipv6-addr:value IN ('2001:db8::1', '2001:db8::2')]", [("ipv6", "2001:db8::1"), ("ipv6", "2001:db8::2")]),
        ("[network-traffic:dst_ref.value = '2001:db8::1']", [("ipv6", "2001:db8::1")]),
    ],
)  # fmt: skip
def test_single_values_of_a_stix_pattern_are_read(pattern: str, expected: list[tuple[str, str]]) -> None:
    feed = read(bundle(pattern))
    assert (values(feed), feed.problems) == (expected, ())


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '203.0.113.7' AND url:value = 'http://bad.example.net/']",
        "[ipv4-addr:value = '203.0.113.7'] FOLLOWEDBY [ipv4-addr:value = '203.0.113.8']",
        "[ipv4-addr:value = '203.0.113.7'] WITHIN 300 SECONDS",
        "[ipv4-addr:value != '203.0.113.7']",
        "[ipv4-addr:value LIKE '203.0.113.%']",
        "[windows-registry-key:key = 'x']",
        "[ipv4-addr:value = '203.0.113.7'",
        "ipv4-addr:value = '203.0.113.7'",
        "",
    ],
)
def test_a_stix_pattern_that_says_more_is_named_and_left_out(pattern: str) -> None:
    feed = read(bundle(pattern))
    assert feed.indicators == ()
    assert [(error.problem, error.where) for error in feed.problems] == [
        ("the pattern of the indicator is not supported", "feed:object 1")
    ]


def test_a_stix_indicator_tells_its_time_confidence_marking_and_author() -> None:
    content = bundle(
        "[ipv4-addr:value = '203.0.113.7']",
        valid_until="2026-10-01T00:00:00Z",
        confidence=85,
        object_marking_refs=["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "marking-definition--own"],
        created_by_ref="identity--1",
        name="扫描器",
    )
    content["objects"] += [
        {"type": "marking-definition", "id": "marking-definition--own", "name": "TLP:AMBER+STRICT"},
        {"type": "identity", "id": "identity--1", "name": "某市网信办"},
    ]
    (one,) = read(content).indicators
    assert (one.confidence, one.tlp, one.source, one.name) == (85, Tlp.AMBER_STRICT, "某市网信办", "扫描器")
    assert not one.holds_at(datetime(2026, 10, 1, tzinfo=UTC))
    assert one.holds_at(datetime(2026, 9, 30, tzinfo=UTC))


def test_a_revoked_stix_indicator_does_not_count() -> None:
    feed = read(bundle("[ipv4-addr:value = '203.0.113.7']", revoked=True))
    assert (feed.indicators, feed.skipped) == ((), 1)


def test_attributes_of_misp_events_are_read_if_they_are_for_detection() -> None:
    def attribute(kind: str, value: str, *, to_ids: object = True) -> dict[str, Any]:
        return {"type": kind, "value": value, "to_ids": to_ids, "timestamp": "1788220800"}

    event = {
        "info": "钓鱼邮件",
        "Orgc": {"name": "某大学"},
        "Tag": [{"name": "tlp:green"}],
        "Attribute": [
            attribute("ip-dst|port", "203.0.113.7|443"),
            attribute("ip-src", "2001:db8::7"),
            attribute("domain", "context.example.net", to_ids=False),
            attribute("regkey", "HKLM\\x"),
        ],
        "Object": [{"Attribute": [attribute("filename|sha256", "a.exe|" + "A" * 64, to_ids="1")]}],
    }
    feed = read({"response": [{"Event": event}]})
    assert values(feed) == [("ipv4", "203.0.113.7"), ("ipv6", "2001:db8::7"), ("hash", "a" * 64)]
    assert (feed.kind, feed.skipped) == ("misp", 1)
    assert [error.problem for error in feed.problems] == ["{count} attributes of the type {type} are not supported"]
    one = feed.indicators[0]
    assert (one.name, one.source, one.tlp) == ("钓鱼邮件", "某大学", Tlp.GREEN)
    assert one.until == datetime.fromtimestamp(1788220800, UTC) + TTL


def test_what_is_bounded_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intel_reading, "MAX_INDICATORS", 3)
    monkeypatch.setattr(intel_reading, "MAX_PROBLEMS", 2)
    feed = read("\n".join([*(f"192.0.2.{n}" for n in range(5)), *["nonsense"] * 5]))
    assert (len(feed.indicators), len(feed.problems), feed.omitted) == (3, 2, 5)
    assert str(feed.told[-1]).startswith(f"{feed.path}: 5 more entries of the file are left out")


def test_a_day_without_hyphens_is_a_day_and_no_moment_of_1970() -> None:
    feed = read("value,valid_until\n192.0.2.1,20261231\n192.0.2.2,1798675200")
    assert [one.until for one in feed.indicators] == [datetime(2026, 12, 31, tzinfo=UTC)] * 2


def test_json_that_is_nested_without_end_is_refused() -> None:
    feed = read(b"[" * 100_000)
    assert (feed.indicators, len(feed.problems)) == ((), 1)


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secmon.parse.intel.MAX_BYTES", 10)
    assert [error.problem for error in read("203.0.113.7\n203.0.113.8").problems] == [
        "the file of indicators is larger than 64 MiB"
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
STIX_KEYS = st.sampled_from(
    [
        "type",
        "pattern",
        "pattern_type",
        "valid_from",
        "valid_until",
        "confidence",
        "object_marking_refs",
        "id",
        "created_by_ref",
        "definition",
        "name",
    ]
)
MISP_KEYS = st.sampled_from(
    ["type", "value", "to_ids", "timestamp", "deleted", "Tag", "comment", "first_seen", "Attribute"]
)
PIECES = st.sampled_from(
    [
        "[",
        "]",
        "ipv4-addr:value",
        "=",
        "'203.0.113.7'",
        "OR",
        "IN",
        "(",
        ")",
        ",",
        "AND",
        "'",
        "\\",
        " ",
        "file:hashes.MD5",
        "ISSUBSET",
    ]
)


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    assert len(read(data).indicators) <= len(data)


@given(objects=st.lists(st.dictionaries(STIX_KEYS, JSON | st.just("indicator")), max_size=4))
def test_no_bundle_breaks_the_reader(objects: list[dict[str, Any]]) -> None:
    assert read(json.dumps({"type": "bundle", "objects": objects})).kind == "stix"


@given(pieces=st.lists(PIECES, max_size=14))
def test_no_pattern_breaks_the_reader(pieces: list[str]) -> None:
    feed = read(bundle(" ".join(pieces)))
    assert feed.indicators or feed.problems


@given(
    attributes=st.lists(st.dictionaries(MISP_KEYS, JSON | st.sampled_from(["ip-dst", "1", "domain"])), max_size=4),
    event=JSON,
)
def test_no_event_breaks_the_reader(attributes: list[dict[str, Any]], event: Any) -> None:
    read(json.dumps([{"Event": {"Attribute": attributes, "info": event, "Tag": event, "Orgc": event}}, event]))


@given(text=st.text(max_size=40))
def test_what_is_guessed_is_a_value_of_that_kind(text: str) -> None:
    kind = guessed_kind(text)
    assert kind is None or indicator_value(kind, text) is not None
