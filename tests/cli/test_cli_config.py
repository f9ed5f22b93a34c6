"""`secmon config`: every wrong line with its place, every value with its origin."""

from pathlib import Path

import pytest

from secmon.config import SETTINGS
from tests.cli.program import secmon, write_settings


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return write_settings(tmp_path / "here")


def test_good_settings_are_zero(fresh: Path) -> None:
    done = secmon("--config", fresh, "config", "check")
    assert (done.status, done.out, done.err) == (0, b"", "没有错误\n")
    assert secmon("--config", fresh, "config", "check", "-q").err == ""


def test_every_wrong_line_is_named_and_ends_with_four(tmp_path: Path) -> None:
    path = tmp_path / "secmon.toml"
    lines = [
        "[store]",
        'kind = "paper"',
        "retention_days = 30",
        "[secmon]",
        'zone = "Mars"',
        "colour = 3",
        "[[sources]]",
        'name = "a"',
        'kind = "nginx"',
        "[mask]",
        'cn_id18 = "keep"',
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    done = secmon("--config", path, "config", "check", "--lang", "en")
    assert (done.status, done.out) == (4, b"")
    places = {int(line.split(":")[1]) for line in done.err.splitlines()}
    assert {2, 3, 5, 6, 9, 11} <= places


@pytest.mark.parametrize(
    "text",
    [
        "[secmon\n",
        "= 3\n",
        "sources = [1, 2]\n",
        'sources = "x"\n',
        "[sources]\nname = 'a'\n",
        "mask = 3\n",
        '[secmon]\nstate = ""\n',
        '[secmon]\nstate = "a\\u0000b"\n',
        '[secmon]\nstate = "~nobody-has-this-name/x"\n',
        "[secmon]\nworkers = -1\n",
        "[secmon]\nworkers = true\n",
        "[store]\nretention_days = 99999999999\n",
        '[[sources]]\nname = "a"\nkind = "ecs"\nsilent_after = "99999999999999999d"\n',
        '[console]\nlisten = "0.0.0.0:99999"\n',
        "[secmon]\nlang = 2026-01-01\n",
        "x = " + "[" * 5000,
        "\x00",
        "a = 1\n" * 2,
    ],
)
def test_no_text_of_a_settings_file_breaks_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secmon.toml"
    path.write_text(text, encoding="utf-8")
    for arguments in (("config", "check"), ("config", "show"), ("alerts", "list")):
        done = secmon("--config", path, *arguments)
        assert (done.status, done.out) == (4, b""), arguments
        assert done.err.startswith(f"{path}"), done.err


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secmon.toml"
    path.write_bytes("[secmon]\n# 学籍\n".encode("gb18030"))
    done = secmon("--config", path, "config", "check")
    assert (done.status, done.err.startswith(f"{path}: ")) == (4, True)


def test_a_mark_of_a_windows_editor_is_no_error(fresh: Path) -> None:
    fresh.write_bytes(b"\xef\xbb\xbf" + fresh.read_bytes())
    assert secmon("--config", fresh, "config", "check").status == 0


@pytest.mark.parametrize("name", ["rules", "units.yaml", "assets.csv"])
def test_what_settings_name_must_be_there(fresh: Path, name: str) -> None:
    gone = fresh.parent / name
    gone.rename(gone.with_name("moved"))
    done = secmon("--config", fresh, "config", "check", "--lang", "en")
    line = next(
        number for number, text in enumerate(fresh.read_text(encoding="utf-8").splitlines(), 1) if str(gone) in text
    )
    assert done.status == 4
    assert done.err.startswith(f"{fresh}:{line}: ")
    assert f"names {gone}, which is not there" in done.err


def test_show_has_one_row_for_each_setting_with_its_origin(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECMON_SECMON__ZONE", "Asia/Urumqi")
    done = secmon("--config", fresh, "config", "show", "--json", "--lang", "en")
    rows = {row["key"]: row for row in done.rows}
    assert all(set(row) == {"key", "value", "origin"} for row in done.rows)
    assert list(rows) == [setting.key for setting in SETTINGS]
    assert rows["secmon.workers"] == {"key": "secmon.workers", "value": 0, "origin": f"{fresh}:3"}
    assert (rows["secmon.zone"]["value"], rows["secmon.zone"]["origin"]) == ("Asia/Urumqi", "env")
    assert (rows["secmon.lang"]["value"], rows["secmon.lang"]["origin"]) == ("en", "flag")
    assert rows["store.retention_days"]["origin"] == "default"


def test_show_for_people_names_origins_if_asked(fresh: Path) -> None:
    assert secmon("--config", fresh, "config", "show").text.splitlines()[0].split() == ["键", "值"]
    assert secmon("--config", fresh, "config", "show", "--origin").text.splitlines()[0].split() == ["键", "值", "来自"]


def test_a_file_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    done = secmon("--config", tmp_path / "none.toml", "config", "check", "--lang", "en")
    assert (done.status, done.err) == (4, f"{tmp_path / 'none.toml'}: the settings file is not there\n")
