"""Which of the fields that rules look at stand in events, by log source: what was never seen, no rule can find."""

from collections.abc import Iterable, Mapping

from secmon.model.event import Event
from secmon.sigma.routing import Router, route
from secmon.sigma.rule import LogSource, RuleSet

# Events repeat their shape: the fields they have, and what tells their log sources.
_MAX_SHAPES = 8192
_MAX_SHAPE_TEXT = 4096
_Shape = tuple[object, ...]
Seen = Mapping[str, frozenset[str]]
"""Log source, as `name_of` writes it → names of fields."""


def name_of(source: LogSource) -> str:
    """Return a log source as one text."""
    return f"{source.product}|{source.category}|{source.service}"


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
        self._shapes: dict[_Shape, Seen] = {}

    def of(self, events: Iterable[Event]) -> dict[str, frozenset[str]]:
        """Return the fields that stand in any of some events and that a rule of their log source looks at."""
        shapes: dict[_Shape, Event] = {}
        fields = self._fields
        for event in events:
            key = tuple([tuple(v) if v.__class__ is list else v for v in map(event.get, fields)])
            shapes[(key, *event)] = event
        seen: dict[str, frozenset[str]] = {}
        for shape, event in shapes.items():
            for name, found in self._of_shape(shape, event).items():
                seen[name] = seen.get(name, frozenset()) | found
        return seen

    def _of_shape(self, shape: _Shape, event: Event) -> Seen:
        known = self._shapes.get(shape)
        if known is None:
            known = {
                name_of(source): frozenset(self._wanted[source].intersection(event))
                for source, found in self._routes.items()
                if found.accepts(event)
            }
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            if len(repr(shape)) <= _MAX_SHAPE_TEXT:  # a huge value must not stay as a key
                self._shapes[shape] = known
        return known
