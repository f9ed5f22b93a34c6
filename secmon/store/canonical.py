"""The digest of what a store holds: the same on every store, in whatever order and batches it came in.

Without `event.ingested`, receive times and process ids, so that an interrupted and repeated import ends with the
digest of an uninterrupted one.
"""

import hashlib
from collections.abc import Iterable

from secmon.model.batch import EventFinding
from secmon.model.canonical import canonical_bytes
from secmon.model.event import Event, format_time
from secmon.model.hit import Hit

_VOLATILE = ("event.ingested",)


def set_digest(lines: Iterable[bytes]) -> str:
    """Return SHA-256 (hex) of sorted lines; neighbours that are equal count once."""
    digest, before = hashlib.sha256(), None
    for line in lines:
        if line != before:
            digest.update(line)
            digest.update(b"\n")
            before = line
    return digest.hexdigest()


def event_line(event_id: str, digest: str, event: Event) -> bytes:
    """Return an event's line; sorted by event id."""
    content = {name: value for name, value in event.items() if name not in _VOLATILE}
    return canonical_bytes([event_id, digest, content])


def hit_line(hit: Hit) -> bytes:
    """Return a hit's line; sorted by event id, then rule id."""
    line = [
        hit.event_id,
        hit.rule_id,
        hit.rule_digest,
        hit.level.value,
        format_time(hit.at),
        hit.alert_id,
        hit.group,
        sorted(hit.keys),
        hit.captured,
        hit.signature,
        hit.unit_id,
        hit.asset_id,
    ]
    # At the end and only where it is: lines of hits from before there were exceptions stay as they were.
    return canonical_bytes(line if hit.suppressed_by is None else [*line, hit.suppressed_by])


def finding_line(found: EventFinding) -> bytes:
    """Return a finding's line; sorted by event id, then by the line itself."""
    finding = found.finding
    return canonical_bytes(
        [
            found.event_id,
            format_time(found.at),
            found.unit_id,
            found.asset_id,
            finding.data_class,
            finding.level,
            finding.candidate,
            finding.minor.value,
            finding.path,
            None if finding.span is None else list(finding.span),
            finding.confidence,
            finding.masked,
            finding.digest,
            list(finding.trace),
        ]
    )
