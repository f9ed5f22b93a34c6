"""A compiled rule set as bytes and back: what pySigma took seconds for is there again without it.

The format follows the dataclasses that a `RuleSet` is made of, whatever their shape: every class is found from its
type hints, and a dump of other shapes (an older program) is refused, not misread. It is MessagePack of
[shape, body]; in the body a dataclass is [number of its class, fields…], an enum [number of its class, value], a
tuple [-1, items…], a span of time [-2, microseconds], a moment [-5,
microseconds since 1970], a mapping [-3, key, value, …], and an object that stood there
before [-4, its number]. What MessagePack has no form for: a number beyond 64 bits [-6, its digits], a text with lone
surrogates [-7, its bytes]. Nothing is looked up or called by a name that stands in the bytes.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

from secmon.errors import ContentError
from secmon.sigma.rule import RuleSet
from secmon.sigma.values import utf8

_TUPLE, _SPAN, _MAPPING, _SAME, _MOMENT, _WHOLE, _BYTES = -1, -2, -3, -4, -5, -6, -7
_SCALARS = (str, int, float, bool, type(None))
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_SURROGATE = re.compile("[\ud800-\udfff]")
_MICROSECOND = timedelta(microseconds=1)
# What bytes of something else make of the reader.
_WRONG = (AttributeError, TypeError, ValueError, IndexError, KeyError, OverflowError, RecursionError)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def dump(ruleset: RuleSet) -> bytes:
    """Return a rule set as bytes.

    Raises:
        ContentError: it holds something that cannot be kept.
    """
    numbers = {one: number for number, one in enumerate(_classes())}
    try:
        try:
            return _encoded(_Writer(numbers).written(ruleset))
        except (UnicodeEncodeError, OverflowError):  # one rule in a million, and no reason to keep none of them
            return _encoded(_CarefulWriter(numbers).written(ruleset))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ContentError("the rules cannot be kept: {reason}", values={"reason": type(error).__name__}) from error


def _encoded(body: Any) -> bytes:
    return msgspec.msgpack.encode([_shape(), body])


def load(data: bytes) -> RuleSet:
    """Return the rule set that `dump` was given.

    Raises:
        ContentError: this is no dump, or one of other shapes.
    """
    try:
        shape, body = msgspec.msgpack.decode(data)
        if shape == _shape():
            ruleset = _Reader(_classes()).read(body)
            if isinstance(ruleset, RuleSet):
                return ruleset
    except (*_WRONG, msgspec.DecodeError) as error:
        raise ContentError("kept rules cannot be read: {reason}", values={"reason": type(error).__name__}) from error
    raise ContentError("kept rules are of another program")


@cache
def _classes() -> tuple[type[Any], ...]:
    """Return every dataclass and enum that a rule set can hold, in a fixed order."""
    found: dict[type[Any], None] = {}
    _collect(RuleSet, found)
    return tuple(found)


def _collect(hint: Any, found: dict[type[Any], None]) -> None:
    if isinstance(hint, type) and hint not in found and (is_dataclass(hint) or issubclass(hint, Enum)):
        found[hint] = None
        for inner in get_type_hints(hint).values() if is_dataclass(hint) else ():
            _collect(inner, found)
    for inner in get_args(hint):
        _collect(inner, found)


@cache
def _shape() -> str:
    """Return 32 hex over the names and types of all fields: another shape is another format."""
    lines = []
    for one in _classes():
        inside = (
            [f"{each.name}:{each.type}" for each in fields(one)] if is_dataclass(one) else [repr(each) for each in one]
        )
        lines.append(f"{one.__module__}.{one.__qualname__}({', '.join(inside)})")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


class _Writer:
    """Writes one rule set; what is the same object is written once."""

    def __init__(self, numbers: Mapping[type[Any], int]) -> None:
        self._numbers = numbers
        self._places: dict[int, int] = {}

    def written(self, value: Any) -> Any:
        if isinstance(value, Enum):  # before scalars: a StrEnum is a text as well
            return [self._numbers[type(value)], value.value]
        if isinstance(value, _SCALARS):
            return value
        if isinstance(value, timedelta | datetime):
            return _time_written(value)
        if isinstance(value, tuple):
            return [_TUPLE, *map(self.written, value)]
        if isinstance(value, Mapping):
            return [_MAPPING, *(self.written(each) for pair in value.items() for each in pair)]
        return self._object(value)

    def _object(self, value: Any) -> list[Any]:
        place = self._places.get(id(value))
        if place is not None:
            return [_SAME, place]
        row = [self._numbers[type(value)], *(self.written(getattr(value, one.name)) for one in fields(value))]
        self._places[id(value)] = len(self._places)
        return row


class _CarefulWriter(_Writer):
    """Writes what MessagePack has no form for, too."""

    def written(self, value: Any) -> Any:
        if isinstance(value, str) and not isinstance(value, Enum) and _SURROGATE.search(value):
            return [_BYTES, utf8(value)]
        if isinstance(value, int) and not _LEAST <= value <= _MOST:
            return [_WHOLE, str(value)]
        return super().written(value)


def _time_written(value: timedelta | datetime) -> list[int]:
    if isinstance(value, timedelta):
        return [_SPAN, value // _MICROSECOND]
    return [_MOMENT, (value - _EPOCH) // _MICROSECOND]


class _Reader:
    """Reads one rule set; objects are numbered in the order in which they are complete, as they were written."""

    def __init__(self, classes: tuple[type[Any], ...]) -> None:
        self._makers = [_maker(one) for one in classes]
        self._objects: list[Any] = []

    def read(self, value: Any) -> Any:  # noqa: PLR0911  one return for each kind of value
        if value.__class__ is not list:
            return value
        tag = value[0]
        if tag == _TUPLE:
            read = self.read
            return tuple([read(each) if each.__class__ is list else each for each in value[1:]])
        if tag >= 0:
            return self._made(tag, value)
        if tag == _SAME:
            return self._objects[value[1]]
        if tag in {_SPAN, _MOMENT}:
            span = timedelta(microseconds=value[1])
            return span if tag == _SPAN else _EPOCH + span
        if tag in {_WHOLE, _BYTES}:
            return int(value[1]) if tag == _WHOLE else value[1].decode("utf-8", "surrogatepass")
        inner = iter([self.read(each) for each in value[1:]])
        return dict(zip(inner, inner, strict=True))

    def _made(self, tag: int, value: list[Any]) -> Any:
        maker, is_enum = self._makers[tag]
        if is_enum:
            return maker(value[1])
        read = self.read
        made = maker(*[read(each) if each.__class__ is list else each for each in value[1:]])
        self._objects.append(made)
        return made


def _maker(one: type[Any]) -> tuple[Any, bool]:
    """Return what makes an instance from the values of all its fields in order, and whether it is an enum."""
    if issubclass(one, Enum):
        return one, True
    names = [each.name for each in fields(one)]
    if not any(each.kw_only for each in fields(one)):
        return one, False
    return lambda *values: one(**dict(zip(names, values, strict=True))), False
