"""`secmon scan`: rows, exit statuses, folders, gzip, keys."""

import gzip
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ID = "370000199003070018"
KEYS = {
    "file.path", "data.record", "data.path", "data.class", "data.level", "data.candidate", "data.minor", "data.span",
    "data.confidence", "data.masked", "data.digest", "data.trace",
}  # fmt: skip


def run(arguments: Sequence[str | Path], *, data: bytes = b"", home: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "secmon", "--lang", "en", "scan", *map(str, arguments)],
        input=data,
        capture_output=True,
        check=False,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "SECMON_SECMON__STATE": str(home / "state")},
    )


def rows(result: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_finding_is_a_row_of_the_contract_and_exits_3(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"student": {"sfzh": ID}}) + "\n")
    result = run([file], home=tmp_path)
    (row,) = rows(result)
    assert set(row) == KEYS
    assert (row["file.path"], row["data.path"], row["data.class"]) == (str(file), "$.student.sfzh", "cn_id18")
    assert file.read_bytes()[slice(*row["data.span"])] == ID.encode()
    assert row["data.masked"] == "370***********0018"
    assert row["data.candidate"] is False
    assert (result.returncode, result.stderr) == (3, b"")
    assert ID.encode() not in result.stdout


def test_nothing_found_exits_0(tmp_path: Path) -> None:
    result = run(["-"], data=b"page=3\n", home=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_folder_is_scanned_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "logs" / "old").mkdir(parents=True)
    (tmp_path / "logs" / "b.csv").write_text(f"姓名,身份证号\n张三,{ID}\n", encoding="gb18030")
    (tmp_path / "logs" / "old" / "a.log.gz").write_bytes(gzip.compress(f"{ID}\n".encode()))
    (tmp_path / "logs" / "picture.png").write_bytes(b"\x89PNG\0\0" + ID.encode())
    result = run([tmp_path / "logs"], home=tmp_path)
    found = rows(result)
    assert [Path(row["file.path"]).name for row in found] == ["b.csv", "b.csv", "a.log.gz"]
    assert "data.span" not in found[2]
    assert b"picture.png: passed over, not a text file" in result.stderr
    assert result.returncode == 3


def test_the_key_makes_the_digest(tmp_path: Path) -> None:
    key = tmp_path / "pii.key"
    key.write_bytes(b"k" * 32)
    (row,) = rows(run(["-", "--key", key], data=ID.encode(), home=tmp_path))
    assert row["data.digest"] == hmac.new(b"k" * 32, ID.encode(), hashlib.sha256).hexdigest()[:32]


def test_without_a_key_every_run_has_its_own(tmp_path: Path) -> None:
    first, second = (rows(run(["-"], data=ID.encode(), home=tmp_path))[0]["data.digest"] for _ in range(2))
    assert first != second
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "arguments",
    [["https://example.edu.cn/x"], ["missing.log"], ["-", "--min-confidence", "2"], ["-", "--format", "pdf"], []],
)
def test_bad_usage_is_refused_before_anything_is_read(tmp_path: Path, arguments: list[str]) -> None:
    result = run(arguments, data=ID.encode(), home=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")


def test_a_broken_gzip_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.gz").write_bytes(gzip.compress(ID.encode() * 100)[:-12])
    (tmp_path / "logs" / "b.log").write_text(ID)
    result = run([tmp_path / "logs"], home=tmp_path)
    assert [Path(row["file.path"]).name for row in rows(result)] == ["b.log"]
    assert b"a.gz: cannot be read: not a whole gzip file" in result.stderr
    assert result.returncode == 1


def test_a_broken_classifier_is_named_and_the_rest_works(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "x.yaml").write_text("id: x\ncolour: red\n")
    settings = tmp_path / "secmon.toml"
    settings.write_text(f'[content]\nclassifiers = ["{tmp_path / "own"}"]\n')
    result = run(["-", "--config", settings], data=ID.encode(), home=tmp_path)
    assert b"x.yaml:1: name is missing" in result.stderr
    assert result.returncode == 3


def test_the_lowest_confidence_is_the_users(tmp_path: Path) -> None:
    data = f"13800138000 {ID}\n".encode()
    found = rows(run(["-", "--min-confidence", "0.9"], data=data, home=tmp_path))
    assert [row["data.class"] for row in found] == ["cn_id18"]
