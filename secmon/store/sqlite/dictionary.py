"""Texts as small numbers: the dictionary of one partition, as its writer sees it."""

from collections.abc import Iterable, Sequence

import apsw

from secmon.model.event import LIST_SEPARATOR
from secmon.store.sqlite.connection import fetch, fetch_one
from secmon.store.values import is_storable

# The writer's memory of a dictionary, bounded: texts that repeat are looked up without SQLite.
MAX_CACHED = 200_000
_FIND = "SELECT id FROM word WHERE field = ? AND text = ?"


class Dictionary:
    """Numbers for the texts of one partition. One writer; `forget` after a transaction was rolled back."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._fields: dict[int, dict[str | None, int | None]] = {}
        self._next = self._cached = 0
        # Whether every text of the file is remembered: then an unknown one is new, without asking SQLite.
        self._complete = False

    def forget(self) -> None:
        """Drop what is remembered: numbers given out by a rolled back transaction are not in the file."""
        self._fields.clear()
        self._next = self._cached = 0
        self._complete = False

    def encode(self, field: int, texts: Sequence[str | None]) -> list[int | None]:
        """Return the numbers of the texts of one field; None stays None. Inside a transaction only."""
        if not self._next:
            self._load()
        known = self._field(field)
        missing = set(texts).difference(known)
        if missing and self._cached + len(missing) > MAX_CACHED:
            self._fields.clear()
            self._cached, self._complete = 0, False
            known = self._field(field)
            missing = set(texts) - {None}
        if missing:
            self._learn(field, known, sorted(text for text in missing if text is not None))
        return [known[text] for text in texts]

    def _field(self, field: int) -> dict[str | None, int | None]:
        return self._fields.setdefault(field, {None: None})

    def _load(self) -> None:
        """Remember what the file holds, if it is not too much."""
        self._next = fetch_one(self._connection, "SELECT coalesce(max(id), 0) + 1 FROM word")
        if self._next <= MAX_CACHED:
            for number, field, text in fetch(self._connection, "SELECT id, field, text FROM word"):
                self._field(field)[text] = number
            self._cached = self._next - 1
            self._complete = True

    def _learn(self, field: int, known: dict[str | None, int | None], texts: Iterable[str]) -> None:
        rows = []
        for text in texts:
            number = None if self._complete else fetch_one(self._connection, _FIND, (field, text))
            if number is None:
                number = self._next
                self._next += 1
                rows.append((number, field, text, LIST_SEPARATOR in text))
            known[text] = number
            self._cached += 1
        self._connection.executemany("INSERT INTO word VALUES (?, ?, ?, ?)", rows)


def find_words(connection: apsw.Connection, field: int, values: Iterable[str]) -> list[int]:
    """Return the numbers of all texts of a field that are, or as a list hold, one of these values."""
    wanted = {value for value in values if is_storable(value)}
    found = find_exact(connection, field, wanted)
    lists = fetch(connection, "SELECT id, text FROM word WHERE field = ? AND list", (field,))
    found += [number for number, text in lists if not wanted.isdisjoint(text.split(LIST_SEPARATOR))]
    return found


def find_exact(connection: apsw.Connection, field: int, values: Iterable[str]) -> list[int]:
    """Return the numbers of exactly these texts of a field."""
    numbers = (fetch_one(connection, _FIND, (field, value)) for value in values if is_storable(value))
    return [number for number in numbers if number is not None]
