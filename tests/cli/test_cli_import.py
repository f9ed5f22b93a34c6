"""`secmon import`: the account it prints, its exit statuses, what it refuses, and what it never loses."""

import gzip
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secmon.store.lock import WriterLock
from tests.cli.program import (
    BROKEN_RULE,
    MALFORMED,
    Done,
    access_line,
    environment,
    process,
    secmon,
    write_log,
    write_settings,
)
from tests.warm import warm

ROW = {"source", "received", "stored", "duplicate", "dead_lettered", "dropped", "in_flight"}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    warm(tmp_path / "here" / "state")
    return write_settings(tmp_path / "here")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "access.log")


def load(config: Path, *arguments: str | Path, source: str = "jwxt", data: bytes = b"") -> Done:
    return secmon("--config", config, "import", "--source", source, *arguments, data=data)


def is_balanced(row: dict[str, object]) -> bool:
    parts = (row["stored"], row["duplicate"], row["dead_lettered"], row["in_flight"])
    assert isinstance(row["dropped"], dict)
    return row["received"] == sum(int(str(part)) for part in parts) + sum(row["dropped"].values())


def test_the_account_has_the_keys_of_the_contract_and_adds_up(fresh: Path, log: Path) -> None:
    done = load(fresh, log)
    assert (done.status, done.err) == (0, "")
    assert set(done.row) == ROW
    assert is_balanced(done.row)
    assert {"source": "jwxt", "received": 11, "stored": 10, "dropped": {"blank": 1}}.items() <= done.row.items()
    assert len(secmon("--config", fresh, "alerts", "list", "--json").rows) == 2


@pytest.mark.parametrize("change", ["renamed", "packed", "again", "piped"])
def test_the_same_content_is_all_duplicates(fresh: Path, log: Path, tmp_path: Path, change: str) -> None:
    load(fresh, log)
    data = log.read_bytes()
    other = tmp_path / "other.log"
    other.write_bytes(gzip.compress(data) if change == "packed" else data)
    names: dict[str, str | Path] = {"again": log, "piped": "-"}
    name = names.get(change, other)
    row = load(fresh, name, data=data).row
    assert (row["received"], row["stored"], row["duplicate"]) == (11, 0, 11)
    assert is_balanced(row)


def test_several_files_are_one_account(fresh: Path, log: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.log"
    second.write_text(access_line(40, "/second"), encoding="utf-8")
    assert load(fresh, log, second).row["stored"] == 11


def test_malformed_records_are_dead_letters_and_five(fresh: Path, tmp_path: Path) -> None:
    done = load(fresh, write_log(tmp_path / "bad.log", malformed=True))
    assert (done.status, done.row["dead_lettered"]) == (5, 1)
    assert len(done.err.splitlines()) == 1
    assert "secmon deadletters list" in done.err
    assert MALFORMED not in done.err


def test_a_kind_is_a_source_too(fresh: Path, log: Path) -> None:
    done = load(fresh, log, source="nginx.access")
    assert (done.status, done.row["source"]) == (0, "nginx.access")


def test_the_unit_and_the_zone_can_be_given(fresh: Path, log: Path) -> None:
    syslog = log.with_name("auth.log")
    syslog.write_text("Nov 20 08:00:00 web1 sshd[1]: Connection closed\n", encoding="utf-8")
    assert load(fresh, syslog, "--unit", "S-1", "--zone", "+00:00", source="syslog").status == 0
    row = secmon("--config", fresh, "sources", "show", "syslog", "--json").row
    assert row["first_event"].endswith("-11-20T08:00:00.000Z")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--source", "jwxt"),
        ("--source", "jwxt", "/nonexistent.log"),
        ("--source", "jwxt", "/"),
        ("/dev/null",),
        ("--source", "jwxt", "--zone", "Mars/Olympus", "/dev/null"),
        ("--source", "jwxt", "--nonsense", "/dev/null"),
    ],
)
def test_bad_usage_is_two_and_touches_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    config = write_settings(tmp_path / "here")
    done = secmon("--config", config, "import", *arguments)
    assert (done.status, done.out) == (2, b"")
    assert not (config.parent / "state").exists()


def test_an_unknown_source_is_not_ready(fresh: Path, log: Path) -> None:
    done = load(fresh, log, "--lang", "en", source="nonsense")
    assert (done.status, done.out) == (4, b"")
    assert "nonsense is neither a configured source nor a kind" in done.err


def test_an_empty_file_is_nothing_and_no_failure(fresh: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()
    done = load(fresh, empty)
    assert (done.status, done.row["received"]) == (0, 0)
    assert load(fresh, "-").row["received"] == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"x" * 3_000_000 + b"\n", 1),
        (bytes(range(256)) * 40, None),
        (b"\x00" * 5000 + b"\n", 1),
        (b"\xff\xfe\n", 1),
        (b"{" * 100_000 + b"\n", 1),
    ],
    ids=["huge line", "binary", "NULs", "not text", "deep"],
)
def test_garbage_is_dead_letters_never_a_crash(
    fresh: Path, tmp_path: Path, content: bytes, expected: int | None
) -> None:
    path = tmp_path / "garbage.log"
    path.write_bytes(content)
    done = load(fresh, path)
    assert done.status == 5, done.err
    assert is_balanced(done.row)
    assert done.row["dead_lettered"] == (expected or done.row["dead_lettered"]) > 0
    assert secmon("--config", fresh, "store", "check").row["ok"] is True


