"""`secmon doctor`: every check is a row, what is broken is said with a remedy, and nothing makes the doctor ill."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import BROKEN_RULE, Done, secmon, write_log, write_settings

CHECKS = {
    "python", "sqlite_version", "hyperscan", "fonts", "config", "content", "store", "disk_space", "writer_lock",
    "console", "reading", "scheduler", "sources", "spool", "retention", "clock", "keys", "credentials", "java",
    "correlations", "rules", "tuning",
}  # fmt: skip


def doctor(config: Path) -> tuple[Done, dict[str, dict[str, Any]]]:
    done = secmon("--config", config, "--lang", "en", "doctor", "--json")
    return done, {row["check"]: row for row in done.rows}


def test_a_sound_installation_is_zero(config: Path) -> None:
    done, rows = doctor(config)
    assert (done.status, done.err) == (0, "")
    assert set(rows) == CHECKS
    assert all(set(row) == {"check", "state", "detail", "remedy"} for row in rows.values())
    assert {row["state"] for row in rows.values()} <= {"ok", "warn", "not_run"}
    assert rows["store"]["detail"].startswith("1 partitions")
    assert rows["content"]["detail"].endswith("1 assets")


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(tmp_path: Path) -> None:
    config = write_settings(tmp_path / "here")
    done, rows = doctor(config)
    assert done.status == 0
    assert rows["keys"]["detail"] == "made at the first start"
    assert not (tmp_path / "here" / "state").exists()


def test_people_read_it_in_chinese(config: Path) -> None:
    text = secmon("--config", config, "doctor").text
    assert text.split()[:4] == ["检查", "情况", "所见", "处理办法"]
    assert "3 个密钥文件" in text


def test_wrong_settings_fail_and_the_other_checks_go_on(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8") + "colour = 3\n", encoding="utf-8")
    done, rows = doctor(config)
    assert done.status == 4
    assert rows["config"]["state"] == "fail"
    assert rows["config"]["detail"].startswith(f"{config}:")
    assert set(rows) == CHECKS
    assert rows["store"]["state"] == "ok"


@pytest.mark.parametrize("name", ["units.yaml", "assets.csv", "rules"])
def test_a_missing_file_or_folder_fails_and_is_named(config: Path, name: str) -> None:
    gone = config.parent / name
    gone.rename(gone.with_name("moved"))
    done, rows = doctor(config)
    assert done.status == 4
    assert str(gone) in rows["config"]["detail"]


def test_a_broken_rule_is_a_warning_with_its_line(config: Path) -> None:
    broken = config.parent / "rules" / "broken.yml"
    broken.write_text(BROKEN_RULE, encoding="utf-8")
    done, rows = doctor(config)
    assert (done.status, rows["content"]["state"]) == (0, "warn")
    assert rows["content"]["detail"].startswith(f"{broken}:1: ")
    assert "secmon rules list" in rows["content"]["remedy"]


def test_a_key_that_others_may_read_fails(config: Path) -> None:
    key = config.parent / "state" / "keys" / "pii.key"
    key.chmod(0o644)
    done, rows = doctor(config)
    assert (done.status, rows["keys"]["state"]) == (4, "fail")
    assert rows["keys"]["remedy"] == f"chmod 600 {key}"


def test_a_lost_key_fails_and_is_not_made_anew(config: Path) -> None:
    key = config.parent / "state" / "keys" / "vault.key"
    key.unlink()
    done, rows = doctor(config)
    assert (done.status, rows["keys"]["state"]) == (4, "fail")
    assert "restore it" in rows["keys"]["remedy"]
    assert not key.exists()


@pytest.mark.parametrize("content", [b"", b"this is no database" * 300])
def test_a_store_that_is_no_store_fails(config: Path, content: bytes) -> None:
    for path in (config.parent / "state").glob("control.db*"):
        path.unlink()
    (config.parent / "state" / "control.db").write_bytes(content)
    done, rows = doctor(config)
    assert (done.status, rows["store"]["state"]) == (4, "fail")
    assert set(rows) == CHECKS


def test_events_without_their_control_database_fail(config: Path) -> None:
    (config.parent / "state" / "control.db").unlink()
    done, rows = doctor(config)
    assert (done.status, rows["store"]["state"]) == (4, "fail")
    assert "same backup" in rows["store"]["remedy"]


def test_lost_partitions_fail(config: Path) -> None:
    shutil.rmtree(config.parent / "state" / "events")
    done, rows = doctor(config)
    assert set(rows) == CHECKS
    assert done.status in {0, 4}


def test_a_source_whose_folder_is_gone_is_named(tmp_path: Path) -> None:
    config = write_settings(tmp_path / "here", f'paths = ["{tmp_path}/gone/*.log"]')
    _, rows = doctor(config)
    assert rows["sources"]["state"] in {"warn", "fail"}
    assert f"{tmp_path}/gone" in rows["sources"]["detail"]


def test_no_sources_is_a_warning(tmp_path: Path) -> None:
    done = secmon("--state", tmp_path / "state", "doctor", "--json")
    rows = {row["check"]: row for row in done.rows}
    assert (done.status, rows["sources"]["state"]) == (0, "warn")


def test_the_doctor_changes_nothing(config: Path, tmp_path: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write(f'paths = ["{write_log(tmp_path / "more.log")}"]\n')
    before = secmon("--config", config, "store", "digest").row
    doctor(config)
    assert secmon("--config", config, "store", "digest").row == before


def test_a_console_that_is_open_to_the_network_is_a_warning(tmp_path: Path) -> None:
    config = write_settings(tmp_path / "here")
    config.write_text(config.read_text(encoding="utf-8").replace("127.0.0.1:0", "0.0.0.0:8640"), encoding="utf-8")
    done, rows = doctor(config)
    assert (done.status, rows["console"]["state"]) == (0, "warn")
    assert "reverse proxy" in rows["console"]["remedy"]
