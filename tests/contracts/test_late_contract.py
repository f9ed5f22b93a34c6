"""Late events and outages on every store: the alerts are a function of the set of events there as well."""

import random
from functools import partial
from pathlib import Path

import pytest

from secmon.app import alerts
from secmon.app.evaluate import evaluate
from tests.app.houses import OPERATOR, SetClock
from tests.app.lateness import TICKS, Arrival, Request, arrived, commit, events_of, every_alert, expected, house_on
from tests.app.test_outages import (
    OUTAGES,
    Outage,
    after,
    clock_jumps,
    daemon_down,
    daemon_down_and_one_batch,
    log_of,
    one_source_late,
    read_backwards,
    store_away,
    ticks_killed,
    ticks_missed_and_doubled,
)
from tests.contracts.backends import IS_LONG


def some_log(dice: random.Random) -> list[Request]:
    seconds = sorted(dice.sample(range(3_600), 24))
    return [
        Request(
            second, dice.randint(1, 2), dice.choice([401, 401, 403, 200]), dice.choice("ab"), dice.choice([None, -1, 3])
        )
        for second in seconds
    ]


@pytest.mark.parametrize("seed", range(30 if IS_LONG else 4))
def test_any_arrival_ends_with_the_alerts_of_all_at_once_on_every_store(
    backend: str, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311  a log and an order, no secrets
    log = some_log(dice)
    ticks = tuple(dice.choices(TICKS, k=4))
    arrival = Arrival(seed, ticks, tuple(dice.choices(range(1, 60), k=4)))
    opened = partial(house_on, backend, tmp_path)
    with opened() as house:
        wanted = expected(house, events_of(log))
    assert arrived(opened, events_of(log), arrival) == wanted


# Every way that something can be away, and every length; all of them together are the long form (`test_outages`).
WAYS = (
    (daemon_down, "1h"),
    (daemon_down_and_one_batch, "72h"),
    (read_backwards, "24h"),
    (store_away, "1h"),
    (one_source_late, "72h"),
    (clock_jumps, "24h"),
    (ticks_missed_and_doubled, "1min"),
    (ticks_killed, "1min"),
)


@pytest.mark.parametrize(("way", "outage"), WAYS, ids=[f"{way.__name__}-{outage}" for way, outage in WAYS])
def test_after_an_outage_the_alerts_are_what_all_events_say_on_every_store(
    backend: str, tmp_path: Path, way: Outage, outage: str
) -> None:
    clock, log = SetClock(), log_of(OUTAGES[outage])
    with house_on("sqlite", tmp_path / "aside") as aside:
        wanted = expected(aside, events_of(log))
    assert after(lambda: house_on(backend, tmp_path, clock), clock, log, OUTAGES[outage], way) == wanted


def test_what_a_withdrawn_alert_said_stays_citable_on_every_store(backend: str, tmp_path: Path) -> None:
    with house_on(backend, tmp_path) as house:
        commit(house, 1, events_of([Request(300, 1, 401, "a", None)]))
        evaluate(house, OPERATOR)
        commit(house, 2, events_of([Request(240, 1, 200, "a", None)], first=2))
        evaluate(house, OPERATOR)
        (alert,) = [one for one in every_alert(house) if one.rule_name == "temporal_words"]
        cited = alerts.get_revision(house, OPERATOR, alert.id, 1)
    assert (alert.withdrawn, alert.revision, cited.withdrawn, cited.content.count) == (True, 2, False, 1)
