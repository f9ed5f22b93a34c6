"""The console on what quiets alerts: the page 调优, the part of an alert, the draft, the warning before the end."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from secmon.model.access import Role
from tests.sigma.tuning_texts import EXCEPTION, exception_text, maintenance_text, override_text
from tests.web.consoles import HOSTILE, JSON, NOON, Console, data_of, opened_console, prepare

PROBE = "0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e5f"
ODD = "0b8f0f0e-6f0a-4f3e-9d1c-0a1b2c3d4e60"
WEB: dict[str, Any] = {"logsource": "category: webserver", "rules": f"[{PROBE}]"}
TODAY = NOON.date()
TEXTS = (
    exception_text(**WEB, selection="url.path: /probe/two", expires=TODAY + timedelta(days=9)),
    exception_text(**WEB, number=2, selection="url.path: /nowhere", owner=f"'{HOSTILE[0]}'", reason=f"'{HOSTILE[1]}'",
                   expires=TODAY + timedelta(days=90), units="[S-1]"),
    exception_text(**WEB, number=3, expires=TODAY - timedelta(days=9)),
    exception_text(**WEB, number=4, owner=None),
    maintenance_text(f"{{rules: [{ODD}], from: {TODAY}, to: {TODAY}}}", units="[C-1]"),
    override_text(f"{{rules: [{PROBE}], level: critical}}"),
)  # fmt: skip


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console over an installation with exceptions in force when its logs came in."""
    folder = tmp_path_factory.mktemp("quiet") / "house"
    prepare(folder)
    (folder / "rules" / "tuning.yml").write_text("---\n".join(TEXTS), encoding="utf-8")
    with opened_console(folder, content=True) as made:
        made.daemon.run_once()
        made.user("admin")
        yield made


@pytest.fixture(scope="module")
def admin(quiet: Console) -> TestClient:
    return quiet.logged_in()


def test_the_page_lists_everything_with_its_state_and_its_hits(admin: TestClient) -> None:
    rows = {row["suppression.id"]: row for row in data_of(admin, "/tuning")["tuning"]}
    states = {identity[-3:]: row["suppression.state"] for identity, row in rows.items()}
    assert states == {"001": "expiring", "002": "active", "003": "expired", "004": "broken", "101": "active",
                      "201": "active"}  # fmt: skip
    assert rows[EXCEPTION.format(1)]["suppression.hits"] == 1
    assert rows[EXCEPTION.format(101)]["suppression.in_force"] is True
    text = admin.get("/tuning").text
    for word in ("即将到期", "已到期", "有误", "缺少 custom.secmon.owner", "进行中", "级别：严重"):
        assert word in text
    assert HOSTILE[0] not in text
    assert HOSTILE[1] not in text


def test_what_is_suppressed_raises_no_alert_and_stands_beside_the_others(admin: TestClient) -> None:
    rows = data_of(admin, "/alerts?state=all")["alerts"]
    assert {row["rule.id"] for row in rows} == {PROBE}
    assert {row["rule.level"] for row in rows} == {"critical"}
    suppressed = [data_of(admin, f"/alerts/{row['alert.id']}")["suppressed"] for row in rows]
    assert all(one["hits"] == 1 and one["same_group"] == 0 for one in suppressed)
    assert suppressed[0]["by"][0]["name"] == "Exception 1"
    text = admin.get(f"/alerts/{rows[0]['alert.id']}").text
    assert "命中被标注" in text
    assert f"/tuning#T-{EXCEPTION.format(1)}" in text


def test_a_draft_is_downloaded_as_a_file(admin: TestClient) -> None:
    alert = data_of(admin, "/alerts")["alerts"][0]["alert.id"]
    answer = admin.get(f"/alerts/{alert}/exception.yml")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    assert PROBE in answer.text
    assert admin.get("/alerts/nobody/exception.yml", headers=JSON).status_code == 404


def test_the_overview_says_what_is_about_to_expire_and_that_a_window_is_open(admin: TestClient) -> None:
    data = data_of(admin, "/")
    assert data["maintenance"] == ["Window 1"]
    check = next(one for one in data["checks"] if one["check"] == "tuning")
    assert (check["state"], "it has expired" in check["detail"]) == ("warn", True)
    text = admin.get("/").text
    assert "维护窗口进行中" in text
    assert "已到期" in text


def test_a_school_sees_what_reaches_into_it_and_no_folders(quiet: Console) -> None:
    browser = quiet.logged_in(quiet.user("school", units=("S-2",), roles=(Role.OPERATOR,)))
    rows = data_of(browser, "/tuning")["tuning"]
    assert {row["suppression.id"][-3:] for row in rows} == {"001", "003", "101"}
    assert not any("path" in row for row in rows)
    assert Path(quiet.folder).name not in browser.get("/tuning").text


def test_without_any_the_page_says_what_to_do(viewer: TestClient) -> None:
    assert "没有例外" in viewer.get("/tuning").text
