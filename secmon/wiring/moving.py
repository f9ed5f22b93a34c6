"""Open two stores at once: one to be read, one to take it over."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from secmon.app.installation import Installation
from secmon.config import Settings
from secmon.errors import ConfigError
from secmon.store.lock import WriterLock
from secmon.wiring.keys import key_paths, load_keys, require_keys
from secmon.wiring.opening import opened
from secmon.wiring.stores import store_place


@contextmanager
def opened_for_move(source: Settings, target: Settings) -> Iterator[tuple[Installation, Installation]]:
    """Open the source for reading and the target for writing, with the writer locks of both held.

    Raises:
        ConfigError: both are one store; or the target has other keys than the source, or none.
        StoreUnavailableError: a process writes one of them.
    """
    if store_place(source) == store_place(target):
        raise ConfigError("source and target are the same store", where="--to", hint="name other settings")
    with ExitStack() as stack:
        if source.state.resolve() != target.state.resolve():  # else the target's lock is the source's too
            stack.enter_context(WriterLock(source.state / "writer.lock"))
        require_keys(source)
        _require_same_keys(source, target)
        new = stack.enter_context(opened(target, writable=True, content=False, unfinished=True))
        old = stack.enter_context(opened(source, writable=False, content=False))
        yield old, new


def _require_same_keys(source: Settings, target: Settings) -> None:
    for old, new in zip(key_paths(source), key_paths(target), strict=True):
        if not new.exists():
            hint = "copy keys/ of the source there, mode 0600: what is moved was made with them"
            raise ConfigError("the key is missing", where=str(new), hint=hint)
        if old.read_bytes() != new.read_bytes():
            hint = "name the keys of the source: what is moved was made with them"
            raise ConfigError("the target has another key than the source", where=str(new), hint=hint)
    if load_keys(source) != load_keys(target):
        hint = "copy keys/ of the source there, mode 0600: what is moved was made with them"
        raise ConfigError("the target lacks an earlier key of the vault", where=str(key_paths(target)[1]), hint=hint)
