"""Every command works on either store, and says the same where nothing is stored."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from secmon.config import Settings
from secmon.wiring import credential_files, elasticsearch_settings
from tests.cli.program import environment, secmon, write_log, write_settings
from tests.wiring.stores import settings_of


def test_nothing_is_stored_yet_is_said_by_both(config: Path) -> None:
    done = secmon("--config", config, "--lang", "en", "alerts", "list")
    assert (done.status, done.out) == (4, b"")
    assert "nothing is stored here yet (run secmon up or secmon import)" in done.err
    assert "这里还没有存任何东西" in secmon("--config", config, "alerts", "list").err


def test_import_evaluate_alerts_report_and_bulletin(config: Path, store: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", malformed=True)
    done = secmon("--config", config, "import", "--source", "jwxt", log)
    assert done.status == 5, done.err
    account = {name: done.row[name] for name in ("received", "stored", "duplicate", "dead_lettered")}
    assert account == {"received": 12, "stored": 10, "duplicate": 0, "dead_lettered": 1}
    assert secmon("--config", config, "import", "--source", "jwxt", log).row["duplicate"] == 12  # the blank line too
    alerts = secmon("--config", config, "alerts", "list", "--json").rows
    assert len(alerts) == 2
    assert secmon("--config", config, "alerts", "ack", alerts[0]["alert.id"]).status == 0
    states = {row["alert.state"] for row in secmon("--config", config, "alerts", "list", "--json").rows}
    assert states == {"acknowledged", "new"}
    assert len(secmon("--config", config, "deadletters", "list", "--json").rows) == 1
    assert secmon("--config", config, "sources", "show", "jwxt", "--json").row["stored"] == 10
    report = tmp_path / "report.json"
    done = secmon("--config", config, "report", "mlps", "--asset", "A-1", "--format", "json", "--out", report)
    assert done.status == 0, done.err
    assert json.loads(report.read_bytes())["report"]["asset.id"] == "A-1"
    kind = ("--kind", "warning", "--from-alert", alerts[0]["alert.id"])
    assert secmon("--config", config, "bulletin", "draft", *kind).status == 0
    checked = secmon("--config", config, "store", "check", "--deep").row
    assert (checked["ok"], checked["store"], checked["events"]) == (True, store, 10)
    rows = {row["check"]: row["state"] for row in secmon("--config", config, "doctor", "--json").rows}
    assert (rows["store"], rows["keys"], rows["config"]) == ("ok", "ok", "ok")


def test_up_once_works_on_both(config: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log")
    text = config.read_text(encoding="utf-8").replace('asset = "A-1"', f'asset = "A-1"\npaths = ["{log}"]')
    config.write_text(text, encoding="utf-8")
    done = secmon("--config", config, "up", "--once")
    assert (done.status, done.out) == (0, b""), done.err
    assert secmon("--config", config, "sources", "show", "jwxt", "--json").row["stored"] == 10


@pytest.mark.elasticsearch
@pytest.mark.parametrize("store", ["elasticsearch"])
def test_a_state_folder_on_a_cluster_holds_keys_and_no_data(config: Path, store: str, tmp_path: Path) -> None:
    assert secmon("--config", config, "import", "--source", "jwxt", write_log(tmp_path / "a.log")).status == 0
    held = {path.name for path in (config.parent / "state").iterdir()}
    assert held <= {"keys", "audit.head", "writer.lock", "cache"}, store


def cluster(tmp_path: Path, *lines: str) -> Settings:
    head = ["[store]", 'kind = "elasticsearch"', "[store.elasticsearch]", 'urls = ["https://es.example.edu.cn:9200"]']
    return settings_of(write_settings(tmp_path / "here", *head, *lines))


def test_credentials_come_from_their_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("Kreide-4711\n", encoding="utf-8")
    found = elasticsearch_settings(cluster(tmp_path, 'user = "secmon"', f'password_file = "{tmp_path}/password"'))
    assert (found.user, found.password, found.api_key) == ("secmon", "Kreide-4711", "")


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"x" * 5_000])
def test_a_file_without_credentials_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    path = write_settings(
        tmp_path / "here",
        "[store]",
        'kind = "elasticsearch"',
        "[store.elasticsearch]",
        'urls = ["http://127.0.0.1:9"]',
        f'api_key_file = "{tmp_path}/key"',
    )
    done = secmon("--config", path, "--lang", "en", "alerts", "list")
    assert done.status == 4
    assert done.err.startswith(f"{tmp_path}/key: ")
    assert "two" not in done.err


def test_doctor_warns_of_credentials_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a2V5", encoding="utf-8")
    (tmp_path / "key").chmod(0o644)
    settings = cluster(tmp_path, f'api_key_file = "{tmp_path}/key"', 'timeout = "1s"')
    assert credential_files(settings) == [tmp_path / "key"]
    config = tmp_path / "here" / "secmon.toml"
    text = config.read_text(encoding="utf-8").replace("https://es.example.edu.cn:9200", "http://127.0.0.1:9")
    config.write_text(text, encoding="utf-8")
    rows = {row["check"]: row for row in secmon("--config", config, "--lang", "en", "doctor", "--json").rows}
    assert rows["credentials"]["state"] == "warn"
    assert rows["credentials"]["remedy"] == f"chmod 600 {tmp_path}/key"
    assert rows["store"]["state"] == "fail"
    assert "cannot be reached" in rows["store"]["detail"]


def test_without_the_package_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    cluster(tmp_path)
    program = "import sys; sys.modules['elasticsearch'] = None; from secmon.cli.root import main; main(sys.argv[1:])"
    arguments = ["--config", str(tmp_path / "here" / "secmon.toml"), "--lang", "en", "alerts", "list"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines() == [
        "store.kind: the package for Elasticsearch is not installed (pip install 'secmon[elasticsearch]')"
    ]
