"""Consoles for tests: made once with everything in it, and copied for each test that changes something."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from secmon.app import bulletins, reports
from secmon.model.bulletin import BulletinKind
from secmon.model.record import RecordQuery
from tests.web.consoles import ALL_ROLES, Console, copy, opened_console, prepare


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed installation: logs read, alerts raised, a document of every kind, and the user `admin`."""
    folder = tmp_path_factory.mktemp("template") / "house"
    prepare(folder)
    with opened_console(folder, content=True) as made:
        made.daemon.run_once()
        house = made.house
        made.user("admin")
        reports.keep(house, ALL_ROLES, reports.assess_asset(house, ALL_ROLES, "A-1", days=30))
        for alert in house.records.find(ALL_ROLES, RecordQuery(kind="alert")).documents:
            for kind in BulletinKind:
                bulletins.draft(house, ALL_ROLES, kind, alert_id=alert.id)
    return folder


@pytest.fixture
def console(template: Path, tmp_path: Path) -> Iterator[Console]:
    """A console that the test may change."""
    copy(template, tmp_path / "house")
    with opened_console(tmp_path / "house") as found:
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Console]:
    """A console at its first start: nobody can log in and nothing was read."""
    prepare(tmp_path / "house")
    (tmp_path / "house" / "logs" / "web.ndjson").unlink()
    with opened_console(tmp_path / "house") as found:
        yield found


@pytest.fixture
def admin(console: Console) -> TestClient:
    """A browser of the administrator in `console`."""
    return console.logged_in()


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console that the tests of a module only look at."""
    folder = tmp_path_factory.mktemp("shared") / "house"
    copy(template, folder)
    with opened_console(folder) as found:
        yield found


@pytest.fixture(scope="module")
def viewer(shared: Console) -> TestClient:
    """A browser of the administrator in `shared`."""
    return shared.logged_in()
