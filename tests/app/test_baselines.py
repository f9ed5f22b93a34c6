"""Baselines over the store: the alerts are a function of the set of hits, whatever came when."""

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from secmon.app import alerts, baselines
from secmon.app.imports import import_streams
from secmon.app.installation import Installation
from secmon.app.ledger import Window
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.model.alert import Alert
from secmon.model.calendar import Calendar
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, window_start
from secmon.sigma.correlate import group_hits
from secmon.sigma.deviation import State, counts_of, judge
from secmon.sigma.novelty import news, satisfied
from secmon.sigma.rule import CorrelationRule
from tests.app.houses import OPERATOR, SetClock, access_line, house_on

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2026, 9, 6, 16, 0, tzinfo=UTC)  # midnight of Monday, 7 September, in Shanghai
NEW, SPIKE, FLAT = (f"7b1c9a4e-0b1d-4c56-8a55-6d3c64f3b00{n}" for n in (1, 2, 3))
CALENDAR = Calendar(zone=ZoneInfo("Asia/Shanghai"))

RULES = f"""
title: Request
id: 7b1c9a4e-0b1d-4c56-8a55-6d3c64f3b000
name: request
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{http.response.status_code: 200}}, condition: a}}
level: low
---
title: New address at a path
id: {NEW}
correlation:
  type: value_count
  rules: [request]
  group-by: [url.path]
  timespan: 2h
  condition: {{field: source.ip, gte: 1}}
level: medium
custom:
  secmon:
    group_window: 1d
    reason: "{{url.path}} {{source.ip}} {{secmon.window}}"
    baseline: {{type: new_value, lookback: 6d, learning: 2d}}
---
title: Many requests
id: {SPIKE}
correlation:
  type: event_count
  rules: [request]
  group-by: [url.path]
  timespan: 6h
  condition: {{gte: 6}}
level: medium
custom:
  secmon:
    group_window: 1d
    reason: "{{url.path}} {{secmon.actual}} / {{secmon.expected}} {{secmon.window}} {{secmon.compared}}"
    baseline: {{type: spike, lookback: 8d, learning: 2d, comparable: 2, factor: 2, delay: 15m}}
---
title: No requests
id: {FLAT}
correlation:
  type: event_count
  rules: [request]
  group-by: [url.path]
  timespan: 6h
  condition: {{lt: 1}}
level: medium
custom:
  secmon:
    group_window: 1d
    baseline: {{type: flatline, lookback: 8d, learning: 2d, comparable: 2, delay: 30m}}
"""


@pytest.fixture
def house(store_in_full: str, tmp_path: Path) -> Iterator[Installation]:
    with house_at(tmp_path / "state", store_in_full) as opened:
        yield opened


def house_at(folder: Path, backend: str = "sqlite") -> AbstractContextManager[Installation]:
    return house_on(backend, folder, SetClock(START), rules=RULES, calendar=CALENDAR)


def take_in(house: Installation, folder: Path, lines: list[str], name: str) -> None:
    """Import lines, no earlier than the latest of them was written."""
    assert isinstance(house.clock, SetClock)
    stamps = [line.partition("[")[2].partition("]")[0] for line in lines]
    written = max(datetime.strptime(stamp, "%d/%b/%Y:%H:%M:%S %z") for stamp in stamps)
    house.clock.moment = max(house.clock.moment, written)
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    collector = ImportCollector(source="nginx.access", kind="nginx.access", files=[str(path)], clock=house.clock)
    import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    collector.close()


def turn(house: Installation, until: datetime) -> dict[str, object]:
    """Let the clock stand at a time, and do what is due."""
    assert isinstance(house.clock, SetClock)
    house.clock.moment = until
    return baselines.run(house, OPERATOR, Window("baselines", until - timedelta(minutes=10), until))


def request(hours: float, path: str = "/a", address: str = "192.0.2.1") -> str:
    return access_line(START + timedelta(hours=hours), path, address=address)


def found(house: Installation, rule: str = "") -> list[Alert]:
    every = alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
    return [one for one in every if one.rule_id == rule or not rule]


def usual_days(days: int, per_day: int = 2) -> list[str]:
    return [request(24 * day + 9 + n / 4) for day in range(days) for n in range(per_day)]


