"""Chains of correlations over stored hits: late, repeated and re-ordered batches end with the same alerts."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app import alerts, rulebook
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.sigma.correlate import group_hits, moments, with_derived
from secmon.sigma.hits import make_hits
from tests.app.houses import NOON, OPERATOR, house_on, opened_house
from tests.contracts.builders import batch_of, event_at

OUTER = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3b004"
LINK = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3b003"
RULES = f"""
title: Refused
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3b001
name: refused
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{http.response.status_code: 401}}, condition: a}}
---
title: Allowed
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3b002
name: allowed
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{http.response.status_code: 200}}, condition: a}}
---
title: Many refused at one host
id: {LINK}
name: many
correlation:
  type: event_count
  rules: refused
  group-by: [host.name]
  timespan: 5m
  condition: {{gte: 3}}
---
title: One address is refused where many are, and then allowed
id: {OUTER}
correlation:
  type: temporal_ordered
  rules: [many, allowed]
  group-by: [source.ip]
  timespan: 10m
level: high
"""

# Minute, host, last number of the address, whether it was allowed.
Row = tuple[int, str, int, bool]


def events_of(rows: list[Row]) -> list[Event]:
    made = []
    for number, (minute, host, address, is_allowed) in enumerate(rows, start=1):
        event = event_at(number, NOON + timedelta(minutes=minute), source_ip=f"192.0.2.{address}", host_name=host)
        status = 200 if is_allowed else 401
        made.append(event | {"event.category": ["web"], "event.kind": "event", "http.response.status_code": status})
    return made


def hits_of(house: Installation, events: list[Event]) -> list[Hit]:
    engine = house.stages.engine
    assert engine is not None
    return [hit for event in events for hit in make_hits(house.ruleset, event, engine.match(event))]


def commit(house: Installation, number: int, events: list[Event]) -> None:
    rulebook.keep(house, OPERATOR)
    house.log.commit(OPERATOR, batch_of(events, number=number, hits=hits_of(house, events)))


def found(house: Installation) -> set[tuple[str, int, str]]:
    """Return (address, number of moments, first moment) of every alert."""
    every = list(alerts.every_alert(house, OPERATOR, alerts.AlertFilter()))
    assert {alert.rule_id for alert in every} <= {OUTER}
    return {(str(one.group["source.ip"]), one.content.count, one.content.first.isoformat()) for one in every}


def expected(house: Installation, events: list[Event]) -> set[tuple[str, int, str]]:
    """Return the same, calculated from all hits at once; all events lie within one grouping window."""
    outer = next(rule for rule in house.ruleset.correlations if rule.generates)
    hits = with_derived(outer, hits_of(house, events))
    result = [(group, moments(outer, some)) for group, some in group_hits(outer, hits)]
    return {(str(group["source.ip"]), len(some), some[0].at.isoformat()) for group, some in result if some}


@pytest.fixture
def house(backend: str, tmp_path: Path) -> Iterator[Installation]:
    with house_on(backend, tmp_path, rules=RULES) as opened:
        yield opened


SERIES: list[Row] = [(0, "x", 1, False), (1, "x", 2, False), (2, "x", 9, False), (5, "y", 9, True)]


def test_the_address_that_completes_a_link_is_followed(house: Installation) -> None:
    commit(house, 1, events_of(SERIES))
    evaluate(house, OPERATOR)
    assert found(house) == {("192.0.2.9", 1, (NOON + timedelta(minutes=5)).isoformat())}


def test_a_late_event_of_another_address_completes_the_chain(house: Installation) -> None:
    events = events_of(SERIES)
    commit(house, 1, [events[0], *events[2:]])
    evaluate(house, OPERATOR)
    assert found(house) == set()
    commit(house, 2, [events[1]])
    evaluate(house, OPERATOR)
    assert found(house) == expected(house, events) != set()


def test_a_chain_that_was_taken_away_is_evaluated_to_its_end(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state", rules=RULES) as before:
        commit(before, 1, events_of(SERIES))
    with opened_house(tmp_path / "state") as later:
        evaluate(later, OPERATOR)
        every = alerts.every_alert(later, OPERATOR, alerts.AlertFilter())
        assert [alert.rule_id for alert in every] == [OUTER]


ROWS = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from("xy"), st.integers(1, 2), st.booleans()), min_size=4, max_size=14
)


@settings(deadline=None, max_examples=25)
@given(rows=ROWS, seed=st.integers(0, 99), parts=st.integers(1, 4))
def test_any_order_of_arrival_ends_with_the_alerts_of_all_at_once(rows: list[Row], seed: int, parts: int) -> None:
    dice = random.Random(seed)  # noqa: S311  an order, not a secret
    events = events_of(rows)
    shuffled = dice.sample(events, len(events))
    with TemporaryDirectory() as folder, opened_house(Path(folder) / "state", rules=RULES) as house:
        for number in range(parts):
            commit(house, number + 1, shuffled[number::parts])
            evaluate(house, OPERATOR)
        assert found(house) == expected(house, events)
