r"""Records that are one JSON object: reading them, and laying nested objects flat.

JSON: RFC 8259. Three things in it are left open there and settled here:

- A name that stands twice: `load_object` keeps the last value, `load_exact` all of them as a list.
- A lone surrogate (`"\ud800"`: half of a UTF-16 character, legal in a Windows file name) becomes visible text
  of six characters, `\ud800`. Refusing it would let an attacker hide a command line in the dead letters.
- Integers beyond 64 bits: `load_object` gives the nearest float, `load_exact` their digits. Numbers beyond the range of
  a float (`1e400`) stay as they are written, as text: refusing them would let an attacker hide a record as well.

Nesting is bounded by the readers themselves (about 1,000 levels); what is deeper is not read.
"""

import json
import math
import re
from typing import Any, NoReturn

import orjson

from secmon.errors import ParseError
from secmon.model.event import Event, Record, Scalar, Value

# What any flat event may hold; a record beyond that is not a log record but an attack or an accident.
MAX_FIELDS = 1000
MAX_NAME = 512
MAX_DEPTH = 32
TOO_MANY_FIELDS = "more than 1,000 fields"
TOO_LONG_NAME = "a field name of more than 512 characters"

_SURROGATE = re.compile("[\ud800-\udfff]")
# `json.loads` reads an integer of n digits in O(n²) and therefore refuses more than 4,300 of them.
_READ_ERRORS = (ValueError, RecursionError)


def is_blank(text: str) -> bool:
    """Tell whether a record holds nothing but white space."""
    return not text or text.isspace()


def load_object(record: Record) -> dict[str, Any]:
    """Return the JSON object that a record is; fast.

    Raises:
        ParseError: it is not JSON, nested too deeply, or not an object.
    """
    try:
        value = orjson.loads(record.text)
    except orjson.JSONDecodeError:
        value = _load_unusual(record)
    if type(value) is not dict:
        raise ParseError("not a JSON object", where=record.where, hint="one object a line is expected")
    return value


def load_exact(record: Record) -> dict[str, Any]:
    """Return the JSON object that a record is, with every number as the text it was written in.

    The values of a name that stands several times in one object become a list.

    Raises:
        ParseError: as for `load_object`.
    """
    try:
        value = json.loads(
            _visible(record.text),
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse,
            object_pairs_hook=_keep_all,
        )
    except _READ_ERRORS as error:
        raise _not_json(record) from error
    if type(value) is not dict:
        raise ParseError("not a JSON object", where=record.where, hint="one object a line is expected")
    return value


def _load_unusual(record: Record) -> object:
    """Read what orjson refuses and we need not: a byte order mark, lone surrogates, numbers without a float."""
    text = record.text.removeprefix("\ufeff")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_int_or_text, parse_float=_float_or_text)
        return orjson.loads(_SURROGATE.sub(_escaped_twice, json.dumps(value, ensure_ascii=False)))
    except _READ_ERRORS as error:
        raise _not_json(record) from error


def _int_or_text(written: str) -> int | str:
    return written if math.isinf(float(written)) else int(written)


def _float_or_text(written: str) -> float | str:
    number = float(written)
    return written if math.isinf(number) else number


# A pair of surrogates, one alone, or any other escape: what is behind a backslash is passed over with it.
_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


def _visible(text: str) -> str:
    r"""Make the lone surrogates of a JSON text visible before it is read: `\ud800` becomes `\\ud800`."""
    text = text.removeprefix("\ufeff")
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPES.sub(lambda found: f"\\\\u{found[1].lower()}" if found[1] else found[0], text)
    return _SURROGATE.sub(_escaped_twice, text)


def _escaped_twice(found: re.Match[str]) -> str:
    return f"\\\\u{ord(found[0]):04x}"


def _keep_all(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _not_json(record: Record) -> ParseError:
    return ParseError("not JSON, or nested too deeply", where=record.where, hint="one object a line is expected")


def text_of(value: object) -> str:
    """Return a JSON value as text: strings as they are, true and false as in JSON, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return compact(value)


def compact(value: object) -> str:
    """Return a value as JSON text without spaces; what the reader could read, this can write."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # orjson.loads reads 1,024 levels, orjson.dumps writes 254.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def flatten(members: dict[str, Any], record: Record, *, prefix: str = "") -> Event:
    """Return a JSON object as one level of dotted names.

    Null, empty arrays and empty objects are left out: they are no value. Arrays are laid flat; the members of the
    objects in an array become lists of their values, in order. What lies deeper than `MAX_DEPTH` is kept as JSON
    text. Of a name that is written both dotted and nested the values are joined.

    Args:
        members: a JSON object.
        record: where it comes from, for errors.
        prefix: put before each name, with its dot.

    Raises:
        ParseError: more than `MAX_FIELDS` fields, a name longer than `MAX_NAME`, or an empty part of a name.
    """
    flat = _Flat(record.where)
    flat.lay(members, prefix, MAX_DEPTH)
    fields = flat.fields
    if max(map(len, fields), default=0) > MAX_NAME:
        raise ParseError(TOO_LONG_NAME, where=record.where)
    # All names at once: between the dots that part them nothing is empty either.
    if fields and ".." in f".{'.'.join(fields)}.":
        raise ParseError("an empty part in a field name", where=record.where)
    return fields


class _Flat:
    """Fields under construction. The bounds hold while it grows: each name repeats all names above it."""

    __slots__ = ("fields", "where")

    def __init__(self, where: str) -> None:
        self.fields: Event = {}
        self.where = where

    def lay(self, members: dict[str, Any], prefix: str, depth: int) -> None:
        fields = self.fields
        if len(fields) + len(members) > MAX_FIELDS:
            raise ParseError(TOO_MANY_FIELDS, where=self.where)
        if len(prefix) > MAX_NAME:
            raise ParseError(TOO_LONG_NAME, where=self.where)
        for key, value in members.items():
            kind = type(value)
            name = prefix + key
            if kind is dict:
                if depth > 1:
                    self.lay(value, name + ".", depth - 1)
                elif value:
                    self.add(name, compact(value))
            elif kind is list:
                self._lay_list(value, name, depth)
            elif value is not None:
                if name in fields:
                    self.add(name, value)
                else:
                    fields[name] = value

    def _lay_list(self, items: list[Any], name: str, depth: int) -> None:
        for item in items:
            kind = type(item)
            if kind is dict or kind is list:
                if depth <= 1:
                    self.add(name, compact(item), many=True)
                elif kind is dict:
                    self.lay(item, name + ".", depth - 1)
                else:
                    self._lay_list(item, name, depth - 1)
            elif item is not None:
                self.add(name, item, many=True)

    def add(self, name: str, value: Scalar, *, many: bool = False) -> None:
        present = self.fields.get(name)
        if present is None:
            self.fields[name] = [value] if many else value
        elif isinstance(present, list):
            present.append(value)  # type: ignore[arg-type]  # a list of text may grow into one of scalars
        else:
            self.fields[name] = [present, value]


def scalars(value: Value) -> list[Scalar]:
    """Return the values of a field as a list, whether it holds one or several."""
    return list(value) if isinstance(value, list) else [value]
