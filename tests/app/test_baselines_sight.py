"""Baselines and what was out of sight: outages and maintenance are no zeros, a real drop is one."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.app import alerts, baselines, outages
from secmon.app.backtest import BackTest, Span, budget_of, trial_of
from secmon.app.coverage_writing import bring_forward
from secmon.app.installation import Installation, Source
from secmon.app.ledger import Window
from secmon.model.alert import Alert
from secmon.model.calendar import Calendar
from secmon.model.calendar import Span as Time
from secmon.model.event import Event, parse_time
from secmon.model.ids import alert_id, window_start
from secmon.sigma.hits import make_hits
from secmon.sigma.match import Definition
from secmon.triage.correlated import Stretches
from tests.app.houses import OPERATOR, SetClock, opened_house
from tests.contracts.builders import batch_of, event_at
from tests.sigma.tuning_texts import maintenance_text

DAY, HOUR, STEP = timedelta(days=1), timedelta(hours=1), timedelta(minutes=30)
START = datetime(2026, 9, 6, 16, 0, tzinfo=UTC)  # midnight of Monday, 7 September, in Shanghai
ASKED = START + 4 * DAY + 6 * HOUR  # Friday, 06:00 to 12:00
FLAT, DROP, SPIKE = (f"7b1c9a4e-0b1d-4c56-8a55-6d3c64f3b10{n}" for n in (1, 2, 3))


def rule_of(identity: str, kind: str, condition: str) -> str:
    return f"""
---
title: Unusual {kind}
id: {identity}
correlation:
  type: event_count
  rules: [request]
  group-by: [url.path]
  timespan: 6h
  condition: {condition}
level: medium
custom:
  secmon:
    group_window: 1d
    reason: "{{secmon.actual}} / {{secmon.expected}}: {{secmon.compared}}"
    baseline: {{type: {kind}, lookback: 8d, learning: 2d, comparable: 2, deviations: 3, delay: 30m,
      calendar: false}}
"""


RULES = (
    """
