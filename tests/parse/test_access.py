"""Access logs: what nobody can forge, what is refused, and that no text breaks the parser."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.access import APACHE, NGINX

CONTEXT = ParseContext(UTC, datetime(2026, 9, 8, tzinfo=UTC))
STAMP = "07/Sep/2026:08:01:09 +0800"


def read(text: str) -> Event:
    result = NGINX.parse(Record(text, "access.log:record 7"), CONTEXT)
    assert not isinstance(result, Dropped)
    (event,) = result
    return event


def line(
    *, user: str = "-", request: str = "GET / HTTP/1.1", status: int = 200, agent: str = "-", tail: str = ""
) -> str:
    return f'192.0.2.9 - {user} [{STAMP}] "{request}" {status} 10 "-" "{agent}"{tail}'


def as_nginx_escapes(text: str) -> str:
    """Escape as ngx_http_log_escape does: quote, backslash, controls and every byte from 0x7f on."""
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02X}" for byte in text.encode()
    )


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "success"), (399, "success"), (400, "failure"), (503, "failure")]
)
def test_the_status_tells_the_outcome(status: int, outcome: str) -> None:
    assert read(line(status=status))["event.outcome"] == outcome


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_user_agent_cannot_forge_another_field(agent: str) -> None:
    event = read(line(agent=as_nginx_escapes(agent)))
    assert (event["http.response.status_code"], event["url.path"], event["source.ip"]) == (200, "/", "192.0.2.9")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.isprintable))
def test_what_a_client_sent_is_read_back_from_its_escapes(agent: str) -> None:
    expected = None if agent == "-" else agent
    assert read(line(agent=as_nginx_escapes(agent))).get("user_agent.original") == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_user_name_cannot_forge_the_request(user: str) -> None:
    event = read(line(user=as_nginx_escapes(f'{user}] "DELETE / HTTP/1.1" 200')))
    assert (event["http.request.method"], event["http.response.status_code"]) == ("GET", 200)
    assert event["@timestamp"] == "2026-09-07T00:01:09.000Z"


@pytest.mark.parametrize(
    "request_line",
    ["HELP", "-", "", r"\x16\x03\x01", "GET", "lv|'|'| x", "GET  HTTP/1.1", "145.ll|'|'|x Win 7|'|'|No"],
)
def test_what_is_no_http_request_has_neither_method_nor_url(request_line: str) -> None:
    event = read(line(request=request_line, status=400))
    assert not [name for name in event if name.startswith("url.") or name == "http.request.method"]
    assert event.get("message", "-") == (request_line or "-")


def test_control_characters_stay_escaped() -> None:
    assert read(line(request=r"GET /a\x00\x0Ab HTTP/1.1"))["url.path"] == r"/a\x00\x0Ab"


def test_an_escaped_backslash_does_not_start_an_escape() -> None:
    assert read(line(request=r"GET /a\\x41 HTTP/1.1"))["url.path"] == r"/a\x41"


def test_extra_fields_give_the_client_behind_a_proxy_and_the_duration() -> None:
    event = read(line(tail=' "203.0.113.4, 198.51.100.2" 1.250 0.010'))
    assert (event["network.forwarded_ip"], event["event.duration"]) == ("203.0.113.4", 1_250_000_000)


def test_apache_has_its_own_dataset() -> None:
    (event,) = APACHE.parse(Record(line(), "x:record 1"), CONTEXT)  # type: ignore[misc]  # not Dropped
    assert (event["event.dataset"], event["event.module"]) == ("apache.access", "apache")


def test_a_blank_line_is_dropped() -> None:
    assert NGINX.parse(Record(" ", "x:record 1"), CONTEXT) == Dropped("blank")


@pytest.mark.parametrize("text", ["2026/09/07 08:01:09 [error] 31#31: x", f'- [{STAMP}] "GET', 'x "a] "b" 200 1'])
def test_what_is_no_access_line_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ParseError, match=r"^access.log:record 7: no access log line$"):
        read(text)


@given(
    st.text()
    | st.from_regex(
        r'\S+ - .* \[[0-3]\d/(Sep|Feb)/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] ".*" (\d{3}|-) (\d+|-).*', fullmatch=True
    )
)
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        result = NGINX.parse(Record(text, "x"), CONTEXT)
    except ParseError as error:
        assert error.problem in {"no access log line", "no such time"}  # noqa: PT017  either outcome is right
    else:
        assert isinstance(result, Dropped) or result[0]["event.dataset"] == "nginx.access"


def test_a_huge_hostile_line_takes_linear_time() -> None:
    with pytest.raises(ParseError):
        read('a] "' * 200_000)
