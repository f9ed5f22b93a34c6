"""A command with a server around it: what is said, and how it ends, where there is none or one is named."""

import shutil
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts" / "elasticsearch"
SHOW = [sys.executable, "-c", "import os; print('url=' + os.environ['SECMON_ES_URL']); raise SystemExit(7)"]


def around(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script from a tree of its own, on a machine without Java and Maven."""
    shutil.copytree(SCRIPTS, folder / "scripts" / "elasticsearch", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "scripts.elasticsearch.around", *options, "--", *SHOW]
    found = {"PATH": str(folder / "nothing"), **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=found, cwd=folder)


def test_a_named_cluster_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    done = around(tmp_path, SECMON_ES_URL="http://127.0.0.1:9", CI="true")
    assert (done.returncode, done.stdout, done.stderr) == (7, "url=http://127.0.0.1:9\n", "")


def test_without_java_it_is_a_failure(tmp_path: Path) -> None:
    done = around(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("elasticsearch: no server: there is no ")


def test_where_it_is_optional_the_command_runs_and_that_is_said(tmp_path: Path) -> None:
    done = around(tmp_path, "--optional")
    assert (done.returncode, done.stdout) == (7, "url=\n")
    assert "what needs one does not run" in done.stderr


def test_in_ci_it_is_never_optional(tmp_path: Path) -> None:
    done = around(tmp_path, "--optional", CI="true")
    assert (done.returncode, done.stdout) == (1, "")
