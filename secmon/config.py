"""Settings: where they come from, what they mean, and where a wrong one stands.

Order: flags > SECMON_SECTION__KEY > `--config` or /etc/secmon/secmon.toml, each with its conf.d/*.toml > the user's
own file > defaults. Unknown keys are errors. Every setting is one row of `SETTINGS` or `SOURCE_SETTINGS`.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from secmon.errors import ConfigError

MIN_RETENTION_DAYS = 180
"""网络安全法 第二十三条第三项 (2025 修改; formerly 第二十一条): logs are kept for at least six months."""
MAX_RETENTION_DAYS = 36_500

_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")

MASK_POLICIES = ("partial", "token", "drop", "keep")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004  one error class for every bad value
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def _path(value: object) -> Path:
    text = _text(value)
    if not text or "\0" in text:
        raise ValueError("must be a path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("must be a path: nobody knows that home folder") from None


def _paths(value: object) -> tuple[Path, ...]:
    return tuple(map(_path, _texts(value)))


def _optional_path(value: object) -> Path | None:
    return _path(value) if value else None


def _zone(value: object) -> ZoneInfo:
    try:
        return ZoneInfo(_text(value))
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a time zone such as Asia/Shanghai") from None


def _duration(value: object) -> timedelta:
    found = _DURATION.fullmatch(_text(value))
    if not found:
        raise ValueError("must be a duration such as 30s, 10m, 1h or 7d")
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise ValueError("must be a shorter duration") from None


def _retention(value: object) -> int:
    days = _whole(value)
    if days < MIN_RETENTION_DAYS:
        raise ValueError("must be at least 180: the law asks for six months (网络安全法)")
    if days > MAX_RETENTION_DAYS:
        raise ValueError("must be at most 36500: a hundred years")
    return days


def _whole(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError("must be a whole number")
    return number


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return str(value)

    return check


def _kind(value: object) -> str:
    from secmon.parse.registry import KINDS  # noqa: PLC0415  all parsers: only a file with sources needs them

    name = _text(value)
    if name not in KINDS:
        raise ValueError("must be one of " + ", ".join(sorted(KINDS)))
    return name


def _listen(value: object) -> tuple[str, int]:
    host, _, port = _text(value).rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004  ports are 16 bits
        raise ValueError("must be HOST:PORT such as 127.0.0.1:8640")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Args:
        key: dotted name, "section.key".
        default: its value as it would stand in the file; None means "no value".
        read: turns the file's value into ours; raises ValueError that says what it must be.
        doc: one sentence for docs and `config show`.
        secret: never shown.
    """

    key: str
    default: Any
    read: Callable[[object], Any]
    doc: str
    secret: bool = False


def _default_state() -> str:
    system = Path("/var/lib/secmon")
    if os.geteuid() == 0 or os.access(system, os.W_OK):
        return str(system)
    return str(Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "secmon")


SETTINGS = (
    Setting("secmon.state", None, _path, "Folder of keys, checkpoints and the embedded store."),
    Setting("secmon.zone", "Asia/Shanghai", _zone, "Time zone of sources that name none, and of the console."),
    Setting("secmon.lang", "zh-CN", _one_of("zh-CN", "en"), "Language of what people read."),
    Setting("secmon.workers", 1, _whole, "Worker processes; 0 works inside the main process."),
    Setting("store.kind", "sqlite", _one_of("sqlite"), "Which store: the embedded one."),
    Setting("store.retention_days", 183, _retention, "Days that security logs are kept; never below 180."),
    Setting("console.listen", "127.0.0.1:8640", _listen, "Address of the console; loopback unless you change it."),
    Setting("content.rules", [], _paths, "Own rule folders, laid over the shipped ones."),
    Setting("content.classifiers", [], _paths, "Own classifier folders, laid over the shipped ones."),
    Setting("content.playbooks", [], _paths, "Own playbook folders, laid over the shipped ones."),
    Setting("content.frameworks", [], _paths, "Own framework folders, laid over the shipped ones."),
    Setting("registers.units", "", _optional_path, "units.yaml: the unit tree."),
    Setting("registers.assets", "", _optional_path, "assets.csv: the asset register."),
    Setting("documents.fonts", [], _paths, "Folders of the office's own fonts (仿宋_GB2312 …)."),
    Setting("keys.pii_file", "", _optional_path, "Key of tokens; default STATE/keys/pii.key.", secret=False),
    Setting("keys.vault_file", "", _optional_path, "Key of the vault; default STATE/keys/vault.key."),
)

