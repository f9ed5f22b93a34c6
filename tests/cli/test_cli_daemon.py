"""Commands beside a running daemon: what writes goes over its socket, what reads needs nobody."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import access_line, process, running, secmon, write_log, write_settings
from tests.sigma.rule_texts import ID, rule_text
from tests.warm import warm


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The settings and the home of a running daemon."""
    home = tmp_path_factory.mktemp("daemon")
    warm(home / "here" / "state")
    config = write_settings(home / "here")
    with running(config, home):
        yield config, home


def test_import_and_triage_go_over_the_socket(daemon: tuple[Path, Path]) -> None:
    config, home = daemon
    log = write_log(home / "access.log", malformed=True)
    done = process("--config", config, "import", "--source", "jwxt", log, home=home)
    assert done.status == 5, done.err
    assert (done.row["stored"], done.row["dead_lettered"]) == (10, 1)
    alerts = process("--config", config, "alerts", "list", "--json", home=home).rows
    assert [row["alert.state"] for row in alerts] == ["new", "new"]
    closed = process(
        "--config", config, "alerts", "close", alerts[0]["alert.id"], "--reason", "duplicate", "--json", home=home
    )
    assert (closed.status, closed.row["alert.state"]) == (0, "closed")
    shown = process("--config", config, "alerts", "show", alerts[0]["alert.id"], "--json", home=home).row
    assert shown["alert.history"][-1]["by"].startswith("os:")
    again = process("--config", config, "import", "--source", "jwxt", log, home=home)
    assert again.row["duplicate"] == 12


def test_standard_input_goes_over_the_socket(daemon: tuple[Path, Path]) -> None:
    config, home = daemon
    data = "".join(access_line(number, f"/piped/{number}") for number in range(5000)).encode()
    done = process("--config", config, "import", "--source", "nginx.access", "-", data=data, home=home)
    assert (done.status, done.row["stored"]) == (0, 5000), done.err
    again = process("--config", config, "import", "--source", "nginx.access", "-", data=data, home=home)
    assert again.row["duplicate"] == 5000


def test_what_the_daemon_refuses_has_the_same_words_and_status(daemon: tuple[Path, Path]) -> None:
    config, home = daemon
    data = b"x\n" * 1_000_000
    refused = process("--config", config, "import", "--source", "nonsense", "-", "--lang", "en", data=data, home=home)
    assert refused.status == 4
    assert "nonsense is neither a configured source nor a kind" in refused.err
    unknown = process("--config", config, "alerts", "ack", "nobody", "--lang", "en", home=home)
    assert unknown.status == 1
    assert "no such alert" in unknown.err


def test_relative_paths_are_those_of_the_command(daemon: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    config, home = daemon
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "a.log").write_text(access_line(70, "/elsewhere"), encoding="utf-8")
    monkeypatch.chdir(home / "elsewhere")
    done = process("--config", config, "import", "--source", "jwxt", "a.log", home=home)
    assert (done.status, done.row["stored"]) == (0, 1)


def test_a_report_and_a_bulletin_are_made_beside_the_daemon(daemon: tuple[Path, Path], tmp_path: Path) -> None:
    config, home = daemon
    out = tmp_path / "report.json"
    done = process("--config", config, "report", "mlps", "--asset", "A-1", "--format", "json", "--out", out, home=home)
    assert done.status == 0, done.err
    assert json.loads(out.read_bytes())["report"]["asset.id"] == "A-1"


def test_a_second_daemon_is_not_ready(daemon: tuple[Path, Path]) -> None:
    config, home = daemon
    done = process("--config", config, "up", "--lang", "en", home=home)
    assert (done.status, done.out) == (4, b"")
    assert "is writing this store" in done.err


def test_doctor_says_who_writes(daemon: tuple[Path, Path]) -> None:
    config, home = daemon
    rows = {row["check"]: row for row in process("--config", config, "doctor", "--json", home=home).rows}
    assert rows["writer_lock"]["state"] == "ok"
    assert rows["writer_lock"]["detail"].startswith("held by process ")
    assert rows["store"]["state"] == "ok"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_daemon_ends_well_and_leaves_no_socket(tmp_path: Path, number: signal.Signals) -> None:
    warm(tmp_path / "here" / "state")
    config = write_settings(tmp_path / "here")
    with running(config, tmp_path) as daemon:
        assert (tmp_path / "here" / "state" / "secmon.sock").is_socket()
        daemon.send_signal(number)
        assert daemon.wait(timeout=60) == 0
    assert not (tmp_path / "here" / "state" / "secmon.sock").exists()
    log = write_log(tmp_path / "access.log")
    assert secmon("--config", config, "import", "--source", "jwxt", log).status == 0