def test_a_cut_gzip_file_is_told_and_what_stood_before_is_kept(fresh: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    text = "".join(access_line(number, f"/{number}") for number in range(20_000))
    path.write_bytes(gzip.compress(text.encode())[:-2000])
    done = load(fresh, path, "--lang", "en")
    assert done.status == 1
    assert f"{path}: the gzip file ends too early" in done.err
    assert 1000 < done.row["stored"] < 20_000
    assert is_balanced(done.row)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told_and_the_others_are_imported(fresh: Path, log: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.log"
    secret.write_text(access_line(1, "/"), encoding="utf-8")
    secret.chmod(0)
    done = load(fresh, secret, log)
    assert (done.status, done.row["stored"]) == (1, 10)
    assert str(secret) in done.err


def test_a_broken_rule_is_named_and_stops_nothing(fresh: Path, log: Path) -> None:
    broken = fresh.parent / "rules" / "broken.yml"
    broken.write_text(BROKEN_RULE, encoding="utf-8")
    done = load(fresh, log)
    assert (done.status, done.row["stored"]) == (0, 10)
    assert any(line.startswith(f"{broken}:1: ") for line in done.err.splitlines())
    assert len(secmon("--config", fresh, "alerts", "list", "--json").rows) == 2


def test_strict_imports_nothing_beside_a_broken_rule(fresh: Path, log: Path) -> None:
    (fresh.parent / "rules" / "broken.yml").write_text(BROKEN_RULE, encoding="utf-8")
    done = load(fresh, log, "--strict")
    assert (done.status, done.out) == (4, b"")
    assert "broken.yml:1: " in done.err
    assert load(fresh, log).row["duplicate"] == 0


@pytest.mark.parametrize(
    ("setting", "name", "text"),
    [
        ("classifiers", "own.yaml", "id: own\nname: wrong\n"),
        ("playbooks", "own.yaml", "id: own\nsteps: 3\n"),
        ("frameworks", "own.yaml", "id: own\ncontrols: 3\n"),
    ],
)
def test_other_broken_content_is_named_too(fresh: Path, log: Path, setting: str, name: str, text: str) -> None:
    folder = fresh.parent / setting
    folder.mkdir()
    (folder / name).write_text(text, encoding="utf-8")
    content = fresh.read_text(encoding="utf-8").replace("[content]", f'[content]\n{setting} = ["{folder}"]')
    fresh.write_text(content, encoding="utf-8")
    done = load(fresh, log)
    assert (done.status, done.row["stored"]) == (0, 10)
    assert f"{folder / name}:" in done.err
    assert load(fresh, log, "--strict").status == 4


def test_another_writer_is_named_with_its_pid_and_a_remedy(fresh: Path, log: Path, tmp_path: Path) -> None:
    load(fresh, log)
    before = secmon("--config", fresh, "store", "digest").row
    with WriterLock(fresh.parent / "state" / "writer.lock"):
        done = process("--config", fresh, "import", "--source", "jwxt", log, "--lang", "en", home=tmp_path)
        listed = process("--config", fresh, "alerts", "list", "--json", home=tmp_path)
    assert (done.status, done.out) == (4, b"")
    assert f"process {os.getpid()} is writing this store" in done.err
    assert "(use its console or stop it" in done.err
    assert len(listed.rows) == 2
    assert secmon("--config", fresh, "store", "digest").row == before


def small_files(size: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_is_not_ready_and_loses_nothing(fresh: Path, tmp_path: Path) -> None:
    log = tmp_path / "big.log"
    lines = [access_line(number, f"/jwxt/{number}?token={number * 7919:x}") for number in range(30_000)]
    log.write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "secmon", "--config", str(fresh), "--lang", "en"]
    full = subprocess.run(
        [*command, "import", "--source", "jwxt", str(log)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment(tmp_path),
        preexec_fn=small_files(400_000),
    )
    assert full.returncode == 4, full.stderr
    assert "Traceback" not in full.stderr
    assert len(full.stderr.splitlines()) == 1
    again = process("--config", fresh, "import", "--source", "jwxt", log, home=tmp_path)
    assert again.status == 0, again.err
    assert secmon("--config", fresh, "sources", "show", "jwxt", "--json").row["stored"] == 30_000
    assert secmon("--config", fresh, "store", "check", "--deep").row["ok"] is True


def test_a_state_folder_that_cannot_be_made_is_not_ready(log: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = secmon("--state", tmp_path / "file" / "state", "import", "--source", "nginx.access", log, "--lang", "en")
    assert (done.status, done.out) == (4, b"")
    assert "(name a folder you may write with --state" in done.err
