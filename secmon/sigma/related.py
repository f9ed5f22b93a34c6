"""Whether a value of one field equals, begins with, ends with or contains a value of another, for many of both.

Events choose how many values their fields have. Pair by pair that would be as many comparisons as both have values,
multiplied; here the time grows with the characters of both together, whatever they are:

- *equals*: a set.
- *begins with*: of sorted texts none of which begins with another, only the last one that is not behind a value can be
  its beginning, for whatever stands between a text and its continuations begins with it. *Ends with*: the same,
  reversed.
- *contains*: the automaton of Aho and Corasick ("Efficient string matching: an aid to bibliographic search", 1975).
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable

from secmon.sigma.tree import FieldRelation

_FEW = 16
"""Pairs that are compared one by one: what nearly all events have."""
_CHARACTERS = 0x110000
"""Of Unicode: a node and a character together are one number."""

_RELATION: dict[FieldRelation, Callable[[str, str], bool]] = {
    FieldRelation.EQUAL: str.__eq__,
    FieldRelation.STARTS: str.startswith,
    FieldRelation.ENDS: str.endswith,
    FieldRelation.CONTAINS: str.__contains__,
}


def any_related(relation: FieldRelation, values: Collection[str], others: Collection[str]) -> bool:
    """Tell whether some value is related to some other text: one such pair is enough.

    Args:
        relation: how the value stands to the other text.
        values: texts of the one field, folded.
        others: texts of the other field, folded.
    """
    if len(values) * len(others) <= _FEW:
        holds = _RELATION[relation]
        return any(holds(value, other) for value in values for other in others)
    match relation:
        case FieldRelation.EQUAL:
            return not set(values).isdisjoint(others)
        case FieldRelation.STARTS:
            return _some_begins(values, others)
        case FieldRelation.ENDS:
            return _some_begins([value[::-1] for value in values], [other[::-1] for other in others])
        case FieldRelation.CONTAINS:
            return _some_contains(values, others)


def _some_begins(values: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether some value begins with some other text."""
    beginnings: list[str] = []
    for other in sorted(set(others)):
        if not beginnings or not other.startswith(beginnings[-1]):
            beginnings.append(other)
    for value in values:
        at = bisect_right(beginnings, value)
        if at and value.startswith(beginnings[at - 1]):
            return True
    return False


def _some_contains(values: Collection[str], others: Iterable[str]) -> bool:
    """Tell whether some other text stands in some value."""
    longest = max(map(len, values), default=0)
    automaton = _Automaton({other for other in others if len(other) <= longest})
    return any(automaton.finds(value) for value in values)


class _Automaton:
    """Looks for many texts at once.

    Args:
        texts: what is looked for.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._edges: dict[int, int] = {}
        self._ends: set[int] = set()
        self._back = [0]
        """Of each node the longest other node that the text up to it ends with."""
        levels: list[list[tuple[int, int, int]]] = []
        for text in texts:
            self._add(text, levels)
        for level in levels:
            for node, parent, character in level:
                self._link(node, parent, character)

    def _add(self, text: str, levels: list[list[tuple[int, int, int]]]) -> None:
        """Take a text; of one that begins with another the rest would never be reached."""
        node = 0
        for depth, character in enumerate(map(ord, text)):
            if node in self._ends:
                return
            edge = node * _CHARACTERS + character
            following = self._edges.get(edge)
            if following is None:
                following = self._edges[edge] = len(self._back)
                self._back.append(0)
                if depth == len(levels):
                    levels.append([])
                levels[depth].append((following, node, character))
            node = following
        self._ends.add(node)

    def _link(self, node: int, parent: int, character: int) -> None:
        if not parent:
            return
        back = self._back[node] = self._step(self._back[parent], character)
        if back in self._ends:
            self._ends.add(node)

    def _step(self, node: int, character: int) -> int:
        """Return the node behind one more character."""
        edges = self._edges
        while True:
            following = edges.get(node * _CHARACTERS + character)
            if following is not None:
                return following
            if not node:
                return 0
            node = self._back[node]

    def finds(self, value: str) -> bool:
        """Tell whether one of the texts stands in a value."""
        ends, node = self._ends, 0
        if node in ends:
            return True
        for character in map(ord, value):
            node = self._step(node, character)
            if node in ends:
                return True
        return False
