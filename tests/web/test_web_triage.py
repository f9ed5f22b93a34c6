"""Triage in the console: what the buttons do, to one alert and to many, and that it is kept who did it."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from secmon.app import audit
from secmon.model.record import RecordQuery
from secmon.web import words
from tests.web.consoles import ALL_ROLES, Console, alerts, data_of, opened_console, prepare, send


def test_an_alert_goes_through_its_states(admin: TestClient) -> None:
    row = alerts(admin)[0]
    path = f"/alerts/{row['alert.id']}"
    for action, state in (("ack", "acknowledged"), ("investigate", "investigating"), ("contain", "contained")):
        answer = send(admin, "/alerts/act", action=action, id=row["alert.id"], back="alert")
        assert answer.headers["location"] == f"{path}?action={action}&done=1&skipped=0"
        assert f"执行“{words.ACTION_ZH[action]}”" in admin.get(answer.headers["location"]).text
        assert data_of(admin, path)["alert.state"] == state
    send(admin, "/alerts/act", action="close", reason="superior_inspection", note="教育部检测", id=row["alert.id"])
    closed = data_of(admin, path)
    assert (closed["alert.state"], closed["alert.close_reason"]) == ("closed", "superior_inspection")
    text = admin.get(path).text
    for part in ("上级检测", "教育部检测", "admin", "重新打开"):
        assert part in text
    send(admin, "/alerts/act", action="reopen", id=row["alert.id"])
    assert data_of(admin, path)["alert.state"] == "investigating"


@pytest.mark.parametrize("reason", list(words.REASON_ZH))
def test_every_reason_of_the_vocabulary_closes(console: Console, reason: str) -> None:
    admin = console.logged_in()
    identity = alerts(admin)[0]["alert.id"]
    assert send(admin, "/alerts/act", action="close", reason=reason, id=identity).status_code == 303
    assert data_of(admin, "/alerts?state=closed")["alerts"][0]["alert.close_reason"] == reason


@pytest.mark.parametrize("reason", ["", "because", "误报"])
def test_without_a_reason_nothing_is_closed(admin: TestClient, reason: str) -> None:
    identity = alerts(admin)[0]["alert.id"]
    answer = send(admin, "/alerts/act", action="close", reason=reason, id=identity)
    assert answer.status_code == 400
    assert "请选一个关闭原因" in answer.text
    assert data_of(admin, f"/alerts/{identity}")["alert.state"] == "new"


def test_many_are_closed_at_once_and_the_list_keeps_its_filter(admin: TestClient) -> None:
    ids = [row["alert.id"] for row in alerts(admin, "?level=high")]
    answer = send(
        admin,
        "/alerts/act",
        action="close",
        reason="authorised_test",
        id=ids,
        query="level=high&text=probe&evil=1&cursor=",
    )
    assert answer.headers["location"] == "/alerts?level=high&text=probe&action=close&done=7&skipped=0"
    assert "已对 7 条告警执行“关闭”" in admin.get(answer.headers["location"]).text
    assert data_of(admin, "/alerts")["states"] == {"closed": 7, "new": 1}


def test_what_does_not_fit_one_of_many_is_left_and_told(admin: TestClient) -> None:
    ids = [row["alert.id"] for row in alerts(admin)][:3]
    send(admin, "/alerts/act", action="close", reason="duplicate", id=ids[0])
    answer = send(admin, "/alerts/act", action="contain", id=ids)
    assert answer.headers["location"] == "/alerts?action=contain&done=2&skipped=1"
    assert "另有 1 条按当前状态不能“标为已遏制”" in admin.get(answer.headers["location"]).text


def test_an_unknown_action_no_alert_and_an_unknown_alert_are_told(admin: TestClient) -> None:
    identity = alerts(admin)[0]["alert.id"]
    assert send(admin, "/alerts/act", action="delete", id=identity).status_code == 400
    assert "没有勾选告警" in send(admin, "/alerts/act", action="ack").text
    assert send(admin, "/alerts/act", action="ack", id="0" * 32).status_code == 404


@pytest.mark.parametrize("query", ["action=ack&done=x", "action=<b>&done=1", "action=ack&done=9999999999", "done=1"])
def test_an_address_cannot_make_the_page_say_what_was_not_done(viewer: TestClient, query: str) -> None:
    text = viewer.get(f"/alerts?{query}").text
    assert "<b>&" not in text
    assert "9999999999" not in text.partition('role="status"')[2][:200]


def test_every_step_stands_in_the_audit_chain(console: Console) -> None:
    admin = console.logged_in()
    identity = alerts(admin)[0]["alert.id"]
    send(admin, "/alerts/act", action="ack", id=identity)
    entry = console.house.records.find(ALL_ROLES, RecordQuery(kind="audit", order="number", descending=True, limit=1))
    body = entry.documents[0].body
    assert (body["by"], body["action"], body["target"]) == ("user:admin", "alert.ack", identity)
    assert audit.verify(console.house, ALL_ROLES) == []


def test_a_draft_is_made_from_an_alert_once_a_revision(console: Console) -> None:
    admin = console.logged_in()
    identity = alerts(admin)[0]["alert.id"]
    before = len(data_of(admin, "/bulletins")["bulletins"])
    answer = send(admin, "/bulletins/draft", kind="warning", alert=identity)
    assert answer.status_code == 303
    assert data_of(admin, answer.headers["location"])["alert.ids"] == [identity]
    assert len(data_of(admin, "/bulletins")["bulletins"]) == before
    assert send(admin, "/bulletins/draft", kind="letter", alert=identity).status_code == 400
    assert send(admin, "/bulletins/draft", kind="warning", alert="none").status_code == 404


def test_an_asset_is_assessed(console: Console) -> None:
    admin = console.logged_in()
    answer = send(admin, "/compliance/assess", asset="A-2", days="7")
    assert answer.status_code == 303
    assert data_of(admin, answer.headers["location"])["report"]["asset.id"] == "A-2"
    assert send(admin, "/compliance/assess", asset="A-9").status_code == 404


@pytest.mark.parametrize("days", ["0", "-1", "3661", "9" * 50, "x", "1.5", "七", "٣"])
def test_a_length_that_makes_no_sense_is_told(shared: Console, days: str) -> None:
    answer = send(shared.logged_in(), "/compliance/assess", asset="A-2", days=days)
    assert answer.status_code == 400
    assert "天数须是 1 至 3660 的整数" in answer.text


def test_dead_letters_are_given_up_with_a_reason_and_kept_as_rows(console: Console) -> None:
    admin = console.logged_in()
    first = data_of(admin, "/deadletters")["deadletters"][0]["deadletter.id"]
    without = send(admin, "/deadletters/act", action="drop", id=first)
    assert without.status_code == 400
    assert "须写明理由" in without.text
    answer = send(admin, "/deadletters/act", action="drop", id=first, reason="测试数据", source="web")
    assert answer.headers["location"] == "/deadletters?source=web&dropped=1"
    assert "已放弃 1 条" in admin.get(answer.headers["location"]).text
    row = data_of(admin, "/deadletters?state=dropped")["deadletters"][0]
    assert (row["by"], row["reason"]) == ("user:admin", "测试数据")
    assert "测试数据" in admin.get("/deadletters?state=dropped").text
    source = next(one for one in data_of(admin, "/sources")["sources"] if one["source"] == "web")
    assert (source["dropped"], source["balanced"]) == ({"by_operator": 1}, True)


def test_dead_letters_that_still_break_their_format_stay(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    prepare(folder)
    with opened_console(folder, content=True) as console:
        console.daemon.run_once()
        console.user("admin")
        admin = console.logged_in()
        ids = [row["deadletter.id"] for row in data_of(admin, "/deadletters")["deadletters"]]
        answer = send(admin, "/deadletters/act", action="replay", id=ids)
        assert "仍不能解析 2 条" in admin.get(answer.headers["location"]).text
        assert {row["attempts"] for row in data_of(admin, "/deadletters")["deadletters"]} == {2}


def test_nothing_ticked_is_told(viewer: TestClient) -> None:
    assert "没有勾选死信" in send(viewer, "/deadletters/act", action="replay").text
    assert send(viewer, "/deadletters/act", action="burn", id="x").status_code == 400
