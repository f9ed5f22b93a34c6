"""What a kind of source is: how its bytes are cut into records, and how a record becomes events.

A new kind is one module with a `parse` function, one line in `registry.py` and one golden folder in test_corpora/.
"""

from collections.abc import Callable
from dataclasses import dataclass

from secmon.model.event import Dropped, Event, Frame, ParseContext, Record
from secmon.model.stream import Position

# A record longer than this is cut: its head becomes the record, the rest is passed over (Frame.truncated).
MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Framing:
    """What framing made of some bytes.

    Args:
        frames: complete records, in order.
        position: the place behind the last of them (and behind what was passed over).
    """

    frames: tuple[Frame, ...]
    position: Position


# (bytes that follow a position, that position, whether nothing follows them) → framing.
# With `at_end` False an incomplete last record is left for the next call; the caller sees from
# `position.offset` how many bytes were consumed.
Framer = Callable[[bytes, Position, bool], Framing]

# One decoded record → at least one event, or Dropped. Raises ParseError where it claims the format and breaks it.
Parser = Callable[[Record, ParseContext], list[Event] | Dropped]

# A sample of up to 100 records' texts → how sure, 0 … 1, that they are of this kind.
Recogniser = Callable[[list[str]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of source.

    Args:
        name: as in settings and on the command line: "nginx.access".
        dataset: `event.dataset` of its events, unless the parser says otherwise.
        module: `event.module` of its events, unless the parser says otherwise.
        frame: cuts bytes into records.
        parse: reads one record; leaves `event.id`, `event.hash`, `event.ingested`, `event.original`,
            `log.file.path` and `ecs.version` to the pipeline.
        recognise: for `--source auto`.
        binary: records are not lines of text (no decoding, no dead-letter replay by text).
        retention: retention class of its partition.
    """

    name: str
    dataset: str
    module: str
    frame: Framer
    parse: Parser
    recognise: Recogniser
    binary: bool = False
    retention: str = "security"
