"""What a store's indices can say about a query: a condition that no answer fails, and one that only answers meet.

Each condition on a field has both; they meet where the index decides exactly. NOT turns them around: what surely does
not match is the complement of what may match. So any tree of conditions has both, and whatever lies between them has to
be read and decided by `model.query.predicate`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from secmon.model.query import AllOf, AnyOf, Leaf, Not, Query

Condition = TypeVar("Condition")


class Algebra(Protocol[Condition]):
    """How a store combines its conditions."""

    def all_of(self, parts: Sequence[Condition]) -> Condition:
        """Return the condition that all parts hold; without parts it always does."""
        ...

    def any_of(self, parts: Sequence[Condition]) -> Condition:
        """Return the condition that one of the parts holds."""
        ...

    def negated(self, part: Condition) -> Condition:
        """Return the condition that the part does not hold, of an event without the field too."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds(Generic[Condition]):
    """Both conditions.

    Args:
        may: every event that matches meets it.
        must: every event that meets it matches.
        exact: whether they are the same.
    """

    may: Condition
    must: Condition
    exact: bool


def exactly(condition: Condition) -> Bounds[Condition]:
    """Return the bounds of what an index decides."""
    return Bounds(condition, condition, exact=True)


def bounds_of(
    query: Query, leaf: Callable[[Leaf], Bounds[Condition]], algebra: Algebra[Condition]
) -> Bounds[Condition]:
    """Return the bounds of a query.

    Args:
        query: what is asked for.
        leaf: the bounds of one condition on a field.
        algebra: how to combine them.
    """
    if isinstance(query, Not):
        part = bounds_of(query.part, leaf, algebra)
        return Bounds(algebra.negated(part.must), algebra.negated(part.may), part.exact)
    if isinstance(query, AllOf | AnyOf):
        parts = [bounds_of(part, leaf, algebra) for part in query.parts]
        join = algebra.all_of if isinstance(query, AllOf) else algebra.any_of
        return Bounds(
            join([part.may for part in parts]),
            join([part.must for part in parts]),
            exact=all(part.exact for part in parts),
        )
    return leaf(query)
