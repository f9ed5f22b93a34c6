"""Baselines over the hits of every store: late batches, and the same alerts as the definition finds."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.app import alerts, baselines
from secmon.app.backtest import BackTest, Span, budget_of, trial_of
from secmon.app.installation import Installation
from secmon.app.ledger import Window
from secmon.model.event import Event, format_time, parse_time
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, window_start
from secmon.sigma.hits import make_hits
from secmon.sigma.match import Definition
from tests.app.houses import OPERATOR, SetClock
from tests.app.test_baselines import DAY, START, expected, house_at
from tests.contracts.backends import Opened
from tests.contracts.builders import batch_of, identity


def events_of(chance: random.Random, first: int, number: int) -> list[Event]:
    """Return requests of two weeks, in no order of time."""
    return [
        {
            "@timestamp": format_time(START + chance.random() * 14 * DAY),
            "event.id": identity(n),
            "event.dataset": "nginx.access",
            "http.response.status_code": 200,
            "url.path": chance.choice(["/a", "/b"]),
            "source.ip": f"192.0.2.{chance.randint(1, 3)}",
        }
        for n in range(first, first + number)
    ]


def hits_of(house: Installation, events: Sequence[Event]) -> list[Hit]:
    matcher = Definition(house.ruleset.rules)
    return [hit for event in events for hit in make_hits(house.ruleset, event, matcher.match(event))]


def live(house: Installation, store: Opened, chance: random.Random) -> tuple[Installation, datetime]:
    """Let hits of two weeks come in three late batches, with runs between them; return the house and the time then."""
    house = replace(house, log=store.log, records=store.records, clock=SetClock(START))
    baselines.run(house, OPERATOR, Window("baselines", START, START))
    until = START
    for number in range(1, 4):
        events = events_of(chance, 100 * number, 40)
        store.log.commit(OPERATOR, batch_of(events, number=number, hits=hits_of(house, events)))
        for minutes in range(0, 60, 10):
            until = START + 15 * DAY + timedelta(hours=number, minutes=minutes)
            house = replace(house, clock=SetClock(until))
            baselines.run(house, OPERATOR, Window("baselines", until - timedelta(minutes=10), until))
    return house, until


def said(house: Installation) -> set[tuple[str, int]]:
    """Return alert id and number of moments of what stands."""
    found = alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
    return {(one.id, one.content.count) for one in found if not one.withdrawn}


def test_every_store_gives_the_alerts_that_the_definition_finds(store: Opened, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311  a reproducible order, no secret
    with house_at(tmp_path / "house") as small:
        house, until = live(small, store, chance)
        wanted = expected(house, until)
        assert said(house) == wanted
        assert len(wanted) > 1


def tried(house: Installation, until: datetime, **span: Any) -> tuple[set[tuple[str, int]], dict[str, Any]]:
    """Return alert id and number of moments as a back-test tells them, and its sums."""
    trial = trial_of(house.ruleset, [rule.id for rule in house.ruleset.baselines])
    run = BackTest(house, OPERATOR, trial, Span(since=span.pop("since", None), until=until), budget_of(house, 600))
    counts: Counter[str] = Counter()
    for row in run.rows():
        rule = house.ruleset.by_id[row["rule.id"]]
        start = window_start(parse_time(row["@timestamp"]), rule.group_window)
        counts[alert_id(rule.id, row["secmon.group"], start)] += 1
    return set(counts.items()), run.summary()


@pytest.mark.parametrize("seed", [7, 8])
def test_a_back_test_says_what_was_said_from_day_to_day(store: Opened, backend: str, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  a reproducible order, no secret
    with house_at(tmp_path / "house") as small:
        house, until = live(replace(small, is_shared=backend == "elasticsearch"), store, chance)
        alerted = said(house)
        found, summary = tried(house, until)
        assert found == alerted
        assert len(alerted) > 1
        assert summary["alerts"] == len(alerted)
        assert all(told["taught_only"] for told in summary["baselines"])
        begin = START + 9 * DAY
        later, sums = tried(house, until, since=begin)
        assert later < found
        assert not any(
            told["taught_only"] for told in sums["baselines"]
        )  # what came before is learnt from all the same
