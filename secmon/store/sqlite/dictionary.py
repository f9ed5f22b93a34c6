"""Texts as small numbers: the dictionary of one partition, as its writer sees it."""

from collections.abc import Iterable, Sequence

import apsw

from secmon.store.matching import LIST_SEPARATOR
from secmon.store.sqlite.connection import fetch, fetch_one

# The writer's memory of a dictionary, bounded: texts that repeat are looked up without SQLite.
MAX_CACHED = 200_000
_FIND = "SELECT id FROM word WHERE field = ? AND text = ?"


class Dictionary:
    """Numbers for the texts of one partition. One writer; `forget` after a transaction was rolled back."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._next = 0
        self._cached = 0
        self._fields: dict[int, dict[str | None, int | None]] = {}

    def forget(self) -> None:
        """Drop what is remembered: numbers given out by a rolled back transaction are not in the file."""
        self._fields.clear()
        self._next = self._cached = 0

    def encode(self, field: int, texts: Sequence[str | None]) -> list[int | None]:
        """Return the numbers of the texts of one field; None stays None. Inside a transaction only."""
        known = self._fields.get(field)
        if known is None:
            known = self._fields[field] = {None: None}
        missing = set(texts) - known.keys()
        if missing:
            if self._cached + len(missing) > MAX_CACHED:
                self._fields = {field: {None: None}}
                self._cached = 0
                known = self._fields[field]
                missing = set(texts) - {None}
            self._learn(field, known, sorted(text for text in missing if text is not None))
        return [known[text] for text in texts]

    def _learn(self, field: int, known: dict[str | None, int | None], texts: Iterable[str]) -> None:
        rows = []
        if not self._next:
            self._next = fetch_one(self._connection, "SELECT coalesce(max(id), 0) + 1 FROM word")
        for text in texts:
            number: int | None = fetch_one(self._connection, _FIND, (field, text))
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


def is_storable(text: str) -> bool:
    """Tell whether a text can stand in the store: lone surrogates cannot, a question with one finds nothing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
