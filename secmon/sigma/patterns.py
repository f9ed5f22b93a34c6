r"""Many patterns in one scan: hyperscan databases over the bytes of a value, built when they are first needed.

- Wildcards become literals: a value is scanned as UTF-8 between two bytes that UTF-8 never has, so that "begins
  with" and "ends with" are literals too (databases of anchored patterns take ten times as long to build). A pattern
  with a wildcard inside is looked for by its longest text, and what is found is confirmed. Upper and lower case are
  settled before, by folding pattern and value alike, because hyperscan's own caseless mode is not Unicode simple
  lower-casing.
- Regular expressions: those whose syntax means the same, or more, in hyperscan (PCRE) as in RE2 on plain ASCII
  values; what is found is confirmed with RE2. All others are left to RE2 alone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import hyperscan

from secmon.model.patterns import Compiler, Patterns, RefusedError, compiled
from secmon.sigma.tree import ANY_TEXT, Pattern
from secmon.sigma.values import fold, utf8

# Of a longer literal the beginning is looked for: databases of long ones grow without finding more.
_MAX_NEEDLE = 256

_REGEX_FLAGS = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_ALLOWEMPTY

# Bytes that no UTF-8 has, lone surrogates included: before the first and behind the last character of a value.
_START, _END = b"\xfe", b"\xff"

# What may stand in a regular expression for hyperscan; everything else means something else there, or might.
SAFE_REGEX = re.compile(
    r"""(?:\(\?[is]{1,2}\))?            # flags for all of it
    (?: [^\\()\[]                       # a literal, an anchor, a repetition, an alternative
      | \\[dDwWsSbnrtf.\\^$|?*+()\[\]{}/\-"'_:;,<>=!@\#%&~`\ ]
      | \\x[0-7][0-9a-fA-F]
      | \((?:\?:|\?P<\w+>)? | \)
      | \[\^?(?:[^\\\[\]^]|\\[dwsnrtf.\\^$|?*+()\[\]{}/\-"'_:;,<>=!@\#%&~`\ ]|\\x[0-7][0-9a-fA-F])+\]
    )*""",
    re.ASCII | re.VERBOSE,
)
_POSSESSIVE = re.compile(r"[*+?}]\+")


@dataclass(frozen=True, slots=True)
class Needle:
    """A text to look for, for one atom.

    Args:
        number: the atom's number.
        expression: a literal, or a regular expression.
        flags: hyperscan flags.
        exact: finding it decides the atom; otherwise it is only necessary.
    """

    number: int
    expression: bytes
    flags: int = 0
    exact: bool = True


class PatternSet:
    """Some needles, and one database for them.

    Args:
        needles: of each atom at most one.
        literal: they are literals, to be scanned by `scan_text`; else expressions, for `scan`.
        compiler: makes the database.
    """

    __slots__ = ("_compiler", "_databases", "_literal", "_needles", "doubtful", "refused")

    def __init__(self, needles: Iterable[Needle], *, literal: bool, compiler: Compiler = compiled) -> None:
        self._needles = list(needles)
        self._literal = literal
        self._compiler = compiler
        self._databases: list[Any] | None = None
        self.doubtful = frozenset(needle.number for needle in self._needles if not needle.exact)
        """Atoms whose needle is only necessary: what is found must be confirmed."""
        self.refused: list[int] = []
        """Atoms whose needle hyperscan refused, known after the first scan; somebody else must decide them."""

    def scan(self, data: bytes) -> list[int]:
        """Return the number of every atom whose needle is in `data` (not empty)."""
        found: list[int] = []
        for database in self._built() if self._databases is None else self._databases:
            database.scan(data, _collect, 0, found)  # names would cost more than a short scan
        return found

    def scan_text(self, text: str) -> list[int]:
        """Return the number of every atom whose literal is in a value."""
        return self.scan(b"%b%b%b" % (_START, utf8(text), _END))

    def build(self) -> None:
        """Build the database now, not at the first scan."""
        self._built()

    def _built(self) -> list[Any]:
        """Return the database; where the library refuses one of all needles, several of those that it takes."""
        self._databases = self._parts(self._needles)
        self.refused.sort()
        return self._databases

    def _parts(self, needles: list[Needle]) -> list[Any]:
        """Return databases of all needles but the refused ones; halves where nobody knows which these are."""
        if not needles:
            return []
        try:
            return [self._compiled(needles)]
        except RefusedError as error:
            unfit = set(error.places).intersection(range(len(needles)))
        except hyperscan.HyperscanError:
            unfit = set()
        if not unfit and len(needles) == 1:
            unfit = {0}
        if unfit:
            self.refused += [needle.number for place, needle in enumerate(needles) if place in unfit]
            return self._parts([needle for place, needle in enumerate(needles) if place not in unfit])
        half = len(needles) // 2
        return self._parts(needles[:half]) + self._parts(needles[half:])

    def _compiled(self, needles: list[Needle]) -> Any:
        return self._compiler(
            Patterns(
                expressions=tuple(needle.expression for needle in needles),
                ids=tuple(needle.number for needle in needles),
                flags=tuple(needle.flags for needle in needles),
                literal=self._literal,
            )
        )


def _collect(number: int, start: int, end: int, flags: int, found: Any) -> None:  # hyperscan hands our list back
    del start, end, flags
    found.append(number)


def literal_of(pattern: Pattern) -> str | None:
    """Return the text of a pattern without wildcards, None for one with."""
    if not pattern:
        return ""
    return pattern[0] if len(pattern) == 1 and isinstance(pattern[0], str) else None


def needle_of(number: int, pattern: Pattern, *, cased: bool) -> Needle | None:
    """Return the longest literal of a pattern, for values that were folded unless `cased`; None if it has none."""
    literals: list[bytes] = []
    holds_nul = False
    for place, part in enumerate(pattern):
        if isinstance(part, str):
            literal = utf8(part if cased else fold(part))
            if place == 0:
                literal = _START + literal
            if place == len(pattern) - 1:
                literal += _END
            # The binding ends an expression at a NUL, which a value in UTF-16 is full of.
            holds_nul |= b"\0" in literal
            literals += filter(None, literal.split(b"\0"))
    if not literals:
        return None
    longest = max(literals, key=len)
    exact = not holds_nul and len(literals) == 1 and all(isinstance(part, str) or part == ANY_TEXT for part in pattern)
    exact = exact and len(longest) <= _MAX_NEEDLE
    return Needle(number, longest[:_MAX_NEEDLE], hyperscan.HS_FLAG_SINGLEMATCH, exact)


def regex_needle(number: int, expression: str, flags: str) -> Needle | None:
    """Return an expression that finds at least what RE2 finds in plain text, or None."""
    if not expression.isascii() or "m" in flags or _POSSESSIVE.search(expression):
        return None
    if SAFE_REGEX.fullmatch(expression) is None:
        return None
    bits = _REGEX_FLAGS
    if "i" in flags:
        bits |= hyperscan.HS_FLAG_CASELESS
    if "s" in flags:
        bits |= hyperscan.HS_FLAG_DOTALL
    return Needle(number, expression.encode(), bits, exact=False)


def is_plain(text: str) -> bool:
    r"""Tell whether a value is text in which `regex_needle` finds enough: ASCII, without the vertical tab.

    RE2's `\s` has no vertical tab, PCRE's has, so that a negated one would find less.
    """
    return text.isascii() and "\x0b" not in text
