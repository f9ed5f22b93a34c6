"""Baselines: how the block is read, what is unusual, and that neither depends on any order."""

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.calendar import Calendar, DayClass, Period, Span
from secmon.model.event import Value
from secmon.model.hit import Hit, Level
from secmon.sigma.deviation import Counts, State, counts_of, judge
from secmon.sigma.dump import dump, load
from secmon.sigma.novelty import New, news, satisfied
from secmon.sigma.rule import Baseline, CorrelationRule, RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules

BASE = """
title: Login
id: 11111111-1111-4111-8111-111111111111
name: login
taxonomy: ecs
logsource: {category: authentication}
detection: {a: {event.outcome: success}, condition: a}
level: informational
---
"""
SPIKE = (
    BASE
    + """
title: Many logins
id: 22222222-2222-4222-8222-222222222222
correlation:
  type: event_count
  rules: [login]
  group-by: [host.name]
  timespan: 1h
  condition: {gte: 10}
level: medium
custom: {secmon: {baseline: {type: spike, lookback: 28d, learning: 7d, comparable: 5, factor: 3}}}
"""
)
NEW = (
    BASE
    + """
title: New country
id: 33333333-3333-4333-8333-333333333333
correlation:
  type: value_count
  rules: [login]
  group-by: [user.name]
  timespan: 1d
  condition: {field: source.geo.country_iso_code, gte: 1}
level: medium
custom: {secmon: {baseline: {type: new_value, lookback: 28d, learning: 7d}}}
"""
)
SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = datetime(2026, 9, 7, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAIN = Calendar(zone=SHANGHAI)


@cache
def rules_of(text: str) -> RuleSet:
    return load_rules([RuleFile("test.yml", text)])


def only(text: str) -> tuple[CorrelationRule, Baseline]:
    ruleset = rules_of(text)
    assert ruleset.problems == ()
    (rule,) = ruleset.baselines
    assert rule.baseline is not None
    return rule, rule.baseline


def hit(at: datetime, number: int, country: str = "CN", user: str = "mori") -> Hit:
    captured: dict[str, Value] = {"user.name": user, "source.geo.country_iso_code": country}
    return Hit(
        event_id=f"{number:032x}", rule_id="11111111-1111-4111-8111-111111111111", rule_digest="d", level=Level.LOW,
        at=at, captured=captured,
    )  # fmt: skip


def usual(counts: list[int], *, start: datetime = MONDAY) -> Counts:
    """Return counts of one hour of the day, one a day from a Monday on."""
    return Counts(start, {start + n * DAY: count for n, count in enumerate(counts)})


def test_a_baseline_is_no_correlation_of_the_rule_set() -> None:
    ruleset = rules_of(SPIKE)
    assert (ruleset.correlations, len(ruleset.baselines)) == ((), 1)
    assert ruleset.by_id[ruleset.baselines[0].id] is ruleset.baselines[0]


def test_base_rules_of_a_baseline_make_no_alerts_of_their_own() -> None:
    assert [rule.generates for rule in rules_of(SPIKE).rules] == [False]


def test_a_hit_has_a_key_for_its_group_and_one_for_its_value() -> None:
    keys = rules_of(NEW).rules[0].keys
    assert [tuple(name for name, _ in key.group) for key in keys] == [
        ("user.name",), ("user.name", "source.geo.country_iso_code"),
    ]  # fmt: skip


def test_the_block_is_part_of_the_digest() -> None:
    assert only(SPIKE)[0].digest != only(SPIKE.replace("factor: 3", "factor: 4"))[0].digest


def test_a_baseline_is_kept_and_read_again() -> None:
    ruleset = rules_of(SPIKE)
    assert load(dump(ruleset)) == ruleset


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("type: spike", "type: surge", "the baseline has no known type"),
        ("factor: 3", "factr: 3", "unknown key factr of the baseline"),
        ("factor: 3", "factor: 0", "factor of the baseline is not a number from 1 to 1000"),
        ("lookback: 28d", "lookback: 400d", "the look-back of a baseline is at most 180d"),
        (
            "lookback: 28d, learning: 7d",
            "lookback: 3d, learning: 1d",
            "the look-back of a baseline has fewer days than it compares",
        ),
        ("lookback: 28d", "lookback: soon", "lookback of the baseline is not a span of time"),
        ("learning: 7d", "learning: 30d", "a baseline learns no longer than it looks back"),
        ("factor: 3", "days: [monday]", "days of the baseline names what is not known"),
        ("factor: 3", "calendar: maybe", "calendar of the baseline is not true or false"),
        ("timespan: 1h", "timespan: 7h", "the timespan of a baseline divides a day"),
        ("timespan: 1h", "timespan: 5m", "the timespan of a baseline divides a day"),
        ("{gte: 10}", "{lt: 10}", "a spike baseline needs the condition gt or gte"),
        ("type: spike", "type: flatline", "a flatline baseline needs the condition lt or lte"),
        ("type: spike", "type: new_value", "a new_value baseline has no comparable"),
        (
            "{type: spike, lookback: 28d, learning: 7d, comparable: 5, factor: 3}",
            "spike",
            "the baseline is not a mapping",
        ),
        ("type: event_count", "type: temporal", "a baseline does not fit a temporal correlation"),
    ],
)
def test_a_wrong_block_is_named_with_its_line(old: str, new: str, problem: str) -> None:
    (found,) = rules_of(SPIKE.replace(old, new)).problems
    assert found.problem == problem
    assert found.line > 1


