"""A query as conditions on the index: exact where a field has an index that decides it, wide where it has not.

Three things keep an index from telling: documents whose `store.scan` names the field (`encode`), values that a number
or an address cannot be made of (Elasticsearch names the subfield in `_ignored`), and fields below `store.rest`, which
know equal texts only: all that are not in the table, and in older documents those that came to it later.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from ipaddress import IPv6Address
from typing import Any, Final

from secmon.model.query import (
    TIMESTAMP,
    Addresses,
    During,
    Equals,
    Exists,
    Holds,
    Leaf,
    Like,
    Numbers,
    Query,
    Says,
    leaves,
)
from secmon.store.bounds import Bounds, bounds_of, exactly
from secmon.store.elasticsearch.fields import ADDRESSES, INDEXED, LONG_TEXTS, NUMBERS, earlier_place, indexed_as
from secmon.store.elasticsearch.words import words_query
from secmon.store.values import is_storable

Condition = dict[str, Any]

EVERYTHING: Final[Condition] = {"match_all": {}}
NOTHING: Final[Condition] = {"match_none": {}}
_MAX_LONG: Final = (1 << 63) - 1
_MAX_ADDRESS: Final = (1 << 128) - 1
_MAX_SCAN_NAME: Final = 256


class _Algebra:
    """Combines conditions."""

    def all_of(self, parts: Sequence[Condition]) -> Condition:
        return {"bool": {"filter": list(parts)}} if parts else EVERYTHING

    def any_of(self, parts: Sequence[Condition]) -> Condition:
        return {"bool": {"should": list(parts), "minimum_should_match": 1}} if parts else NOTHING

    def negated(self, part: Condition) -> Condition:
        return {"bool": {"must_not": [part]}}


_ALGEBRA: Final = _Algebra()


def conditions(query: Query) -> Bounds[Condition]:
    """Return what the index says about a query."""
    return bounds_of(query, _leaf, _ALGEBRA)


def is_indexed(leaf: Leaf) -> bool:
    """Tell whether the index decides a condition but for the odd document; else events have to be read."""
    if isinstance(leaf, Says | Holds):
        return False
    if leaf.field == TIMESTAMP:
        return isinstance(leaf, Exists | During)
    if isinstance(leaf, Exists | Equals):
        return indexed_as(leaf.field) is not None
    kinds: dict[type, frozenset[str]] = {Like: INDEXED, Numbers: NUMBERS, Addresses: ADDRESSES}
    return leaf.field in kinds.get(type(leaf), frozenset()) and indexed_as(leaf.field) is not None


def unindexed(query: Query) -> tuple[str, ...]:
    """Return the fields of a query that events have to be read for."""
    return tuple(dict.fromkeys(leaf.field for leaf in leaves(query) if not is_indexed(leaf)))


def _leaf(leaf: Leaf) -> Bounds[Condition]:
    name = leaf.field
    if not is_storable(name):
        return exactly(NOTHING)
    if name == TIMESTAMP and isinstance(leaf, Exists | During):
        return exactly(_time(leaf))
    if isinstance(leaf, Says):
        return _read(words_query("store.words", list(leaf.phrase)))
    place = indexed_as(name)
    if isinstance(leaf, Holds) or name in LONG_TEXTS or place is None:
        return _read(EVERYTHING)
    if not is_indexed(leaf):
        return _read(_ALGEBRA.any_of([present_at(place, earlier_place(name)), _scanned(name)]))
    return _indexed(leaf, place)


def present_at(place: str, earlier: str | None) -> Condition:
    """Return the condition of events that have a field in its place, or where documents of earlier versions do."""
    return _ALGEBRA.any_of([{"exists": {"field": where}} for where in (place, earlier) if where])


def _read(may: Condition) -> Bounds[Condition]:
    """Return the bounds of what only reading decides."""
    return Bounds(may, NOTHING, exact=False)


def _indexed(leaf: Leaf, place: str) -> Bounds[Condition]:
    """Return the bounds of a condition that the index decides but for the odd document."""
    if isinstance(leaf, Equals | Like) and not is_storable(leaf.text if isinstance(leaf, Equals) else leaf.pattern):
        return exactly(NOTHING)
    odd, earlier = [_scanned(leaf.field)], earlier_place(leaf.field)
    if isinstance(leaf, Exists):
        found = present_at(place, earlier)
    elif isinstance(leaf, Equals):
        same = {"value": leaf.text, "case_insensitive": True}
        found = _ALGEBRA.any_of([{"term": {where: same}} for where in (place, earlier) if where])
    elif isinstance(leaf, Like):
        found = {"wildcard": {place: {"value": leaf.pattern, "case_insensitive": True}}}
    elif isinstance(leaf, Addresses):
        found = _address_range(f"{place}.ip", leaf)
        odd.append({"term": {"_ignored": f"{place}.ip"}})
    else:
        assert isinstance(leaf, Numbers)  # noqa: S101  `is_indexed` knows no other kind
        found = _number_range(f"{place}.number", leaf)
        odd.append({"term": {"_ignored": f"{place}.number"}})
    if earlier and not isinstance(leaf, Exists | Equals):
        odd.append({"exists": {"field": earlier}})
    return Bounds(_ALGEBRA.any_of([found, *odd]), {"bool": {"filter": [found], "must_not": odd}}, exact=False)


def _scanned(name: str) -> Condition:
    return {"term": {"store.scan": name[:_MAX_SCAN_NAME]}}


def _time(leaf: Leaf) -> Condition:
    if not isinstance(leaf, During):
        return EVERYTHING
    given = {bound: value for bound, value in (("gte", leaf.since), ("lt", leaf.until)) if value is not None}
    return {"range": {"store.time": given}} if given else EVERYTHING


def _address_range(place: str, leaf: Addresses) -> Condition:
    low, high = max(leaf.low, 0), min(leaf.high, _MAX_ADDRESS)
    if low > high:
        return NOTHING
    return {"range": {place: {"gte": str(IPv6Address(low)), "lte": str(IPv6Address(high))}}}


def _number_range(place: str, leaf: Numbers) -> Condition:
    """Return the range of whole numbers; others are no numbers to the index, and so in `_ignored`."""
    low = -_MAX_LONG - 1 if leaf.low is None else _whole(leaf.low, ROUND_CEILING)
    high = _MAX_LONG if leaf.high is None else _whole(leaf.high, ROUND_FLOOR)
    low += leaf.above and leaf.low == low
    high -= leaf.below and leaf.high == high
    low, high = max(low, -_MAX_LONG - 1), min(high, _MAX_LONG)
    return {"range": {place: {"gte": low, "lte": high}}} if low <= high else NOTHING


def _whole(number: Decimal, rounding: str) -> int:
    """Return the next whole number; far beyond 64 bits any other number there does as well."""
    bounded = min(max(number, Decimal(-(1 << 70))), Decimal(1 << 70))
    return int(bounded.to_integral_value(rounding=rounding))
