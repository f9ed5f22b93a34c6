"""A budget in bytes for caches of what comes from outside, and two generations by which unused entries age.

New entries go to the young generation. When the young ones have cost half the budget, they become the old ones and
what was old is forgotten; an old entry that is used again becomes young. So at most the budget is held, what is
used stays, and nothing needs a clock or a list.
"""

from collections.abc import Hashable
from sys import getsizeof
from typing import Generic, TypeVar

ENTRY_BYTES = 160
"""What an entry takes in its dict, and what little objects around it take."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def size_of(value: object) -> int:
    """Return the bytes that a value holds: texts, and tuples, sets, lists and mappings of values."""
    size = getsizeof(value)
    if isinstance(value, tuple | frozenset | list):
        return size + sum(map(size_of, value))
    if isinstance(value, dict):
        return size + sum(size_of(key) + size_of(each) for key, each in value.items())
    return size


class Budget:
    """The budget that some caches share.

    Args:
        limit: bytes; entries say what they cost (`size_of`).
    """

    __slots__ = ("_ages", "_caches", "_half", "_spent")

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._spent = self._ages = 0
        self._caches: list[Cache[object, object]] = []

    @property
    def has_forgotten(self) -> bool:
        """Whether an entry may have been forgotten so far."""
        return self._ages > 1

    def join(self, cache: "Cache[K, V]") -> None:
        """Let a cache take part."""
        self._caches.append(cache)  # type: ignore[arg-type]  # caches of any type age alike

    def spend(self, cost: int) -> None:
        """Account for a new entry; all caches age when half of the budget is spent."""
        self._spent += cost
        if self._spent > self._half:
            self._spent = 0
            self._ages += 1
            for cache in self._caches:
                cache.age()


class Cache(Generic[K, V]):
    """Two dicts. `young` keeps its identity for ever, so that a hot loop may hold on to it."""

    __slots__ = ("_budget", "_old", "young")

    def __init__(self, budget: Budget) -> None:
        self.young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._budget = budget
        budget.join(self)

    def old(self, key: K) -> V | None:
        """Return an old entry and let it go, or None: whoever still wants it puts it in again."""
        return self._old.pop(key, None)

    def put(self, key: K, value: V, cost: int) -> None:
        """Keep an entry that costs about so many bytes."""
        self._budget.spend(cost)
        self.young[key] = value

    def age(self) -> None:
        """Forget what was old; what was young becomes old."""
        self._old = self.young.copy()
        self.young.clear()


class Memory(Generic[K, V]):
    """A cache of its own, with a budget of its own, where speed matters less than a short name.

    Args:
        limit: bytes.
    """

    __slots__ = ("_cache", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.clear()

    def get(self, key: K) -> V | None:
        """Return an entry, if it is still there; used again, it stays."""
        found = self._cache.young.get(key)
        if found is None:
            found = self._cache.old(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep an entry in the place of what its key had."""
        self._cache.old(key)
        self._cache.put(key, value, ENTRY_BYTES + size_of(key) + size_of(value))

    def forget(self, key: K) -> None:
        """Drop an entry, if it is there."""
        self._cache.old(key)
        self._cache.young.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._cache: Cache[K, V] = Cache(Budget(self._limit))
