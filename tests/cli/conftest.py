"""Installations that commands work on."""

import shutil
from pathlib import Path

import pytest

from tests.cli.program import secmon, write_log, write_settings


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nobody's own settings into a test."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nobody"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(scope="session")
def _imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    config = write_settings(folder / "here")
    log = write_log(folder / "access.log", malformed=True)
    done = secmon("--config", config, "import", "--source", "jwxt", log)
    assert done.status == 5, done.err
    return folder / "here"


@pytest.fixture
def config(_imported: Path, tmp_path: Path) -> Path:
    """Settings of an installation of its own: ten events, two alerts, one dead letter, one dropped line."""
    folder = tmp_path / "here"
    shutil.copytree(_imported, folder)
    path = folder / "secmon.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(str(_imported), str(folder)), encoding="utf-8")
    return path
