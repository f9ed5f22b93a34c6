"""WriterLock: one process writes; a dead one does not stand in the way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from secmon.errors import StoreUnavailableError
from secmon.store.lock import WriterLock, holder, is_held

ROOT = Path(__file__).parent.parent.parent
_HOLD = """
import sys
from pathlib import Path
from secmon.store.lock import WriterLock
with WriterLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def other_holder(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_taker_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with other_holder(path) as process:
        with pytest.raises(StoreUnavailableError, match=rf"process {process.pid} is writing.*stop it"):
            WriterLock(path).acquire()
        assert is_held(path)
        assert holder(path) == process.pid
        process.communicate()
    with WriterLock(path):
        assert holder(path) == os.getpid()
    assert not is_held(path)


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with other_holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    with WriterLock(path):
        assert is_held(path)


def test_the_lock_keeps_out_a_second_taker_of_the_same_process(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with WriterLock(path), pytest.raises(StoreUnavailableError):
        WriterLock(path).acquire()


def test_taking_twice_and_letting_go_twice_is_harmless(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    assert not is_held(tmp_path / "writer.lock")


def test_a_longer_pid_of_before_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    path.write_text("99999999999999\n", encoding="ascii")
    with WriterLock(path):
        assert holder(path) == os.getpid()


@pytest.mark.parametrize("text", ["", "not a pid", "-5", "\u0661"])
def test_a_file_that_names_nobody_has_no_holder(tmp_path: Path, text: str) -> None:
    path = tmp_path / "writer.lock"
    path.write_text(text, encoding="utf-8")
    assert holder(path) is None


def test_a_missing_folder_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="state folder"):
        WriterLock(tmp_path / "none" / "writer.lock").acquire()
    assert not is_held(tmp_path / "none" / "writer.lock")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("content", encoding="utf-8")
    (tmp_path / "writer.lock").symlink_to(target)
    with pytest.raises(StoreUnavailableError):
        WriterLock(tmp_path / "writer.lock").acquire()
    assert target.read_text(encoding="utf-8") == "content"
