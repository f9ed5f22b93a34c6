"""A small installation with its clock, and stores for use cases that ask a store for whatever they can."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.app.installation import Installation
from tests.app.houses import NOON, SetClock, opened_house
from tests.contracts.backends import IS_LONG, remove_store

IN_FULL = ["sqlite", *([pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)] if IS_LONG else [])]


@pytest.fixture(params=IN_FULL)
def store_in_full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the embedded store, in the long form each; installations lie in `tmp_path` or its `state`."""
    name: str = request.param
    yield name
    for place in (tmp_path, tmp_path / "state"):
        remove_store(name, place)


@pytest.fixture(params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give each store in turn, by name; installations lie in `tmp_path`."""
    name: str = request.param
    yield name
    remove_store(name, tmp_path)


@pytest.fixture
def clock() -> SetClock:
    """Give a clock that stands at noon."""
    return SetClock(NOON)


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    """Give the small installation on the embedded store."""
    with opened_house(tmp_path / "state", clock) as opened:
        yield opened
