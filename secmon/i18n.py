"""Texts in the user's language: zh-CN first, English second (gettext).

Message ids are the English sentences in the code; locale/zh_CN/LC_MESSAGES/secmon.po holds the Chinese ones. The
.po file is read directly (it is small), so that no compiled copy can fall behind it.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import resources

DEFAULT_LANGUAGE = "zh-CN"


def translator(language: str | None = None) -> Callable[[str], str]:
    """Return the function that turns an English message into the language's text.

    Args:
        language: "zh-CN" or "en"; None takes SECMON_SECMON__LANG, else zh-CN.
    """
    chosen = language or os.environ.get("SECMON_SECMON__LANG") or DEFAULT_LANGUAGE
    if chosen == "en":
        return str
    messages = _catalogue()
    return lambda message: messages.get(message, message)


@cache
def _catalogue() -> dict[str, str]:
    path = resources.files("secmon") / "locale" / "zh_CN" / "LC_MESSAGES" / "secmon.po"
    return parse_po(path.read_text(encoding="utf-8"))


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
