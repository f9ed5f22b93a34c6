"""Log-in, log-out and the first administrator: what lets somebody in, and what keeps everybody else out."""

import pytest

from secmon.app import users
from secmon.model.access import Role
from secmon.model.record import RecordQuery
from tests.web.consoles import ALL_ROLES, JSON, PASSWORD, Console, Tags, csrf, data_of, send

LOGIN = {"name": "admin", "password": PASSWORD}


def link(fresh: Console) -> str:
    token = users.invite_first(fresh.house)
    assert token is not None
    return token


@pytest.mark.parametrize("path", ["/", "/alerts", "/sources", "/deadletters", "/compliance", "/bulletins", "/alerts/x"])
def test_a_stranger_is_sent_to_the_login(shared: Console, path: str) -> None:
    answer = shared.browser().get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


def test_a_stranger_who_wants_data_gets_none(shared: Console) -> None:
    answer = shared.browser().get("/alerts", headers=JSON)
    assert answer.status_code == 401
    assert answer.json() == {"problem": "log in first"}


def test_after_login_the_page_that_was_asked_for_comes_with_its_filter(shared: Console) -> None:
    browser = shared.browser()
    sent_to = browser.get("/alerts?level=high&text=a%26b").headers["location"]
    form = Tags(browser.get(sent_to).text)
    target = next(one["value"] for one in form.of("input") if one["name"] == "next")
    answer = browser.post("/login", data={**LOGIN, "next": target or ""})
    assert answer.headers["location"] == "/alerts?level=high&text=a%26b"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/\nx", "\t//evil.example"],
)
def test_login_never_leads_to_another_site(shared: Console, target: str) -> None:
    answer = shared.browser().post("/login", data={**LOGIN, "next": target})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("form", [{"name": "admin", "password": "wrong"}, {"name": "nobody", "password": PASSWORD}, {}])
def test_a_wrong_name_and_a_wrong_password_look_the_same(console: Console, form: dict[str, str]) -> None:
    answer = console.browser().post("/login", data=form)
    assert answer.status_code == 403
    assert "用户名或口令不对" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_session_cookie_is_for_this_site_and_no_script(shared: Console) -> None:
    cookie = shared.browser().post("/login", data=LOGIN).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_an_account_is_locked_after_five_failures_and_opens_again(console: Console) -> None:
    browser = console.browser()
    for _ in range(users.LOCK_AFTER):
        browser.post("/login", data={"name": "admin", "password": "wrong"})
    assert browser.post("/login", data=LOGIN).status_code == 403
    console.clock.pass_time(minutes=11)
    assert browser.post("/login", data=LOGIN).status_code == 303


@pytest.mark.parametrize("away", [{"minutes": 31}, {"hours": 9}])
def test_a_session_ends(console: Console, away: dict[str, float]) -> None:
    browser = console.logged_in()
    console.clock.pass_time(**away)
    assert browser.get("/").headers["location"] == "/login?next=/"


def test_a_session_that_is_used_lives_until_its_eighth_hour(console: Console) -> None:
    browser = console.logged_in()
    for _ in range(19):
        console.clock.pass_time(minutes=25)
        assert browser.get("/").status_code == 200
    console.clock.pass_time(minutes=25)
    assert browser.get("/").status_code == 303


def test_logout_ends_the_session_on_the_server(console: Console) -> None:
    browser = console.logged_in()
    cookie = browser.cookies["secmon_session"]
    assert send(browser, "/logout").headers["location"] == "/login"
    stolen = console.browser(cookies={"secmon_session": cookie})
    assert stolen.get("/").status_code == 303


def test_an_invented_session_is_none(shared: Console) -> None:
    assert shared.browser(cookies={"secmon_session": "x" * 5000}).get("/").status_code == 303


