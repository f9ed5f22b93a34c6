r"""Texts that stand in a line of JSON if a condition holds for its event.

A condition needs its atoms, an atom the texts of its pattern, and a value stands in its line as it is, in quotation
marks if it is a text, but for:

- escapes that are always the same: `\"` and `\\`; the texts below are written with them, and end at a control
  character, which has several;
- escapes that a writer may choose: `\/` and `\uXXXX`;
- characters outside ASCII whose lower case is ASCII: U+0130, U+212A, and for regular expressions U+017F;
- numbers with a fraction, an exponent or very many digits, which Sigma may read in another form.

A line without any of these is called verbatim. `written` makes such a line of any event.

Sources: RFC 8259 section 7; Unicode Character Database, CaseFolding.txt.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import orjson

from secmon.model.event import Event
from secmon.sigma.patterns import SAFE_REGEX
from secmon.sigma.tree import And, Atom, Keyword, KeywordRegex, Node, Not, Or, Regex, Text
from secmon.sigma.values import fold, texts_of

# A shorter text stands in nearly every line, and slows the search for all others down.
MIN_BYTES, MAX_BYTES = 3, 64

# Stands for any character outside ASCII: upper and lower case are other bytes there, but no ASCII.
NOT_ASCII = b"\x80"

# Characters of which lower or upper case is ASCII.
_LIKE_ASCII = ("\u0130".encode(), "\u212a".encode(), "\u017f".encode())

# What it costs to look for a text at all, by its length, in lines of a sample: fewer and longer ones are better.
_FOR_A_BYTE = 2.5
# A cover of this cost is not worth looking for a better one: one text of some length that was never seen.
_GOOD = 0.5

# What numbers are written with; those that are infinite or none are not JSON.
_NUMBER = frozenset("0123456789.e+-")
_PLAIN = frozenset({str, int, bool, type(None)})
_PIECE = re.compile(r"[\x20-\x7e]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")

# Which lines of a sample a text stands in, as the bits of a number.
Lines = Callable[[bytes], int]


class Cover(NamedTuple):
    """Texts of which at least one must stand in the line.

    Args:
        cost: number of lines of a sample in which one does, and a little for each text.
        texts: the texts, in lower case: they must be looked for in any case.
        lines: those lines, as the bits of a number.
    """

    cost: float
    texts: frozenset[bytes]
    lines: int


def written(event: Event) -> bytes | None:
    """Return the values of an event as a verbatim line, None if they cannot be one."""
    try:
        if _PLAIN.issuperset(map(type, event.values())):
            line = orjson.dumps(event)
        else:
            line = orjson.dumps({name: list(texts_of(value)) for name, value in event.items()})
    except TypeError:  # lone surrogates, or integers beyond 64 bits
        return None
    if not line.isascii() and any(character in line for character in _LIKE_ASCII):
        return None
    return line


class Covers:
    """Finds covers; the texts of an atom are made once.

    Args:
        nodes: trees that hold all atoms to be asked for, to be kept alive.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = tuple(nodes)
        self._texts: dict[int, tuple[bytes, ...]] = {}

    def of(self, node: Node, lines: Lines) -> Cover | None:
        """Return the cheapest texts of which one stands in every verbatim line whose event satisfies a condition.

        `NOT_ASCII` stands in every line that is not all ASCII. None if there are no such texts.
        """
        if isinstance(node, And):
            best: Cover | None = None
            for child in sorted(node.nodes, key=_is_branch):
                found = self.of(child, lines)
                if found is not None and (best is None or found.cost < best.cost):
                    best = found
                if best is not None and best.cost <= _GOOD:
                    break
            return best
        if isinstance(node, Or):
            texts = set[bytes]()
            stand = 0
            for child in node.nodes:
                found = self.of(child, lines)
                if found is None:
                    return None
                texts |= found.texts
                stand |= found.lines
            return Cover(stand.bit_count() + sum(map(_price, texts)), frozenset(texts), stand)
        return None if isinstance(node, Not) else self._of_atom(node, lines)

    def _of_atom(self, atom: Atom, lines: Lines) -> Cover | None:
        texts = self._texts.get(id(atom))
        if texts is None:
            texts = self._texts[id(atom)] = tuple(_texts(atom))
        if len(texts) == 1:
            (text,) = texts
            stand = lines(text)
            return Cover(stand.bit_count() + _price(text), frozenset(texts), stand)
        found = (Cover((stand := lines(text)).bit_count() + _price(text), frozenset((text,)), stand) for text in texts)
        return min(found, default=None, key=_cost)


def _cost(found: Cover) -> float:
    return found.cost


def _price(text: bytes) -> float:
    return _FOR_A_BYTE / len(text)


