"""`secmon parse`: one event a line, malformed records named, exit status 5; through the program itself."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LINE = "Sep  7 08:01:09 lms01 sshd[42]: Failed password for root from 192.0.2.9 port 22 ssh2\n"
BROKEN = "Feb 30 08:01:09 lms01 app: no such day\n"
YEAR = ("--year-from", "2026-10-01T00:00:00Z")


def run(*arguments: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "secmon", "--lang", "en", "parse", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)


def rows(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "auth.log"
    path.write_text(LINE + "\n" + LINE, encoding="utf-8")
    return path


def test_one_event_a_line_with_its_place_and_id(log: Path) -> None:
    done = run("--source", "syslog", *YEAR, log)
    assert done.returncode == 0
    assert done.stderr == b""
    first, second = rows(done)
    assert first["@timestamp"] == "2026-09-07T00:01:09.000Z"
    assert (first["secmon.record"], second["secmon.record"]) == (1, 3)
    assert first["log.file.path"] == str(log)
    assert first["event.id"].startswith("0000")
    assert int(second["event.id"][16:28], 16) == len(LINE) + 1
    assert first["ecs.version"]
    assert "secmon.line" not in first


def test_a_file_has_the_same_ids_under_another_name_packed_or_piped(log: Path, tmp_path: Path) -> None:
    packed = tmp_path / "other.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    ids = [row["event.id"] for row in rows(run("--source", "syslog", *YEAR, log))]
    assert [row["event.id"] for row in rows(run("--source", "syslog", *YEAR, packed))] == ids
    assert [row["event.id"] for row in rows(run("--source", "syslog", *YEAR, "-", data=log.read_bytes()))] == ids
    assert [row["event.id"] for row in rows(run("--source", "syslog", *YEAR, "-", data=packed.read_bytes()))] == ids


def test_malformed_records_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "auth.log"
    path.write_text(LINE + BROKEN + LINE, encoding="utf-8")
    done = run("--source", "syslog", *YEAR, path)
    assert done.returncode == 5
    assert len(rows(done)) == 2
    assert done.stderr.decode().splitlines() == [f"{path}:record 2: no such date", "malformed records: 1"]


def test_auto_says_what_it_took(log: Path) -> None:
    done = run("--source", "auto", *YEAR, log)
    assert f"{log}: taken for syslog" in done.stderr.decode()
    assert rows(done)[0]["event.dataset"] == "sshd"


def test_auto_refuses_what_it_cannot_tell(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("prose\n" * 20, encoding="utf-8")
    done = run("--source", "auto", path)
    assert done.returncode == 1
    assert "(name it with --source)" in done.stderr.decode()


def test_the_zone_is_the_sources(log: Path) -> None:
    (first, _) = rows(run("--source", "syslog", "--zone", "+00:00", *YEAR, log))
    assert first["@timestamp"] == "2026-09-07T08:01:09.000Z"


def test_another_encoding_is_named() -> None:
    (row,) = rows(run("--source", "syslog", "-", data="Sep  7 08:01:09 h app: 学籍\n".encode("gb18030")))
    assert (row["message"], row["secmon.encoding"]) == ("学籍", "gb18030")


def test_a_record_of_several_lines_has_the_number_of_its_first(tmp_path: Path) -> None:
    path = tmp_path / "cas.log"
    path.write_text("2026-09-07 08:01:09,424 INFO [a] - <x\ny>\n2026-09-07 08:01:10,424 INFO [a] - <z>\n", "utf-8")
    done = rows(run("--source", "cas.audit", path))
    assert [(row["secmon.record"], row["secmon.line"]) for row in done] == [(1, 1), (2, 3)]


def test_a_gzip_file_that_ends_too_early_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress((LINE * 5000).encode())[:-20])
    done = run("--source", "syslog", *YEAR, path)
    assert done.returncode == 5
    assert "the gzip file ends too early" in done.stderr.decode()
    assert len(rows(done)) > 1000


@pytest.mark.parametrize(
    "arguments",
    [
        ("--source", "syslog"),
        ("--source", "nonsense", "-"),
        ("--source", "syslog", "--zone", "Mars/Olympus", "-"),
        ("--source", "syslog", "--zone", "../../etc/passwd", "-"),
        ("--source", "syslog", "--zone", "+99:00", "-"),
        ("--source", "syslog", "--year-from", "yesterday", "-"),
        ("--source", "syslog", "/nonexistent.log"),
        ("--source", "syslog", "/"),
    ],
)
def test_bad_usage_is_told_before_anything_is_read(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.touch()
    assert (run("--source", "auto", path).stdout, run("--source", "auto", path).returncode) == (b"", 0)


def test_a_terminal_cannot_be_steered_by_a_file_name(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.log"
    path.write_text(BROKEN, encoding="utf-8")
    assert b"\x1b" not in run("--source", "syslog", path).stderr
