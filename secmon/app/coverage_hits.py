"""Which rules hit in which batch: an event id carries its stream and its offset, and so tells its batch."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

from secmon.app.deadletters import is_replay
from secmon.app.installation import Installation
from secmon.model.access import Access
from secmon.model.batch import BatchRow
from secmon.model.ids import offset_of_id, stream_prefix


def hits_by_rule(
    house: Installation, access: Access, mark: str, batches: Sequence[BatchRow]
) -> Sequence[Mapping[str, int]]:
    """Return rule id → hits for each of some batches, which are those that follow a mark."""
    counted: list[Counter[str]] = [Counter() for _ in batches]
    places: dict[bytes, list[tuple[int, int]]] = {}
    replayed: set[str] = set()
    expected = 0
    for number, batch in enumerate(batches):
        if not batch.hits:
            continue
        if is_replay(batch.generation):
            # Its events carry the ids that ingest would have given them: they lie inside another batch.
            hits = house.log.contents(access, batch).hits
            counted[number].update(hit.rule_id for hit in hits)
            replayed.update(hit.event_id for hit in hits)
            continue
        expected += batch.hits
        prefix = stream_prefix(batch.day, batch.source, batch.generation)
        places.setdefault(prefix, []).append((batch.offset_from, number))
    for spans in places.values():
        spans.sort()
    while expected > 0:
        found, behind = house.log.hits_since(access, mark)
        if behind == mark:
            break
        mark = behind
        for hit in found:
            if hit.event_id in replayed:
                continue
            identity = bytes.fromhex(hit.event_id)
            spans = places.get(identity[:8], [])
            at = bisect_right(spans, (offset_of_id(identity), len(batches))) - 1
            if at >= 0 and offset_of_id(identity) < batches[spans[at][1]].offset_to:
                counted[spans[at][1]][hit.rule_id] += 1
                expected -= 1
    return counted
