"""The block `custom: {secmon: …}` of a rule: what Sigma has no word for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from secmon.sigma.documents import YamlDocument
from secmon.sigma.rule import DEFAULT_GROUP_WINDOW

_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_REASON_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELD_NAME = re.compile(r"[@\w][\w.@ -]*")
_KEYS = ("title_zh", "group_by", "group_window", "controls", "playbook", "reason", "baseline", "intel")


class CustomError(Exception):
    """The block is wrong.

    Args:
        problem: what is wrong.
        path: the keys that lead to the place.
        hint: what to do about it.
    """

    def __init__(self, problem: str, *path: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem, self.path, self.hint = problem, path, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """What the block says; fields as in `Rule`. `group_by` is None where it says nothing.

    Args:
        extensions: the blocks within it that other modules read: "baseline" (`baseline.py`), "intel" (`intel.py`).
    """

    title_zh: str = ""
    group_by: tuple[str, ...] | None = None
    group_window: timedelta = DEFAULT_GROUP_WINDOW
    controls: tuple[str, ...] = ()
    playbook: str = ""
    reason: str = ""
    reason_fields: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()


def read_custom(document: YamlDocument) -> Custom:
    """Read the block of a rule; a rule without one has the defaults.

    Raises:
        CustomError: a key is unknown or its value of the wrong kind.
    """
    custom = document.data.get("custom")
    block = custom.get("secmon") if isinstance(custom, dict) else None
    if block is None:
        return Custom()
    if not isinstance(block, dict):
        raise CustomError("custom.secmon is not a mapping")
    for key in block:
        if key not in _KEYS:
            raise CustomError(f"unknown key custom.secmon.{key}", key, hint="known: " + ", ".join(_KEYS))
    reason = _text(block, "reason")
    return Custom(
        title_zh=_text(block, "title_zh"),
        group_by=_texts(block, "group_by") if "group_by" in block else None,
        group_window=_span(block, "group_window", DEFAULT_GROUP_WINDOW),
        controls=_texts(block, "controls"),
        playbook=_text(block, "playbook"),
        reason=reason,
        reason_fields=_reason_fields(reason),
        extensions=tuple(key for key in ("baseline", "intel") if key in block),
    )


def read_grouping(block: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, timedelta | None]:
    """Return `group_by` and `group_window` of a block, None where it says nothing.

    Raises:
        CustomError: one of them is of the wrong kind.
    """
    group_by = _texts(block, "group_by") if "group_by" in block else None
    return group_by, _span(block, "group_window", DEFAULT_GROUP_WINDOW) if "group_window" in block else None


def _text(block: dict[str, Any], key: str) -> str:
    value = block.get(key, "")
    if not isinstance(value, str):
        raise CustomError(f"custom.secmon.{key} is not a text", key)
    return value


def _texts(block: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = block.get(key, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise CustomError(f"custom.secmon.{key} is not a list of texts", key)
    return tuple(dict.fromkeys(values))


def _span(block: Mapping[str, Any], key: str, default: timedelta) -> timedelta:
    if key not in block:
        return default
    found = _SPAN.fullmatch(str(block[key]))
    if found is None:
        raise CustomError(f"custom.secmon.{key} is not a span of time", key, hint="such as 30m, 1h or 2d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def _reason_fields(reason: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_REASON_FIELD.findall(reason)))
    for name in names:
        if not _FIELD_NAME.fullmatch(name):
            problem = "custom.secmon.reason holds a place without a field name"
            raise CustomError(problem, "reason", hint="such as {user.name}")
    if set("{}") & set(_REASON_FIELD.sub("", reason)):
        raise CustomError("custom.secmon.reason holds a brace without its partner", "reason")
    return names
