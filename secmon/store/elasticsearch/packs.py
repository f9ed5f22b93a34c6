"""Hits of silent rules, many to a document: a flood of them costs bytes, not documents.

A rule that only serves correlations raises no alert, and nobody asks for one hit of it: what is asked for are the hits
of some keys in some time. So a batch's hits of such rules lie in packs. What can be asked for is indexed of a pack as a
whole (its span of time, rules, keys, units, assets): the index finds every pack that holds a wanted hit, and reading it
decides. The hits themselves are columns of JSON that no index sees:

    {"at": first µs, "last": last µs, "count": n, "event": "…", "last_event": "…", "rule": […], "keys": […],
     "unit": […], "asset": […], "pack": {"prefixes": […], "prefix": […], "place": […], "time": […], "kinds": […],
     "kind": […], "keys": [[…]], "values": [[…]], "signature": […]}}

`event` is the least id of an event with the pack's own id behind it: as a sort value it stands before all of its hits,
right behind documents of that event, and nowhere twice.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate, chain, count
from operator import attrgetter
from typing import Any, Final, Self

from secmon.model.access import Scope
from secmon.model.event import Value, to_micros
from secmon.model.hit import Hit, Level
from secmon.model.questions import HitQuery
from secmon.store.elasticsearch.encode import Item, Source, document_item, hit_of
from secmon.store.elasticsearch.fields import MAX_TEXT
from secmon.store.values import to_datetime

MOST_HITS: Final = 500
"""Of one pack: some tens of kilobytes, read as a whole."""
MOST_BYTES: Final = 128 << 10
"""Of the values in one pack, about: a hundred packs are read at once, and values come from outside."""
EVENT_DIGITS: Final = 32
_PREFIX_DIGITS: Final = 16
"""Of an event id: day and stream; place and sub-index follow (`model.ids`)."""
_ID_BYTES: Final = 20
_KEY = re.compile(r"[0-9a-f]{16}")  # model.ids.key_id

SortKey = Callable[[Hit], tuple[Any, ...]]


def is_packable(hit: Hit) -> bool:
    """Tell whether a hit may lie in a pack: no alert of its own, no exception that is counted, nothing unusual."""
    return (
        hit.alert_id is None
        and hit.suppressed_by is None
        and all(len(text or "") <= MAX_TEXT for text in (hit.rule_id, hit.unit_id, hit.asset_id))
        and all(map(_KEY.fullmatch, hit.keys))
    )


def packs_of(hits: Iterable[Hit]) -> Iterator[Sequence[Hit]]:
    """Yield the hits of a batch by the pack they go into: by key, so that few packs hold what one key is asked for."""
    part: list[Hit] = []
    size = 0
    for hit in sorted(hits, key=attrgetter("keys", "event_id", "rule_id")):
        own = sum(map(_bytes_of, chain(hit.group.values(), hit.captured.values())))
        if part and (len(part) == MOST_HITS or size + own > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(hit)
        size += own
    if part:
        yield part


def _bytes_of(value: Value) -> int:
    """Return how much a value may take in UTF-8, at most and without what JSON escapes."""
    if isinstance(value, str):
        return len(value) if value.isascii() else 4 * len(value)
    return sum(map(_bytes_of, value)) if isinstance(value, list) else 8


def pack_id(hits: Sequence[Hit]) -> str:
    """Return the `_id` of a pack: the same for the same hits, as that of a single one is."""
    digest = hashlib.blake2b(digest_size=_ID_BYTES)
    for hit in hits:
        digest.update(f"{hit.event_id}{hit.rule_id}\0".encode("utf-8", "surrogatepass"))
    return f"pack-{digest.hexdigest()}"


def pack_item(identity: str, hits: Sequence[Hit]) -> Item:
    """Return the document of a pack.

    Args:
        identity: its `_id`.
        hits: what is in it, one at least; in whatever order, it is kept.

    Raises:
        StoreError: a value cannot be written as JSON.
    """
    times, events = [to_micros(hit.at) for hit in hits], [hit.event_id for hit in hits]
    prefixes = _numbers(event[:_PREFIX_DIGITS] for event in events)
    kinds = _numbers(map(_kind, hits))
    keys = _numbers(chain.from_iterable(hit.keys for hit in hits))
    document = {
        "at": min(times), "last": max(times), "count": len(hits), "event": min(events) + identity,
        "last_event": max(events), "rule": sorted({hit.rule_id for hit in hits}), "keys": list(keys),
        "unit": sorted({hit.unit_id for hit in hits if hit.unit_id is not None}),
        "asset": sorted({hit.asset_id for hit in hits if hit.asset_id is not None}),
        "pack": {
            "prefixes": list(prefixes), "prefix": [prefixes[event[:_PREFIX_DIGITS]] for event in events],
            "place": _steps([int(event[_PREFIX_DIGITS:], 16) for event in events]), "time": _steps(times),
            "kinds": list(kinds), "kind": [kinds[_kind(hit)] for hit in hits],
            "keys": [[keys[key] for key in hit.keys] for hit in hits],
            "values": [[*hit.group.values(), *hit.captured.values()] for hit in hits],
            "signature": [hit.signature for hit in hits],
        },
    }  # fmt: skip
    return document_item(identity, document)


def emptied_item(identity: str, place: Hit) -> Item:
    """Return the document of a pack of which nothing is left; it stands where this hit stood, and is no hit."""
    found = {"at": to_micros(place.at), "event": place.event_id + identity, "rule": place.rule_id, "count": 0}
    return document_item(identity, {**found, "pack": {}})


def _kind(hit: Hit) -> tuple[Any, ...]:
    """Return what hits of one rule have in common, and whose they are."""
    names = (tuple(hit.group), tuple(hit.captured))
    return (hit.rule_id, hit.rule_digest, hit.level.value, hit.unit_id, hit.asset_id, *names)


def _numbers(column: Iterable[Any]) -> dict[Any, int]:
    """Return the different values of a column, numbered in the order in which they come."""
    numbers: dict[Any, int] = {}
    for value in column:
        numbers.setdefault(value, len(numbers))
    return numbers


def _steps(values: Sequence[int]) -> list[int]:
    return [value - before for value, before in zip(values, [0, *values], strict=False)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which hits of a pack are wanted: what its index says of all of them together, of each.

    Args:
        since: µs since 1970; None if any.
        until: µs since 1970, exclusive; None if any.
        rules: ids; empty if any.
        keys: any of these; empty if any.
        asset: id; "" if any.
        units: of which units; None for all.
    """

    since: int | None = None
    until: int | None = None
    rules: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    asset: str = ""
    units: frozenset[str] | None = None

    @classmethod
    def of(cls, query: HitQuery, scope: Scope) -> Self:
        """Return what a query in a scope wants."""
        return cls(
            since=None if query.since is None else to_micros(query.since),
            until=None if query.until is None else to_micros(query.until),
            rules=frozenset(query.rule_ids),
            keys=frozenset(query.keys),
            asset=query.asset_id,
            units=scope.units,
        )

    def takes(self, kind: Sequence[Any]) -> bool:
        """Tell whether hits of a kind are wanted."""
        rule, _, _, unit, asset, *_ = kind
        return (
            (not self.rules or rule in self.rules)
            and (not self.asset or asset == self.asset)
            and (self.units is None or unit in self.units)
        )