def test_a_killed_daemon_leaves_a_socket_that_stops_nobody(tmp_path: Path) -> None:
    warm(tmp_path / "here" / "state")
    config = write_settings(tmp_path / "here")
    with running(config, tmp_path) as daemon:
        daemon.kill()
        daemon.wait(timeout=60)
    assert (tmp_path / "here" / "state" / "secmon.sock").exists()
    log = write_log(tmp_path / "access.log")
    assert secmon("--config", config, "import", "--source", "jwxt", log).status == 0


def test_up_once_reads_what_is_there_and_ends(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log")
    warm(tmp_path / "here" / "state")
    config = write_settings(tmp_path / "here", f'paths = ["{log}"]')
    done = process("--config", config, "up", "--once", home=tmp_path)
    assert (done.status, done.out) == (0, b""), done.err
    assert secmon("--config", config, "sources", "show", "jwxt", "--json").row["stored"] == 10
    assert len(secmon("--config", config, "alerts", "list", "--json").rows) == 2


def test_up_is_strict_if_asked(tmp_path: Path) -> None:
    warm(tmp_path / "here" / "state")
    config = write_settings(tmp_path / "here")
    (tmp_path / "here" / "rules" / "broken.yml").write_text("title: x\n", encoding="utf-8")
    assert process("--config", config, "up", "--once", "--strict", home=tmp_path).status == 4
    assert process("--config", config, "up", "--once", home=tmp_path).status == 0


def test_the_line_of_readiness_is_true(tmp_path: Path) -> None:
    warm(tmp_path / "here" / "state")
    config = write_settings(tmp_path / "here")
    with running(config, tmp_path) as daemon:
        lock = (tmp_path / "here" / "state" / "writer.lock").read_text(encoding="ascii")
        assert int(lock) == daemon.pid
        first = (tmp_path / "daemon.log").read_text(encoding="utf-8")
        (url,) = (word for word in first.split() if word.startswith("http://127.0.0.1:"))
        address = url.partition("setup?")[0]
        with urllib.request.urlopen(address + "healthz") as answer:  # noqa: S310  our own loopback address
            assert json.load(answer) == {"status": "alive"}


def test_rules_reload_says_what_changed(daemon: tuple[Path, Path]) -> None:
    config, home = daemon
    told = process("--config", config, "rules", "reload", home=home)
    assert (told.status, told.text.splitlines()[0]) == (0, "没有变化"), told.err
    rule = home / "here" / "rules" / "later.yml"
    rule.write_text(rule_text(number=77), encoding="utf-8")
    done = process("--config", config, "rules", "reload", "--json", home=home)
    assert done.status == 0, done.err
    assert [(row["change"], row["id"], row["path"]) for row in done.row["changes"]] == [
        ("added", ID.format(77), str(rule))
    ]
    rule.write_text("title: no rule\n", encoding="utf-8")
    refused = process("--config", config, "rules", "reload", home=home)
    assert refused.status == 1
    assert f"{rule}:1" in refused.err
    assert done.row["digest"] in refused.text
    rule.write_text(rule_text(number=77), encoding="utf-8")
    new = rule.with_name("new.yml")
    new.write_text("title: no rule\n", encoding="utf-8")
    broken = process("--config", config, "rules", "reload", "--json", home=home)
    assert (broken.status, broken.row["refused"], broken.row["changes"]) == (1, [], [])
    assert broken.row["problems"][0].startswith(f"{new}:1")
    new.unlink()
    assert process("--config", config, "rules", "reload", home=home).status == 0


def test_rules_reload_without_a_daemon_says_so(config: Path) -> None:
    done = secmon("--config", config, "--lang", "en", "rules", "reload")
    assert done.status == 4
    assert "no daemon runs" in done.err
