"""YAML content as values that remember their line.

A framework or playbook is written by people; every problem must be told as path:line. Nodes are read from PyYAML's
composer, not built into Python objects: no tag can construct anything, a key is always the text that stands there
(YAML 1.1 would read the key `yes` as a boolean), and a date stays text.

Hostile input: size and depth are limited before anything is composed; aliases, the stuff of YAML bombs, are refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import yaml

from secmon.errors import ContentError

MAX_CHARS = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 100_000

Scalar = str | int | float | bool | None

# libyaml's parser, ten times as fast, where PyYAML was built with it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a file and where it stands ("path:line").

    The accessors raise ContentError, naming place and key, if the value is not of the kind asked for.
    """

    value: "Scalar | tuple[Node, ...] | Mapping[str, Node]"
    where: str

    def fail(self, problem: str, *, hint: str = "", **values: object) -> NoReturn:
        """Raise a ContentError about this place."""
        raise ContentError(problem, where=self.where, hint=hint, values=values)

    def table(self, *, required: tuple[str, ...] = (), optional: tuple[str, ...] | None = ()) -> Mapping[str, "Node"]:
        """Return the mapping; `optional=None` accepts any further key."""
        if not isinstance(self.value, Mapping):
            self.fail("expected a mapping of keys to values")
        for key in required:
            if key not in self.value:
                self.fail("the key {key} is missing", key=key)
        if optional is not None:
            for key, node in self.value.items():
                if key not in required and key not in optional:
                    node.fail("unknown key {key}", hint="known: {known}", key=key, known=", ".join(required + optional))
        return self.value

    def items(self) -> tuple["Node", ...]:
        """Return the elements of the list."""
        if not isinstance(self.value, tuple):
            self.fail("expected a list")
        return self.value

    def text(self, *, empty: bool = False) -> str:
        """Return the text."""
        if not isinstance(self.value, str):
            self.fail("expected a text", hint="put it in quotes")
        if not empty and not self.value.strip():
            self.fail("the text is empty")
        return self.value

    def word(self) -> str:
        """Return a text, or a number or truth value as the text that stands there."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, int | float):
            return str(self.value)
        return self.text()

    def words(self) -> tuple[str, ...]:
        """Return the elements of the list as texts."""
        return tuple(item.word() for item in self.items())

    def number(self) -> float:
        """Return the number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.fail("expected a number")
        return self.value

    def count(self, *, minimum: int = 0) -> int:
        """Return the whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < minimum:
            self.fail("expected a whole number, {minimum} or more", minimum=minimum)
        return self.value

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.fail("expected true or false")
        return self.value

    def choice(self, *allowed: str) -> str:
        """Return the text, which must be one of `allowed`."""
        text = self.word()
        if text not in allowed:
            self.fail("the value is not one of the allowed ones", hint="allowed: {allowed}", allowed=", ".join(allowed))
        return text


def parse_yaml(path: str, text: str) -> Node:
    """Read one YAML document.

    Args:
        path: the file's name, for messages.
        text: its content.

    Raises:
        ContentError: it is not YAML, or too large, too deep, holds an alias, or a key twice.
    """
    if len(text) > MAX_CHARS:
        raise ContentError("the file is larger than {limit} characters", where=path, values={"limit": MAX_CHARS})
    try:
        _refuse_bombs(path, text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else path
        raise ContentError(
            "this is not valid YAML: {problem}",
            where=where,
            hint="check indentation, colons and quotes",
            values={"problem": error.problem or error.context or "syntax"},
        ) from error
    except yaml.YAMLError as error:
        raise ContentError("this is not valid YAML text", where=path, hint="save the file as UTF-8") from error
    if root is None:
        raise ContentError("the file is empty", where=f"{path}:1")
    return _node(path, root)


def _refuse_bombs(path: str, text: str) -> None:
    depth = 0
    for count, event in enumerate(_events(text)):
        line = f"{path}:{event.start_mark.line + 1}" if event.start_mark else path
        if isinstance(event, yaml.AliasEvent):
            raise ContentError("aliases (*name) are not supported", where=line, hint="write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise ContentError("the file is nested too deep or holds too many values", where=line)


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=_Loader)


def _node(path: str, node: yaml.Node) -> Node:
    where = f"{path}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        return Node(_mapping(path, node), where)
    if isinstance(node, yaml.SequenceNode):
        return Node(tuple(_node(path, item) for item in node.value), where)
    return Node(_scalar(node, where), where)


def _mapping(path: str, node: yaml.MappingNode) -> Mapping[str, Node]:
    result: dict[str, Node] = {}
    for key, value in node.value:
        where = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ContentError("a key must be a text", where=where)
        if key.value in result:
            raise ContentError("the key {key} stands twice", where=where, values={"key": key.value})
        child = _node(path, value)
        # A value on the lines below its key is told at the key: that is where a reader looks.
        result[key.value] = Node(child.value, where)
    return result


def _scalar(node: yaml.Node, where: str) -> Scalar:
    text: str = node.value
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        # YAML 1.1 octal, sexagesimal and underscore forms stay text: nobody means them.
        digits = text.lstrip("+-")
        if kind == "int" and digits.isdecimal() and (digits == "0" or not digits.startswith("0")):
            return int(text)
        if kind == "float" and "_" not in text and ":" not in text and text.strip("+-.").lower() not in {"inf", "nan"}:
            return float(text)
    except ValueError as error:  # a number of thousands of digits
        raise ContentError("the number is too long", where=where) from error
    return text
