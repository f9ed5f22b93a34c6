"""Open an installation: lock, keys, store, content, in the order that leaves nothing half."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from secmon.app.installation import Installation
from secmon.app.move import refuse_unfinished
from secmon.clock import SystemClock
from secmon.config import Settings
from secmon.content import framework_files
from secmon.errors import ConfigError, StoreError, StoreUnavailableError
from secmon.model.access import job_access
from secmon.model.retention import CLASSES
from secmon.ports import Clock, Signer, Spool, Vault
from secmon.store.lock import WriterLock
from secmon.store.signing import open_signer
from secmon.store.spool import FileSpool
from secmon.store.vault import open_vault
from secmon.wiring.content import content_fields, load_content, load_registers_only
from secmon.wiring.documents import renderers
from secmon.wiring.keys import check_keys, load_keys, require_keys
from secmon.wiring.sources import sources_of
from secmon.wiring.stores import Store, is_cluster, is_store_made, opened_store, store_place
from secmon.wiring.texts import Texts, read_texts

COVERAGE_HEAD = "coverage.head"
"""The file of the state folder that names the last sheet of the coverage ledger."""


@contextmanager
def opened(
    settings: Settings,
    *,
    writable: bool,
    content: bool = True,
    clock: Clock | None = None,
    patient: bool = False,
    unfinished: bool = False,
    begin: bool = True,
    texts: Texts | None = None,
) -> Iterator[Installation]:
    """Open an installation and close it again.

    Args:
        settings: checked settings.
        writable: take the writer lock; without it nothing can be changed.
        content: load rules and classifiers; commands that only read or triage do without.
        clock: another clock than the machine's, for tests and the demo.
        patient: open even if the cluster is away; `Installation.admit` has to be called before anything is written.
        unfinished: open even what a move has not finished: for the move itself.
        begin: make a new installation where nothing is stored yet.
        texts: what content is made of, if it was read before; None reads it.

    Raises:
        StoreUnavailableError: another process writes, or the store cannot be opened now.
        StoreError: the store is damaged or newer than this program.
        ConfigError: nothing is stored there, or with other keys.
    """
    state = settings.state
    if not begin and _is_made(settings, patient=False) is False:
        raise _nothing(settings)
    with ExitStack() as stack:
        if writable:
            make_state(state)
            stack.enter_context(WriterLock(state / "writer.lock"))
        is_made = _is_made(settings, patient=writable and patient)
        if is_made:
            require_keys(settings)
        elif writable:
            load_keys(settings)  # before the store, so that a start that is cut off between the two leaves nothing half
        else:
            raise _nothing(settings)
        store = stack.enter_context(opened_store(settings, writable=writable))
        ours = clock or SystemClock()
        admit = partial(_admit, settings, store, ours, writable=writable, unfinished=unfinished)
        if not (writable and patient):
            admit()
        elif is_made:
            with suppress(StoreError):  # it went away meanwhile
                check_keys(settings, store.records, writable=False)  # before content is loaded with other keys
        chosen = _content(settings, texts) if content else load_registers_only(settings).fields()
        vault = open_vault(settings["keys.vault_file"])
        yield Installation(
            log=store.log,
            records=store.records,
            schema=store.schema,
            vault=vault,
            spool=spool_of(settings, vault, writable=writable),
            clock=ours,
            **chosen,
            zone=settings["secmon.zone"],
            retention_days=settings["store.retention_days"],
            retention_ceilings={name: settings[f"store.retention_ceiling.{name}"] for name in CLASSES},
            sources=sources_of(settings),
            renderers=renderers(settings),
            framework_texts=tuple(framework_files(settings["content.frameworks"])[0]),
            anchor=_anchor(state / "audit.head"),
            signer=_signer(settings, writable=writable),
            anchor_coverage=_anchor(state / COVERAGE_HEAD),
            max_skew=settings["coverage.max_skew"],
            admit=admit,
            is_shared=is_cluster(settings),
        )


def _nothing(settings: Settings) -> ConfigError:
    hint = "run secmon up or secmon import"
    return ConfigError("nothing is stored here yet", where=store_place(settings), hint=hint)


def _content(settings: Settings, texts: Texts | None) -> dict[str, Any]:
    return content_fields(settings, load_content(settings, texts or read_texts(settings), load_keys(settings)))


def _admit(settings: Settings, store: Store, clock: Clock, *, writable: bool, unfinished: bool) -> None:
    if writable:
        store.require_ready(clock.now().date())
    store.require_known()
    check_keys(settings, store.records, writable=writable)
    if not unfinished:
        refuse_unfinished(store.records, job_access("wiring"))


def spool_of(settings: Settings, vault: Vault, *, writable: bool) -> Spool | None:
    """Return the spool, unless it may hold nothing and does."""
    folder, max_bytes = settings.state / "spool", settings["spool.max_bytes"]
    if not max_bytes and not folder.exists():
        return None
    return FileSpool(folder, vault, max_bytes=max_bytes, writable=writable)


def _is_made(settings: Settings, *, patient: bool) -> bool | None:
    """Tell whether anything is stored there; None: the cluster does not tell, and we may wait for it."""
    try:
        return is_store_made(settings)
    except StoreError:
        if not patient:
            raise
        return None


def make_state(state: Path) -> None:
    """Make the state folder, for its owner only.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = "name a folder you may write with --state or [secmon] state"
        raise ConfigError("cannot be made: " + type(error).__name__, where=str(state), hint=hint) from error


def _signer(settings: Settings, *, writable: bool) -> Signer | None:
    """Return what signs the ledger; its key is made by whoever writes."""
    path: Path = settings["keys.sign_file"]
    return open_signer(path) if writable or path.exists() else None


def _anchor(path: Path) -> Callable[[str], None]:
    def write(head: str) -> None:
        temporary = path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(head)
                file.flush()
                os.fsync(file.fileno())  # else a power cut can leave an empty file under the name
            temporary.replace(path)
        except OSError as error:
            raise StoreUnavailableError(
                "the head of the chain cannot be written: {reason}",
                where=str(path),
                hint="see `secmon doctor`",
                values={"reason": os.strerror(error.errno or 0)},
            ) from error

    return write
