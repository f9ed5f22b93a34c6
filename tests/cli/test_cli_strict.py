"""`--strict`: broken content is named by every command that loads it, and only then ends with 4."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.program import BROKEN_RULE, RULES, secmon, write_log, write_settings

ID = "370000199003070018"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Own rules and classifiers, one of each broken."""
    config = write_settings(tmp_path / "here")
    (tmp_path / "here" / "rules" / "broken.yml").write_text(BROKEN_RULE, encoding="utf-8")
    (tmp_path / "here" / "classifiers").mkdir()
    (tmp_path / "here" / "classifiers" / "own.yaml").write_text("id: own\nname: wrong\n", encoding="utf-8")
    text = config.read_text(encoding="utf-8")
    text = text.replace("[content]", f'[content]\nclassifiers = ["{tmp_path}/here/classifiers"]')
    config.write_text(text, encoding="utf-8")
    write_log(tmp_path / "access.log")
    (tmp_path / "export.jsonl").write_text(f'{{"sfzh": "{ID}"}}\n', encoding="utf-8")
    return tmp_path


def commands(folder: Path) -> dict[str, Sequence[str | Path]]:
    return {
        "rules list": ("rules", "list", "--json"),
        "detect": ("detect", "--rules", folder / "here" / "rules", "--source", "nginx.access", folder / "access.log"),
        "scan": ("scan", folder / "export.jsonl"),
    }


@pytest.mark.parametrize(("name", "status"), [("rules list", 0), ("detect", 0), ("scan", 3)])
def test_the_rest_goes_on_with_its_own_status(folder: Path, name: str, status: int) -> None:
    done = secmon("--config", folder / "here" / "secmon.toml", *commands(folder)[name])
    assert (done.status, bool(done.rows)) == (status, True), done.err
    assert "broken.yml:1" in done.err + done.text or "own.yaml:" in done.err


@pytest.mark.parametrize("name", ["rules list", "detect", "scan"])
def test_strict_is_four(folder: Path, name: str) -> None:
    done = secmon("--config", folder / "here" / "secmon.toml", *commands(folder)[name], "--strict")
    assert done.status == 4


def test_strict_is_nothing_where_all_is_well(tmp_path: Path) -> None:
    (tmp_path / "shell.yml").write_text(RULES, encoding="utf-8")
    assert secmon("rules", "list", tmp_path, "--strict").status == 0


def test_nothing_loadable_is_four_without_strict(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text(BROKEN_RULE, encoding="utf-8")
    log = write_log(tmp_path / "access.log")
    assert secmon("rules", "list", tmp_path / "broken.yml").status == 4
    assert secmon("detect", "--rules", tmp_path / "broken.yml", log).status == 4


def test_several_targets_are_scanned_in_one_run(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_text(f'{{"sfzh": "{ID}"}}\n', encoding="utf-8")
    done = secmon("scan", *paths)
    assert (done.status, [row["file.path"] for row in done.rows]) == (3, list(map(str, paths)))
    assert len({row["data.digest"] for row in done.rows}) == 1


@pytest.mark.parametrize("target", ["http://192.0.2.1/", "/nonexistent"])
def test_one_wrong_target_is_usage_before_anything_is_read(tmp_path: Path, target: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"sfzh": "{ID}"}}\n', encoding="utf-8")
    done = secmon("scan", path, target)
    assert (done.status, done.out) == (2, b"")