def test_a_spike_says_what_was_expected_and_what_it_compared(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, [*usual_days(4), *(request(96 + 9 + n / 10) for n in range(12))], "a")
    turn(house, START + 4 * DAY + 13 * HOUR)
    (alert,) = found(house, SPIKE)
    assert alert.reason == (
        "/a 12 / 2 2026-09-11 06:00–12:00（上学日，课余时段） 上学日同一时段：09-10 2、09-09 2、09-08 2、09-07 2"
    )
    assert (alert.content.count, len(alert.content.samples)) == (1, 12)


def test_a_window_is_judged_when_its_delay_has_passed(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, [*usual_days(4), *(request(96 + 9 + n / 10) for n in range(12))], "a")
    turn(house, START + 4 * DAY + 12 * HOUR + timedelta(minutes=10))
    assert found(house, SPIKE) == []
    turn(house, START + 4 * DAY + 12 * HOUR + timedelta(minutes=20))
    assert len(found(house, SPIKE)) == 1


def test_a_flatline_is_told_of_the_units_that_were_there(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, usual_days(4), "a")
    for minutes in range(0, 60, 10):
        turn(house, START + 4 * DAY + 12 * HOUR + timedelta(minutes=minutes))
    (alert,) = found(house, FLAT)
    assert (alert.content.count, alert.content.samples, list(alert.content.shares)) == (1, (), [""])


def test_what_arrives_late_takes_a_flatline_back(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, usual_days(4), "a")
    for minutes in range(0, 60, 10):
        turn(house, START + 4 * DAY + 12 * HOUR + timedelta(minutes=minutes))
    take_in(house, tmp_path, [request(96 + 10)], "b")
    turn(house, START + 4 * DAY + 13 * HOUR)
    (alert,) = found(house, FLAT)
    assert (alert.content.count, alert.revision, alert.withdrawn) == (0, 2, True)
    before = alerts.get_revision(house, OPERATOR, alert.id, 1)  # a document may cite it
    assert (before.content.count, before.withdrawn) == (1, False)


def test_an_alert_of_the_rule_as_it_was_is_not_withdrawn_by_the_rule_as_it_is(
    house: Installation, tmp_path: Path
) -> None:
    turn(house, START)
    take_in(house, tmp_path, usual_days(4), "a")
    for minutes in range(0, 60, 10):
        turn(house, START + 4 * DAY + 12 * HOUR + timedelta(minutes=minutes))
    changed = tuple(replace(rule, digest="0" * 32) for rule in house.ruleset.baselines)
    house = replace(house, ruleset=replace(house.ruleset, baselines=changed))
    take_in(house, tmp_path, [request(96 + 10)], "b")
    turn(house, START + 4 * DAY + 13 * HOUR)
    (alert,) = found(house, FLAT)
    assert not alert.withdrawn


def test_after_an_outage_nothing_is_missing_until_the_delay_has_passed(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, usual_days(4), "a")
    turn(house, START + 4 * DAY)
    back = START + 4 * DAY + 20 * HOUR
    turn(house, back)  # the day's requests still wait in the file
    assert found(house, FLAT) == []
    take_in(house, tmp_path, [request(96 + 10)], "b")
    for minutes in (10, 20, 30, 40):
        turn(house, back + timedelta(minutes=minutes))
    assert found(house, FLAT) == []


