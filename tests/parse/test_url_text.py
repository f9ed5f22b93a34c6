"""What a web address means: escapes undone in every layer, the path as a server looks it up; nothing breaks it."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secmon.model.event import Event, ParseContext, Record
from secmon.parse.access import NGINX
from secmon.parse.ecs import ECS
from secmon.parse.kind import Parser
from secmon.parse.suricata import SURICATA
from secmon.parse.url_text import DECODED, PATH, add_meaning, decoded_url, lookup_path


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("/a?q=1%20or%201", "/a?q=1 or 1"),
        ("/a?q=1+or+1", "/a?q=1 or 1"),
        ("/c++/a?q=1%2B1", "/c++/a?q=1+1"),
        ("/a?q=%2527", "/a?q='"),
        ("/a?q=%25252527", "/a?q='"),
        ("/a?q=%u0027%U0061", "/a?q='a"),
        ("/a?q=%ud83d%ude00", "/a?q=\U0001f600"),
        ("/a?q=%ud83d", "/a?q=\ufffd"),
        ("/a?q=%E6%95%99%E5%8A%A1", "/a?q=教务"),
        ("/a?q=%BD%CC%CE%F1", "/a?q=教务"),
        ("/a?q=%bf%27", "/a?q=\xbf'"),
        ("/%c0%ae%c0%ae%c0%af", "/../"),
        ("/%e0%80%ae%e0%80%af", "/./"),
        ("/a?q=%ef%bc%87", "/a?q='"),
        ("/a?q=%ef%bc%8c%ef%bc%88", "/a?q=，（"),
        ("/a?q=%00%01%0d%0a", "/a?q=\u2400 \r\n"),
        ("/a?q=%C2%A0x", "/a?q= x"),
        ("/a?q=a/**/b/*c*d*/e/*!50000f*/g", "/a?q=a b e f g"),
        ("/a/**/b", "/a/**/b"),
        ("/a?q=100%&r=%zz%2", "/a?q=100%&r=%zz%2"),
    ],
)
def test_an_address_is_read_as_a_server_reads_it(sent: str, meant: str) -> None:
    assert decoded_url(sent) == meant


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ("/", "/"),
        ("/a/b.jsp", "/a/b.jsp"),
        ("/a/", "/a/"),
        ("//a///b", "/a/b"),
        ("/a/./b/.", "/a/b/"),
        ("/a/../b", "/b"),
        ("/../../b/..", "/"),
        ("/a;x=1/b;jsessionid=2", "/a/b"),
        ("/a/..;/b", "/b"),
        ("/a%2f..%5cb", "/b"),
        ("/%61%2562", "/ab"),
    ],
)
def test_a_path_is_looked_up_as_a_server_looks_it_up(sent: str, found: str) -> None:
    assert lookup_path(sent) == found


def test_an_address_that_means_what_it_says_gets_no_field() -> None:
    event: Event = {"url.original": "/jwxt/list?page=1&size=20", "url.path": "/jwxt/list"}
    add_meaning(event)
    assert event == {"url.original": "/jwxt/list?page=1&size=20", "url.path": "/jwxt/list"}


def test_only_what_differs_is_added() -> None:
    event: Event = {"url.original": "/jwxt/list?q=%27", "url.path": "/jwxt/list"}
    add_meaning(event)
    assert event[DECODED] == "/jwxt/list?q='"
    assert PATH not in event


@pytest.mark.parametrize("event", [{}, {"url.original": ["/%27"]}, {"url.original": 5}])
def test_what_is_no_address_is_left_alone(event: Event) -> None:
    before = dict(event)
    add_meaning(event)
    assert event == before


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60), st.integers(1, 4))
def test_up_to_four_layers_of_encoding_change_nothing(text: str, layers: int) -> None:
    sent = quote(text, safe="")
    for _ in range(layers - 1):
        sent = quote(sent, safe="")
    assert decoded_url("/" + sent) == decoded_url("/" + quote(text, safe=""))


@given(st.text(st.sampled_from("/.;%25cfeEuU0aA'+*!\\?&\u2215\ud800教"), max_size=200))
@example("%" * 50)
@example("?" + "/*" * 300)
def test_no_address_breaks_it_or_grows(sent: str) -> None:
    event: Event = {"url.original": sent, "url.path": sent.partition("?")[0]}
    add_meaning(event)
    assert len(str(event.get(DECODED, ""))) <= len(sent)
    assert len(str(event.get(PATH, ""))) <= len(sent) + 1
    assert "/../" not in str(event.get(PATH, ""))


@pytest.mark.parametrize(
    ("parse", "line"),
    [
        (NGINX.parse, '192.0.2.9 - - [07/Sep/2026:09:30:00 +0800] "GET /a/..;/b?q=%27 HTTP/1.1" 200 5 "-" "-"'),
        (
            SURICATA.parse,
            (
                '{"timestamp":"2026-09-07T09:30:00.000000+0800","event_type":"http","src_ip":"192.0.2.9",'
                '"http":{"hostname":"www.example.edu.cn","url":"/a/..;/b?q=%27"}}'
            ),
        ),
        (
            ECS.parse,
            (
                '{"@timestamp":"2026-09-07T01:30:00Z","url":{"original":"/a/..;/b?q=%27","path":"/a/..;/b"},'
                '"secmon":{"url":{"decoded":"forged"}}}'
            ),
        ),
    ],
    ids=["nginx.access", "suricata.eve", "ecs"],
)
def test_every_kind_that_has_addresses_says_what_they_mean(parse: Parser, line: str) -> None:
    context = ParseContext(zone=UTC, now=datetime(2026, 9, 7, tzinfo=UTC))
    events = parse(Record(text=line, where="x:record 1"), context)
    assert isinstance(events, list)
    assert events[0][DECODED] == "/a/..;/b?q='"
    assert events[0][PATH] == "/b"
