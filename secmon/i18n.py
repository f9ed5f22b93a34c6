"""Texts in the user's language: zh-CN first, English second (gettext).

Message ids are the English sentences in the code; locale/zh_CN/LC_MESSAGES holds the Chinese ones: secmon.po those of
errors, words.po what commands print for people, usage.po what click says of a command line, help.po their help. The
.po files are read directly (they are small), so that no compiled copy can fall behind them.
"""

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

DEFAULT_LANGUAGE = "zh-CN"
_OURS = ("words.po", "secmon.po")
_USAGE = ("usage.po",)
HELP = ("help.po",)
_MAX_RECOGNISED = 1000
_PLACE = re.compile(r"\{([a-z_]+)\}")
_FILE_AND_LINE = re.compile(r"(\S.*?:(?:\d+|(?:record|object|event) [^:]+)): (.+)")


def translator(language: str | None = None, files: tuple[str, ...] = _OURS) -> Callable[[str], str]:
    """Return the function that turns an English message into the language's text.

    Args:
        language: "zh-CN" or "en"; None takes SECMON_SECMON__LANG, else zh-CN.
        files: catalogues; those of errors and of what commands print, unless `HELP` is given.
    """
    chosen = language or os.environ.get("SECMON_SECMON__LANG") or DEFAULT_LANGUAGE
    if chosen == "en":
        return str
    messages = _catalogue(files)
    return lambda message: messages.get(message, message)


def translated(text: str) -> str:
    """Return the Chinese of a message that was kept with its values filled in, such as a dead letter's problem.

    What cannot be recognised stays as it is. Understands `PLACE: problem (remedy)` as well.
    """
    # Some problems begin with a value, which would swallow the place before it.
    if len(text) <= _MAX_RECOGNISED and (placed := _FILE_AND_LINE.fullmatch(text)):
        found = translated(placed[2])
        return f"{placed[1]}：{found}" if found != placed[2] else _recognised(text) or text
    # A remedy that is known stands by itself: the last place of a problem would swallow it, brackets and all.
    problem, bracket, remedy = text.removesuffix(")").partition(" (")
    ends = bool(bracket) and text.endswith(")")
    if ends and ": " not in problem and (found := _recognised(problem)) and (advice := _recognised(remedy)):
        return f"{found}（{advice}）"
    if found := _recognised(text):
        return found
    place, colon, rest = text.partition(": ")
    if colon and (found := translated(rest)) != rest:
        return f"{place}：{found}"
    if ends and (found := _recognised(problem)):
        return f"{found}（{_recognised(remedy) or remedy}）"
    return text


def translated_usage(text: str) -> str:
    """Return the Chinese of what click says of a command line; what cannot be recognised stays as it is."""
    return _recognised(" ".join(text.split()), _USAGE) or text


def _recognised(text: str, files: tuple[str, ...] = _OURS) -> str:
    messages = _catalogue(files)
    if text in messages or len(text) > _MAX_RECOGNISED:
        return messages.get(text, "")
    again = translated if files is _OURS else translated_usage
    for pattern, translation in _patterns(files):
        if found := pattern.fullmatch(text):
            # "{problem} (and {number} more)" holds a message itself.
            values = {name: again(text) if name == "problem" else text for name, text in found.groupdict().items()}
            return _put(translation, values)
    return ""


def _put(translation: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), translation)


@cache
def _patterns(files: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the messages with places as patterns, and their translations."""
    found: list[tuple[re.Pattern[str], str]] = []
    for message, translation in _catalogue(files).items():
        parts = _PLACE.split(message)
        if len(parts) == 1:
            continue
        pattern, seen = re.escape(parts[0]), set[str]()
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            pattern += (f"(?P={name})" if name in seen else f"(?P<{name}>.+?)") + re.escape(text)
            seen.add(name)
        found.append((re.compile(pattern), translation))
    return tuple(found)


@cache
def _catalogue(files: tuple[str, ...]) -> dict[str, str]:
    folder = resources.files("secmon") / "locale" / "zh_CN" / "LC_MESSAGES"
    found: dict[str, str] = {}
    for name in files:
        found |= parse_po((folder / name).read_text(encoding="utf-8"))
    return found


def parse_po(text: str) -> dict[str, str]:
    """Return message → translation of a .po file (no plurals, no contexts: we use neither)."""
    messages: dict[str, str] = {}
    parts: dict[str, str] = {}
    current = ""
    for line in [*text.splitlines(), ""]:
        keyword, _, rest = line.partition(" ")
        if keyword in {"msgid", "msgstr"}:
            if keyword == "msgid":
                _keep(parts, messages)
                parts = {}
            current = keyword
            parts[current] = _unquoted(rest)
        elif line.startswith('"'):
            parts[current] = parts.get(current, "") + _unquoted(line)
    _keep(parts, messages)
    return messages


def _keep(parts: dict[str, str], messages: dict[str, str]) -> None:
    if parts.get("msgid") and parts.get("msgstr"):
        messages[parts["msgid"]] = parts["msgstr"]


def _unquoted(text: str) -> str:
    body = text.strip()[1:-1]
    return body.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