EVERY: Final = Wanted()


def size_of(source: Source) -> int:
    """Return how many hits a document holds."""
    size: int = source.get("count", 1)
    return size


HOW_MANY: Final = {"sum": {"field": "count", "missing": 1}}
"""Aggregation: hits in documents, packs and others. It counts in doubles: exact up to 2^53."""


def hits_of(source: Source, wanted: Wanted = EVERY) -> list[Hit]:
    """Return the wanted hits of a pack, or the one hit of any other document: the index decided about that."""
    if "pack" not in source:
        return [hit_of(source)]
    return list(_unpacked(source, wanted)) if source["count"] else []


def _unpacked(source: Source, wanted: Wanted) -> Iterator[Hit]:
    pack, keys = source["pack"], source["keys"]
    asked = {number for number, key in enumerate(keys) if key in wanted.keys} if wanted.keys else None
    kinds = [kind if wanted.takes(kind) else None for kind in pack["kinds"]]
    least = wanted.since if wanted.since is not None else source["at"]
    behind = wanted.until if wanted.until is not None else source["last"] + 1
    times, places = list(accumulate(pack["time"])), list(accumulate(pack["place"]))
    # Keys first: of one key there is often one hit in a pack, or none.
    rows = enumerate(pack["keys"])
    for row, mine in rows if asked is None else ((row, mine) for row, mine in rows if not asked.isdisjoint(mine)):
        kind = kinds[pack["kind"][row]]
        if kind is None or not least <= times[row] < behind:
            continue
        rule, digest, level, unit, asset, group, captured = kind
        values, cut = pack["values"][row], len(group)
        yield Hit(
            event_id=f"{pack['prefixes'][pack['prefix'][row]]}{places[row]:016x}",
            rule_id=rule,
            rule_digest=digest,
            level=Level(level),
            at=to_datetime(times[row]),
            group=_named(group, values[:cut]),
            keys=tuple(keys[each] for each in mine),
            captured=_named(captured, values[cut:]),
            signature=pack["signature"][row],
            unit_id=unit,
            asset_id=asset,
        )


def _named(names: Sequence[str], values: Sequence[Value]) -> dict[str, Value]:
    return dict(zip(names, values, strict=True))


def by_time(hit: Hit) -> tuple[Any, ...]:
    """Sort key of the order in which hits are read."""
    return (hit.at, hit.event_id, hit.rule_id)


def by_event(hit: Hit) -> tuple[Any, ...]:
    """Sort key of the order in which hits are digested."""
    return (hit.event_id, hit.rule_id)


def in_order(walk: Iterable[Source], key: SortKey, wanted: Wanted = EVERY) -> Iterator[Hit]:
    """Yield the hits of documents and packs that come by `(at, event)` or by `event`, in that order.

    Only packs that reach over the same time are held at once.

    Args:
        walk: documents in order.
        key: `by_time` or `by_event`, as they come.
        wanted: which of a pack.
    """
    held: list[tuple[tuple[Any, ...], int, Hit]] = []
    number = count()  # no two hits have one key; should two, they are not compared
    for source in walk:
        # Nothing that comes later stands before this; a rule may, on the very same event.
        event = source["event"][:EVENT_DIGITS]
        begins = (to_datetime(source["at"]), event) if key is by_time else (event,)
        while held and held[0][0][: len(begins)] < begins:
            yield heappop(held)[2]
        for hit in hits_of(source, wanted):
            heappush(held, (key(hit), next(number), hit))
    while held:
        yield heappop(held)[2]
