"""SIGKILL in the middle of an import, again and again: the end is the same as that of one uninterrupted run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOOPS = int(os.environ.get("SECMON_FAULT_LOOPS", "20"))
RECORDS = 12_000
DAY = "20/Nov/2026"


def log_line(number: int) -> str:
    address = f"198.51.100.{number % 250 + 1}"
    if number % 997 == 0:
        return "this is no access log line"
    if number % 401 == 0:
        return ""
    path = "/admin/shell.jsp?cmd=id" if number % 89 == 0 else f"/jwxt/grade?id={number}"
    phone = "&phone=13800138000" if number % 53 == 0 else ""
    clock = f"{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    return f'{address} - - [{DAY}:{clock} +0800] "GET {path}{phone} HTTP/1.1" 200 512 "-" "Mozilla/5.0"'


def secmon(state: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "secmon", "--state", str(state), "--quiet", *arguments]


def output(state: Path, *arguments: str) -> dict[str, object]:
    done = subprocess.run(secmon(state, *arguments), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in {0, 5}, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def is_balanced(account: dict[str, object]) -> bool:
    dropped = account["dropped"]
    assert isinstance(dropped, dict)
    settled = (account["stored"], account["duplicate"], account["dead_lettered"], account["in_flight"])
    return account["received"] == sum(int(str(part)) for part in settled) + sum(dropped.values())


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_text("".join(f"{log_line(number)}\n" for number in range(RECORDS)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def quiet_run(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """One uninterrupted import, with the keys that the interrupted one shall share."""
    state = tmp_path_factory.mktemp("quiet")
    account = output(state, "import", "--source", "nginx.access", str(log))
    assert account["received"] == RECORDS
    return state, output(state, "store", "digest")


@pytest.mark.slow
def test_killed_imports_end_like_a_quiet_one(
    log: Path, quiet_run: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    quiet, digest = quiet_run
    state = tmp_path / "killed"
    (state / "keys").mkdir(parents=True)
    for key in (quiet / "keys").iterdir():  # the digests of records are keyed
        (state / "keys" / key.name).write_bytes(key.read_bytes())
        (state / "keys" / key.name).chmod(0o600)
    chance = random.Random(20261121)  # noqa: S311  reproducible moments of death, no secret
    killed = 0
    for _ in range(LOOPS):
        process = subprocess.Popen(
            secmon(state, "import", "--source", "nginx.access", str(log)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.6, 3.0))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    account = output(state, "import", "--source", "nginx.access", str(log))
    assert killed > LOOPS // 4, "the kills came after the end: make the log longer"
    assert output(state, "store", "digest") == digest
    assert output(state, "store", "check", "--deep")["ok"]
    assert is_balanced(account)
    sources = output(state, "sources", "show", "nginx.access", "--json")
    assert is_balanced(sources)
    assert int(str(sources["stored"])) + int(str(sources["dead_lettered"])) + 30 >= RECORDS


@pytest.mark.slow
def test_a_second_import_is_all_duplicates(log: Path, quiet_run: tuple[Path, dict[str, object]]) -> None:
    state, digest = quiet_run
    account = output(state, "import", "--source", "nginx.access", str(log))
    assert (account["received"], account["duplicate"], account["stored"]) == (RECORDS, RECORDS, 0)
    assert output(state, "store", "digest") == digest