def test_a_rule_over_single_events_has_no_baseline() -> None:
    text = BASE.replace("level: informational", "custom: {secmon: {baseline: {type: spike}}}").replace("---", "")
    assert [each.problem for each in rules_of(text).problems] == ["a baseline stands in a correlation"]


def test_nothing_rests_on_a_baseline() -> None:
    outer = (
        SPIKE
        + """
---
title: Outer
id: 44444444-4444-4444-8444-444444444444
correlation: {type: event_count, rules: [22222222-2222-4222-8222-222222222222], timespan: 1h, condition: {gte: 1}}
"""
    )
    assert [each.problem for each in rules_of(outer).problems] == ["a chain cannot hold a baseline"]


def verdict(counts: Counts, at: datetime, text: str = SPIKE, calendar: Calendar = PLAIN) -> State:
    rule, baseline = only(text)
    return judge(rule, baseline, calendar, counts, calendar.window_of(at, rule.timespan)).state


@pytest.mark.parametrize(
    ("now", "expected"), [(9, State.QUIET), (29, State.QUIET), (30, State.FOUND), (300, State.FOUND)]
)
def test_a_spike_is_many_times_the_usual_count(now: int, expected: State) -> None:
    # Ten on each of the five weekdays before: 10 + 3.5 · √10 = 21.1, and three times ten are 30.
    assert verdict(usual([10, 10, 10, 10, 10, 0, 0, now]), MONDAY + 7 * DAY) is expected


def test_the_spread_of_the_usual_counts_widens_what_is_usual() -> None:
    assert verdict(usual([2, 30, 2, 30, 15, 0, 0, 50]), MONDAY + 7 * DAY) is State.QUIET


def test_an_attack_of_last_week_does_not_hide_one_of_today() -> None:
    assert verdict(usual([10, 900, 10, 900, 10, 0, 0, 90]), MONDAY + 7 * DAY) is State.FOUND


def test_the_least_count_that_matters_is_the_condition() -> None:
    assert verdict(usual([0, 0, 0, 0, 0, 0, 0, 9]), MONDAY + 7 * DAY) is State.QUIET
    assert verdict(usual([0, 0, 0, 0, 0, 0, 0, 10]), MONDAY + 7 * DAY) is State.FOUND


def test_a_weekend_is_compared_with_weekends_only() -> None:
    # 200 on every school day, nothing on weekends; but only three days of weekends are known so far.
    counts = usual([200, 200, 200, 200, 200, 0, 0, 200, 200, 200, 200, 200, 0, 100])
    assert verdict(counts, MONDAY + 13 * DAY) is State.LEARNING
    assert verdict(counts, MONDAY + 13 * DAY, SPIKE.replace("comparable: 5", "comparable: 3")) is State.FOUND


def test_without_a_calendar_all_days_are_alike() -> None:
    counts = usual([200, 200, 200, 200, 200, 0, 0, 200, 200, 200, 200, 200, 0, 100])
    assert verdict(counts, MONDAY + 13 * DAY, SPIKE.replace("factor: 3", "calendar: false")) is State.QUIET


def test_a_day_of_exams_is_compared_with_no_ordinary_day() -> None:
    calendar = Calendar(zone=SHANGHAI, exams=(Period((MONDAY + 7 * DAY).date(), (MONDAY + 7 * DAY).date()),))
    counts = usual([10, 10, 10, 10, 10, 0, 0, 300])
    rule, baseline = only(SPIKE)
    found = judge(rule, baseline, calendar, counts, calendar.window_of(MONDAY + 7 * DAY, HOUR))
    assert (found.state, found.slot.day, found.compared) == (State.LEARNING, DayClass.EXAM, ())


