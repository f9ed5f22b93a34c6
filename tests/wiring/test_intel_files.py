"""Threat intelligence from the settings to a stored hit, and the commands that show it."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.config import load_settings
from secmon.wiring.texts import read_intel
from tests.cli.program import secmon, write_settings

NOBODY = 65534

QUERY = {
    "@timestamp": "2026-09-07T01:00:00Z",
    "event": {"module": "zeek", "dataset": "zeek.dns"},
    "dns": {"question": {"name": "BAD.example.net."}},
    "source": {"ip": "192.0.2.50"},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings with a folder of intelligence: one file that is right, one that is partly wrong."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    folder = tmp_path / "intel"
    folder.mkdir()
    head = "value,type,confidence,valid_until,source\n"
    (folder / "a.csv").write_text(f"{head}bad.example.net,domain,80,2036-01-01,某省情报\n", encoding="utf-8")
    (folder / "b.csv").write_text(f"{head}203.0.113.7,ip,60,2020-01-01,x\nnonsense,ip,1,,x\n", encoding="utf-8")
    path = write_settings(tmp_path / "here")
    path.write_text(f'{path.read_text(encoding="utf-8")}\n[intel]\nfiles = ["{folder}"]\n', encoding="utf-8")
    return path


def test_an_event_that_meets_an_indicator_raises_an_alert_that_says_who_lists_it(config: Path, tmp_path: Path) -> None:
    log = tmp_path / "dns.jsonl"
    log.write_text(json.dumps(QUERY) + "\n", encoding="utf-8")
    assert secmon("--config", config, "import", "--source", "ecs", log).status == 0
    rows = secmon("--config", config, "alerts", "list", "--json").rows
    (reason,) = [row["alert.reason"] for row in rows if row["rule.title_zh"] == "解析威胁情报中的域名"]
    assert "某省情报" in reason
    assert "80" in reason
    (event,) = secmon("--config", config, "search", "--since", "all", "--json", "threat.feed.name:某省情报").rows[:1]
    assert event["threat.indicator.name"] == "bad.example.net"


def test_list_tells_what_each_file_holds_and_names_what_is_wrong(config: Path) -> None:
    done = secmon("--config", config, "intel", "list", "--json")
    assert [(Path(row["path"]).name, row["indicators"], row["expired"], row["problems"]) for row in done.rows] == [
        ("a.csv", 1, 0, 0),
        ("b.csv", 1, 1, 1),
    ]
    assert "b.csv:3" in done.err
    assert "情报条数" in secmon("--config", config, "intel", "list").text


def test_check_tells_whether_a_value_counts_now(config: Path) -> None:
    listed = secmon("--config", config, "intel", "check", "bad.EXAMPLE.net.")
    assert (listed.status, listed.row["threat.feed.name"], listed.row["expired"]) == (3, "某省情报", False)
    expired = secmon("--config", config, "intel", "check", "203.0.113.7")
    assert (expired.status, expired.row["expired"]) == (0, True)
    unlisted = secmon("--config", config, "intel", "check", "good.example.net")
    assert (unlisted.status, unlisted.out) == (0, b"")


def test_less_confidence_than_the_settings_ask_for_does_not_count(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8") + "confidence = 90\n", encoding="utf-8")
    assert secmon("--config", config, "intel", "check", "bad.example.net").status == 0


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder of intelligence with a folder in it that may not be looked into, not even by who runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="intel-"))
    (folder / "open").mkdir()
    (folder / "closed").mkdir()
    for name in ("open", "closed"):
        (folder / name / "feed.csv").write_text("value\nbad.example.net\n", encoding="utf-8")
    folder.chmod(0o755)
    (folder / "closed").chmod(0o700 if os.geteuid() == 0 else 0)
    yield folder
    (folder / "closed").chmod(0o700)
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_looked_into_is_named(guarded: Path, config: Path, tmp_path: Path) -> None:
    text = config.read_text(encoding="utf-8").replace(f"{tmp_path}/intel", str(guarded))
    config.write_text(text, encoding="utf-8")
    settings, account = load_settings(config), os.geteuid()
    if account == 0:
        os.seteuid(NOBODY)
    try:
        files, errors = read_intel(settings)
    finally:
        os.seteuid(account)
    assert [Path(file.path).parent.name for file in files] == ["open"]
    assert [(error.where, error.statement()) for error in errors] == [
        (f"{guarded}/closed", f"{guarded}/closed: the indicators cannot be read: PermissionError")
    ]
