"""One way to write plain data as bytes, so that the same facts give the same digest everywhere.

Keys sorted, no spaces, every character outside ASCII escaped: a lone surrogate from a broken log line cannot stop
a digest.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

Plain = str | int | float | bool | None | Sequence["Plain"] | Mapping[str, "Plain"]


def canonical_bytes(value: Plain) -> bytes:
    """Return the one encoding of plain data."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def canonical_digest(value: Plain) -> str:
    """Return 64 hex digits of SHA-256 over the one encoding of plain data."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()
