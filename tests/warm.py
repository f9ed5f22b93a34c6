"""State folders whose first start finds what an earlier one prepared: to compile the shipped rules takes seconds.

What is prepared counts only under the record key of its installation (`store.cache`), so they share that key too.
Tests of a first start itself, of keys, or of what a start writes take a state folder of their own.
"""

import os
from pathlib import Path

from secmon.store.keys import KEYS_FOLDER, load_or_make_key


def warm(state: Path) -> None:
    """Make a state folder with the record key of all such folders, and with their cache in place of its own."""
    shared = Path(os.environ["XDG_CACHE_HOME"]) / "warm"  # of this session: tests/conftest.py
    (shared / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
    key = load_or_make_key(shared / "record.key")
    keys = state / KEYS_FOLDER
    state.mkdir(mode=0o700, parents=True)
    keys.mkdir(mode=0o700)
    (keys / "record.key").touch(mode=0o600)
    (keys / "record.key").write_bytes(key)
    (state / "cache").symlink_to(shared / "cache")
