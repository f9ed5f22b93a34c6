"""Scope: a user of one unit sees that unit's share of everything, and nothing of another's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from secmon.app import users
from secmon.errors import AccessError, NotFoundError, SecmonError
from secmon.model.access import ROOT, Access, Principal, Role, Scope
from tests.web.consoles import ALL_ROLES, PASSWORD, Console, alerts, copy, data_of, opened_console, pages, send


@pytest.fixture(scope="module")
def both(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("both") / "house"
    copy(template, folder)
    with opened_console(folder) as found:
        found.user("primary", units=("S-2",))
        found.user("city", units=("C-1",))
        yield found


@pytest.fixture(scope="module")
def primary(both: Console) -> TestClient:
    return both.logged_in("primary")


def test_only_the_alerts_of_the_unit_are_listed_and_counted(primary: TestClient) -> None:
    data = data_of(primary, "/alerts?state=all")
    assert {row["unit.id"] for row in data["alerts"]} == {"S-2"}
    assert data["states"] == {"new": 2}


def test_an_alert_of_another_unit_is_not_there(both: Console, primary: TestClient) -> None:
    other = next(row["alert.id"] for row in alerts(both.logged_in()) if row["unit.id"] == "S-1")
    assert primary.get(f"/alerts/{other}").status_code == 404
    assert send(primary, "/alerts/act", action="ack", id=other).status_code == 404
    assert send(primary, "/bulletins/draft", kind="incident-report", alert=other).status_code == 404
    assert data_of(both.logged_in(), f"/alerts/{other}")["alert.state"] == "new"


def test_systems_and_assessments_are_those_of_the_unit(both: Console, primary: TestClient) -> None:
    data = data_of(primary, "/compliance")
    assert [asset["asset.id"] for asset in data["assets"]] == ["A-2"]
    assert data["assessments"] == []
    assert send(primary, "/compliance/assess", asset="A-1").status_code == 404
    kept = data_of(both.logged_in(), "/compliance")["assessments"][0]["assessment.id"]
    assert primary.get(f"/compliance/{kept}").status_code == 404
    assert primary.get(f"/compliance/{kept}/file.html").status_code == 404


def test_sources_are_those_of_the_unit_with_their_whole_account(both: Console, primary: TestClient) -> None:
    assert [row["source"] for row in data_of(primary, "/sources")["sources"]] == ["gone"]
    assert len(data_of(both.logged_in("city"), "/sources")["sources"]) == 2


def test_dead_letters_and_the_state_of_the_machine_are_for_those_who_see_all(primary: TestClient) -> None:
    assert data_of(primary, "/deadletters")["deadletters"] == []
    assert data_of(primary, "/")["checks"] == []


def test_a_bulletin_of_another_unit_is_not_there(both: Console, primary: TestClient) -> None:
    for row in data_of(both.logged_in(), "/bulletins")["bulletins"]:
        expected = 200 if row["issuer"]["unit.id"] == "S-2" else 404
        assert primary.get(f"/bulletins/{row['bulletin.id']}").status_code == expected
        assert primary.get(f"/bulletins/{row['bulletin.id']}/file.html").status_code == expected


def test_a_school_cannot_draft_in_the_name_of_its_superior(both: Console, primary: TestClient) -> None:
    mine = alerts(primary, "?level=high")[0]["alert.id"]
    refused = send(primary, "/bulletins/draft", kind="warning", alert=mine)
    assert refused.status_code == 403
    assert "上级主管单位拟稿" in refused.text
    assert send(primary, "/bulletins/draft", kind="incident-report", alert=mine).status_code == 303
    assert send(both.logged_in("city"), "/bulletins/draft", kind="warning", alert=mine).status_code == 303


def test_no_page_names_the_other_unit_or_its_system(primary: TestClient) -> None:
    for path in pages(primary):
        text = primary.get(path).text
        assert "某中学" not in text, path
        assert "教务系统" not in text, path
        assert "A-1" not in text, path


def test_a_unit_above_sees_all_below_it(both: Console) -> None:
    assert len(alerts(both.logged_in("city"))) == 8


def test_a_user_of_no_unit_sees_nothing(both: Console) -> None:
    browser = both.logged_in(both.user("none", units=()))
    assert alerts(browser) == []
    assert data_of(browser, "/")["states"] == {}
    assert data_of(browser, "/bulletins")["bulletins"] == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"units": ("S-9",)}, NotFoundError),
        ({"roles": ()}, SecmonError),
        ({"password": "short"}, SecmonError),
        ({"name": "a b"}, SecmonError),
        ({"name": "admin"}, SecmonError),
    ],
)
def test_a_user_who_does_not_fit_is_not_made(both: Console, changes: dict[str, object], error: type[Exception]) -> None:
    wanted: dict[str, Any] = {"name": "x", "password": PASSWORD, "roles": (Role.READER,), "units": None, **changes}
    with pytest.raises(error):
        users.add_user(both.house, ALL_ROLES, wanted.pop("name"), wanted.pop("password"), **wanted)


@pytest.mark.parametrize(
    "access",
    [
        Access(Principal("user:x", frozenset({Role.OPERATOR})), ROOT),
        Access(Principal("user:x", frozenset(Role)), Scope(frozenset({"C-1", "S-1", "S-2"}))),
    ],
)
def test_only_a_system_administrator_of_the_root_makes_users(both: Console, access: Access) -> None:
    with pytest.raises(AccessError):
        users.add_user(both.house, access, "x", PASSWORD, roles=(Role.READER,), units=None)
