"""One-off import: the whole pipeline over given files or standard input, with an exact account."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from secmon.app import audit
from secmon.app.ingest import Progress, ingest_stream
from secmon.app.installation import Installation
from secmon.app.work import Work
from secmon.model.access import Access
from secmon.model.batch import Counts
from secmon.model.stream import Checkpoint
from secmon.ports import Collector


@dataclass(slots=True)
class Imported:
    """What an import did to one source: its account of this run, hits and findings."""

    source: str
    counts: Counts = field(default_factory=Counts)
    hits: int = 0
    findings: dict[str, int] = field(default_factory=dict)