_BRANCHES = frozenset({And, Or, Not})


def _is_branch(node: Node) -> bool:
    return type(node) in _BRANCHES


def _texts(node: Node) -> Iterator[bytes]:
    """Yield the texts that an atom needs, each of them."""
    if isinstance(node, Text | Keyword):
        ends = (0, len(node.pattern) - 1) if isinstance(node, Text) else ()
        for place, part in enumerate(node.pattern):
            if isinstance(part, str):
                text = part if node.cased else fold(part)
                quoted = _quoted(text, is_first=place in ends[:1], is_last=place in ends[1:])
                yield from (quoted,) if quoted else _written(text)
    elif isinstance(node, Regex | KeywordRegex):
        for run in literals_of(node.expression):
            yield from _written(run)


def _quoted(text: str, *, is_first: bool, is_last: bool) -> bytes:
    """Return a text that a value begins or ends with, the quotation marks around the value included.

    Nothing where the value may be no text in JSON, or where the ends of the text say no more than all of it.
    """
    low = text.lower()
    if not (is_first or is_last) or not (low.isascii() and low.isprintable()):
        return b""
    if _NUMBER.issuperset(low) or low in "true" or low in "false":
        return b""
    written = _escaped(low)
    if is_first:
        written = b'"' + written
    if is_last and len(written) < MAX_BYTES:
        written += b'"'
    return written[:MAX_BYTES] if len(written) >= MIN_BYTES else b""


def _escaped(low: str) -> bytes:
    return low.replace("\\", "\\\\").replace('"', '\\"').encode()


def _written(text: str) -> Iterator[bytes]:
    """Yield the pieces of a text as they stand in a line."""
    if text.isascii() and text.isprintable():  # nearly all are
        written = _escaped(text.lower())
        if len(written) >= MIN_BYTES:
            yield written[:MAX_BYTES]
        return
    for piece in _PIECE.findall(text):
        written = _escaped(piece.lower())
        if len(written) >= MIN_BYTES:
            yield written[:MAX_BYTES]
    if _NOT_ASCII.search(text):
        yield NOT_ASCII


_QUANTIFIER = re.compile(r"\{\d*,?\d*\}", re.ASCII)
_CLASS = re.compile(r"\[\^?(?:\\.|[^\\\]])*\]", re.DOTALL)
_FLAGS = re.compile(r"\(\?[is]+\)")


def literals_of(expression: str) -> list[str]:
    """Return texts that stand in everything an expression finds, upper and lower case aside.

    Only those outside of groups, and none where there are alternatives; what might mean something else in RE2 than
    it seems has none either.
    """
    if SAFE_REGEX.fullmatch(expression) is None:
        return []
    return _Runs(_FLAGS.sub("", expression, count=1) if expression.startswith("(?") else expression).read()


class _Runs:
    """Reads the runs of literal characters of an expression, from left to right."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._at = 0
        self._run = ""
        self._runs: list[str] = []

    def read(self) -> list[str]:
        """Return the runs; none if there are alternatives."""
        depth = 0
        while self._at < len(self._expression):
            character = self._expression[self._at]
            if depth and character in "()":
                depth += 1 if character == "(" else -1
                self._at += 1
            elif depth:
                self._skip()
            elif character == "|":
                return []
            elif character == "(":
                depth = 1
                self._end(1)
            else:
                self._take(character)
        self._end(0)
        return [run for run in self._runs if run]

    def _skip(self) -> None:
        """Pass over one thing inside a group."""
        if self._expression[self._at] == "[":
            self._end_of_class()
        else:
            self._at += 2 if self._expression[self._at] == "\\" else 1

    def _take(self, character: str) -> None:
        if character == "\\":
            self._escape(self._expression[self._at + 1])
        elif character == "[":
            self._end(0)
            self._end_of_class()
        elif character in "*?{":  # the character before need not be there
            self._run = self._run[:-1]
            quantifier = _QUANTIFIER.match(self._expression, self._at)
            self._end(len(quantifier[0]) if quantifier else 1)
        elif character in "+.^$)":
            self._end(1)
        else:
            self._run += character
            self._at += 1

    def _escape(self, character: str) -> None:
        if character == "x":
            self._run += chr(int(self._expression[self._at + 2 : self._at + 4], 16))
            self._at += 4
        elif character.isalnum():
            self._end(2)
        else:
            self._run += character
            self._at += 2

    def _end_of_class(self) -> None:
        found = _CLASS.match(self._expression, self._at)
        self._at = found.end() if found else len(self._expression)

    def _end(self, length: int) -> None:
        """End a run, and pass over what ends it."""
        self._runs.append(self._run)
        self._run = ""
        self._at += length
