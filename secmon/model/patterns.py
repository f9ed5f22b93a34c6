"""Patterns that are looked for all at once, and the one call that makes a Hyperscan database of them.

A database depends on its patterns alone. Whoever builds one takes a `Compiler`, so that an adapter may hand over a
database that was built before (`store.prepared`).
"""

import hashlib
from collections.abc import Callable
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

    @property
    def digest(self) -> str:
        """64 hex that no other patterns have."""
        sha = hashlib.sha256(b"literal" if self.literal else b"expression")
        for expression, number, flags in zip(self.expressions, self.ids, self.flags, strict=True):
            sha.update(b"\n%d %d %d\n" % (len(expression), number, flags))
            sha.update(expression)
        return sha.hexdigest()


Compiler = Callable[[Patterns], Any]
"""Makes a `hyperscan.Database` in block mode; raises `hyperscan.HyperscanError` where a pattern is refused."""


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