@pytest.mark.parametrize(
    "path", ["/alerts/act", "/deadletters/act", "/compliance/assess", "/bulletins/draft", "/logout"]
)
@pytest.mark.parametrize("token", [None, "", "invented", "é"])
def test_a_form_without_the_token_changes_nothing(shared: Console, path: str, token: str | None) -> None:
    browser = shared.logged_in()
    before = shared.house.records.count(ALL_ROLES, RecordQuery(kind="audit"))
    form = {"action": "ack", "asset": "A-1", "kind": "warning"} | ({} if token is None else {"csrf": token})
    answer = browser.post(path, data=form)
    assert answer.status_code == 403
    assert "表单已过期" in answer.text
    assert shared.house.records.count(ALL_ROLES, RecordQuery(kind="audit")) == before


def test_the_token_of_one_session_does_not_fit_another(shared: Console) -> None:
    one, other = shared.logged_in(), shared.logged_in()
    assert one.post("/logout", data={"csrf": csrf(other)}).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"sec-fetch-site": "same-site"}]
)
def test_another_site_cannot_log_a_browser_in(shared: Console, headers: dict[str, str]) -> None:
    answer = shared.browser().post("/login", data=LOGIN, headers=headers)
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers


def test_who_is_logged_in_needs_no_login_page(shared: Console) -> None:
    assert shared.logged_in().get("/login?next=/alerts").headers["location"] == "/alerts"


def test_the_first_administrator_comes_through_the_link_once(fresh: Console) -> None:
    token = link(fresh)
    browser = fresh.browser()
    assert "12 至 256 个字符" in browser.get(f"/setup?token={token}").text
    form = {"token": token, "name": "管理员", "password": PASSWORD, "again": PASSWORD}
    made = browser.post("/setup", data=form)
    assert (made.status_code, made.headers["location"]) == (303, "/login?made=1")
    assert "请用刚才的名称和口令登录" in browser.get("/login?made=1").text
    assert browser.post("/login", data={"name": "管理员", "password": PASSWORD}).status_code == 303
    assert fresh.browser().post("/setup", data={**form, "name": "second"}).status_code == 403
    assert "已用过" in fresh.browser().get(f"/setup?token={token}").text


def test_the_link_is_valid_for_fifteen_minutes(fresh: Console) -> None:
    token = link(fresh)
    fresh.clock.pass_time(minutes=16)
    assert fresh.browser().get(f"/setup?token={token}").status_code == 403


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": "short", "again": "short"}, "12 至 256"),
        ({"password": "aaaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaaa"}, "至少三种"),
        ({"again": PASSWORD + "x"}, "两次输入的口令不同"),
        ({"name": "a b"}, "用户名只能用"),
        ({"name": ""}, "用户名只能用"),
    ],
)
def test_what_does_not_fit_is_told_and_the_link_stays_valid(fresh: Console, changes: dict[str, str], told: str) -> None:
    token = link(fresh)
    form = {"token": token, "name": "admin", "password": PASSWORD, "again": PASSWORD, **changes}
    answer = fresh.browser().post("/setup", data=form)
    assert answer.status_code == 403
    assert told in answer.text
    assert users.invitation_is_valid(fresh.house, token)


def test_no_password_and_no_token_stands_on_any_answer(fresh: Console) -> None:
    token = link(fresh)
    form = {"token": token, "name": "admin", "password": PASSWORD, "again": "Other-Secret-1!"}
    assert PASSWORD not in fresh.browser().post("/setup", data=form).text


def test_a_user_without_the_role_is_refused_and_sees_no_buttons(console: Console) -> None:
    browser = console.logged_in(console.user("reader", roles=(Role.READER,)))
    row = data_of(browser, "/alerts")["alerts"][0]
    page = Tags(browser.get(f"/alerts/{row['alert.id']}").text)
    assert [one.get("value") for one in page.of("button") if one.get("name") in {"action", "kind"}] == []
    refused = send(browser, "/alerts/act", action="ack", id=row["alert.id"])
    assert refused.status_code == 403
    assert "安全运营" in refused.text
    for path, fields in (
        ("/compliance/assess", {"asset": "A-1"}),
        ("/bulletins/draft", {"kind": "warning", "alert": row["alert.id"]}),
        ("/deadletters/act", {"action": "replay", "id": "x"}),
    ):
        assert send(browser, path, **fields).status_code == 403
