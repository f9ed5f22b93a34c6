"""Streams and how far they were read: a stream is one generation of one source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from secmon.model.batch import Counts


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two records of a stream.

    Args:
        offset: bytes of the uncompressed stream before it.
        number: records before it.
        line: lines before it.
        skipping: the bytes that follow belong to a record whose head was already taken as truncated.
    """

    offset: int = 0
    number: int = 0
    line: int = 0
    skipping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far one stream is committed; a compare-and-swap of it is what makes a batch count.

    Args:
        place: where the stream was last seen: a path; a hint, never an identity.
        tail: 32 hex digest of up to 256 bytes before the offset; if they change, the stream was rewritten.
        head: hex digest and length of the stream's head, "LENGTH:HEX"; recognises it in another file.
        batch: number of its last committed batch.
        epoch: fencing epoch.
        day: partition day of its next batch.
        ruleset: digest of the rule set of its next batch.
        counts: sum of its committed batches.
        encodings: records by encoding.
        version: version of the stored document, for the next compare-and-swap; 0 if it is not stored yet.
    """

    source: str
    kind: str
    generation: str
    position: Position
    day: date
    place: str = ""
    head: str = ""
    tail: str = ""
    batch: int = 0
    epoch: int = 1
    retention: str = "security"
    ruleset: str = ""
    counts: Counts = field(default_factory=Counts)
    encodings: Mapping[str, int] = field(default_factory=dict)
    first_event: datetime | None = None
    last_event: datetime | None = None
    last_received: datetime | None = None
    skew_s: float = 0.0
    version: int = 0
