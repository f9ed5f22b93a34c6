"""Two daemons on the real server: frozen before any call to the store, and every record and hit counts once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from secmon.app import ingest
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import ConflictError
from tests.app.houses import OPERATOR, opened_house
from tests.app.interleaving import every_point
from tests.app.test_two_daemons import File, begun, judge, more
from tests.app.ticking import facts
from tests.contracts.backends import remove_store, store_of

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]


class Houses:
    """Installations on stores of their own, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0

    @contextmanager
    def opened(self) -> Iterator[Installation]:
        self._number += 1
        state = self._folder / str(self._number)
        try:
            with opened_house(state) as house, store_of("elasticsearch", state) as store:
                yield replace(house, log=store.log, records=store.records, is_shared=True)
        finally:
            remove_store("elasticsearch", state)


@pytest.fixture
def houses(tmp_path: Path) -> Houses:
    return Houses(tmp_path)


def test_a_reader_that_was_frozen_anywhere_makes_nothing_count(
    houses: Houses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "BATCH_RECORDS", 3)
    file = File(tmp_path, 5, malformed=True)

    def act(house: Installation) -> None:
        with suppress(ConflictError):
            file.read(house)

    for at, house in every_point(houses.opened, act, file.read):
        file.read(house)
        judge(house, 5, at, malformed=1)


def test_an_evaluator_that_was_frozen_anywhere_counts_nothing_twice(houses: Houses) -> None:
    with houses.opened() as house:
        begun(house)
        more(house)
        evaluate(house, OPERATOR)
        expected = facts(house)

    @contextmanager
    def due() -> Iterator[Installation]:
        with houses.opened() as house:
            begun(house)
            yield house

    def other(house: Installation) -> None:
        evaluate(house, OPERATOR)
        more(house)
        evaluate(house, OPERATOR)

    for at, house in every_point(due, lambda house: evaluate(house, OPERATOR), other):
        evaluate(house, OPERATOR)
        assert facts(house) == expected, f"frozen before call {at}"
