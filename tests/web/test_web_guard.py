"""What stands around every page: security headers, host names, sizes, methods, errors; nothing of ours in an answer."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from secmon.web import guard
from secmon.web.pages import overview
from tests.web.consoles import JSON, PASSWORD, Console, pages, send

STRANGERS = ["/healthz", "/readyz", "/metrics", "/login", "/setup", "/nothing", "/static/console.css", "/static/none"]


def assert_guarded(answer: Any) -> None:
    for name, value in guard.HEADERS.items():
        assert answer.headers[name] == value
    assert "server" not in answer.headers


def test_every_page_has_the_security_headers_and_stays_out_of_caches(viewer: TestClient) -> None:
    for path in pages(viewer):
        answer = viewer.get(path)
        assert_guarded(answer)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", STRANGERS)
def test_so_has_everything_else(shared: Console, path: str) -> None:
    assert_guarded(shared.browser().get(path))


def test_scripts_and_styles_come_from_this_site_only() -> None:
    policy = guard.HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", ""])
def test_another_host_name_is_refused(shared: Console, host: str) -> None:
    answer = shared.browser().get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "不是本系统的访问地址" in answer.text
    assert_guarded(answer)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8640", "localhost", "localhost:8640", "[::1]:8640"])
def test_the_names_of_this_machine_are_taken(shared: Console, host: str) -> None:
    assert shared.browser().get("/healthz", headers={"host": host}).status_code == 200


OPEN = guard.Hosts("0.0.0.0", ["Secmon.Example.edu.cn"])  # noqa: S104  compared, not bound


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8640", "localhost", "192.0.2.1", "192.0.2.1:8640", "[2001:db8::1]:8640", "secmon.example.edu.cn:443",
     "SECMON.example.edu.cn."],
)  # fmt: skip
def test_where_it_is_open_to_the_network_addresses_and_named_hosts_are_taken(host: str) -> None:
    assert OPEN.accept([host])


@pytest.mark.parametrize(
    "headers",
    [["evil.example"], ["192.0.2.1.evil.example"], ["evil.example:8640"], ["0x7f000001"], ["[evil.example]"],
     ["user@192.0.2.1"], ["192.0.2.1 evil.example"], [""], [], ["192.0.2.1", "evil.example"]],
)  # fmt: skip
def test_a_foreign_name_is_refused_there_as_well(headers: list[str]) -> None:
    assert not OPEN.accept(headers)


@pytest.mark.parametrize(
    ("host", "is_so"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],  # noqa: S104
)
def test_what_is_reached_from_this_machine_only(host: str, is_so: bool) -> None:  # noqa: FBT001  a parameter of the test
    assert guard.is_loopback(host) is is_so


def test_a_body_that_says_it_is_too_large_is_not_read(shared: Console) -> None:
    answer = shared.browser().post("/login", content=b"x", headers={"content-length": str(guard.MAX_BODY_BYTES + 1)})
    assert answer.status_code == 413
    assert_guarded(answer)


def test_a_body_without_a_length_is_counted(shared: Console) -> None:
    def endless() -> Any:
        for _ in range(200):
            yield b"name=" + b"a" * 1000 + b"&"

    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = shared.browser().post("/login", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert_guarded(answer)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "1 1"])
def test_a_length_that_is_no_number_is_refused(shared: Console, length: str) -> None:
    answer = shared.browser().post("/login", content=b"", headers={"content-length": length})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/alerts/act", "/logout", "/deadletters/act", "/compliance/assess", "/bulletins/draft"]
)
def test_a_link_cannot_act(viewer: TestClient, path: str) -> None:
    answer = viewer.get(path, headers=JSON)
    # /alerts/act is the address of an alert called "act", which is not there.
    assert answer.status_code in {404, 405}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE"])
def test_other_methods_are_refused_in_chinese(viewer: TestClient, method: str) -> None:
    answer = viewer.request(method, "/sources")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert "不接受这样的请求" in answer.text
    assert_guarded(answer)


def test_head_answers_like_get_without_a_body(viewer: TestClient) -> None:
    for path in pages(viewer):
        answer = viewer.head(path)
        assert answer.status_code == viewer.get(path).status_code
        assert answer.content == b""


@pytest.mark.parametrize("path", ["/login", "/setup"])
def test_head_of_a_form_sends_nothing(shared: Console, path: str) -> None:
    answer = shared.browser().head(path)
    assert answer.status_code == {"/login": 200, "/setup": 403}[path]
    assert answer.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/alerts/none",
        "/alerts/" + "0" * 32,
        "/alerts/..%2f..%2fetc",
        "/compliance/none",
        "/compliance/none/file.pdf",
        "/bulletins/none",
        "/bulletins/none/file.docx",
        "/static/../console.py",
        "/static/none.css",
    ],
)
def test_what_is_not_there_is_told_in_chinese_and_in_data(viewer: TestClient, path: str) -> None:
    answer = viewer.get(path)
    assert answer.status_code == 404
    assert "没有" in answer.text
    assert "总览" in answer.text  # the menu stays
    assert set(viewer.get(path, headers=JSON).json()) == {"problem", "remedy", "text"}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/alerts?state=bogus", "须是"),
        ("/alerts?level=red", "须是"),
        ("/alerts?since=yesterday", "日期须写成"),
        ("/alerts?until=9999-12-31T00:00", "日期须写成"),
        ("/alerts?cursor=bogus", "翻页位置无效"),
        ("/deadletters?state=bogus", "须是"),
        ("/deadletters?cursor=%00", "翻页位置无效"),
        ("/bulletins?cursor=bogus", "翻页位置无效"),
    ],
)
def test_a_wrong_address_is_told_not_a_failure(viewer: TestClient, path: str, told: str) -> None:
    answer = viewer.get(path)
    assert answer.status_code == 400
    assert told in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "text=" + "a" * 5000,
        "text=%ff%fe",
        "text=%22%27%29%3B--",
        "text=%F0%A0%AE%B7",
        "until=9999-12-31",
        "rule=%00",
        "unit=x&asset=y",
    ],
)
def test_any_search_is_answered(viewer: TestClient, query: str) -> None:
    assert viewer.get(f"/alerts?{query}").status_code == 200


def test_a_failure_nobody_foresaw_shows_nothing_of_itself(shared: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = shared.logged_in()
    monkeypatch.setattr(overview, "todo", lambda _facts: 1 / 0)
    with capture_logs() as logged:
        answer = browser.get("/")
    assert answer.status_code == 500
    assert "详情已记入日志" in answer.text
    assert "ZeroDivision" not in answer.text
    assert_guarded(answer)
    assert [line["log_level"] for line in logged if line.get("exc_info")] == ["error"]


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "application/json", "text/plain"]
)
def test_a_form_of_another_kind_is_refused(viewer: TestClient, content_type: str) -> None:
    answer = viewer.post("/alerts/act", content=b"--x\r\nbroken", headers={"content-type": content_type})
    assert answer.status_code in {400, 403}


def test_a_file_in_place_of_a_text_is_no_text(viewer: TestClient) -> None:
    answer = viewer.post("/login", data={"name": "admin"}, files={"password": ("x", PASSWORD.encode())})
    assert answer.status_code == 403


def test_a_form_with_a_thousand_fields_is_bounded(viewer: TestClient) -> None:
    answer = send(viewer, "/alerts/act", action="ack", id=[f"{number:032x}" for number in range(51)])
    assert answer.status_code == 400
    assert "一次最多处置 50 条" in answer.text
