"""Who works the records: the calling process itself, or worker processes (`daemon.workers`)."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from secmon.app.installation import Installation
from secmon.model.event import Frame
from secmon.pipeline import Lane, Processed, Stages, process


class Work(Protocol):
    """Takes frames through all stages, now or later; results come in any order."""

    def submit(self, frames: Sequence[Frame], lane: Lane, *, prefix: bytes, received_at: datetime) -> Future[Processed]:
        """Return the future result of `pipeline.process`."""
        ...

    @property
    def ahead(self) -> int:
        """How many submissions of one stream make sense before the first is committed."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """An installation with the rules in force, and who works records by these very rules.

    A reload puts another desk in its place; whoever reads looks between two batches which one it is.
    """

    house: Installation
    work: Work


class InlineWork:
    """Works in the calling process.

    Args:
        stages: what all streams share.
    """

    ahead = 1

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def submit(self, frames: Sequence[Frame], lane: Lane, *, prefix: bytes, received_at: datetime) -> Future[Processed]:
        """Work at once and return a future that is already done."""
        future: Future[Processed] = Future()
        try:
            result = process(frames, lane, self._stages, prefix=prefix, received_at=received_at)
        except Exception as error:  # noqa: BLE001  a future carries whatever went wrong to its reader
            future.set_exception(error)
        else:
            future.set_result(result)
        return future
