"""One writer: a second one is refused, leftovers of a killed one stand in nobody's way, imports never double."""

import os
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.running import SOURCE, House, daemon, is_balanced, until, until_read, web_line

pytestmark = pytest.mark.slow

LINES = 12_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("".join(f"{line(number)}\n" for number in range(LINES)), encoding="utf-8")
    return path


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house", workers=0)


def line(number: int) -> str:
    return web_line(f"/jwxt?n={number}", number)


def both(house: House, log: Path) -> list[subprocess.CompletedProcess[bytes]]:
    """Import the same file twice at the same time."""
    done: list[subprocess.CompletedProcess[bytes]] = []
    threads = [
        threading.Thread(target=lambda: done.append(house.done("import", "--source", SOURCE, str(log))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def test_a_second_daemon_is_refused_and_told_who_writes(house: House) -> None:
    with daemon(house) as running:
        second = house.done("up")
        assert second.returncode == 4
        assert str(running.pid).encode() in second.stderr
        assert b"Traceback" not in second.stderr
        assert second.stdout == b""
        assert running.get("healthz")[0] == 200
        # The socket is still the first one's.
        assert house.done("import", "--source", SOURCE, "-", standard_input=b"").returncode == 0


def test_leftovers_of_a_killed_daemon_stand_in_nobodys_way(house: House, log: Path) -> None:
    with daemon(house) as running:
        running.kill()
    assert (house.state / "secmon.sock").exists()
    assert (house.state / "writer.lock").read_text().strip() == str(running.pid)
    assert house.output("import", "--source", SOURCE, str(log))["stored"] == LINES
    with daemon(house) as again:
        assert house.output("import", "--source", SOURCE, str(log))["duplicate"] == LINES
        assert again.terminate() == 0


def test_two_imports_at_once_without_a_daemon_double_nothing(house: House, log: Path) -> None:
    statuses = sorted(done.returncode for done in both(house, log))
    assert statuses in ([0, 0], [0, 4])  # the second waits for nobody: it is told who writes, or comes after
    assert house.numbers() == Counter(range(LINES))
    assert is_balanced(house.account())


def test_two_imports_at_once_through_the_daemon_wait_for_each_other(house: House, log: Path) -> None:
    with daemon(house):
        assert [done.returncode for done in both(house, log)] == [0, 0]
    assert house.numbers() == Counter(range(LINES))
    account = house.account()
    assert (account["stored"], account["duplicate"]) == (LINES, LINES)


def test_a_killed_import_from_standard_input_leaves_no_half_record(house: House, log: Path) -> None:
    data = log.read_bytes()
    half = data[: len(data) // 2 - 30]
    assert not half.endswith(b"\n")
    with daemon(house) as running:
        command = house.command("import", "--source", SOURCE, "-")
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert client.stdin is not None
        client.stdin.write(half)
        client.stdin.flush()
        until(lambda: running.get("healthz")[0] == 200, "it answers")
        os.kill(client.pid, signal.SIGKILL)
        client.wait()
        client.stdin.close()
        again = house.done("import", "--source", SOURCE, "-", standard_input=data)
        assert again.returncode == 0, again.stderr.decode()
    assert house.numbers() == Counter(range(LINES))
    assert is_balanced(house.account())


def test_an_import_that_waits_for_input_keeps_nobody_waiting(tmp_path: Path, log: Path) -> None:
    house = House(tmp_path / "other", [str(tmp_path / "followed.log")], workers=0)
    with daemon(house) as running:
        command = house.command("import", "--source", "cas.audit", "-")
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert client.stdin is not None
            client.stdin.write(b"half a line")
            client.stdin.flush()
            (tmp_path / "followed.log").write_text(
                "".join(f"{web_line('/admin/shell.jsp?cmd=id', n)}\n" for n in range(50)), encoding="utf-8"
            )
            assert house.output("import", "--source", "apache.access", str(log))["stored"] == LINES
            until_read(house, 50)
            until(lambda: bool(house.alert_facts()), "alerts of what was read meanwhile")
            assert running.terminate() == 0
            client.stdin.close()
            assert client.wait(20) == 4
        finally:
            client.kill()
            client.wait()
