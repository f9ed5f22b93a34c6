"""From files, variables and flags to checked settings, every problem with its place."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secmon.config.settings import Settings, SourceSettings
from secmon.config.table import (
    BY_KEY,
    CEILING,
    ELASTICSEARCH,
    KEY_FILES,
    NAMED_FILES,
    SETTINGS,
    SOURCE_BY_KEY,
    Setting,
    default_state,
)
from secmon.config.values import MASK_POLICIES
from secmon.errors import ConfigError
from secmon.model.retention import SECURITY

_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


@dataclass
class _Reading:
    """What has been read so far: later layers overwrite earlier ones."""

    raw: dict[str, tuple[object, str]] = field(default_factory=dict)
    sources: list[tuple[dict[str, object], str, dict[str, str]]] = field(default_factory=list)
    mask: dict[str, tuple[object, str]] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)


def load_settings(
    config: Path | None = None,
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read all layers and check them.

    Args:
        config: settings file, or the folder that holds secmon.toml.
        flags: dotted key → value given on the command line.
        environ: environment variables, by default the process's.

    Raises:
        ConfigError: the first problem; `read_settings` returns all of them.
    """
    settings, errors = read_settings(config, flags=flags, environ=environ)
    if errors:
        raise errors[0]
    return settings


def read_settings(
    config: Path | None = None,
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, list[ConfigError]]:
    """Read all layers; return what could be read and every problem found, each with its place."""
    environment = os.environ if environ is None else environ
    reading = _Reading()
    for path, required in _files(config, environment):
        _read_file(path, reading, required=required)
    for name, value in environment.items():
        if name.startswith("SECMON_") and "__" in name:
            section, _, key = name.removeprefix("SECMON_").lower().partition("__")
            dotted = f"{section}.{key.replace('__', '.')}"
            reading.raw[dotted] = (_from_environment(dotted, value), "env")
    for key, flag in (flags or {}).items():
        if flag is not None:
            reading.raw[key] = (flag, "flag")
    return _checked(reading), reading.errors


def _files(config: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[Path, bool]]:
    """Yield settings files, lowest precedence first, and whether each must be there."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    yield home / "secmon" / "secmon.toml", False
    main = config or Path("/etc/secmon/secmon.toml")
    if main.is_dir():
        main = main / "secmon.toml"
    yield main, config is not None
    for extra in sorted((main.parent / "conf.d").glob("*.toml")):
        yield extra, True


def _read_file(path: Path, reading: _Reading, *, required: bool) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows editors put a mark in front
    except FileNotFoundError:
        if required:
            reading.errors.append(ConfigError("the settings file is not there", where=str(path)))
        return
    except (OSError, UnicodeDecodeError) as error:
        reading.errors.append(ConfigError("the settings file cannot be read: " + type(error).__name__, where=str(path)))
        return
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = (found and found[1]) or str(text.count("\n") + 1)
        problem = _AT_LINE.sub("", str(error)).strip()
        reading.errors.append(ConfigError("not TOML: " + problem, where=f"{path}:{line}"))
        return
    except RecursionError:
        reading.errors.append(ConfigError("not TOML: nested too deeply", where=f"{path}:1"))
        return
    lines = _key_lines(text)
    for section, content in tables.items():
        _read_section(section, content, path, lines, reading)


def _read_section(section: str, content: object, path: Path, lines: Mapping[str, int], reading: _Reading) -> None:
    def place(key: str) -> str:
        while key not in lines and "." in key:  # an inline table stands on the line of its own key
            key = key.rpartition(".")[0]
        return f"{path}:{lines.get(key, 1)}"

    if section == "sources" and isinstance(content, list):
        for number, table in enumerate(content):
            if not isinstance(table, dict):
                reading.errors.append(ConfigError("a source needs name and kind", where=place("sources")))
                continue
            at = {key: place(f"sources.{number}.{key}") for key in table}
            reading.sources.append((table, place(f"sources.{number}"), at))
    elif section == "mask" and isinstance(content, dict):
        for key, value in content.items():
            reading.mask[key] = (value, place(f"mask.{key}"))
    elif isinstance(content, dict):
        for dotted, value in _flat(section, content):
            reading.raw[dotted] = (value, place(dotted))
    else:
        reading.errors.append(ConfigError("unknown key {key}", where=place(section), values={"key": section}))


def _flat(section: str, content: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield dotted key and value; a table is gone into where settings stand below its name."""
    for key, value in content.items():
        dotted = f"{section}.{key}"
        if isinstance(value, dict) and any(known.startswith(f"{dotted}.") for known in BY_KEY):
            yield from _flat(dotted, value)
        else:
            yield dotted, value


_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.\-\" ]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-]+|\"[^\"]+\")\s*=")


def _key_lines(text: str) -> dict[str, int]:
    """Return dotted key → line number; tomllib does not tell, and an error without a line helps nobody."""
    lines: dict[str, int] = {}
    arrays: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header[1].replace('"', "").replace(" ", "")
            if line.lstrip().startswith("[["):
                index = arrays.get(section, 0)
                arrays[section] = index + 1
                section = f"{section}.{index}"
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            name = key[1].strip('"')
            lines.setdefault(f"{section}.{name}" if section else name, number)
    return lines


def _from_environment(key: str, value: str) -> object:
    setting = BY_KEY.get(key)
    if setting is not None and isinstance(setting.default, list):
        return [part for part in value.split(setting.separator) if part]
    return value


