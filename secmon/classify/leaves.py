"""The values of one line of JSON or of one row of CSV, each with its name and its place in the text."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from secmon.classify.views import views

_MAX_DEPTH = 100

_JSON_TOKEN = re.compile(
    r'[ \t\r\n]*+(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*+")|(?P<number>-?[0-9][0-9.eE+\-]*+)'
    r"|(?P<word>true|false|null)|(?P<sign>[{}\[\],:]))"
)
_PLAIN_KEY = re.compile(r"[0-9A-Za-z_\u3400-\u9fff\-]+")


class Leaf(NamedTuple):
    """One value: where it stands, without quotes but with its escapes, and what it is called.

    `path` is a JSON path or "column:NAME"; `key` the name that says what it is; `column` its place in a row.
    """

    start: int
    end: int
    path: str
    key: str
    is_number: bool = False
    column: int = 0


class _Open(NamedTuple):
    """An object or list that is being read: its path, the key that leads to it, a list's current item (else -1)."""

    path: str
    key: str
    item: int


class _Reader:
    """Where in a JSON value the reading is: the path and key of what comes next."""

    def __init__(self) -> None:
        self.stack: list[_Open] = []
        self.path, self.key = "$", ""

    @property
    def in_object(self) -> bool:
        return bool(self.stack) and self.stack[-1].item < 0

    def take(self, sign: str) -> bool:
        """Follow one sign; False if it cannot stand here."""
        if sign in "{[":
            self.stack.append(_Open(self.path, self.key, 0 if sign == "[" else -1))
            self.path += "[0]" if sign == "[" else ""
            return len(self.stack) <= _MAX_DEPTH
        if not self.stack:
            return False
        if sign in "}]":
            self.path, self.key, _ = self.stack.pop()
        elif sign == "," and not self.in_object:
            top = self.stack[-1]
            self.stack[-1] = top._replace(item=top.item + 1)
            self.path, self.key = f"{top.path}[{top.item + 1}]", top.key
        return True

    def name(self, name: str) -> None:
        """Take the name of an object's next value."""
        self.path, self.key = self.stack[-1].path + _step(name), name


def json_leaves(text: str) -> list[Leaf] | None:
    """Return the texts and numbers of one JSON value; None if it is not JSON or too deep.

    It is lenient where that does not change what belongs to what: commas and colons are not counted.
    """
    leaves: list[Leaf] = []
    reader, place, end = _Reader(), 0, len(text.rstrip())
    while place < end:
        token = _JSON_TOKEN.match(text, place)
        if token is None:
            return None
        place = token.end()
        start = token.start(token.lastgroup or 0)
        if token["sign"]:
            if not reader.take(token["sign"]):
                return None
        elif token["text"] and reader.in_object and _COLON.match(text, place):
            reader.name(views(token["text"][1:-1])[-1].text if "\\" in token["text"] else token["text"][1:-1])
        elif token["text"]:
            leaves.append(Leaf(start + 1, place - 1, reader.path, reader.key))
        elif token["number"]:
            leaves.append(Leaf(start, place, reader.path, reader.key, is_number=True))
    return None if reader.stack else leaves


_COLON = re.compile(r"[ \t\r\n]*+:")


def _step(name: str) -> str:
    return f".{name}" if _PLAIN_KEY.fullmatch(name) else f"[{name!r}]"


def cells(row: str, delimiter: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of every cell of a CSV row (RFC 4180), quotes around a cell left out."""
    place, end = 0, len(row.rstrip("\r\n"))
    while place <= end:
        if row[place : place + 1] == '"':
            close = _closing_quote(row, place + 1, end)
            yield place + 1, close
            following = row.find(delimiter, close, end)
        else:
            following = row.find(delimiter, place, end)
            yield place, following if following >= 0 else end
        if following < 0:
            return
        place = following + 1


def _closing_quote(row: str, place: int, end: int) -> int:
    """Return where a quoted cell's text ends; doubled quotes belong to it, a missing quote ends with the row."""
    while True:
        quote = row.find('"', place, end)
        if quote < 0:
            return end
        if row[quote + 1 : quote + 2] != '"':
            return quote
        place = quote + 2


def cell_leaves(row: str, delimiter: str, header: Sequence[str]) -> list[Leaf]:
    """Return the cells of a row; without a header a column is called by its number."""
    leaves: list[Leaf] = []
    for number, (start, end) in enumerate(cells(row, delimiter)):
        name = header[number] if number < len(header) else ""
        leaves.append(Leaf(start, end, f"column:{name or number + 1}", name, column=number))
    return leaves
