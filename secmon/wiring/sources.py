"""Sources and their collectors."""

from secmon.app.installation import Source
from secmon.collect.files import SETTLE_S, FileCollector
from secmon.config import Settings
from secmon.parse.registry import KINDS
from secmon.ports import Clock


def sources_of(settings: Settings) -> dict[str, Source]:
    """Return the configured sources by name."""
    return {
        one.name: Source(
            name=one.name,
            kind=one.kind,
            zone=one.zone or settings["secmon.zone"],
            asset=one.asset,
            unit=one.unit,
            silent_after=one.silent_after,
        )
        for one in settings.sources
    }


def collectors_of(settings: Settings, clock: Clock, *, settle_s: float = SETTLE_S) -> list[FileCollector]:
    """Return one collector for each configured source with paths."""
    return [
        FileCollector(
            source=one.name,
            kind=one.kind,
            paths=one.paths,
            clock=clock,
            retention=KINDS[one.kind].retention,
            settle_s=settle_s,
        )
        for one in settings.sources
        if one.paths
    ]
