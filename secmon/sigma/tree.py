"""The condition tree of a compiled rule: and, or, not over atoms, an atom being one comparison.

Fields stand as they are called in events: taxonomies and pipelines were applied when the rule was compiled.
What an atom means is defined in `match.py`, and nowhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Wildcard = Literal["*", "?"]


@dataclass(frozen=True, slots=True)
class Wild:
    """A wildcard in a pattern: "*" is any text, "?" is any one character."""

    sign: Wildcard


Part = str | Wild
Pattern = tuple[Part, ...]

ANY_TEXT = Wild("*")
ANY_CHARACTER = Wild("?")


class Operator(StrEnum):
    """Numeric comparisons."""

    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    NEQ = "neq"
    EQ = "eq"


class TimePart(StrEnum):
    """Parts of a time (UTC) that a rule can ask for; the week is the ISO week."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Text:
    """The whole value is this pattern; `cased` tells upper from lower case."""

    field: str
    pattern: Pattern
    cased: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """RE2 finds this expression somewhere in the value; `flags` is a sorted subset of "ims"."""

    field: str
    expression: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """The value is a number, and compares like this; with `part`, that part of the time which the value is."""

    field: str
    operator: Operator
    number: int | float
    part: TimePart | None = None


@dataclass(frozen=True, slots=True)
class Cidr:
    """The value is an address in this network (written as `ipaddress` writes it)."""

    field: str
    network: str


@dataclass(frozen=True, slots=True)
class Null:
    """The field has no value."""

    field: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    field: str


class FieldRelation(StrEnum):
    """How two fields compare."""

    EQUAL = "equal"
    STARTS = "startswith"
    ENDS = "endswith"
    CONTAINS = "contains"


@dataclass(frozen=True, slots=True)
class FieldReference:
    """A value of the field equals, starts with, ends with or contains a value of another field, in any case."""

    field: str
    other: str
    relation: FieldRelation = FieldRelation.EQUAL


@dataclass(frozen=True, slots=True)
class Keyword:
    """Some value of the event, whatever its field, contains this pattern."""

    pattern: Pattern
    cased: bool = False


@dataclass(frozen=True, slots=True)
class KeywordRegex:
    """RE2 finds this expression in some value of the event, whatever its field."""

    expression: str
    flags: str = ""


# Atoms that one value of one field decides, and atoms that need the event as a whole.
ValueAtom = Text | Regex | Compare | Cidr
EventAtom = Null | Exists | FieldReference | Keyword | KeywordRegex
Atom = ValueAtom | EventAtom


@dataclass(frozen=True, slots=True)
class And:
    """All of these."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this."""

    node: "Node"


Node = And | Or | Not | Atom


def atoms_of(node: Node) -> Iterator[Atom]:
    """Yield every atom of a tree, in order, repetitions included."""
    if isinstance(node, And | Or):
        for child in node.nodes:
            yield from atoms_of(child)
    elif isinstance(node, Not):
        yield from atoms_of(node.node)
    else:
        yield node


def fields_of(node: Node) -> tuple[str, ...]:
    """Return the fields that a tree looks at, sorted; keywords look at no field in particular."""
    names: set[str] = set()
    for atom in atoms_of(node):
        if not isinstance(atom, Keyword | KeywordRegex):
            names.add(atom.field)
        if isinstance(atom, FieldReference):
            names.add(atom.other)
    return tuple(sorted(names))


# Fields that this program adds to an event; a keyword search over them would find the program, not the log.
_BOOKKEEPING = frozenset(
    {
        "@timestamp",
        "ecs.version",
        "event.hash",
        "event.id",
        "event.ingested",
        "event.original",
        "log.file.path",
    }
)
_BOOKKEEPING_PREFIXES = ("secmon.", "unit.", "asset.")


def is_searched(field: str) -> bool:
    """Tell whether keywords look into a field: every one that came with the record."""
    return field not in _BOOKKEEPING and not field.startswith(_BOOKKEEPING_PREFIXES)
