"""Which kind a stream is: for `--source auto`."""

from secmon.model.stream import Position
from secmon.parse.encoding import decode
from secmon.parse.kind import Kind
from secmon.parse.registry import KINDS

SAMPLE_RECORDS = 100
# Below this a guess is none: more than half of the records would be dead letters.
MIN_CONFIDENCE = 0.5


def guess(sample: bytes) -> tuple[str, float]:
    """Return the most likely kind of the stream that begins with these bytes, and how sure that is, 0 … 1.

    ("", 0.0) where no kind reaches `MIN_CONFIDENCE`; between equals the first in the registry.
    """
    best, confidence = "", 0.0
    for kind in KINDS.values():
        sure = kind.recognise(_texts(kind, sample))
        if sure > confidence:
            best, confidence = kind.name, sure
    return (best, confidence) if confidence >= MIN_CONFIDENCE else ("", 0.0)


def _texts(kind: Kind, sample: bytes) -> list[str]:
    """Return the first records as this kind sees them; one cut off by the sample's end only if there is no other."""
    frames = kind.frame(sample, Position(), False).frames or kind.frame(sample, Position(), True).frames
    return [decode(frame.raw)[0] for frame in frames[:SAMPLE_RECORDS]]
