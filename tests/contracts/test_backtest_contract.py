"""Back-tests: on every store the hits that the engine makes of the same events as they pass by."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from secmon.app import backtest
from secmon.app.alerts import AlertFilter, every_alert
from secmon.app.backtest import BackTest, Span, Trial, budget_of, trial_of
from secmon.app.detect import Row
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import SearchStoppedError, SecmonError
from secmon.model.access import Access
from secmon.model.event import Event, parse_time
from secmon.model.questions import HitQuery
from secmon.sigma.correlate import group_hits, moments, with_derived
from secmon.sigma.hits import make_hits
from secmon.sigma.match import Definition
from secmon.sigma.rule import RuleSet
from tests.app.houses import BRUTE, FAILURES, SHELL
from tests.app.moves import fill, house_on
from tests.contracts.builders import NOON, ROOT_ACCESS, access_to, event_at
from tests.contracts.holding import house_holding
from tests.sigma.fuzzing import FIELDS, NUMBERS, WORDS, rule_sets
from tests.sigma.rule_texts import ID, correlation_text, rule_text
from tests.sigma.rule_texts import load as load_texts

EVENTS = 240
_STORABLE = [word for word in WORDS if "\ud800" not in word]
_NUMBERS = [number for number in NUMBERS if not isinstance(number, int) or abs(number) < 1 << 63]
_ROUTED: tuple[Event, ...] = (
    {"event.category": ["authentication"]},
    {"winlog.channel": "Security", "event.code": "4688"},
    {"winlog.channel": "Microsoft-Windows-Sysmon/Operational", "event.code": 1},
    {"winlog.channel": "microsoft-windows-sysmon/operational", "event.code": True},
    {},
)


def _events() -> list[Event]:
    """Return events whose values are awkward, several of them at the same moment."""
    dice = random.Random(20261121)  # noqa: S311  the same at every run
    found = []
    for number in range(EVENTS):
        fields: dict[str, Any] = {}
        for name in dice.sample(FIELDS, dice.randint(1, 3)):
            values = [
                dice.choice(_STORABLE if dice.random() < 0.7 else _NUMBERS) for _ in range(dice.choice([1, 1, 2]))
            ]
            fields[name] = values if len(values) > 1 or dice.random() < 0.1 else values[0]
        at = NOON + timedelta(seconds=number // 3)
        found.append(event_at(number, at, unit_id=f"S-{number % 2 + 1}") | fields | dice.choice(_ROUTED))
    return found


POOL = _events()


@pytest.fixture(scope="module")
def house(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with house_holding(backend, tmp_path_factory.mktemp("backtest"), POOL) as found:
        yield found


def run(
    house: Installation, trial: Trial, *, access: Access = ROOT_ACCESS, pushdown: bool = True, **span: Any
) -> tuple[list[Row], dict[str, Any]]:
    wanted = {"since": None, "until": datetime(2027, 1, 1, tzinfo=UTC), "pushdown": pushdown} | span
    one = BackTest(house, access, trial, Span(**wanted), budget_of(house, 600))
    return list(one.rows()), one.summary()


def streamed(ruleset: RuleSet, events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """Return what the definition finds in events as they pass by: (event, rule, kind), in the order of a back-test."""
    definition = Definition(ruleset.rules)
    hits = [hit for event in events for hit in make_hits(ruleset, event, definition.match(event))]
    found = [(hit.event_id, hit.rule_id, "event") for hit in hits if ruleset.by_id[hit.rule_id].generates]
    for rule in ruleset.correlations:
        for _, counted in group_hits(rule, with_derived(rule, hits)) if rule.generates else ():
            found += [(moment.event_id, rule.id, "correlation") for moment in moments(rule, counted)]
    order = {str(event["event.id"]): number for number, event in enumerate(events)}
    return sorted(found, key=lambda each: (order[each[0]], each[1]))


def told(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    return [(row["event.id"], row["rule.id"], row["secmon.hit"]) for row in rows]


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(ruleset=rule_sets(max_rules=3))
def test_a_back_test_finds_what_the_stream_found_pushed_down_or_not(house: Installation, ruleset: RuleSet) -> None:
    expected = streamed(ruleset, POOL)
    trial = trial_of(ruleset, ruleset.by_id)
    for pushdown in (True, False):
        rows, summary = run(house, trial, pushdown=pushdown)
        assert told(rows) == expected
        assert summary["hits"] == len(expected)
        assert summary["events"] == EVENTS
        assert summary["engine"] == ("pushdown" if pushdown and house.is_shared else "scan")


COUNT = "type: event_count\ngroup-by: [unit.id]\ngenerate: true\ncondition: {gte: "
CHAIN = load_texts(
    rule_text("selection: {event.category: authentication}\ncondition: selection", head="name: one"),
    correlation_text(COUNT + "3}", number=7, timespan="20s", head="level: low\nname: many"),
    correlation_text(COUNT + "2}", number=8, rules="[many]", timespan="30s"),
)


@pytest.mark.parametrize("fresh", [1, 7, 4_096])
@pytest.mark.parametrize("rule", [ID.format(7), ID.format(8)])
def test_correlations_are_those_of_the_whole_stream_however_often_they_are_evaluated(
    house: Installation, rule: str, fresh: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CHAIN.problems == ()
    monkeypatch.setattr(backtest, "_FEWEST_FRESH", fresh)
    everything = [one for one in streamed(CHAIN, POOL) if one[1] == rule]
    trial = trial_of(CHAIN, [rule])
    rows, summary = run(house, trial)
    assert told(rows) == everything
    assert summary["alerts"] == 2  # one a unit: all of it is within one hour
    begin = NOON + timedelta(seconds=40)
    late, _ = run(house, trial, since=begin)  # what came before still counts, and is not printed
    assert told(late) == [
        each for each, row in zip(everything, rows, strict=True) if parse_time(row["@timestamp"]) >= begin
    ]
    assert late


def test_rows_of_correlations_say_what_detect_says(house: Installation) -> None:
    rows, _ = run(house, trial_of(CHAIN, [ID.format(7)]))
    row = rows[0]
    assert row["secmon.hit"] == "correlation"
    assert row["secmon.count"] == len(row["secmon.events"]) == 3
    assert row["secmon.group"]["unit.id"] in {"S-1", "S-2"}
    assert set(row["secmon.window"]) == {"from", "to"}


def test_who_sees_a_part_tries_on_a_part(house: Installation) -> None:
    trial = trial_of(CHAIN, [ID.format(1)])
    rows, summary = run(house, trial, access=access_to("S-2"))
    mine = {str(event["event.id"]) for event in POOL if event["unit.id"] == "S-2"}
    assert rows
    assert {row["event.id"] for row in rows} <= mine
    assert summary["events"] == len(mine)


@pytest.mark.parametrize(("by", "key"), [("unit", "unit.id"), ("day", "day")])
def test_hits_and_alerts_are_counted_by_unit_and_by_day(house: Installation, by: str, key: str) -> None:
    rows, summary = run(house, trial_of(CHAIN, [ID.format(7)]), by=by)
    assert sum(part["hits"] for part in summary["by"]) == len(rows)
    counts = {part[key]: part["hits"] for part in summary["by"]}
    if by == "unit":
        groups = sorted(row["secmon.group"]["unit.id"] for row in rows)
        assert counts == {unit: len(list(same)) for unit, same in groupby(groups)}
        assert [part["alerts"] for part in summary["by"]] == [1, 1]
    else:
        assert list(counts) == ["2026-11-21"]


def test_a_time_that_is_up_is_told(house: Installation) -> None:
    trial = trial_of(CHAIN, [ID.format(1)])
    span = Span(since=None, until=datetime(2027, 1, 1, tzinfo=UTC))
    one = BackTest(house, ROOT_ACCESS, trial, span, budget_of(house, 600, lambda: True))
    with pytest.raises(SearchStoppedError):
        list(one.rows())


def test_a_window_with_too_many_hits_is_told(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "MAX_WINDOW_HITS", 5)
    with pytest.raises(SecmonError, match="more than 5 hits"):
        run(house, trial_of(CHAIN, [ID.format(7)]))


def test_an_unknown_rule_is_told() -> None:
    with pytest.raises(SecmonError, match="no active rule"):
        trial_of(CHAIN, ["nothing"])


def test_the_store_is_asked_for_what_a_rule_may_match(house: Installation) -> None:
    text = rule_text(
        "selection: {process.pid: 4688}\ncondition: selection", logsource="product: windows\nservice: security"
    )
    trial = trial_of(load_texts(text), [ID.format(1)])
    _, summary = run(house, trial)
    channel = sum(event.get("winlog.channel") == "Security" for event in POOL)
    assert summary["read"] <= channel < EVENTS
    if house.is_shared:
        assert summary["read"] < channel
        assert run(house, trial, pushdown=False)[1]["read"] == EVENTS


def test_what_came_in_through_the_pipeline_is_found_again(backend: str, tmp_path: Path) -> None:
    with house_on(backend, tmp_path) as opened:
        fill(opened, tmp_path, opened.clock, visits=2)  # type: ignore[arg-type]  # the clock of a test
        evaluate(opened, ROOT_ACCESS)
        for identity in (SHELL, FAILURES):
            stored = [hit.event_id for hit in opened.log.hits(ROOT_ACCESS, HitQuery(rule_ids=(identity,)))]
            rows, _ = run(replace(opened, is_shared=backend != "sqlite"), trial_of(opened.ruleset, [identity]))
            assert [row["event.id"] for row in rows] == stored != []
        raised = list(every_alert(opened, ROOT_ACCESS, AlertFilter(rule=BRUTE)))
        rows, summary = run(opened, trial_of(opened.ruleset, [BRUTE]))
        assert len(rows) == sum(alert.content.count for alert in raised)
        assert summary["alerts"] == len(raised) > 0
