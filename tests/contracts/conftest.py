"""Fixtures that give each store in turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.ports import EventLog, Records
from tests.contracts.backends import BACKENDS, Opened, store_of


@pytest.fixture(params=sorted(BACKENDS), scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def store(backend: str, tmp_path: Path) -> Iterator[Opened]:
    with store_of(backend, tmp_path) as opened:
        yield opened


@pytest.fixture
def log(store: Opened) -> EventLog:
    return store.log


@pytest.fixture
def records(store: Opened) -> Records:
    return store.records
