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


CLUSTER = '[store]\nkind = "elasticsearch"\n[store.elasticsearch]\n'
NODE = 'urls = ["https://es.example.edu.cn:9200"]\n'


def test_a_cluster_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, CLUSTER + NODE + 'api_key_file = "/etc/es.key"\nprefix = "edu"\ntimeout = "5s"\n')
    settings = load_settings(path, environ={"HOME": str(tmp_path)})
    assert settings["store.elasticsearch.urls"] == ("https://es.example.edu.cn:9200",)
    assert settings["store.elasticsearch.api_key_file"] == Path("/etc/es.key")
    assert settings["store.elasticsearch.timeout"] == timedelta(seconds=5)
    assert settings.origins["store.elasticsearch.prefix"] == f"{path}:6"


def test_nodes_in_a_variable_stand_between_commas(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "SECMON_STORE__ELASTICSEARCH__URLS": "http://192.0.2.1:9200,http://[2001:db8::1]"}
    settings = load_settings(environ=environ)
    assert settings["store.elasticsearch.urls"] == ("http://192.0.2.1:9200", "http://[2001:db8::1]:9200")


def test_the_three_keys_may_lie_elsewhere(tmp_path: Path) -> None:
    path = write(tmp_path, f'[secmon]\nstate = "{tmp_path}"\n[keys]\nrecord_file = "/shared/record.key"\n')
    settings = load_settings(path, environ={"HOME": str(tmp_path)})
    assert settings["keys.record_file"] == Path("/shared/record.key")
    assert settings["keys.pii_file"] == tmp_path / "keys" / "pii.key"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[store]\nkind = "elasticsearch"\n', "2: the cluster has no address"),
        (CLUSTER + 'urls = ["es.example.edu.cn"]\n', "4: store.elasticsearch.urls must be a list of addresses"),
        (CLUSTER + 'urls = ["http://a:b@192.0.2.1"]\n', "4: store.elasticsearch.urls must be without credentials"),
        (CLUSTER + 'urls = ["http://192.0.2.1:99999"]\n', "4: store.elasticsearch.urls must be a list of addresses"),
        (CLUSTER + NODE + 'prefix = "Edu*"\n', "5: store.elasticsearch.prefix must be a lower-case word"),
        (CLUSTER + NODE + "shards = 0\n", "5: store.elasticsearch.shards must be 1 to 64"),
        (CLUSTER + NODE + 'refresh_interval = "often"\n', "5: store.elasticsearch.refresh_interval must be a time"),
        (CLUSTER + NODE + 'timeout = "0s"\n', "5: store.elasticsearch.timeout must be 1s to 10m"),
        (CLUSTER + NODE + 'user = "secmon"\n', "5: a user needs a password_file"),
        (CLUSTER + NODE + 'password_file = "/p"\n', "5: a user needs a password_file"),
        (CLUSTER + NODE + 'user = "u"\npassword_file = "/p"\napi_key_file = "/k"\n', "7: name either a user or an"),
        (CLUSTER + NODE + 'apikey_file = "/k"\n', "5: unknown key store.elasticsearch.apikey_file (did you mean"),
        ("[store]\nelasticsearch = {shards = 0}\n", "2: store.elasticsearch.shards must be 1 to 64"),
    ],
)
def test_a_wrong_line_of_a_cluster_is_named(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(write(tmp_path, text))
    assert found[0].startswith(problem)
    assert "a:b" not in found[0]
