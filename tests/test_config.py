"""Settings: every wrong line is named with its place, and later layers win."""

from datetime import timedelta
from pathlib import Path

import pytest

from secmon.config import SETTINGS, SOURCE_SETTINGS, load_settings, read_settings
from secmon.errors import ConfigError


def write(folder: Path, text: str, name: str = "secmon.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    _, errors = read_settings(path, environ={"HOME": str(path.parent)})
    return [str(error).removeprefix(f"{path}:") for error in errors]


def test_defaults_need_no_file(tmp_path: Path) -> None:
    settings = load_settings(flags={"secmon.state": str(tmp_path)}, environ={"HOME": str(tmp_path)})
    assert settings["console.listen"] == ("127.0.0.1", 8640)
    assert settings.origins["store.retention_days"] == "default"


def test_a_source_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[[sources]]\nname = "jwxt"\nkind = "nginx.access"\npaths = ["/var/log/*.log"]\nsilent_after = "30m"\n',
    )
    settings = load_settings(path, environ={"HOME": str(tmp_path)})
    assert settings.sources[0].silent_after == timedelta(minutes=30)


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[secmon]\nlang = "zh-CN"\nstate = "/a"\nzone = "Asia/Urumqi"\n')
    environ = {"HOME": str(tmp_path), "SECMON_SECMON__STATE": "/b", "SECMON_SECMON__LANG": "en"}
    settings = load_settings(path, environ=environ, flags={"secmon.state": "/c"})
    assert (settings.state, settings["secmon.lang"]) == (Path("/c"), "en")
    assert settings.origins["secmon.zone"] == f"{path}:4"
    assert (settings.origins["secmon.lang"], settings.origins["secmon.state"]) == ("env", "flag")


def test_conf_d_is_laid_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[store]\nretention_days = 200\n")
    write(tmp_path, "[store]\nretention_days = 365\n", "conf.d/10-keep.toml")
    assert load_settings(path, environ={"HOME": str(tmp_path)})["store.retention_days"] == 365


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[store]\n\nretension_days = 200\n",
            "3: unknown key store.retension_days (did you mean store.retention_days?)",
        ),
        (
            "[store]\nretention_days = 90\n",
            "2: store.retention_days must be at least 180: the law asks for six months (网络安全法)",
        ),
        ('[console]\nlisten = "8640"\n', "2: console.listen must be HOST:PORT such as 127.0.0.1:8640"),
        ('[[sources]]\nname = "a"\n', "1: a source needs kind"),
        (
            '[[sources]]\nname = "a"\nkind = "ecs"\n[[sources]]\nname = "a"\nkind = "ecs"\n',
            "4: two sources are called a",
        ),
        (
            '[[sources]]\nname = "a"\nkind = "ecs"\npath = "x"\n',
            "4: unknown key sources.path (did you mean paths?)",
        ),
        (
            '[mask]\nmobile = "keep"\n',
            '2: mask.mobile = keep needs a reason (write mobile = {policy = "keep", reason = "…"})',
        ),
        ("[store\n", "1: not TOML"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(write(tmp_path, text))
    assert found[0].startswith(problem)


def test_one_wrong_line_does_not_hide_another(tmp_path: Path) -> None:
    assert len(problems(write(tmp_path, '[secmon]\nlang = "fr"\nzone = "Mars"\nx = 1\n'))) == 3


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        load_settings(tmp_path / "none.toml", environ={"HOME": str(tmp_path)})


def test_keeping_a_class_unmasked_needs_a_reason(tmp_path: Path) -> None:
    path = write(tmp_path, '[mask]\nmobile = {policy = "keep", reason = "值班电话簿"}\n')
    assert load_settings(path, environ={"HOME": str(tmp_path)}).mask == {"mobile": "keep"}


def test_every_setting_is_explained() -> None:
    assert all(setting.doc.endswith(".") for setting in (*SETTINGS, *SOURCE_SETTINGS))