def test_a_new_value_is_told_once(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(
        house, tmp_path, [*usual_days(4), request(80, address="192.0.2.66"), request(82, address="192.0.2.66")], "a"
    )
    turn(house, START + 4 * DAY)
    (alert,) = found(house, NEW)
    assert (alert.content.count, alert.reason) == (1, "/a 192.0.2.66 2026-09-10 08:00")


def test_a_value_that_was_seen_before_after_all_is_taken_back(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, [*usual_days(4), request(80, address="192.0.2.66")], "a")
    turn(house, START + 4 * DAY)
    take_in(house, tmp_path, [request(20, address="192.0.2.66")], "b")
    turn(house, START + 4 * DAY + HOUR)
    assert [one.withdrawn for one in found(house, NEW)] == [True]


def test_a_group_that_is_not_known_long_enough_learns_and_says_so(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, [*usual_days(1), request(20, address="192.0.2.66")], "a")
    turn(house, START + DAY)
    rows = {row["rule.id"]: row for row in baselines.status(house, OPERATOR)}
    assert found(house) == []
    assert (rows[NEW]["learning"], rows[SPIKE]["groups"], rows[SPIKE]["learning"]) == (2, 1, 1)


def test_too_many_groups_are_told_and_not_judged(
    house: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secmon.app.tallies.MAX_GROUPS", 2)
    turn(house, START)
    take_in(house, tmp_path, [request(1, path=f"/{n}") for n in range(5)], "a")
    assert turn(house, START + DAY)["overflow"] == 6  # three groups of each of two rules
    rows = {row["rule.id"]: row for row in baselines.status(house, OPERATOR)}
    assert (rows[SPIKE]["groups"], rows[SPIKE]["overflow"]) == (2, 3)


def test_a_turn_that_is_done_twice_changes_nothing(house: Installation, tmp_path: Path) -> None:
    turn(house, START)
    take_in(house, tmp_path, [*usual_days(4), *(request(96 + 9 + n / 10) for n in range(12))], "a")
    turn(house, START + 5 * DAY)
    before = {(one.id, one.revision) for one in found(house)}
    document = house.records.get(OPERATOR, "mark", "baselines")
    assert document is not None
    body = dict(document.body) | {"mark": "", "judged": document.body["seen"][:0] + "2026-09-06T16:00:00.000Z"}
    house.records.replace(OPERATOR, type(document)(kind="mark", id="baselines", body=body, version=document.version))
    turn(house, START + 5 * DAY)
    assert {(one.id, one.revision) for one in found(house)} == before


def expected(house: Installation, until: datetime) -> set[tuple[str, int]]:
    """Return alert id and count by the definitions, over all hits at once."""
    hits: list[Hit] = []
    mark, again = "", True
    while again:
        page, following = house.log.hits_since(OPERATOR, mark)
        hits += page
        again, mark = following != mark, following
    result: set[tuple[str, int]] = set()
    for rule in house.ruleset.baselines:
        for group, ours in group_hits(rule, hits):
            counts: dict[datetime, int] = {}
            for at in unusual_moments(rule, ours, until):
                start = window_start(at, rule.group_window)
                counts[start] = counts.get(start, 0) + 1
            result |= {(alert_id(rule.id, group, start), count) for start, count in counts.items()}
    return result


def unusual_moments(rule: CorrelationRule, hits: list[Hit], until: datetime) -> list[datetime]:
    assert rule.baseline is not None
    if rule.baseline.type == "new_value":
        return [new.at for new, _ in satisfied(rule, news(rule, rule.baseline, CALENDAR, hits))]
    counts = counts_of(rule, CALENDAR, hits)
    assert counts is not None
    windows = CALENDAR.windows(START, until - rule.baseline.delay, rule.timespan)
    verdicts = [judge(rule, rule.baseline, CALENDAR, counts, window) for window in windows]
    return [verdict.window.start for verdict in verdicts if verdict.state is State.FOUND]


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_arrival_and_restarts_do_not_matter(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311  a reproducible order, no secret
    addresses = [f"192.0.2.{n}" for n in range(1, 5)]
    hours = [chance.random() * 24 * 14 for _ in range(chance.randint(20, 90))]
    rows = [(at, request(at, chance.choice(["/a", "/a", "/b"]), chance.choice(addresses))) for at in hours]
    rows += [(24 * 9 + 9 + n / 20, request(24 * 9 + 9 + n / 20)) for n in range(15)]
    waiting = sorted((at + chance.choice([0.01, 0.3, 5, 60, 200]), line) for at, line in rows)
    end = START + 15 * DAY
    number, now = 0, START
    state = tmp_path / "state"
    while waiting:
        with house_at(state) as house:  # a new process each time
            for _ in range(chance.randint(1, 3)):
                turn(house, now)
                arrived = [line for at, line in waiting if START + timedelta(hours=at) <= now]
                if arrived:
                    take_in(house, tmp_path, arrived, f"part{number}")
                del waiting[: len(arrived)]
                number += 1
                now += timedelta(hours=chance.randint(1, 60))
    end = max(end, now)
    with house_at(state) as house:
        for minutes in range(0, 60, 10):
            turn(house, end + timedelta(minutes=minutes))
        wanted = expected(house, end + timedelta(minutes=50))
        assert {(one.id, one.content.count) for one in found(house) if not one.withdrawn} == wanted
        assert len(wanted) > 1