def _checked(reading: _Reading) -> Settings:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    shown: dict[str, object] = {}
    for key, (_, origin) in reading.raw.items():
        if key not in BY_KEY:
            reading.errors.append(
                ConfigError("unknown key {key}", where=origin, hint=_nearest(key, BY_KEY), values={"key": key})
            )
    for setting in SETTINGS:
        raw, origin = reading.raw.get(setting.key, (setting.default, "default"))
        if setting.key == "secmon.state" and raw is None:
            raw = default_state()
        values[setting.key] = _value(setting, raw, origin, reading)
        if setting.key == "secmon.state" and values[setting.key] is None:
            values[setting.key] = Path(default_state())  # the error stands among the others
        origins[setting.key], shown[setting.key] = origin, "***" if setting.secret and raw else raw
    for name, base in KEY_FILES.items():
        values[name] = values[name] or values["secmon.state"] / "keys" / base
    _check_cluster(values, origins, reading)
    _check_ceiling(values, origins, reading)
    return Settings(values, origins, _sources(reading), _mask(reading), shown)


def _check_cluster(values: Mapping[str, Any], origins: Mapping[str, str], reading: _Reading) -> None:
    """Check what single settings of the cluster cannot tell."""
    urls, user, password, key = (
        f"{ELASTICSEARCH}.{name}" for name in ("urls", "user", "password_file", "api_key_file")
    )
    if values["store.kind"] == "elasticsearch" and not values[urls] and origins[urls] == "default":
        reading.errors.append(
            ConfigError(
                "the cluster has no address",
                where=origins["store.kind"],
                hint="name its nodes in store.elasticsearch.urls",
            )
        )
    if bool(values[user]) != bool(values[password]):
        where = origins[user if values[user] else password]
        reading.errors.append(ConfigError("a user needs a password_file, and a password_file a user", where=where))
    if values[user] and values[key]:
        reading.errors.append(ConfigError("name either a user or an api_key_file", where=origins[key]))


def _check_ceiling(values: Mapping[str, Any], origins: Mapping[str, str], reading: _Reading) -> None:
    days, ceiling = values["store.retention_days"], values[f"{CEILING}.{SECURITY}"]
    if days > ceiling:
        reading.errors.append(
            ConfigError(
                "store.retention_days is above the ceiling of its class ({ceiling})",
                where=origins["store.retention_days"],
                hint="personal information is kept no longer than needed (个人信息保护法 第十九条); "
                "lower it, or raise store.retention_ceiling.security and write down why",
                values={"ceiling": ceiling},
            )
        )


def _value(setting: Setting, raw: object, origin: str, reading: _Reading, place: str = "") -> Any:
    try:
        return setting.read(raw)
    except ValueError as error:
        problem = f"{setting.key} {error}"
        reading.errors.append(ConfigError(problem, where=place or origin))
        return None if setting.default is None else setting.read(setting.default)


def _sources(reading: _Reading) -> tuple[SourceSettings, ...]:
    sources: dict[str, SourceSettings] = {}
    for table, where, places in reading.sources:
        fields: dict[str, Any] = {}
        for key, raw in table.items():
            setting = SOURCE_BY_KEY.get(key)
            if setting is None:
                hint = _nearest(key, SOURCE_BY_KEY)
                error = ConfigError("unknown key {key}", where=places[key], hint=hint, values={"key": f"sources.{key}"})
                reading.errors.append(error)
            else:
                fields[key] = _value(setting, raw, where, reading, places[key])
        absent = [key for key in ("name", "kind") if not fields.get(key)]
        if absent:
            reading.errors.append(ConfigError("a source needs " + " and ".join(absent), where=where))
        elif fields["name"] in sources:
            problem = "two sources are called {name}"
            reading.errors.append(ConfigError(problem, where=where, values={"name": fields["name"]}))
        else:
            sources[fields["name"]] = SourceSettings(**fields)
    return tuple(sources.values())


def _mask(reading: _Reading) -> dict[str, str]:
    policies: dict[str, str] = {}
    for name, (raw, where) in reading.mask.items():
        policy = raw.get("policy") if isinstance(raw, dict) else raw
        reason = raw.get("reason") if isinstance(raw, dict) else None
        if policy not in MASK_POLICIES:
            problem = "mask.{name} must be one of partial, token, drop, keep"
            reading.errors.append(ConfigError(problem, where=where, values={"name": name}))
        elif policy == "keep" and not reason:
            reading.errors.append(
                ConfigError(
                    "mask.{name} = keep needs a reason",
                    where=where,
                    hint='write {name} = {{policy = "keep", reason = "…"}}',
                    values={"name": name},
                )
            )
        else:
            policies[name] = str(policy)
    return policies


def missing(settings: Settings) -> list[ConfigError]:
    """Return the folders and files that settings name and that are not there, each with the place that names it."""
    errors = []
    for key in NAMED_FILES:
        value = settings[key]
        for path in value if isinstance(value, tuple) else (value,):
            if path is not None and not path.exists():
                hint = "create it or take it out of the settings"
                values = {"key": key, "path": path}
                where = settings.origins[key]
                errors.append(
                    ConfigError("{key} names {path}, which is not there", where=where, hint=hint, values=values)
                )
    return errors


def _nearest(key: str, known: Mapping[str, object] | Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  only for a message

    found = get_close_matches(key, list(known), n=1)
    return f"did you mean {found[0]}?" if found else "see docs/operations.md for all keys"