title: Request
id: 7b1c9a4e-0b1d-4c56-8a55-6d3c64f3b100
name: request
taxonomy: ecs
logsource: {category: webserver}
detection: {a: {http.response.status_code: 200}, condition: a}
level: low
"""
    + rule_of(FLAT, "flatline", "{lt: 1}")
    + rule_of(DROP, "drop", "{lte: 4}")
    + rule_of(SPIKE, "spike", "{gte: 20}")
)
MAINTENANCE = "{rules: any, from: 2026-09-11T06:00, to: 2026-09-11T12:00, zone: Asia/Shanghai}"


def is_read(at: datetime) -> bool:
    """Tell whether the daemon reads at a moment: while only usual days are learnt from, seldom; that saves time."""
    return at > ASKED - 12 * HOUR or (at - START) % (6 * HOUR) == timedelta()


# What was written at a moment: paths.
Script = Callable[[datetime], list[str]]


@dataclass(slots=True)
class Site:
    """An installation with one source, and what was written there and is not read yet."""

    house: Installation
    clock: SetClock
    waiting: list[Event]
    number: int = 0
    offset: int = 0

    def write(self, at: datetime, paths: list[str]) -> None:
        for path in paths:
            self.offset += 1
            event = event_at(self.offset, at, day=self.clock.now().date())
            self.waiting.append(event | {"http.response.status_code": 200, "url.path": path})

    def read(self) -> None:
        """Take in what waits, as a daemon does, and go on with the ledger and the baselines."""
        now, house = self.clock.now(), self.house
        if self.waiting:
            self.number += 1
            base, day = (self.number - 1) * 100_000, now.date()
            events = [
                one | {"event.id": event_at(base + place, day=day)["event.id"]}
                for place, one in enumerate(self.waiting)
            ]
            match = Definition(house.ruleset.rules).match
            suppressor = house.stages.suppressor
            assert suppressor is not None
            hits = [
                hit for one in events for hit in suppressor.annotated(one, make_hits(house.ruleset, one, match(one)))
            ]
            house.log.commit(OPERATOR, batch_of(events, number=self.number, hits=hits, received_at=now, day=day))
            self.waiting = []
        bring_forward(house, OPERATOR)
        baselines.run(house, OPERATOR, Window("baselines", now - timedelta(minutes=10), now))

    def live(self, until: datetime, script: Script, *, reads: Callable[[datetime], bool] = is_read) -> None:
        """Let time pass: what the script says is written, and read where somebody does."""
        while self.clock.now() < until:
            self.clock.moment += STEP
            self.write(self.clock.now(), script(self.clock.now()))
            if reads(self.clock.now()):
                self.read()

    def found(self, rule: str) -> list[Alert]:
        every = alerts.every_alert(self.house, OPERATOR, alerts.AlertFilter())
        return [one for one in every if one.rule_id == rule and not one.withdrawn]

    def said(self) -> set[tuple[str, int]]:
        every = alerts.every_alert(self.house, OPERATOR, alerts.AlertFilter())
        return {(one.id, one.content.count) for one in every if not one.withdrawn}

    def tried(self) -> set[tuple[str, int]]:
        """Return what a back-test says instead."""
        trial = trial_of(self.house.ruleset, [rule.id for rule in self.house.ruleset.baselines])
        span = Span(since=None, until=self.clock.now())
        counts: Counter[str] = Counter()
        for row in BackTest(self.house, OPERATOR, trial, span, budget_of(self.house, 600)).rows():
            rule = self.house.ruleset.by_id[row["rule.id"]]
            start = window_start(parse_time(row["@timestamp"]), rule.group_window)
            counts[alert_id(rule.id, row["secmon.group"], start)] += 1
        return set(counts.items())


@contextmanager
def site_at(folder: Path, *, rules: str = RULES, silent_after: timedelta = HOUR) -> Iterator[Site]:
    clock = SetClock(START)
    with opened_house(folder, clock, rules=rules, calendar=Calendar(zone=ZoneInfo("Asia/Shanghai"))) as opened:
        source = Source(name="web", kind="nginx.access", zone=UTC, silent_after=silent_after)
        site = Site(replace(opened, sources={"web": source}), clock, [])
        site.read()
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_at(tmp_path / "state") as opened:
        yield opened


def is_asked(at: datetime) -> bool:
    return ASKED <= at < ASKED + 6 * HOUR


def both(at: datetime) -> list[str]:
    del at
    return ["/a", "/b"]


def without_a(at: datetime) -> list[str]:
    return ["/b"] if is_asked(at) else ["/a", "/b"]


def nothing(at: datetime) -> list[str]:
    return [] if is_asked(at) else ["/a", "/b"]


def test_what_stops_while_its_source_goes_on_is_told(site: Site) -> None:
    site.live(START + 5 * DAY, without_a)
    assert [one.group for one in site.found(FLAT)] == [{"url.path": "/a"}]
    assert [one.group for one in site.found(DROP)] == [{"url.path": "/a"}]
    assert site.tried() == site.said()


def test_what_stops_with_its_source_is_not_told_a_second_time(site: Site) -> None:
    site.live(START + 5 * DAY, nothing)
    assert site.said() == set()
    assert site.tried() == set()
    status = {row["rule.id"]: row for row in baselines.status(site.house, OPERATOR)}
    assert status[FLAT]["hidden"] == 0  # the latest windows are in sight again


def test_an_outage_is_compared_with_nothing(site: Site) -> None:
    def script(at: datetime) -> list[str]:
        if is_asked(at - 2 * DAY):
            return ["/b"]
        return nothing(at)

    site.live(START + 7 * DAY, script)
    (alert,) = site.found(FLAT)
    assert alert.reason == "0 / 12: 双休日同一时段：09-12 12、09-10 12、09-09 12、09-08 12、09-07 12"
    assert site.tried() == site.said()


def test_nothing_is_missing_before_the_source_is_heard_again(site: Site) -> None:
    site.live(ASKED + 6 * HOUR, nothing)
    site.live(ASKED + 8 * HOUR, lambda _at: [])
    assert site.said() == set()
    status = {row["rule.id"]: row for row in baselines.status(site.house, OPERATOR)}
    assert status[FLAT]["hidden"] == 2


def test_a_silence_that_was_agreed_is_told_at_a_time_at_which_it_is_unusual(tmp_path: Path) -> None:
    """Of a source that may be silent for twelve hours: until it has been for longer, it says that nothing happened."""
    with site_at(tmp_path / "state", silent_after=timedelta(hours=12)) as site:
        site.live(ASKED - STEP, both)
        site.live(ASKED + 7 * HOUR, lambda _at: [])
        assert {str(one.group["url.path"]) for one in site.found(FLAT)} == {"/a", "/b"}
        site.live(ASKED + 11 * HOUR, lambda _at: [])
        assert site.tried() == site.said() != set()
        site.live(ASKED + 13 * HOUR, lambda _at: [])
        assert site.said() == set()  # it is down: the silent source is an alert of its own


def test_a_silence_that_was_agreed_and_is_over_stays_told(tmp_path: Path) -> None:
    with site_at(tmp_path / "state", silent_after=timedelta(hours=12)) as site:
        site.live(ASKED - STEP, both)
        site.live(ASKED + 7 * HOUR, lambda _at: [])
        site.live(ASKED + 20 * HOUR, both)
        assert {str(one.group["url.path"]) for one in site.found(FLAT)} == {"/a", "/b"}
        assert site.tried() == site.said()


@pytest.mark.parametrize(("script", "groups"), [(without_a, [{"url.path": "/a"}]), (both, [])])
def test_a_backlog_tells_what_really_was_missing(site: Site, script: Script, groups: list[dict[str, str]]) -> None:
    """The daemon is down for half a day; the file it follows is written all the time."""
    begin, end = ASKED - HOUR, ASKED + 9 * HOUR
    site.live(START + 5 * DAY + 6 * HOUR, script, reads=lambda at: not begin < at <= end)
    assert [one.group for one in site.found(FLAT)] == groups
    assert site.tried() == site.said()


def test_a_backlog_that_comes_after_the_judgement_is_judged_when_it_comes(site: Site) -> None:
    """The network to the source is down: the monitor runs, and reads everything afterwards."""
    kept: list[Event] = []
    while site.clock.now() < START + 5 * DAY:
        site.clock.moment += STEP
        at = site.clock.now()
        site.write(at, without_a(at))
        if ASKED - 2 * HOUR < at <= ASKED + 10 * HOUR:
            kept, site.waiting = [*kept, *site.waiting], []
        else:
            site.waiting, kept = [*kept, *site.waiting], []
        if at == ASKED + 10 * HOUR:
            assert site.found(FLAT) == []
        site.read()
    assert [one.group for one in site.found(FLAT)] == [{"url.path": "/a"}]
    assert site.tried() == site.said()


def test_a_burst_is_told_even_where_the_source_was_away_in_the_same_window(site: Site) -> None:
    def script(at: datetime) -> list[str]:
        if ASKED <= at < ASKED + 4 * HOUR:
            return []
        return ["/b", *["/a"] * 40] if at == ASKED + 5 * HOUR else ["/a", "/b"]

    site.live(START + 5 * DAY, script)
    assert [one.group for one in site.found(SPIKE)] == [{"url.path": "/a"}]
    assert site.tried() == site.said()


def test_what_stops_during_maintenance_is_not_told_and_compared_with_nothing(tmp_path: Path) -> None:
    def script(at: datetime) -> list[str]:
        if is_asked(at - 2 * DAY):
            return ["/b"]
        return without_a(at)

    with site_at(tmp_path / "state", rules=f"{RULES}\n---\n{maintenance_text(MAINTENANCE, units='any')}") as site:
        site.live(START + 5 * DAY, script)
        assert site.said() == set()
        site.live(START + 7 * DAY, script)
        (alert,) = site.found(FLAT)
        assert "09-11" not in alert.reason
        assert site.tried() == site.said()


def test_a_restart_between_two_turns_changes_nothing(tmp_path: Path) -> None:
    def scripts() -> Iterator[set[tuple[str, int]]]:
        for name, restarts in (("one", False), ("many", True)):
            with site_at(tmp_path / name) as site:
                while site.clock.now() < START + 5 * DAY:
                    site.live(site.clock.now() + 6 * HOUR, without_a)
                    if restarts:
                        site.house.remembered.clear()
                        site.house.noted.clear()
                yield site.said()

    one, many = scripts()
    assert one == many != set()


MOMENTS = st.integers(0, 60).map(lambda hour: START + hour * HOUR)
PAIRS = st.lists(st.tuples(MOMENTS, MOMENTS).map(lambda two: (min(two), max(two))), max_size=8)


@given(before=PAIRS, later=PAIRS)
def test_what_was_delivered_since_is_the_difference_of_both_times(
    before: list[tuple[datetime, datetime]], later: list[tuple[datetime, datetime]]
) -> None:
    old, new = Stretches(timedelta(minutes=90)), Stretches(timedelta(minutes=90))
    for first, last in before:
        old.add(first, last)
    for first, last in [*before, *later]:
        new.add(first, last)
    closed = outages.difference(list(new), list(old))

    def within(spans: list[tuple[datetime, datetime]], at: datetime) -> bool:
        return any(first < at < last for first, last in spans)

    probes = [START + timedelta(minutes=15) + number * STEP for number in range(-2, 124)]
    for at in probes:
        is_closed = any(span.start < at < span.end for span in closed)
        assert is_closed == (within(list(new), at) and not within(list(old), at))


@given(spans=PAIRS)
def test_spans_that_touch_are_one(spans: list[tuple[datetime, datetime]]) -> None:
    found = outages.joined(Time(first, last) for first, last in spans)
    assert all(one.end < other.start for one, other in pairwise(found))
    assert {(one.start, one.end) for one in outages.joined(found)} == {(one.start, one.end) for one in found}
    assert all(any(one.start <= first and last <= one.end for one in found) for first, last in spans)
