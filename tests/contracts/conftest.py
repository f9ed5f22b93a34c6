"""Fixtures that give each store in turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.ports import EventLog, Records
from tests.contracts.backends import BACKENDS, Opened, remove_store, store_of

_MARKED = {"elasticsearch": [pytest.mark.elasticsearch]}


@pytest.fixture(params=[pytest.param(name, marks=_MARKED.get(name, [])) for name in sorted(BACKENDS)], scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def cleaned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Remove what a test's store keeps outside of its folder."""
    yield
    if "backend" in request.fixturenames:
        remove_store(request.getfixturevalue("backend"), tmp_path)


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
