"""Patterns that are looked for all at once, and the one call that makes a Hyperscan database of them.

A database depends on its patterns alone. Whoever builds one takes a `Compiler`, so that an adapter may hand over a
database that was built before (`store.prepared`).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hyperscan


@dataclass(frozen=True, slots=True)
class Patterns:
    """What a database is made of; the three sequences go together.

    Args:
        expressions: literals, or regular expressions as Hyperscan reads them.
        ids: what a match reports.
        flags: Hyperscan flags.
        literal: the expressions are literals.
    """

    expressions: tuple[bytes, ...]
    ids: tuple[int, ...]
    flags: tuple[int, ...]
    literal: bool = False

    @property
    def size(self) -> int:
        """About how many bytes these objects take."""
        return sum(100 + len(expression) for expression in self.expressions)

    def halves(self) -> "tuple[Patterns, Patterns]":
        """Return the first half of the patterns, and the second."""
        half = len(self.ids) // 2
        return (
            Patterns(self.expressions[:half], self.ids[:half], self.flags[:half], self.literal),
            Patterns(self.expressions[half:], self.ids[half:], self.flags[half:], self.literal),
        )

    @property
    def digest(self) -> str:
        """64 hex that no other patterns have."""
        sha = hashlib.sha256(b"literal" if self.literal else b"expression")
        for expression, number, flags in zip(self.expressions, self.ids, self.flags, strict=True):
            sha.update(b"\n%d %d %d\n" % (len(expression), number, flags))
            sha.update(expression)
        return sha.hexdigest()


class RefusedError(hyperscan.HyperscanError):
    """Patterns of which no database was made.

    Args:
        places: of those that get none in any company; empty if each does, or if nobody knows.
    """

    def __init__(self, places: Sequence[int] = ()) -> None:
        super().__init__("patterns are refused, or beyond the limits")
        self.places = tuple(places)


class Several:
    """Databases of parts of some patterns, scanned one after the other as if they were one.

    Args:
        parts: the databases; no number is reported by two of them.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = tuple(parts)

    def scan(
        self, data: bytes, match_event_handler: Callable[..., Any], flags: int = 0, context: object = None
    ) -> None:
        """Scan as `hyperscan.Database.scan` does."""
        for part in self._parts:
            part.scan(data, match_event_handler, flags, context)

    def size(self) -> int:
        """Bytes of all of them."""
        return sum(int(part.size()) for part in self._parts)


Compiler = Callable[[Patterns], Any]
"""Makes a `hyperscan.Database` in block mode, or `Several`; raises `hyperscan.HyperscanError` where a pattern is
refused, `RefusedError` where it can tell which."""


def compiled(patterns: Patterns) -> Any:
    """Return a database of some patterns.

    Raises:
        hyperscan.HyperscanError: one of them is refused.
    """
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=list(patterns.expressions),
        ids=list(patterns.ids),
        elements=len(patterns.ids),
        flags=list(patterns.flags),
        literal=patterns.literal,
    )
    return database
