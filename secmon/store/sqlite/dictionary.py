"""Texts as small numbers: the dictionary of one partition, as its writer sees it."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from sys import getsizeof

import apsw

from secmon.model.cache import ENTRY_BYTES, Budget, Cache
from secmon.model.event import LIST_SEPARATOR
from secmon.store.sqlite.connection import fetch, fetch_one
from secmon.store.values import is_storable

CACHE_BYTES = 64 << 20
"""The writer's memory of the dictionary of a partition: texts that repeat are looked up without SQLite."""
# A longer text is looked up in SQLite every time: it hardly ever comes back, and would crowd out those that do.
_MAX_CACHED_CHARS = 4_096
_FIND = "SELECT id FROM word WHERE field = ? AND text = ?"


class Dictionary:
    """Numbers for the texts of one partition. One writer; `forget` after a transaction was rolled back."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.forget()

    def forget(self) -> None:
        """Drop what is remembered: numbers given out by a rolled back transaction are not in the file."""
        self._budget = Budget(CACHE_BYTES)
        self._fields: dict[int, Cache[str, int]] = {}
        self._next = 0
        self._is_loaded = False

    @property
    def _is_complete(self) -> bool:
        """Whether every text of the file is remembered, but for long ones: others are new, without asking SQLite."""
        return self._is_loaded and not self._budget.has_forgotten

    def encode(self, field: int, texts: Sequence[str | None]) -> list[int | None]:
        """Return the numbers of the texts of one field; None stays None. Inside a transaction only."""
        if not self._next:
            self._load()
        cache = self._field(field)
        known = cache.young
        wanted: set[str] = set(texts)  # type: ignore[arg-type]  # None goes at once
        wanted.discard(None)
        missing = wanted.difference(known)
        if not missing:
            return list(map(known.get, texts))  # type: ignore[arg-type]  # None is no key, and stays None
        found = {text: known[text] for text in wanted.difference(missing)}
        found.update(self._learn(field, cache, sorted(missing)))
        return list(map(found.get, texts))  # type: ignore[arg-type]  # likewise

    def _field(self, field: int) -> Cache[str, int]:
        cache = self._fields.get(field)
        if cache is None:
            cache = self._fields[field] = Cache(self._budget)
        return cache

    def _load(self) -> None:
        """Remember what the file holds, if it is not too much."""
        self._next = fetch_one(self._connection, "SELECT coalesce(max(id), 0) + 1 FROM word")
        if self._next * ENTRY_BYTES > CACHE_BYTES:
            return
        with closing(self._connection.execute("SELECT id, field, text FROM word")) as words:
            for number, field, text in words:
                _put(self._field(field), text, number)
                if self._budget.has_forgotten:
                    return
        self._is_loaded = True

    def _learn(self, field: int, cache: Cache[str, int], texts: Iterable[str]) -> dict[str, int]:
        """Return the numbers of texts that are not among the young ones, and remember them."""
        learnt, rows = dict[str, int](), []
        for text in texts:
            number = cache.old(text)
            if number is None and not (self._is_complete and len(text) <= _MAX_CACHED_CHARS):
                number = fetch_one(self._connection, _FIND, (field, text))
            if number is None:
                number = self._next
                self._next += 1
                rows.append((number, field, text, LIST_SEPARATOR in text))
            learnt[text] = number
            _put(cache, text, number)
        self._connection.executemany("INSERT INTO word VALUES (?, ?, ?, ?)", rows)
        return learnt


def _put(cache: Cache[str, int], text: str, number: int) -> None:
    if len(text) <= _MAX_CACHED_CHARS:
        cache.put(text, number, ENTRY_BYTES + getsizeof(text))


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
