"""Installations whose store holds some events, for tests that only ask."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from secmon.app.installation import Installation
from secmon.model.event import Event
from tests.app.houses import opened_house
from tests.contracts.backends import remove_store, store_of
from tests.contracts.builders import ROOT_ACCESS, batch_of


@contextmanager
def house_holding(backend: str, folder: Path, events: Sequence[Event]) -> Iterator[Installation]:
    """Open an installation on a store that holds these events; what the store keeps elsewhere is gone afterwards."""
    try:
        with store_of(backend, folder) as store, opened_house(folder / "house") as found:
            store.log.commit(ROOT_ACCESS, batch_of(events))
            yield replace(found, log=store.log, is_shared=backend == "elasticsearch")
    finally:
        remove_store(backend, folder)
