"""Deciding a condition from the atoms that are known to be true, without looking at the event.

The fast engine knows exactly which value atoms hold, which keywords may hold, and nothing about the other event
atoms (null, exists, fieldref). So each tree is turned into two functions of the set of known atoms: `may` (the rule
can still match) and `must` (it matches whatever the rest says). Where they differ, the event itself is asked.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from secmon.sigma.tree import And, Atom, Keyword, KeywordRegex, Node, Not, Or, Text, ValueAtom

# Numbers of atoms that are true (value atoms) or may be (keywords) → verdict.
Decision = Callable[[AbstractSet[int]], bool]
# `id` of an atom in the tree → its number; by identity, because hashing a long pattern again and again is slow.
Numbers = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both functions of one tree; `must` implies `may`."""

    may: Decision
    must: Decision


def _always(known: AbstractSet[int]) -> bool:
    del known
    return True


def _never(known: AbstractSet[int]) -> bool:
    del known
    return False


def verdict(node: Node, numbers: Numbers) -> Verdict:
    """Return the two functions of a tree whose value atoms and keywords are numbered."""
    if isinstance(node, Not):
        inner = verdict(node.node, numbers)
        return Verdict(_negated(inner.must), _negated(inner.may))
    if isinstance(node, And):
        plain, rest = _split(node.nodes, numbers)
        return Verdict(_all(plain, [each.may for each in rest]), _all(plain, [each.must for each in rest]))
    if isinstance(node, Or):
        plain, rest = _split(node.nodes, numbers)
        return Verdict(_any(plain, [each.may for each in rest]), _any(plain, [each.must for each in rest]))
    if isinstance(node, ValueAtom):
        decided = _contains(numbers[id(node)])
        return Verdict(decided, decided)
    if isinstance(node, Keyword | KeywordRegex):
        return Verdict(_contains(numbers[id(node)]), _never)
    return Verdict(_always, _never)


def _split(nodes: tuple[Node, ...], numbers: Numbers) -> tuple[frozenset[int], list[Verdict]]:
    """Return the numbers of the value atoms among some nodes, and the verdicts of the others."""
    plain = frozenset(numbers[id(node)] for node in nodes if isinstance(node, ValueAtom))
    return plain, [verdict(node, numbers) for node in nodes if not isinstance(node, ValueAtom)]


def _contains(number: int) -> Decision:
    return lambda known: number in known


def _negated(decision: Decision) -> Decision:
    return lambda known: not decision(known)


def _all(plain: frozenset[int], rest: list[Decision]) -> Decision:
    if not rest:
        return plain.issubset
    return lambda known: plain <= known and all(decision(known) for decision in rest)


def _any(plain: frozenset[int], rest: list[Decision]) -> Decision:
    if not rest:
        return lambda known: not plain.isdisjoint(known)
    return lambda known: not plain.isdisjoint(known) or any(decision(known) for decision in rest)


def necessary(node: Node, numbers: Numbers) -> frozenset[int] | None:
    """Return atoms of which at least one holds whenever the tree does, the rarest such set; None if there is none."""
    found = _necessary(node, numbers)
    return found[1] if found else None


def _necessary(node: Node, numbers: Numbers) -> tuple[float, frozenset[int]] | None:
    if isinstance(node, And):
        covers = [found for child in node.nodes if (found := _necessary(child, numbers))]
        return min(covers, key=lambda found: found[0], default=None)
    if isinstance(node, Or):
        weight, union = 0.0, set[int]()
        for child in node.nodes:
            found = _necessary(child, numbers)
            if found is None:
                return None
            weight += found[0]
            union |= found[1]
        return weight, frozenset(union)
    if isinstance(node, Not) or id(node) not in numbers:
        return None
    return _weight(node), frozenset({numbers[id(node)]})


def reduced(node: Node, known: Callable[[Atom], bool | None]) -> Node | bool:
    """Return what is left of a tree when the answer to some atoms is known.

    Args:
        node: the tree.
        known: an atom → its answer, None where it is not known.
    """
    kind = type(node)
    if kind is And or kind is Or:
        return _reduced_branch(node, known)  # type: ignore[arg-type]  # by its type
    if kind is not Not:
        answer = known(node)  # type: ignore[arg-type]  # an atom: nothing else is left
        return node if answer is None else answer
    inner = reduced(node.node, known)  # type: ignore[union-attr]  # by its type
    if isinstance(inner, bool):
        return not inner
    return node if inner is node.node else Not(inner)  # type: ignore[union-attr]  # by its type


def _reduced_branch(node: And | Or, known: Callable[[Atom], bool | None]) -> Node | bool:
    """Return what is left of a branch; itself if nothing in it is known."""
    ends = isinstance(node, Or)  # one child with this answer decides all
    rest: list[Node] = []
    changed = False
    for child in node.nodes:
        left = reduced(child, known)
        if left is ends:
            return ends
        if isinstance(left, bool):
            changed = True
        else:
            changed = changed or left is not child
            rest.append(left)
    if not rest:
        return not ends
    if not changed:
        return node
    return rest[0] if len(rest) == 1 else type(node)(tuple(rest))


# Fields with few distinct values: an atom over one of them is true all the time.
_COMMON = frozenset({"event.code", "winlog.channel", "winlog.provider_name", "event.outcome", "event.category"})


def _weight(atom: Atom) -> float:
    """Guess how often an atom is true: long texts seldom, event ids all the time."""
    if isinstance(atom, Text | Keyword):
        if isinstance(atom, Text) and atom.field in _COMMON:
            return 1000.0
        return 100.0 / (1 + sum(len(part) for part in atom.pattern if isinstance(part, str)))
    return 10.0
