"""Windows that stand from tick to tick: what they save, and that they change nothing."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.app import alerts, standing
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.app.standing import Standing
from secmon.model.access import Access
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, window_start
from secmon.model.questions import HitQuery
from secmon.ports import EventLog
from secmon.sigma.correlate import group_hits, moments
from secmon.sigma.hits import make_hits
from secmon.sigma.match import Definition
from secmon.sigma.sliding import Sliding, counted, in_order
from tests.app.houses import NOON, OPERATOR, opened_house
from tests.contracts.builders import batch_of, event_at

COUNT, VALUES = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3b0c2", "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3b0c3"
RULES = f"""
title: Refused
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3b0c1
name: refused
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{http.response.status_code: 401}}, condition: a}}
---
title: Many refused
id: {COUNT}
correlation: {{type: event_count, rules: [refused], group-by: [source.ip], timespan: 12h, condition: {{gte: 12}}}}
level: high
---
title: Many paths refused
id: {VALUES}
correlation:
  {{type: value_count, rules: [refused], group-by: [source.ip], timespan: 12h, condition: {{field: url.path, gte: 5}}}}
level: high
"""


@dataclass(frozen=True, slots=True)
class Counting:
    """A store that counts the hits that are read by key."""

    log: EventLog
    read: list[int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def hits(self, access: Access, query: HitQuery) -> Iterator[Hit]:
        for hit in self.log.hits(access, query):
            self.read[0] += bool(query.keys)
            yield hit


@contextmanager
def house_at(folder: Path, *, stands: bool = True) -> Iterator[tuple[Installation, list[int]]]:
    with opened_house(folder, rules=RULES) as opened:
        read = [0]
        house = replace(opened, log=Counting(opened.log, read), standing=Standing() if stands else Never())
        yield house, read


class Never(Standing):
    """Keeps nothing."""

    def keep(self, *_given: object) -> None:
        """Keep nothing."""


def commit(house: Installation, number: int, rows: list[tuple[float, int, int]]) -> None:
    """Commit requests: (minute, number of the address, number of the path)."""
    events = [
        event_at((number - 1) * 100_000 + place, NOON + timedelta(minutes=minute), source_ip=f"192.0.2.{address}")
        | {"http.response.status_code": 401, "url.path": f"/{path}"}
        for place, (minute, address, path) in enumerate(rows)
    ]
    match = Definition(house.ruleset.rules).match
    hits = [hit for event in events for hit in make_hits(house.ruleset, event, match(event))]
    house.log.commit(OPERATOR, batch_of(events, number=number, hits=hits))
    evaluate(house, OPERATOR)


def told(house: Installation) -> set[tuple[str, int, str, tuple[str, ...]]]:
    return {
        (one.id, one.content.count, str(one.content.captured["secmon.count"]), one.content.samples)
        for one in alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
        if not one.withdrawn
    }


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "FEWEST", 3)


def test_a_tick_of_a_flood_reads_what_is_new_of_it(tmp_path: Path) -> None:
    with house_at(tmp_path / "a") as (house, read):
        for number in range(1, 60):
            read[0] = 0
            commit(house, number, [(number * 5 + part / 10, 1, part) for part in range(10)])
        assert read[0] == 20  # ten for each of two correlations, of windows that hold 590
    with house_at(tmp_path / "b", stands=False) as (plain, read):
        for number in range(1, 60):
            read[0] = 0
            commit(plain, number, [(number * 5 + part / 10, 1, part) for part in range(10)])
        assert read[0] > 1_000


def expected(house: Installation) -> set[tuple[str, int]]:
    """Return alert id and number of moments by the definition, over all hits at once."""
    hits = list(house.log.hits(OPERATOR, HitQuery()))
    counts: Counter[str] = Counter()
    for rule in house.ruleset.correlations:
        for group, some in group_hits(rule, hits):
            for moment in moments(rule, some):
                counts[alert_id(rule.id, group, window_start(moment.at, rule.group_window))] += 1
    return set(counts.items())


def rows_of(chance: random.Random) -> Iterator[list[tuple[float, int, int]]]:
    """Yield batches of a day: mostly forward in time, sometimes late, sometimes ahead, with ties."""
    minute = 0.0
    for _ in range(60):
        minute += chance.choice([0, 1, 10, 45])
        shift = chance.choice([0, 0, 0, 0, 0, -30, -700, 60])
        yield [
            (minute + shift + chance.choice([0, 0, 0.5]), chance.choice([1, 1, 1, 2, 3]), chance.randint(1, 8))
            for _ in range(chance.randint(1, 12))
        ]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_told_is_the_same_with_and_without(tmp_path: Path, seed: int) -> None:
    answers = []
    for stands in (True, False):
        chance = random.Random(seed)  # noqa: S311  the same batches, no secret
        with house_at(tmp_path / str(stands), stands=stands) as (opened, _):
            house = opened
            for number, rows in enumerate(rows_of(chance), start=1):
                commit(house, number, rows)
                if number % 17 == 0:
                    house = replace(house, standing=type(house.standing)())  # a restart
            answers.append(told(house))
            assert {row[:2] for row in told(house)} == expected(house)
    assert answers[0] == answers[1]
    assert len(answers[0]) > 2


def sliding_over(house: Installation, minutes: int) -> Sliding:
    rule = next(rule for rule in house.ruleset.correlations if rule.id == COUNT)
    commit(house, 1, [(minute, 1, 1) for minute in range(minutes)])
    ((_, hits),) = group_hits(rule, house.log.hits(OPERATOR, HitQuery()))
    sliding = Sliding(rule)
    for event in counted(rule, in_order(hits)):
        sliding.move(event)
    return sliding


def test_a_window_counts_for_the_next_tick_of_the_same_attempts_only(tmp_path: Path) -> None:
    with house_at(tmp_path) as (house, _):
        rule, sliding = house.ruleset.correlations[0], sliding_over(house, 9)
        later = NOON + timedelta(hours=1)

        def kept(*, attempt: int = 1, end: int = 1, begin: str = "b") -> Standing:
            found = Standing()
            found.begin(1, "a")
            found.keep(attempt, rule, "key", sliding)
            found.end(end, "b")
            found.begin(2, begin)
            return found

        assert kept().take(2, rule, "key", later) is sliding
        assert kept().take(2, rule, "key", NOON) is None  # late
        assert kept().take(2, rule, "other", later) is None
        assert kept().take(3, rule, "key", later) is None
        assert kept(attempt=7).take(2, rule, "key", later) is None  # of an attempt that was replaced
        assert kept(end=7).take(2, rule, "key", later) is None  # that never counted
        assert kept(begin="c").take(2, rule, "key", later) is None  # others had a tick meanwhile


def test_only_so_many_bytes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with house_at(tmp_path) as (house, _):
        rule, sliding = house.ruleset.correlations[0], sliding_over(house, 9)
        monkeypatch.setattr(standing, "MAX_BYTES", 3 * sliding.size - 1)
        found = Standing()
        found.begin(1, "a")
        for key in "pqr":
            found.keep(1, rule, key, sliding)
        assert [found.holds(rule, key) for key in "pqr"] == [False, True, True]
