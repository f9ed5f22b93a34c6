"""Which of the fields that rules look at stand in events, by log source: what was never seen, no rule can find."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from secmon.model.cache import ENTRY_BYTES, Budget, Cache, size_of
from secmon.model.event import Event
from secmon.sigma.routing import Router, route
from secmon.sigma.rule import LogSource, RuleSet

# Events repeat their shape: the fields they have, and what tells their log sources.
CACHE_BYTES = 16 << 20
_MAX_SHAPE_BYTES = 64 << 10
_Shape = tuple[object, ...]


class Shown(NamedTuple):
    """What was seen of one log source.

    Args:
        fields: the fields that rules of it look at and that stood in some event.
        events: how many events of it there were.
    """

    fields: frozenset[str]
    events: int


Seen = Mapping[str, Shown]
"""Log source, as `name_of` writes it → what was seen of it."""


def name_of(source: LogSource) -> str:
    """Return a log source as one text."""
    return f"{source.product}|{source.category}|{source.service}"


_NOTHING = Shown(frozenset(), 0)


class FieldWatch:
    """Notes the fields of events; one for each process that works records.

    Args:
        ruleset: the rules.
        router: where log sources are found.
    """

    def __init__(self, ruleset: RuleSet, *, router: Router = route) -> None:
        wanted: dict[LogSource, set[str]] = {}
        for rule in ruleset.rules:
            wanted.setdefault(rule.logsource, set()).update(rule.fields)
        routes = {source: router(source) for source in wanted}
        self._routes = {source: found for source, found in routes.items() if found}
        self._fields = tuple(sorted({name for found in self._routes.values() for name in found.fields}))
        self._wanted = wanted
        self._shapes: Cache[_Shape, Mapping[str, frozenset[str]]] = Cache(Budget(CACHE_BYTES))

    def of(self, events: Iterable[Event]) -> dict[str, Shown]:
        """Return log source → the fields that its rules look at and that stand in any of some events, and how many."""
        shapes: dict[_Shape, list[Event]] = {}
        fields = self._fields
        for event in events:
            key = tuple([tuple(v) if v.__class__ is list else v for v in map(event.get, fields)])
            shapes.setdefault((key, *event), []).append(event)
        seen: dict[str, Shown] = {}
        for shape, alike in shapes.items():
            for name, found in self._of_shape(shape, alike[0]).items():
                known = seen.get(name, _NOTHING)
                seen[name] = Shown(known.fields | found, known.events + len(alike))
        return seen

    def _of_shape(self, shape: _Shape, event: Event) -> Mapping[str, frozenset[str]]:
        known = self._shapes.young.get(shape)
        if known is not None:
            return known
        known = self._shapes.old(shape)
        if known is None:
            known = {
                name_of(source): frozenset(self._wanted[source].intersection(event))
                for source, found in self._routes.items()
                if found.accepts(event)
            }
        cost = ENTRY_BYTES + size_of(shape) + size_of(known)
        if cost <= _MAX_SHAPE_BYTES:  # a huge one hardly ever comes back
            self._shapes.put(shape, known, cost)
        return known