def test_a_group_that_is_new_is_learning() -> None:
    counts = Counts(MONDAY + 3 * DAY, {MONDAY + 7 * DAY: 300})
    assert verdict(counts, MONDAY + 7 * DAY) is State.LEARNING


def test_a_rule_about_the_night_says_nothing_of_the_day() -> None:
    counts = usual([10, 10, 10, 10, 10, 0, 0, 300])
    assert verdict(counts, MONDAY + 7 * DAY, SPIKE.replace("factor: 3", "hours: night")) is State.OUTSIDE


FLAT = SPIKE.replace("type: spike", "type: flatline").replace("{gte: 10}", "{lt: 1}")
DROP = SPIKE.replace("type: spike", "type: drop").replace("{gte: 10}", "{lt: 1000}")


def test_a_flatline_is_nothing_where_there_should_be_something() -> None:
    assert verdict(usual([3, 4, 2, 5, 3]), MONDAY + 7 * DAY, FLAT) is State.FOUND
    assert verdict(usual([3, 4, 2, 5, 3, 0, 0, 1]), MONDAY + 7 * DAY, FLAT) is State.QUIET


def test_nothing_on_a_day_off_is_no_flatline() -> None:
    friday = (MONDAY + 11 * DAY).date()
    calendar = Calendar(zone=SHANGHAI, holidays=(Period(friday, friday),))
    counts = usual([3, 4, 2, 5, 3, 0, 0, 3, 4, 2, 5])
    assert verdict(counts, MONDAY + 11 * DAY, FLAT) is State.FOUND
    assert verdict(counts, MONDAY + 11 * DAY, FLAT, calendar) is State.LEARNING


def test_a_group_that_has_ended_falls_silent_after_the_look_back() -> None:
    counts = usual([3, 4, 2, 5, 3])
    states = [verdict(counts, MONDAY + n * DAY, FLAT) for n in (7, 8, 21, 42)]
    assert states == [State.FOUND, State.FOUND, State.QUIET, State.QUIET]


def test_a_drop_is_far_below_what_is_usual() -> None:
    assert verdict(usual([90, 110, 100, 95, 105, 0, 0, 30]), MONDAY + 7 * DAY, DROP) is State.FOUND
    assert verdict(usual([90, 110, 100, 95, 105, 0, 0, 60]), MONDAY + 7 * DAY, DROP) is State.QUIET
    assert verdict(usual([4, 4, 4, 4, 4, 0, 0, 0]), MONDAY + 7 * DAY, DROP) is State.QUIET  # too few to tell


def test_a_value_is_new_when_its_group_is_known_and_it_is_not() -> None:
    rule, baseline = only(NEW)
    hits = [
        hit(MONDAY, 1),
        hit(MONDAY + 8 * DAY, 2),
        hit(MONDAY + 8 * DAY + HOUR, 3, "KP"),
        hit(MONDAY + 9 * DAY, 4, "KP"),
    ]
    assert [new.event_id[-1] for new in news(rule, baseline, PLAIN, hits)] == ["3"]


def test_a_value_is_new_again_after_the_look_back() -> None:
    rule, baseline = only(NEW)
    hits = [hit(MONDAY + n * DAY, n) for n in range(60)] + [
        hit(MONDAY + n * DAY + HOUR, 100 + n, "DE") for n in (20, 48, 77)
    ]
    assert [int(new.event_id, 16) for new in news(rule, baseline, PLAIN, hits)] == [120, 177]


TIMES = st.integers(0, 60 * 24).map(lambda hours: MONDAY + timedelta(hours=hours))
HITS = st.lists(st.tuples(TIMES, st.sampled_from(["CN", "DE", "KP"])), max_size=40)


@given(rows=HITS, seed=st.integers())
def test_what_is_new_depends_on_no_order(rows: list[tuple[datetime, str]], seed: int) -> None:
    rule, baseline = only(NEW)
    hits = [hit(at, number, country) for number, (at, country) in enumerate(rows)]
    shuffled = random.Random(seed).sample(hits, len(hits))  # noqa: S311  an order, no secret
    assert news(rule, baseline, PLAIN, shuffled) == news(rule, baseline, PLAIN, hits)


