"""An `EventQuery` as SQL over one partition, and what of it only the body can answer."""

import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from secmon.model.access import Scope
from secmon.model.event import to_micros
from secmon.model.questions import EventQuery
from secmon.store.sqlite.conditions import NUMBER_OF, Sql, WordSets, conditions, unindexed, word_conditions
from secmon.store.sqlite.connection import fetch_one
from secmon.store.sqlite.dictionary import find_exact, find_words
from secmon.store.sqlite.schema import COLUMNS, FIELD_UNIT

# Below this share of all blocks, opening the blocks of a word beats walking the whole time range.
_SELECTIVE = 8


@dataclass(slots=True)
class Where:
    """Conditions that all must hold, with their values; the texts are constants of this package."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        """Add one condition."""
        self.conditions.append(condition)
        self.values.extend(values)

    def add_sql(self, condition: Sql) -> None:
        """Add one condition that was put together elsewhere."""
        self.add(f"({condition.text})", *condition.values)

    def sql(self) -> str:
        """Return the conditions as SQL."""
        return " AND ".join(self.conditions) or "1"


@dataclass(frozen=True, slots=True)
class Selection:
    """What SQL decides about a query.

    Args:
        on_event: conditions on table `event` (as e).
        on_block: conditions on table `block` (as b) that every matching event's block meets.
        selective: whether few blocks are left.
    """

    on_event: Where
    on_block: Where
    selective: bool


def numbers(values: Sequence[int]) -> Any:
    """Return numbers as a table-valued parameter for `carray(?)`; there must be one at least."""
    return apsw.carray(array.array("q", values))


def residue(query: EventQuery) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return `equals` and `present` of the fields that have no column."""
    equals = {name: values for name, values in query.equals.items() if name not in NUMBER_OF}
    return equals, tuple(name for name in query.present if name not in NUMBER_OF)


def column_of(name: str) -> str | None:
    """Return the column of an indexed field, None of another."""
    number = NUMBER_OF.get(name)
    return None if number is None else COLUMNS[number]


def columns_answer(query: EventQuery, by: str) -> bool:
    """Tell whether a count over a query needs no bodies."""
    equals, present = residue(query)
    return not (equals or present or query.text or (by and column_of(by) is None) or unindexed(query.where))


def select(
    connection: apsw.Connection, query: EventQuery, scope: Scope, words: WordSets | None = None
) -> Selection | None:
    """Return the SQL of a query over one partition; None if nothing there can match.

    Args:
        connection: to the partition.
        query: which events.
        scope: whose.
        words: what earlier pages of the same walk found in the dictionary.
    """
    words = words or WordSets()
    on_event, on_block = Where(), Where()
    if query.since is not None:
        on_event.add("e.time >= ?", to_micros(query.since))
        on_block.add("b.until >= ?", to_micros(query.since))
    if query.until is not None:
        on_event.add("e.time < ?", to_micros(query.until))
        on_block.add("b.since < ?", to_micros(query.until))
    for name in query.present:
        if column := column_of(name):
            on_event.add(f"e.{column} IS NOT NULL")
    wanted = column_words(connection, query, scope)
    sets = [found for _, found in wanted] + [words.numbers(connection, leaf) for leaf in word_conditions(query.where)]
    if not all(sets):
        return None
    for number, found in wanted:
        on_event.add(f"e.{COLUMNS[number]} IN (SELECT value FROM carray(?))", numbers(found))  # noqa: S608  constants
    on_event.add_sql(conditions(connection, query.where, words).may)
    candidates = [(_blocks(connection, found), found) for found in sets]
    selective = False
    if candidates:
        total: int = fetch_one(connection, "SELECT count(*) FROM block INDEXED BY block_span")
        fewest, found = min(candidates, key=lambda candidate: candidate[0])
        selective = fewest * _SELECTIVE <= total
        if selective:
            blocks = "SELECT block FROM posting WHERE word IN (SELECT value FROM carray(?))"
            on_block.add(f"b.first IN ({blocks})", numbers(found))
    return Selection(on_event, on_block, selective)


def column_words(connection: apsw.Connection, query: EventQuery, scope: Scope) -> list[tuple[int, list[int]]]:
    """Return the fields that `equals` and the scope ask for, each with the words of which one must stand in it."""
    wanted = [
        (NUMBER_OF[name], find_words(connection, NUMBER_OF[name], values))
        for name, values in query.equals.items()
        if name in NUMBER_OF
    ]
    if scope.units is not None:
        wanted.append((FIELD_UNIT, find_exact(connection, FIELD_UNIT, scope.units)))
    return wanted


def _blocks(connection: apsw.Connection, found: Sequence[int]) -> int:
    """Return how many blocks hold one of these words (an upper bound)."""
    ask = "SELECT count(*) FROM posting WHERE word IN (SELECT value FROM carray(?))"
    count: int = fetch_one(connection, ask, (numbers(found),))
    return count
