"""The log is on the disk before a batch or a document is acknowledged: no kill can show it, strace can."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_each_acknowledgement_follows_a_sync_of_the_log(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)]
    command += [sys.executable, "-m", "tests.contracts.other_process", "commit", "sqlite", str(tmp_path / "state")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and "ptrace" in done.stderr.lower():
        pytest.skip("this machine does not let strace trace")
    assert done.stdout.split() == ["1", "2", "3", "4", "5", "document"]
    steps = re.findall(
        r'(?:fsync|fdatasync)\(\d+<[^>]*/([^/>]+)-wal>|write\(1<[^>]*>, "(\w+)\\n"', trace.read_text(encoding="utf-8")
    )
    synced: set[str] = set()
    acknowledged = {}
    for log, word in steps:
        if log:
            synced.add(log)
        else:
            acknowledged[word], synced = synced, set()
    even, odd = "security-2026-11-21.db", "security-2026-11-22.db"
    assert acknowledged == {"1": {odd}, "2": {even}, "3": {odd}, "4": {even}, "5": {odd}, "document": {"control.db"}}