@given(rows=HITS, more=st.tuples(TIMES, st.sampled_from(["CN", "DE", "KP"])))
def test_of_one_value_no_two_moments_are_within_the_look_back(
    rows: list[tuple[datetime, str]], more: tuple[datetime, str]
) -> None:
    rule, baseline = only(NEW)
    found = news(rule, baseline, PLAIN, [hit(at, n, country) for n, (at, country) in enumerate([*rows, more])])
    times: dict[str, list[datetime]] = {}
    for new in found:
        times.setdefault(new.key, []).append(new.at)
    assert all(b - a > baseline.lookback for each in times.values() for a, b in pairwise(each))


@given(rows=HITS, seed=st.integers())
def test_verdicts_depend_on_no_order(rows: list[tuple[datetime, str]], seed: int) -> None:
    rule, baseline = only(SPIKE.replace("timespan: 1h", "timespan: 12h"))
    hits = [hit(at, number, country) for number, (at, country) in enumerate(rows)]
    shuffled = random.Random(seed).sample(hits, len(hits))  # noqa: S311  an order, no secret
    one, other = counts_of(rule, PLAIN, hits), counts_of(rule, PLAIN, shuffled)
    assert one == other
    if one is not None:
        windows = PLAIN.windows(one.since, MONDAY + 61 * DAY, rule.timespan)
        assert sum(judge(rule, baseline, PLAIN, one, window).actual for window in windows) == len(hits)


def test_several_new_values_may_be_asked_for() -> None:
    rule, _ = only(NEW.replace("gte: 1", "gte: 2"))
    found = [New(MONDAY, "a", "k1"), New(MONDAY + HOUR, "b", "k2"), New(MONDAY + 25 * HOUR, "c", "k3")]
    assert [(new.event_id, count) for new, count in satisfied(rule, found)] == [("b", 2)]


def out_of_sight(days: dict[int, float], counts: list[int]) -> Counts:
    """Return usual counts, of which the window of some days was out of sight for so many minutes."""
    known = usual(counts)
    gaps = [Span(MONDAY + day * DAY, MONDAY + day * DAY + timedelta(minutes=least)) for day, least in days.items()]
    return Counts(known.since, known.by_window, tuple(gaps))


@pytest.mark.parametrize(("minutes", "expected"), [(6, State.FOUND), (7, State.HIDDEN), (60, State.HIDDEN)])
def test_nothing_is_missing_in_a_window_of_which_more_than_a_tenth_was_out_of_sight(
    minutes: float, expected: State
) -> None:
    assert verdict(out_of_sight({7: minutes}, [3, 4, 2, 5, 3]), MONDAY + 7 * DAY, FLAT) is expected


def test_a_spike_is_told_however_much_of_its_window_was_out_of_sight() -> None:
    assert verdict(out_of_sight({7: 59}, [10, 10, 10, 10, 10, 0, 0, 300]), MONDAY + 7 * DAY) is State.FOUND


def test_what_was_out_of_sight_is_compared_with_nothing() -> None:
    counts = out_of_sight({1: 60, 3: 60}, [10, 0, 10, 0, 10, 0, 0, 10, 10, 300])
    rule, baseline = only(SPIKE.replace("comparable: 5", "comparable: 3"))
    found = judge(rule, baseline, PLAIN, counts, PLAIN.window_of(MONDAY + 9 * DAY, HOUR))
    assert (found.state, found.expected, [count for _, count in found.compared]) == (State.FOUND, 10, [10] * 5)
    assert verdict(counts, MONDAY + 8 * DAY) is State.LEARNING  # four of six are left


SPANS = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=6)


@given(spans=SPANS, start=st.integers(0, 300))
def test_a_window_is_hidden_by_the_sum_of_what_lies_in_it(spans: list[tuple[int, int]], start: int) -> None:
    minutes = {minute for first, length in spans for minute in range(first, first + length)}
    firsts = sorted(minute for minute in minutes if minute - 1 not in minutes)
    lasts = sorted(minute + 1 for minute in minutes if minute + 1 not in minutes)
    gaps = tuple(
        Span(MONDAY + timedelta(minutes=first), MONDAY + timedelta(minutes=last))
        for first, last in zip(firsts, lasts, strict=True)
    )
    window = Span(MONDAY + timedelta(minutes=start), MONDAY + timedelta(minutes=start + 50))
    hidden = len(minutes.intersection(range(start, start + 50)))
    assert Counts(MONDAY, {}, gaps).hides(window) is (hidden > 5)
