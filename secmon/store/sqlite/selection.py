"""An `EventQuery` as SQL over one partition, and what of it only the body can answer."""

import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from secmon.model.access import Scope
from secmon.model.batch import INDEXED_FIELDS
from secmon.model.event import to_micros
from secmon.ports import EventQuery
from secmon.store.sqlite.connection import fetch_one
from secmon.store.sqlite.dictionary import find_exact, find_words
from secmon.store.sqlite.schema import COLUMNS, FIELD_UNIT

_NUMBER = {name: number for number, name in enumerate(INDEXED_FIELDS)}
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
    equals = {name: values for name, values in query.equals.items() if name not in _NUMBER}
    return equals, tuple(name for name in query.present if name not in _NUMBER)


def column_of(name: str) -> str | None:
    """Return the column of an indexed field, None of another."""
    number = _NUMBER.get(name)
    return None if number is None else COLUMNS[number]


def select(connection: apsw.Connection, query: EventQuery, scope: Scope) -> Selection | None:
    """Return the SQL of a query over one partition; None if nothing there can match."""
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
    # Each entry: words of which one must stand in the column.
    wanted = [
        (_NUMBER[name], find_words(connection, _NUMBER[name], values))
        for name, values in query.equals.items()
        if name in _NUMBER
    ]
    if scope.units is not None:
        wanted.append((FIELD_UNIT, find_exact(connection, FIELD_UNIT, scope.units)))
    candidates = []
    for number, found in wanted:
        if not found:
            return None
        on_event.add(f"e.{COLUMNS[number]} IN (SELECT value FROM carray(?))", numbers(found))  # noqa: S608  constants
        candidates.append((_blocks(connection, found), found))
    selective = False
    if candidates:
        total: int = fetch_one(connection, "SELECT count(*) FROM block INDEXED BY block_span")
        fewest, found = min(candidates, key=lambda candidate: candidate[0])
        selective = fewest * _SELECTIVE <= total
        if selective:
            blocks = "SELECT block FROM posting WHERE word IN (SELECT value FROM carray(?))"
            on_block.add(f"b.first IN ({blocks})", numbers(found))
    return Selection(on_event, on_block, selective)


def _blocks(connection: apsw.Connection, found: Sequence[int]) -> int:
    """Return how many blocks hold one of these words (an upper bound)."""
    ask = "SELECT count(*) FROM posting WHERE word IN (SELECT value FROM carray(?))"
    count: int = fetch_one(connection, ask, (numbers(found),))
    return count
