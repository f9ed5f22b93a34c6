"""One digest over many: the Merkle tree of RFC 6962, section 2.1 (SHA-256, leaves and nodes told apart by a prefix)."""

import hashlib
from collections.abc import Sequence

_LEAF, _NODE = b"\x00", b"\x01"


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Return the root over some leaves in their order, 64 hex; of none the digest of nothing.

    Whoever changes, leaves out, adds or moves a leaf gets another root.
    """
    if not leaves:
        return hashlib.sha256().hexdigest()
    level = [hashlib.sha256(_LEAF + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        # Pairs from the left, a last one without a partner goes up as it is: the same tree as the recursive definition.
        pairs = [hashlib.sha256(_NODE + level[n] + level[n + 1]).digest() for n in range(0, len(level) - 1, 2)]
        level = pairs if len(level) % 2 == 0 else [*pairs, level[-1]]
    return level[0].hex()
