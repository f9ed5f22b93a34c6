"""`secmon coverage`: what was evaluated, and the proof of it, here and on an auditor's machine."""

from pathlib import Path

import pytest

from tests.cli.program import SHELL_RULE, secmon

KEYS = {
    "ok", "complete_until", "sealed_until", "rows", "sheets", "seals", "head", "public", "batches",
}  # fmt: skip


@pytest.fixture
def covered(config: Path) -> Path:
    """An installation in which the daemon looked once after an import; what it entered is closed later."""
    assert secmon("--config", config, "up", "--once").status == 0
    return config


def test_before_anything_is_closed_there_is_nothing_and_no_failure(config: Path) -> None:
    done = secmon("--config", config, "coverage", "--json")
    assert (done.status, done.out) == (0, b"")
    shown = secmon("--config", config, "coverage")
    assert (shown.status, "secmon up" in shown.err) == (0, True)
    assert secmon("-q", "--config", config, "coverage").err.count("secmon up") == 0


def test_verify_says_up_to_when_it_is_complete(covered: Path) -> None:
    done = secmon("--config", covered, "coverage", "verify", "--json")
    assert done.status == 0, done.err
    assert set(done.row) == KEYS
    assert done.row["ok"] is True
    shown = secmon("--config", covered, "coverage", "verify")
    assert shown.text.startswith("完整至 ")
    assert done.row["public"] in shown.text
    assert secmon("--config", covered, "--lang", "en", "coverage", "verify").text.startswith("complete up to ")


def test_verify_reads_the_head_that_is_kept_outside(covered: Path) -> None:
    head = covered.parent / "state" / "coverage.head"
    head.write_text("7 " + "ab" * 32 + "\n", encoding="utf-8")
    done = secmon("--config", covered, "coverage", "verify", "--json")
    assert (done.status, done.row["ok"], done.row["place"], done.row["problem"]) == (
        1,
        False,
        "coverage.head",
        "truncated",
    )
    assert "被截断" in secmon("--config", covered, "coverage", "verify").text


def test_an_export_is_verified_without_an_installation(covered: Path, tmp_path: Path) -> None:
    out = tmp_path / "coverage.jsonl"
    assert secmon("--config", covered, "coverage", "export", "--out", out).status == 0
    public = secmon("--config", covered, "coverage", "verify", "--json").row["public"]
    done = secmon("coverage", "verify", "--file", out, "--key", public, "--json")
    assert (done.status, done.row["ok"]) == (0, True)


def test_an_export_that_cannot_be_written_names_the_file(covered: Path, tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "coverage.jsonl"
    done = secmon("--config", covered, "coverage", "export", "--out", out)
    assert done.status == 1
    assert done.err.startswith(f"{out}: ")


def test_a_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    done = secmon("coverage", "verify", "--file", path)
    assert (done.status, done.out) == (1, b"")


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("verify", "--file", "nowhere"), ("export",)])
def test_wrong_usage_is_told_before_anything_is_read(config: Path, arguments: tuple[str, ...]) -> None:
    assert secmon("--config", config, "coverage", *arguments).status == 2


def test_a_rule_can_be_asked_for(covered: Path) -> None:
    done = secmon("--config", covered, "coverage", "--rule", SHELL_RULE, "--source", "jwxt", "--json")
    assert done.status == 0
    assert {row["source"] for row in done.rows} <= {"jwxt"}
