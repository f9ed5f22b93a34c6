"""Streams that changed hands: what is durable is rolled forward, what an earlier writer has under way is shut out.

A batch is durable before the checkpoint behind it is. Whoever finds a stream between the two moves the checkpoint
with the state that the batch's row carries: nothing is worked twice, nothing counted twice.
"""

from dataclasses import replace

import orjson

from secmon.app import checkpoints
from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.batch import BatchRow
from secmon.model.stream import Checkpoint

_ATTEMPTS = 20


def recover(house: Installation, access: Access, source: str | None = None) -> int:
    """Roll forward every stream, or those of one source, whose last batch is durable while its checkpoint is not.

    Who still writes a stream loses nothing by it: the checkpoint becomes the one that it was about to write.
    """
    forwarded = 0
    for checkpoint in checkpoints.load_all(house, access, source):
        row = house.log.batch(
            access,
            day=checkpoint.day,
            retention=checkpoint.retention,
            stream=stream_of(checkpoint),
            number=checkpoint.batch + 1,
        )
        if row is not None:
            try:
                checkpoints.save(house, access, after(row, checkpoint))
            except ConflictError:
                continue  # its writer lives, and did it
            forwarded += 1
    return forwarded


def take_over(house: Installation, access: Access, checkpoint: Checkpoint) -> Checkpoint:
    """Make a stream the caller's own under the next epoch; return its checkpoint, rolled forward.

    In this order: fence the next batch off, so that no attempt of an earlier epoch can become durable any more;
    roll forward if one became so before; compare-and-swap. An earlier writer that comes back can neither commit that
    batch nor, without the checkpoint, get to the one behind it.

    Raises:
        ConflictError: others keep taking it.
    """
    for _ in range(_ATTEMPTS):
        try:
            return checkpoints.save(house, access, next_epoch(house, access, checkpoint)[0])
        except ConflictError:
            found = checkpoints.load(house, access, checkpoint.source, checkpoint.generation)
            if found is None:
                break
            checkpoint = replace(found, place=checkpoint.place)
    raise ConflictError("the stream keeps changing hands", where=checkpoint.source, hint="the next turn tries again")


def next_epoch(house: Installation, access: Access, checkpoint: Checkpoint) -> tuple[Checkpoint, BatchRow | None]:
    """Fence the batch behind a checkpoint off; return the checkpoint under the next epoch.

    The caller saves it; until then nothing has changed but that attempts under way have become void. If the batch was
    durable already, its row is returned too, and the checkpoint stands behind it.

    Raises:
        ConflictError: a later epoch has the stream.
    """
    row = house.log.fence(
        access,
        day=checkpoint.day,
        retention=checkpoint.retention,
        stream=stream_of(checkpoint),
        number=checkpoint.batch + 1,
        epoch=checkpoint.epoch + 1,
    )
    reached = after(row, checkpoint) if row is not None else checkpoint
    return replace(reached, epoch=checkpoint.epoch + 1), row


def after(row: BatchRow, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint behind a durable batch; the epoch stays that of the checkpoint, whoever wrote the batch."""
    found = checkpoints.from_body(orjson.loads(row.state), checkpoint.version)
    return replace(found, epoch=checkpoint.epoch)


def stream_of(checkpoint: Checkpoint) -> str:
    """Return the name of a checkpoint's stream (`Batch.stream`)."""
    return f"{checkpoint.source}:{checkpoint.generation}"
