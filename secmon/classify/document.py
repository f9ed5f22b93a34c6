"""One YAML document with the line of every value, and readers that name path and line when it is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import re2
import yaml

from secmon.errors import ContentError

_MAX_CHARACTERS = 200_000
_MAX_DEPTH = 20

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML document; places are dotted keys, "" is the whole.

    Args:
        path: the file's path, for errors.
        values: place → value (mapping, list or scalar).
        lines: place → line, from 1.
    """

    path: str
    values: Mapping[str, object]
    lines: Mapping[str, int]

    def error(self, place: str, problem: str, *, hint: str = "") -> ContentError:
        """Return an error at the line of a place, or of the nearest place around it."""
        around = place
        while around and around not in self.lines:
            around = around.rpartition(".")[0]
        line = self.lines.get(around, 1)
        shown = f"{place}: {problem}" if place else problem
        return ContentError(shown, where=f"{self.path}:{line}", hint=hint)

    def mapping(self, place: str, *, required: Sequence[str] = ()) -> Mapping[str, object]:
        """Return a mapping; an absent one is empty, unless something in it is required."""
        value = self.values.get(place)
        if value is None and not required:
            return {}
        if not isinstance(value, dict):
            raise self.error(place, "a mapping is needed here")
        for key in required:
            if value.get(key) is None:
                raise self.error(place, f"{key} is missing")
        return value

    def refuse_unknown(self, place: str, known: Sequence[str]) -> None:
        """Raise an error at the first key that the format does not have."""
        for key in self.mapping(place):
            if key not in known:
                inner = f"{place}.{key}" if place else key
                raise self.error(inner, "unknown key", hint=f"known are {', '.join(known)}")

    def text(self, place: str, *, default: str | None = None, pattern: str = "") -> str:
        """Return a text, checked against an RE2 pattern if there is one."""
        value = self.values.get(place)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.error(place, "a text is needed here", hint="quote numbers")
        if pattern and re2.fullmatch(pattern, value) is None:
            raise self.error(place, "the text has not the right form")
        return value

    def choice(self, place: str, choices: Sequence[Choice], *, default: Choice | None = None) -> Choice:
        """Return one of some texts."""
        value = self.values.get(place)
        if value is None and default is not None:
            return default
        for choice in choices:
            if value == choice:
                return choice
        raise self.error(place, "not one of the known values", hint=f"known are {', '.join(c for c in choices if c)}")

    def texts(self, place: str, *, most: int = 1_000) -> tuple[str, ...]:
        """Return a list of texts; an absent one is empty."""
        value = self.values.get(place)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > most:
            raise self.error(place, "a list of texts is needed here")
        if not all(isinstance(item, str) and item for item in value):
            raise self.error(place, "every item must be a text", hint="quote numbers")
        return tuple(value)

    def integers(self, place: str, least: int, most: int) -> tuple[int, ...]:
        """Return a list of whole numbers within limits; an absent one is empty."""
        value = self.values.get(place)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(type(item) is int and least <= item <= most for item in value):
            raise self.error(place, f"a list of whole numbers from {least} to {most} is needed here")
        return tuple(value)

    def integer(self, place: str, least: int, most: int, *, default: int) -> int:
        """Return a whole number within limits."""
        value = self.values.get(place)
        if value is None:
            return default
        if type(value) is not int or not least <= value <= most:
            raise self.error(place, f"a whole number from {least} to {most} is needed here")
        return value

    def number(self, place: str, least: float, most: float, *, default: float | None = None) -> float:
        """Return a number within limits."""
        value = self.values.get(place)
        if value is None and default is not None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise self.error(place, f"a number from {least} to {most} is needed here")
        return float(value)

    def flag(self, place: str) -> bool:
        """Return true or false; an absent one is false."""
        value = self.values.get(place)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.error(place, "true or false is needed here")
        return value


def read_document(path: str, text: str) -> Document:
    """Parse YAML.

    Raises:
        ContentError: it is not YAML, no mapping, too large or deep, has aliases or a key twice.
    """
    if len(text) > _MAX_CHARACTERS:
        raise ContentError("the file is too large", where=f"{path}:1")
    try:
        _refuse_bombs(path, text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ContentError("not YAML", where=f"{path}:{_line(mark)}") from error
    except (RecursionError, ValueError) as error:
        raise ContentError("not YAML that can be read", where=f"{path}:1") from error
    if not isinstance(data, dict) or root is None:
        raise ContentError("a mapping is needed", where=f"{path}:1")
    values: dict[str, object] = {}
    lines: dict[str, int] = {}
    for place, value, line in _places(path, root, data):
        values[place], lines[place] = value, line
    return Document(path, values, lines)


def _refuse_bombs(path: str, text: str) -> None:
    """Refuse aliases, which can make a small file huge, and depth, which makes the parser slow."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise ContentError("aliases are not allowed", where=f"{path}:{_line(event.start_mark)}")
        if depth > _MAX_DEPTH:
            raise ContentError("too deep", where=f"{path}:{_line(event.start_mark)}")


def _line(mark: object) -> int:
    """Return the line of a YAML mark, 1 if it has none (the parser written in C gives some marks, some not)."""
    number = getattr(mark, "line", 0)
    return number + 1 if isinstance(number, int) else 1


def _places(
    path: str, node: yaml.Node, data: object, *, place: str = "", line: int = 1
) -> Iterator[tuple[str, object, int]]:
    """Yield (dotted place, value, line of its key) of a node and of every mapping value below it."""
    yield place, data, line
    if not isinstance(node, yaml.MappingNode) or not isinstance(data, dict):
        return
    seen: set[str] = set()
    for key_node, value_node in node.value:
        key, line = key_node.value, _line(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode) or key not in data:
            raise ContentError("a key must be plain text", where=f"{path}:{line}")
        if key in seen:
            raise ContentError("a key stands twice", where=f"{path}:{line}")
        seen.add(key)
        yield from _places(path, value_node, data[key], place=f"{place}.{key}" if place else key, line=line)
