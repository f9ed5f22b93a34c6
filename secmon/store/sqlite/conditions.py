"""A query as SQL over the columns of one partition: exactly where a column holds the field, all or nothing elsewhere.

Each different text of a column stands once in the dictionary of its partition, so a condition is decided once a text,
by the definition itself (`model.query.text_test`), and becomes a set of numbers.
"""

import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import apsw

from secmon.model.batch import INDEXED_FIELDS
from secmon.model.event import LIST_SEPARATOR
from secmon.model.query import TIMESTAMP, During, Equals, Exists, Leaf, Query, leaves, required, text_test
from secmon.store.bounds import Bounds, bounds_of, exactly
from secmon.store.sqlite.connection import fetch
from secmon.store.sqlite.schema import COLUMNS
from secmon.store.values import is_storable

NUMBER_OF: Final = {name: number for number, name in enumerate(INDEXED_FIELDS)}
"""Field → its number in the dictionary."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition on table `event` (as e), true or false, never NULL; its text is made of constants of this package."""

    text: str
    values: tuple[Any, ...] = ()


_TRUE: Final = Sql("1")
_FALSE: Final = Sql("0")


class _SqlAlgebra:
    """Combines conditions."""

    def all_of(self, parts: Sequence[Sql]) -> Sql:
        return _joined(" AND ", parts) if parts else _TRUE

    def any_of(self, parts: Sequence[Sql]) -> Sql:
        return _joined(" OR ", parts) if parts else _FALSE

    def negated(self, part: Sql) -> Sql:
        return Sql(f"NOT ({part.text})", part.values)


def _joined(sign: str, parts: Sequence[Sql]) -> Sql:
    return Sql(sign.join(f"({part.text})" for part in parts), tuple(value for part in parts for value in part.values))


@dataclass(slots=True)
class _Found:
    upto: int = 0
    numbers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class WordSets:
    """The texts of a partition's dictionary that meet conditions, remembered from page to page of one walk.

    A dictionary only grows, so at the next page only what is new has to be looked at.
    """

    _sets: dict[Leaf, _Found] = field(default_factory=dict)

    def numbers(self, connection: apsw.Connection, leaf: Leaf) -> list[int]:
        """Return the numbers of the texts of a field with a column that meet its condition."""
        found = self._sets.setdefault(leaf, _Found())
        place = "word NOT INDEXED" if found.upto else "word"  # what is new, by its number; at first, all of the field
        ask = f"SELECT id, text FROM {place} WHERE id > ? AND field = ?"  # noqa: S608  constants
        extra, more = _narrowed(leaf)
        # Asked first: a text that comes in between is looked at twice, not never.
        upto = fetch(connection, "SELECT coalesce(max(id), 0) FROM word")[0][0]
        rows = fetch(connection, f"{ask} {extra}", (found.upto, NUMBER_OF[leaf.field], *more))
        test = text_test(leaf)
        found.numbers += [identity for identity, text in rows if any(map(test, text.split(LIST_SEPARATOR)))]
        found.upto = upto
        return found.numbers


def _narrowed(leaf: Leaf) -> tuple[str, tuple[str, ...]]:
    """Return a condition that SQLite decides faster than we, and that no wanted text fails.

    LIKE folds A–Z as we do. It takes a text to end at U+0000, so those are left to us, as lists are.
    """
    if not isinstance(leaf, Equals) or not is_storable(leaf.text) or "\0" in leaf.text:
        return "", ()
    pattern = leaf.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return "AND (text LIKE ? ESCAPE '\\' OR list OR instr(text, char(0)))", (pattern,)


def is_indexed(leaf: Leaf) -> bool:
    """Tell whether columns decide a condition; else events have to be read."""
    return leaf.field in NUMBER_OF or (leaf.field == TIMESTAMP and isinstance(leaf, Exists | During))


def unindexed(query: Query) -> tuple[str, ...]:
    """Return the fields of a query that have no column."""
    return tuple(dict.fromkeys(leaf.field for leaf in leaves(query) if not is_indexed(leaf)))


def conditions(connection: apsw.Connection, query: Query, words: WordSets) -> Bounds[Sql]:
    """Return what the columns of a partition say about a query."""
    return bounds_of(query, lambda leaf: _leaf(connection, leaf, words), _SqlAlgebra())


def _leaf(connection: apsw.Connection, leaf: Leaf, words: WordSets) -> Bounds[Sql]:
    if leaf.field == TIMESTAMP:
        return exactly(_time(leaf)) if is_indexed(leaf) else Bounds(_TRUE, _FALSE, exact=False)
    if leaf.field not in NUMBER_OF:
        return Bounds(_TRUE, _FALSE, exact=False)
    column = f"e.{COLUMNS[NUMBER_OF[leaf.field]]}"
    if isinstance(leaf, Exists):
        return exactly(Sql(f"{column} IS NOT NULL"))
    found = words.numbers(connection, leaf)
    if not found:
        return exactly(_FALSE)
    numbers = apsw.carray(array.array("q", found))
    return exactly(Sql(f"{column} IS NOT NULL AND {column} IN (SELECT value FROM carray(?))", (numbers,)))  # noqa: S608  constants


def _time(leaf: Leaf) -> Sql:
    if not isinstance(leaf, During):
        return _TRUE
    parts = [("e.time >= ?", leaf.since), ("e.time < ?", leaf.until)]
    given = [(text, value) for text, value in parts if value is not None]
    return Sql(" AND ".join(text for text, _ in given) or "1", tuple(value for _, value in given))


def word_conditions(query: Query) -> list[Leaf]:
    """Return conditions on columns that every answer meets: the blocks of their texts hold all answers."""
    return [leaf for leaf in required(query) if leaf.field in NUMBER_OF and not isinstance(leaf, Exists)]
