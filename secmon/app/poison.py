"""Events that the store can never take: their records become dead letters, the rest of the batch goes on.

One document that the store refuses must not stop the stream behind it. The record as a whole is set aside, with all
its events, hits and findings, and its raw bytes are kept sealed like those of any dead letter.
"""

from collections.abc import Collection, Sequence

from secmon.errors import ParseError, PoisonError
from secmon.model.event import Frame
from secmon.pipeline import Lane, Processed, Stages, set_aside

REFUSED = ParseError("the store refused it").problem
"""What such a dead letter says; an error's text, so that it is translated like those of all others."""


def without_poison(
    error: PoisonError, result: Processed, frames: Sequence[Frame], lane: Lane, stages: Stages
) -> Processed:
    """Return what is left of a processed batch without the records of the events that the store refused.

    Raises:
        PoisonError: it named no event of this batch: setting nothing aside would try the same for ever.
    """
    refused: Collection[str] = frozenset(error.event_ids)
    ids = frozenset(event.id for event in result.events if event.id.hex() in refused)
    if not ids:
        raise error
    return set_aside(result, ids, frames, lane, stages, problem=REFUSED)