SOURCE_SETTINGS = (
    Setting("name", None, _text, "Id of the source; never change it, ids of events rest on it."),
    Setting("kind", None, _kind, "Kind of its records, such as nginx.access."),
    Setting("paths", [], _texts, "Files, folders or patterns to follow."),
    Setting("zone", "", lambda value: _zone(value) if value else None, "Time zone of its clock."),
    Setting("asset", "", _text, "Asset all its events belong to, where the register cannot tell."),
    Setting("unit", "", _text, "Unit all its events belong to, where no asset can tell."),
    Setting("silent_after", "1h", _duration, "How long it may send nothing before it counts as silent."),
)
_NAMED_FILES = ("documents.fonts", "registers.units", "registers.assets")
_BY_KEY = {setting.key: setting for setting in SETTINGS}
_SOURCE_BY_KEY = {setting.key: setting for setting in SOURCE_SETTINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """One `[[sources]]` table."""

    name: str
    kind: str
    paths: tuple[str, ...] = ()
    zone: ZoneInfo | None = None
    asset: str = ""
    unit: str = ""
    silent_after: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked.

    Args:
        values: dotted key → value.
        origins: dotted key → "default", "file:line", "env" or "flag".
        sources: the sources, in order.
        mask: class → policy.
        shown: dotted key → the value as `config show` prints it.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    sources: tuple[SourceSettings, ...] = ()
    mask: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, object] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def state(self) -> Path:
        """The state folder."""
        path: Path = self.values["secmon.state"]
        return path


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
        ConfigError: the first problem; `settings_problems` lists all of them.
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
        for key, value in content.items():
            reading.raw[f"{section}.{key}"] = (value, place(f"{section}.{key}"))
    else:
        reading.errors.append(ConfigError("unknown key {key}", where=place(section), values={"key": section}))


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
    setting = _BY_KEY.get(key)
    if setting is not None and isinstance(setting.default, list):
        return [part for part in value.split(os.pathsep) if part]
    return value


def _checked(reading: _Reading) -> Settings:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    shown: dict[str, object] = {}
    for key, (_, origin) in reading.raw.items():
        if key not in _BY_KEY:
            reading.errors.append(
                ConfigError("unknown key {key}", where=origin, hint=_nearest(key, _BY_KEY), values={"key": key})
            )
    for setting in SETTINGS:
        raw, origin = reading.raw.get(setting.key, (setting.default, "default"))
        if setting.key == "secmon.state" and raw is None:
            raw = _default_state()
        values[setting.key] = _value(setting, raw, origin, reading)
        if setting.key == "secmon.state" and values[setting.key] is None:
            values[setting.key] = Path(_default_state())  # the error stands among the others
        origins[setting.key], shown[setting.key] = origin, "***" if setting.secret and raw else raw
    for name, base in (("keys.pii_file", "pii.key"), ("keys.vault_file", "vault.key")):
        values[name] = values[name] or values["secmon.state"] / "keys" / base
    return Settings(values, origins, _sources(reading), _mask(reading), shown)


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
            setting = _SOURCE_BY_KEY.get(key)
            if setting is None:
                hint = _nearest(key, _SOURCE_BY_KEY)
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
    for key in (*(name for name in _BY_KEY if name.startswith("content.")), *_NAMED_FILES):
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
