"""`secmon up` as its own process: readiness, the one-time link, a second one, a taken port, a clean end."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from secmon.daemon.health import ESSENTIAL
from secmon.web.words import CHECK_ZH

READY_S = 90.0
END_S = 5.0
"""A clean stop takes no longer: what a service manager and an operator's patience allow."""
PASSWORD = "Kreide-4711-Tafel"
LINE = '198.51.100.7 - - [20/Nov/2026:08:00:0{number} +0800] "GET / HTTP/1.1" 200 512 "-" "test"\n'


def settings(folder: Path, *, listen: str = "127.0.0.1:0") -> Path:
    """Write an installation with one log and one folder that is not there."""
    (folder / "logs").mkdir(parents=True)
    lines = [LINE.format(number=number) for number in range(9)]
    (folder / "logs" / "access.log").write_text("".join(lines), encoding="utf-8")
    path = folder / "secmon.toml"
    path.write_text(
        f"""
[secmon]
state = "{folder}/state"
workers = 0
[console]
listen = "{listen}"
[[sources]]
name = "web"
kind = "nginx.access"
paths = ["{folder}/logs/access.log"]
silent_after = "36500d"
[[sources]]
name = "gone"
kind = "nginx.access"
paths = ["{folder}/nowhere/*.log"]
""",
        encoding="utf-8",
    )
    return path


@dataclass(slots=True)
class Up:
    """A running `secmon up`."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    errors: Path

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a page."""
        try:
            with urllib.request.urlopen(self.ready["url"].rstrip("/") + path, timeout=20) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def end(self, number: signal.Signals) -> float:
        """Send a signal and return how many seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        return time.monotonic() - started


def command(config: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "secmon", "--config", str(config), "up", *options]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SECMON_")}


@contextmanager
def started(config: Path) -> Iterator[Up]:
    """Start it and wait for its line; it is ended with the test, by its own process id."""
    errors = config.parent / "errors.txt"
    with errors.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command(config), stdout=subprocess.PIPE, stderr=stream, text=True, env=environment())
    assert process.stdout is not None
    try:
        found, _, _ = select.select([process.stdout], [], [], READY_S)
        line = process.stdout.readline() if found else ""
        assert line, errors.read_text(encoding="utf-8")
        yield Up(process, json.loads(line), errors)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def run(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it where it is expected to end by itself."""
    return subprocess.run(
        command(config, *options), capture_output=True, text=True, timeout=READY_S, env=environment(), check=False
    )


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that runs for all tests that only look at it."""
    with started(settings(tmp_path_factory.mktemp("up") / "house")) as found:
        yield found


def eventually(up: Up, path: str, part: str) -> str:
    """Wait until a page holds a text."""
    deadline = time.monotonic() + 30
    while True:
        _, text = up.get(path)
        if part in text or time.monotonic() > deadline:
            return text
        time.sleep(0.2)


def test_readiness_is_one_line_with_address_and_process(up: Up) -> None:
    assert set(up.ready) == {"ready", "url", "pid"}
    assert up.ready["ready"] is True
    assert up.ready["pid"] == up.process.pid
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+/", up.ready["url"])
    assert json.loads(up.get("/healthz")[1]) == {"status": "alive"}


def test_doctor_readyz_and_console_show_the_same_essential_checks(up: Up) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "secmon", "--config", str(up.errors.parent / "secmon.toml"), "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=READY_S,
        env=environment(),
        check=False,
    )
    by_doctor = {row["check"]: row["state"] for row in map(json.loads, done.stdout.splitlines())}
    by_daemon = {row["check"]: row["state"] for row in json.loads(up.get("/readyz")[1])["checks"]}
    assert ESSENTIAL <= by_daemon.keys() <= by_doctor.keys()
    assert {name: by_doctor[name] for name in ESSENTIAL} == {name: by_daemon[name] for name in ESSENTIAL}
    assert by_daemon.keys() == CHECK_ZH.keys()  # the console lists these, and has a name for each


def test_a_second_one_on_the_same_state_says_who_runs_and_exits_4(up: Up) -> None:
    second = run(up.errors.parent / "secmon.toml")
    assert second.returncode == 4
    assert second.stdout == ""
    assert f"进程 {up.process.pid} 正在写这个存储" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_log_folder_that_is_missing_shows_and_does_not_stop_the_others(up: Up) -> None:
    text = eventually(up, "/readyz", "nowhere")
    status, _ = up.get("/readyz")
    checks = {one["check"]: one for one in json.loads(text)["checks"]}
    assert status == 200
    assert checks["sources"]["state"] == "fail"
    assert "nowhere" in checks["sources"]["detail"]
    assert 'secmon_records_total{outcome="stored",source="web"} 9.0' in eventually(up, "/metrics", '"web"} 9.0')


def test_the_link_on_standard_error_lets_the_first_administrator_in(up: Up) -> None:
    eventually(up, "/readyz", "nowhere")  # the sources have been looked at once
    link = re.search(r"(http://\S+/setup\?token=(\S+))", up.errors.read_text(encoding="utf-8"))
    assert link is not None
    eventually(up, "/readyz", "nowhere")  # the sources were looked at once
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    form = {"token": link[2], "name": "admin", "password": PASSWORD, "again": PASSWORD}
    base = up.ready["url"].rstrip("/")
    with opener.open(base + "/setup", urllib.parse.urlencode(form).encode(), timeout=20) as answer:
        assert "管理员已设置" in answer.read().decode()
    login = urllib.parse.urlencode({"name": "admin", "password": PASSWORD, "next": "/sources"}).encode()
    with opener.open(base + "/login", login, timeout=20) as answer:
        page = answer.read().decode()
    assert "nowhere" in page
    assert "异常" in page


def test_a_port_that_is_taken_is_told_with_what_to_change(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = run(settings(tmp_path / "house", listen=f"127.0.0.1:{port}"))
    assert found.returncode == 4
    assert found.stdout == ""
    assert f"127.0.0.1:{port}: 控制台不能在这个地址监听" in found.stderr
    assert "[console] listen" in found.stderr
    assert "Traceback" not in found.stderr


def test_once_reads_what_is_there_and_ends(tmp_path: Path) -> None:
    config = settings(tmp_path / "house")
    found = run(config, "--once")
    assert (found.returncode, found.stdout) == (0, "")
    listed = subprocess.run(
        [sys.executable, "-m", "secmon", "--config", str(config), "sources", "list", "--json"],
        capture_output=True,
        text=True,
        timeout=READY_S,
        env=environment(),
        check=True,
    )
    rows = {row["source"]: row for row in map(json.loads, listed.stdout.splitlines())}
    assert rows["web"]["stored"] == 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_it_starts_again(tmp_path: Path, number: signal.Signals) -> None:
    config = settings(tmp_path / "house")
    with started(config) as first:
        eventually(first, "/metrics", '"web"} 9.0')
        seconds = first.end(number)
        assert first.process.returncode == 0
        assert seconds < END_S
        assert "Traceback" not in first.errors.read_text(encoding="utf-8")
    assert not (tmp_path / "house" / "state" / "secmon.sock").exists()
    with started(config) as again:
        # A browser that keeps its connection open does not keep the daemon from ending.
        address = urllib.parse.urlsplit(again.ready["url"])
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(15) == b"HTTP/1.1 200 OK"
            assert again.end(number) < END_S
        assert again.process.returncode == 0
