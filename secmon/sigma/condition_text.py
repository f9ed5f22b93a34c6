"""Conditions as they are written: a rule's over its detections, a correlation's over its rules.

Grammar (Sigma specification 2.1, "Condition"; what stands lower binds tighter):

    any     = all ("or" all)*
    all     = one ("and" one)*
    one     = "not" one | ("1" | "any" | "all") "of" ("them" | pattern) | name | "(" any ")"

pySigma has a parser too, but takes `notepad` for `not epad`, and exponential time for nested brackets.
"""

import re
from dataclasses import dataclass
from typing import Literal

from secmon.sigma.limits import MAX_CONDITION_CHARS, MAX_CONDITION_DEPTH

_WORD = re.compile(r"\s*(?:([()])|([\w.*-]+))")
_RESERVED = frozenset({"and", "or", "not", "of"})


@dataclass(frozen=True, slots=True)
class Name:
    """A detection, or a rule, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Selector:
    """`1 of pattern` or `all of pattern`; the pattern of `them` is "*"."""

    needs_all: bool
    pattern: str

    def fits(self, name: str) -> bool:
        """Tell whether it means a detection; names that begin with "_" only where the pattern does too."""
        if name.startswith("_") and not self.pattern.startswith("_"):
            return False
        first, *others = self.pattern.split("*")
        if not others:
            return name == first
        last = others.pop()
        at, end = len(first), len(name) - len(last)
        if not name.startswith(first) or not name.endswith(last):
            return False
        for text in others:  # the first place of each is as good as any
            found = name.find(text, at, max(at, end))
            if found < 0:
                return False
            at = found + len(text)
        return at <= end


@dataclass(frozen=True, slots=True)
class Junction:
    """All or any of some conditions."""

    kind: Literal["and", "or"]
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """Not a condition."""

    part: "Condition"


Condition = Name | Selector | Junction | Negation


class ConditionError(Exception):
    """A condition cannot be read; its text says what is wrong."""


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        ConditionError: it is no condition, too long, or nested too deep.
    """
    if len(text) > MAX_CONDITION_CHARS:
        raise ConditionError("the condition is too long")
    words = _split(text)
    parser = _Parser(words)
    condition = parser.junction("or")
    if parser.at < len(words):
        raise ConditionError(f"the condition does not go on with {words[parser.at]}")
    return condition


def _split(text: str) -> list[str]:
    if "|" in text:
        raise ConditionError("a pipe in the condition was replaced by correlations in Sigma 2")
    words: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _WORD.match(text, at)
        if found is None:
            raise ConditionError("the condition holds a sign that is no part of a condition")
        words.append(found[1] or found[2])
        at = found.end()
    return words


@dataclass(slots=True)
class _Parser:
    words: list[str]
    at: int = 0
    depth: int = 0

    def next(self) -> str:
        word = self.words[self.at] if self.at < len(self.words) else ""
        self.at += 1
        return word

    def peek(self, ahead: int = 0) -> str:
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else ""

    def junction(self, kind: Literal["and", "or"]) -> Condition:
        parts = [self._below(kind)]
        while self.peek() == kind:
            self.at += 1
            parts.append(self._below(kind))
        return parts[0] if len(parts) == 1 else Junction(kind, tuple(parts))

    def _below(self, kind: Literal["and", "or"]) -> Condition:
        return self.junction("and") if kind == "or" else self._one()

    def _one(self) -> Condition:
        self.depth += 1
        if self.depth > MAX_CONDITION_DEPTH:
            raise ConditionError("the condition is nested too deep")
        try:
            return self._read(self.next())
        finally:
            self.depth -= 1

    def _read(self, word: str) -> Condition:
        if word == "not":
            return Negation(self._one())
        if word == "(":
            inner = self.junction("or")
            if self.next() != ")":
                raise ConditionError("a bracket of the condition is not closed")
            return inner
        if self.peek() == "of":
            return self._selector(word)
        if word in _RESERVED or word in {"", ")"}:
            raise ConditionError(
                f"the condition lacks a name before {word}" if word else "the condition ends too early"
            )
        if "*" in word:
            raise ConditionError("a pattern stands only behind `1 of` or `all of`")
        return Name(word)

    def _selector(self, quantifier: str) -> Selector:
        if quantifier not in {"1", "any", "all"}:
            raise ConditionError(f"{quantifier} of: only 1 of, any of and all of are conditions")
        self.at += 1
        pattern = self.next()
        if not pattern or pattern in _RESERVED or pattern in {"(", ")"}:
            raise ConditionError("`of` lacks a pattern")
        return Selector(quantifier == "all", "*" if pattern == "them" else pattern)


def names_in(condition: Condition) -> tuple[str, ...]:
    """Return the names in a condition, each once, in order."""
    found: dict[str, None] = {}
    stack: list[Condition] = [condition]
    while stack:
        node = stack.pop()
        if isinstance(node, Name):
            found[node.name] = None
        elif isinstance(node, Negation):
            stack.append(node.part)
        elif isinstance(node, Junction):
            stack.extend(reversed(node.parts))
    return tuple(found)
