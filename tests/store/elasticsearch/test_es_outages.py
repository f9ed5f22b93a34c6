"""Outages of a real cluster in the midst of ticks: answers that get lost, connections that are refused, a restart."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import StoreUnavailableError
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.records import ElasticsearchRecords
from tests.app.houses import NOON, OPERATOR, SetClock, opened_house
from tests.app.lateness import RULES, Request, commit, events_of, expected, found
from tests.contracts.backends import remove_store, settings_of
from tests.contracts.test_late_contract import some_log
from tests.store.elasticsearch.lossy import lossy_way

pytestmark = pytest.mark.elasticsearch


@contextmanager
def house_over(url: str, state: Path, clock: SetClock) -> Iterator[Installation]:
    """Open the installation of a folder whose cluster is reached over a way."""
    settings = replace(settings_of(state), urls=(url,), timeout_s=30.0)
    log, records = ElasticsearchEventLog(settings, writable=True), ElasticsearchRecords(settings, writable=True)
    with opened_house(state, clock, rules=RULES) as house:
        try:
            yield replace(house, log=log, records=records)
        finally:
            log.close()
            records.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    remove_store("elasticsearch", tmp_path)


def deliver(house: Installation, number: int, log: list[Request]) -> None:
    """Commit a batch, as often as it takes; a tick may fail behind it."""
    for _ in range(9):
        with suppress(StoreUnavailableError):
            commit(house, number, events_of(log, first=100 * number))
            break
    else:
        pytest.fail("the batch could not be committed")
    with suppress(StoreUnavailableError):
        evaluate(house, OPERATOR)


@pytest.mark.parametrize("seed", [1, 2])
def test_alerts_are_those_of_all_events_however_the_way_to_the_cluster_fails(state: Path, seed: int) -> None:
    dice, clock = random.Random(seed), SetClock(NOON)  # noqa: S311  which answers get lost is no secret
    log = some_log(dice)
    parts = [log[1::3], log[::3], log[2::3]]  # out of order
    every = [event for number, part in enumerate(parts, start=1) for event in events_of(part, first=100 * number)]
    real = settings_of(state).urls[0]
    with lossy_way(real, lambda _method, _path: dice.random() < 0.05) as url, house_over(url, state, clock) as house:
        deliver(house, 1, parts[0])
        clock.pass_time(hours=7)
        deliver(house, 2, parts[1])
    with house_over(url, state, clock) as house, pytest.raises(StoreUnavailableError):
        evaluate(house, OPERATOR)  # nobody listens there any more
    clock.pass_time(hours=-30)
    with house_over(real, state, clock) as house:
        commit(house, 3, events_of(parts[2], first=300))
        evaluate(house, OPERATOR)
        assert found(house) == expected(house, every)
