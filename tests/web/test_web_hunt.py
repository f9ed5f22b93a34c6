"""Searching in the console: what is found, how it is narrowed, what is said of scanning, scope, and what is refused."""

from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from starlette.testclient import TestClient

from secmon.model.record import RecordQuery
from secmon.web.pages import hunt
from tests.web.consoles import ALL_ROLES, HOSTILE, JSON, Console, Tags, alerts, data_of

EVENTS = 9


def address(query: str, **more: str) -> str:
    return "/hunt?" + urlencode({"q": query, **more})


def names(client: TestClient, query: str, **more: str) -> list[str]:
    """Return the user names of the events that are found."""
    return [str(event.get("user.name")) for event in data_of(client, address(query, **more))["events"]]


def links(client: TestClient, path: str, title: str = "") -> list[str]:
    """Return the addresses of searches on a page."""
    every = [one for one in Tags(client.get(path).text).of("a") if title in str(one.get("title"))]
    return [href for one in every if (href := unescape(one.get("href") or "")).startswith("/hunt?")]


def test_before_a_question_nothing_is_searched_and_the_language_is_explained(viewer: TestClient) -> None:
    answer = viewer.get("/hunt")
    assert "怎样写" in answer.text
    assert data_of(viewer, "/hunt") == {"events": []}


def test_an_empty_question_finds_everything_of_the_time_range(viewer: TestClient) -> None:
    data = data_of(viewer, address(""))
    assert (data["count"], len(data["events"]), data["complete"], data["scanning"]) == (EVENTS, EVENTS, True, [])
    assert sum(one["count"] for one in data["histogram"]) == EVENTS
    assert data_of(viewer, address("", range="1h"))["count"] == 0


@pytest.mark.parametrize("value", HOSTILE)
def test_any_value_can_be_asked_for_and_excluded_by_its_link(viewer: TestClient, value: str) -> None:
    every = links(viewer, address(""), "只看")
    wanted = [link for link in every if "user.name" in parse_qs(urlsplit(link).query)["q"][0]]
    found = [data_of(viewer, link)["events"] for link in wanted]
    assert any({event["user.name"] for event in events} == {value} for events in found)
    excluded = [link for link in links(viewer, address(""), "排除") if "not+user.name" in link]
    assert any(value not in {event.get("user.name") for event in data_of(viewer, link)["events"]} for link in excluded)


def test_a_link_narrows_a_search_of_alternatives_as_a_whole(viewer: TestClient) -> None:
    (link,) = [
        link for link in links(viewer, address("user.name:curl or url.path:/quiet"), "只看") if "event.dataset" in link
    ]
    assert parse_qs(urlsplit(link).query)["q"][0].startswith("(user.name:curl or url.path:/quiet) and ")
    assert sorted(set(names(viewer, parse_qs(urlsplit(link).query)["q"][0]))) == ["curl", "test"]


def test_a_bar_of_the_histogram_leads_to_the_events_of_its_time(viewer: TestClient) -> None:
    data = data_of(viewer, address(""))
    bars = [link for link in links(viewer, address("")) if "since=" in link]
    counts = [data_of(viewer, link)["count"] for link in dict.fromkeys(bars)]
    assert counts == [one["count"] for one in data["histogram"]]


def test_a_condition_without_an_index_says_scanning_and_how_much_was_read(viewer: TestClient) -> None:
    text = viewer.get(address("http.request.method:TRACE")).text
    assert "正在扫描" in text
    assert f"本次已读取日志 {2 * EVENTS} 条" in text
    assert "正在扫描" not in viewer.get(address("user.name:curl")).text


def test_a_search_that_is_not_complete_never_says_nothing_found(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hunt, "SECONDS", 0.0)
    browser = console.logged_in()
    text = browser.get(address("http.request.method:NONE")).text
    assert "没有查完" in text
    assert "不能当作没有" in text
    assert "没有符合条件" not in text
    assert "0</b> 条" not in text
    assert data_of(browser, address("http.request.method:NONE"))["complete"] is False


def test_nothing_found_is_said_when_all_was_looked_at(viewer: TestClient) -> None:
    assert "没有符合条件的日志" in viewer.get(address("user.name:nobody")).text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"q": "user.name:"}, "第 11 个字符：冒号后缺少值"),
        ({"q": "<script>alert(1)</script>:("}, "个字符："),
        ({"q": "a", "since": "yesterday"}, "这不是时间"),
        ({"q": "a", "cursor": "x"}, "翻页位置"),
        ({"q": "a", "field": "message"}, "不做统计"),
        ({"q": "a" * 2_001}, "检索语句太长"),
    ],
)
def test_what_cannot_be_read_is_told_beside_the_question(viewer: TestClient, more: dict[str, str], told: str) -> None:
    answer = viewer.get("/hunt?" + urlencode(more))
    assert answer.status_code == 400
    assert told in answer.text
    assert 'role="alert"' in answer.text
    assert "<script>alert" not in answer.text
    told_as_data = viewer.get("/hunt?" + urlencode(more), headers=JSON)
    assert (told_as_data.status_code, set(told_as_data.json())) == (400, {"problem", "remedy", "text"})


def test_pages_follow_each_other(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hunt, "PAGE", 4)
    browser = console.logged_in()
    seen, cursor = list[str](), ""
    for _ in range(3):
        data = data_of(browser, address("", **({"cursor": cursor} if cursor else {})))
        seen += [event["event.id"] for event in data["events"]]
        cursor = data["cursor"]
    assert (len(seen), len(set(seen)), cursor) == (EVENTS, EVENTS, "")


def test_a_user_of_one_unit_searches_that_unit_only(console: Console) -> None:
    browser = console.logged_in(console.user("primary", units=("S-2",)))
    data = data_of(browser, address("", field="unit.id"))
    assert {event["unit.id"] for event in data["events"]} == {"S-2"}
    assert data["count"] == len(data["events"]) < EVENTS
    (units,) = [one for one in data["statistics"] if one["field"] == "unit.id"]
    assert units["values"] == [{"value": "S-2", "count": data["count"]}]
    assert names(browser, "not unit.id:S-2") == []


def test_an_alert_s_evidence_leads_to_the_events_around_it(viewer: TestClient) -> None:
    for row in alerts(viewer):
        found = [link for link in links(viewer, f"/alerts/{row['alert.id']}") if "since=" in link]
        assert found
        assert all(data_of(viewer, link)["count"] > 0 for link in found)


def test_who_searched_is_kept_and_not_what_for(console: Console, tmp_path: Path) -> None:
    browser = console.logged_in()
    browser.get(address("user.name:very-secret-4711"))
    entries = console.house.records.find(
        ALL_ROLES, RecordQuery(kind="audit", order="number", descending=True, limit=1)
    ).documents
    assert (entries[0].body["action"], entries[0].body["by"]) == ("search", "user:admin")
    assert "4711" not in str(entries[0].body)
    assert all(b"very-secret-4711" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_only_who_is_logged_in_may_search(shared: Console) -> None:
    assert shared.browser().get(address("a")).status_code == 303
    assert shared.browser().get(address("a"), headers=JSON).status_code == 401
