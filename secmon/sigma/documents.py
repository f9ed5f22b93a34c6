"""YAML documents of a rule file as plain values, with the line of every key.

The builder works on libyaml's events, not on PyYAML's objects: no tag constructs anything, nesting costs no stack,
and what stands there is what is compared. So `0x1400`, `0123`, `12:30`, `yes` and `2026-01-01` stay text, although
YAML 1.1 would read numbers, booleans and dates; a decimal number is one only in its own shortest form (`10.0` stays
text, because an event that says "10.0" shall be equal to it).

Hostile input: size, depth, number of values and what aliases multiply are limited (`limits.py`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from secmon.errors import ContentError
from secmon.sigma.limits import MAX_CHARS, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES
from secmon.sigma.values import text_of

Path = tuple[str | int, ...]
# str | int | float | bool | None | list[Plain] | dict[str, Plain]; pySigma takes it as it comes.
Plain = Any

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,308})", re.ASCII)
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,308})\.[0-9]{1,30}", re.ASCII)
_STRING_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document.

    Args:
        path: its file.
        line: the line it starts on, from 1.
        data: its content as plain values.
        lines: path of keys and indexes → line of that key or item.
        nodes: number of its values and keys, what aliases stand for included.
        chars: number of their characters.
        conflict: path of a key that has another value in the file's global document; empty if there is none.
        is_too_much: it belongs to more documents than are put together in one file (`collections.py`).
    """

    path: str
    line: int
    data: Plain
    lines: Mapping[Path, int]
    nodes: int = 0
    chars: int = 0
    conflict: Path = ()
    is_too_much: bool = False

    def line_of(self, *path: str | int) -> int:
        """Return the line of the innermost part of a path that is there."""
        for length in range(len(path), 0, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return self.line


class _Size(NamedTuple):
    """What a part of a document takes, aliases resolved."""

    nodes: int
    chars: int


@dataclass(slots=True)
class _Open:
    """A collection that is being read; it takes what was read since `before`."""

    container: dict[str, Plain] | list[Plain]
    path: Path
    anchor: str | None
    before: _Size
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    path: str
    lines: dict[Path, int] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Plain, _Size]] = field(default_factory=dict)
    root: Plain = None
    nodes: int = 0
    chars: int = 0

    def fail(self, problem: str, line: int, hint: str = "") -> ContentError:
        return ContentError(problem, where=f"{self.path}:{line}", hint=hint)

    def document(self, start: int) -> YamlDocument:
        line = min(self.lines.values(), default=start)
        return YamlDocument(self.path, line, self.root, self.lines, self.nodes, self.chars)

    def take(self, event: yaml.Event) -> None:
        line = _line(event)
        if isinstance(event, yaml.ScalarEvent):
            self.scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self.stack.pop()
            if closed.anchor:
                size = _Size(self.nodes - closed.before.nodes, self.chars - closed.before.chars)
                self.anchors[closed.anchor] = (closed.container, size)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event, line)

    def scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None and isinstance(top.container, dict):
            self.key(event.value, line, top)
            return
        if event.tag not in {None, "!", _STRING_TAG}:
            raise self.fail("YAML tags are not supported", line, "write the value in quotes if it is text")
        value = _plain(event.value) if event.implicit[0] else event.value
        size = _Size(1, len(event.value))
        if event.anchor:
            self.anchors[event.anchor] = (value, size)
        self.count(size, line)
        self.put(value, line)

    def key(self, name: str, line: int, top: _Open) -> None:
        if name == "<<":
            raise self.fail("merge keys (<<) are not supported", line, "write the keys out")
        if name in top.container:
            raise self.fail("a key stands twice in one mapping", line, "only one would count: put both into a list")
        top.key = name
        self.count(_Size(1, len(name)), line)
        self.lines[(*top.path, name)] = line

    def open(self, event: yaml.CollectionStartEvent, line: int) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise self.fail("nested too deep", line)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None and isinstance(top.container, dict):
            raise self.fail("a key must be a text", line)
        path = self.place()
        container: dict[str, Plain] | list[Plain] = {} if isinstance(event, yaml.MappingStartEvent) else []
        before = _Size(self.nodes, self.chars)
        self.count(_Size(1, 0), line)
        self.put(container, line)
        self.stack.append(_Open(container, path, event.anchor, before))

    def alias(self, event: yaml.AliasEvent, line: int) -> None:
        if event.anchor not in self.anchors:
            raise self.fail("an alias (*name) without its anchor", line)
        value, size = self.anchors[event.anchor]
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None and isinstance(top.container, dict):
            self.key(text_of(value) if isinstance(value, str | int | float) else "<<", line, top)
            return
        self.count(size, line)
        self.put(value, line)

    def place(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        return (*top.path, len(top.container) if isinstance(top.container, list) else str(top.key))

    def count(self, size: _Size, line: int) -> None:
        self.nodes += size.nodes
        self.chars += size.chars
        if self.nodes > MAX_NODES or self.chars > MAX_CHARS:
            raise self.fail("too many values", line, "split the file")

    def put(self, value: Plain, line: int) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top.container, list):
            self.lines[(*top.path, len(top.container))] = line
            top.container.append(value)
        else:
            top.container[str(top.key)] = value
            top.key = None


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _plain(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar."""
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and text_of(float(text)) == text:
        return float(text)
    return text


def documents(path: str, text: str) -> Iterator[YamlDocument]:
    """Yield the documents of a file that hold anything.

    Args:
        path: the file's name, for messages.
        text: its content.

    Raises:
        ContentError: it is not YAML, too large, too deep, or uses what rules have no need of; with the line.
    """
    if len(text) > MAX_CHARS:
        raise ContentError("larger than 1 MiB", where=f"{path}:1", hint="split the file")
    builder, start, count = _Builder(path), 1, 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.DocumentStartEvent):
                builder, start, count = _Builder(path), _line(event), count + 1
                if count > MAX_DOCUMENTS:
                    raise builder.fail("too many documents", start, "split the file")
            elif isinstance(event, yaml.DocumentEndEvent):
                if builder.root is not None:
                    yield builder.document(start)
            else:
                builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        hint = "check indentation, colons and quotes"
        raise ContentError("not valid YAML", where=f"{path}:{line}", hint=hint) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise ContentError("not valid YAML text", where=f"{path}:1", hint="save the file as UTF-8") from error
