"""Walking several partitions in one order without loading them."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Span(NamedTuple):
    """Earliest and latest time (µs) of what a part can yield."""

    first: int
    last: int


def merged(
    parts: Iterable[tuple[Span, Callable[[], Iterator[T]]]], *, key: Callable[[T], tuple[object, ...]], descending: bool
) -> Iterator[T]:
    """Yield the items of sorted parts in one order; a part is opened only when its time comes.

    Partitions are days of arrival, so their times overlap little: those that do are merged, the others are walked
    one after the other.
    """
    for cluster in _clusters(parts, descending=descending):
        yield from heapq.merge(*(walk() for walk in cluster), key=key, reverse=descending)


def _clusters(
    parts: Iterable[tuple[Span, Callable[[], Iterator[T]]]], *, descending: bool
) -> list[list[Callable[[], Iterator[T]]]]:
    clusters: list[list[Callable[[], Iterator[T]]]] = []
    end = None
    for span, walk in sorted(parts, key=lambda part: part[0]):
        if end is None or span.first > end:
            clusters.append([])
            end = span.last
        clusters[-1].append(walk)
        end = max(end, span.last)
    return clusters[::-1] if descending else clusters
