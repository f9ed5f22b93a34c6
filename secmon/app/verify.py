"""The same id with another digest is an error, never a duplicate."""

import hmac
from bisect import bisect_right
from collections.abc import Sequence
from itertools import takewhile

from secmon.app.installation import Installation
from secmon.errors import StoreError
from secmon.model.access import Access
from secmon.model.batch import BatchRow
from secmon.model.event import Frame
from secmon.model.ids import event_id, stream_prefix
from secmon.model.stream import Checkpoint
from secmon.pipeline import DIGEST_BYTES


def refuse_changed(
    house: Installation, access: Access, stream: Checkpoint, rows: Sequence[BatchRow], frames: Sequence[Frame]
) -> None:
    """Compare records that are read again with the digests of the events they became the first time.

    Args:
        house: the installation.
        access: who reads.
        stream: the stream.
        rows: its batch rows, in order (`EventLog.batches_of`): they tell which partition a record lies in.
        frames: the records, in order.

    Records that became no event (blank lines, dead letters) and events whose partition is gone have no digest left.

    Raises:
        StoreError: a record differs; the file shares only its beginning with the one that was read before.
    """
    if not frames:
        return
    first, last = frames[0].offset, frames[-1].offset
    start = bisect_right(rows, first, key=lambda row: row.offset_to)
    for row in takewhile(lambda row: row.offset_from <= last, rows[start:]):
        prefix = stream_prefix(row.day, stream.source, stream.generation)
        inside = {
            event_id(prefix, frame.offset).hex(): frame
            for frame in frames
            if row.offset_from <= frame.offset < row.offset_to
        }
        for identity, digest in house.log.digests(access, list(inside)).items():
            frame = inside[identity]
            if hmac.digest(house.stages.record_key, frame.raw, "sha256")[:DIGEST_BYTES] != digest:
                raise StoreError(
                    "the record differs from the one that was read here before",
                    where=f"{stream.place or stream.source}:record {frame.number}",
                    hint="the file shares its beginning with another one: import it under a source of its own",
                )
