r"""Texts that stand in a line of JSON if a condition holds for its event.

A condition needs its atoms, an atom the texts of its pattern, and a value stands in its line as it is, but for:

- escapes that are always the same: `\"` and `\\`; the texts below are written with them, and end at a control
  character, which has several;
- escapes that a writer may choose: `\/` and `\uXXXX`;
- characters outside ASCII whose lower case is ASCII: U+0130, U+212A, and for regular expressions U+017F.

`is_verbatim` tells whether a line is free of the latter two. Numbers are the same text in the line and in Sigma's
eyes, but for some with a fraction or an exponent; whoever has the event must look (`sigma.lines`).

Sources: RFC 8259 section 7; Unicode Character Database, CaseFolding.txt.
"""

import re
from collections.abc import Callable, Iterator

from secmon.sigma.patterns import SAFE_REGEX
from secmon.sigma.tree import And, Keyword, KeywordRegex, Node, Not, Or, Regex, Text
from secmon.sigma.values import fold

# A shorter text stands in nearly every line, and slows the search for all others down.
MIN_BYTES, MAX_BYTES = 3, 64

# Stands for any character outside ASCII: upper and lower case are other bytes there, but no ASCII.
NOT_ASCII = b"\x80"

# What must be looked at more closely where it stands in a line, upper and lower case told apart.
SUSPECTS = (b"\\u", b"\\/", "\u0130".encode(), "\u212a".encode(), "\u017f".encode())

# A cover of this cost is not worth looking for a better one: one text of some length that was never seen.
_GOOD = 0.004

_ESCAPED_BACKSLASH = b"\\\\"
_PIECE = re.compile(r"[\x20-\x7e]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")

# Texts of which at least one must stand in the line, and what it costs to look for them.
Cover = tuple[float, frozenset[bytes]]
# A text → how often it stands in a line, about; never 0, so that fewer texts are better than many.
Weigh = Callable[[bytes], float]


def is_verbatim(line: bytes) -> bool:
    """Tell whether values stand in a line in the one form that `cover` expects."""
    if any(character in line for character in SUSPECTS[2:]):
        return False
    rest = line.replace(_ESCAPED_BACKSLASH, b"")  # what is left of a run of backslashes begins an escape
    return b"\\u" not in rest and b"\\/" not in rest


def cover(node: Node, weigh: Weigh) -> Cover | None:
    """Return the cheapest texts of which one stands in every verbatim line whose event satisfies a condition.

    The texts are lower-cased: they must be looked for in any case; `NOT_ASCII` stands in every line that is not all
    ASCII. None if there are no such texts.
    """
    if isinstance(node, And):
        best: Cover | None = None
        for child in sorted(node.nodes, key=_is_branch):
            found = cover(child, weigh)
            if found is not None and (best is None or found[0] < best[0]):
                best = found
            if best is not None and best[0] <= _GOOD:
                break
        return best
    if isinstance(node, Or):
        cost, texts = 0.0, set[bytes]()
        for child in node.nodes:
            found = cover(child, weigh)
            if found is None:
                return None
            cost += found[0]
            texts |= found[1]
        return cost, frozenset(texts)
    if isinstance(node, Not):
        return None
    return min(((weigh(text), frozenset({text})) for text in _texts(node)), key=_cost, default=None)


def _is_branch(node: Node) -> bool:
    return isinstance(node, And | Or | Not)


def _cost(found: Cover) -> float:
    return found[0]


def _texts(node: Node) -> Iterator[bytes]:
    """Yield the texts that an atom needs, each of them."""
    if isinstance(node, Text | Keyword):
        for part in node.pattern:
            if isinstance(part, str):
                yield from _written(part if node.cased else fold(part))
    elif isinstance(node, Regex | KeywordRegex):
        for run in literals_of(node.expression):
            yield from _written(run)


def _written(text: str) -> Iterator[bytes]:
    """Yield the pieces of a text as they stand in a line."""
    if text.isascii() and text.isprintable():  # nearly all are
        written = text.lower().replace("\\", "\\\\").replace('"', '\\"').encode()
        if len(written) >= MIN_BYTES:
            yield written[:MAX_BYTES]
        return
    for piece in _PIECE.findall(text):
        written = piece.lower().replace("\\", "\\\\").replace('"', '\\"').encode()
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
