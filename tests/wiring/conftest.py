"""Each store in turn, with an installation of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wiring.stores import STORES, installation, remove

_MARKED = {"elasticsearch": [pytest.mark.elasticsearch]}


@pytest.fixture(params=[pytest.param(name, marks=_MARKED.get(name, [])) for name in STORES])
def store(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def config(store: str, tmp_path: Path) -> Iterator[Path]:
    """Settings of an installation in which nothing is stored yet."""
    path = installation(store, tmp_path / "here")
    yield path
    remove(path)
