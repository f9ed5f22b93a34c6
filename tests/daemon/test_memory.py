"""Memory that is given back when rules take the place of others."""

import gc
import weakref

from secmon.daemon.memory import give_back


class Part:
    """Refers to itself, as compiled rules do to each other."""

    def __init__(self) -> None:
        self.whole = self


def test_what_only_refers_to_itself_is_freed_at_once() -> None:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        seen = weakref.ref(Part())
        assert seen() is not None
        give_back()
        assert seen() is None
    finally:
        if was_enabled:
            gc.enable()
