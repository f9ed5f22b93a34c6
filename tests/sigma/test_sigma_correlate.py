"""Correlations: true sliding windows by event time, a function of the set of hits."""

import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Value
from secmon.model.hit import Hit, Level
from secmon.sigma import sliding
from secmon.sigma.correlate import members, moments
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.sliding import in_turn
from secmon.sigma.windows import shown
from tests.sigma.correlated import START, correlation, hit, over_three, seconds
from tests.sigma.rule_texts import ID, correlation_text, load, rule_text


def test_the_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    rule = correlation("type: event_count\ncondition: {gte: 2}", timespan="10s")
    assert seconds(moments(rule, [hit(0, 1), hit(10, 2)])) == []
    assert seconds(moments(rule, [hit(0, 1), hit(9.999, 2)])) == [9.999]


def test_every_event_at_which_the_condition_holds_is_a_moment() -> None:
    found = moments(correlation(), [hit(n, n) for n in range(6)])
    assert seconds(found) == [2, 3, 4, 5]
    assert [moment.count for moment in found] == [3, 4, 5, 6]
    assert found[0].event_ids == tuple(f"{n:032x}" for n in range(3))
    assert found[0].window_from == START - timedelta(seconds=8)
    assert found[0].window_to == START + timedelta(seconds=2)


def test_two_fixed_windows_would_miss_what_a_sliding_one_sees() -> None:
    assert seconds(moments(correlation(), [hit(8, 1), hit(9, 2), hit(11, 3)])) == [11]


def test_events_of_one_time_come_by_their_id() -> None:
    found = moments(correlation(), [hit(5, 3), hit(5, 1), hit(5, 2)])
    assert [moment.event_id for moment in found] == [f"{3:032x}"]


def test_an_event_counts_once_however_many_base_rules_it_satisfies() -> None:
    twice = [hit(1, 1), hit(1, 1), hit(2, 2)]
    assert moments(correlation(), twice) == []


def test_value_count_counts_distinct_values_in_the_window() -> None:
    rule = correlation("type: value_count\ncondition: {gte: 3, field: user.name}")
    same = [hit(n, n, user_name="a") for n in range(5)]
    assert moments(rule, same) == []
    assert seconds(moments(rule, [*same, hit(5, 5, user_name="b"), hit(6, 6, user_name="c")])) == [6]
    assert moments(rule, [hit(0, 0, user_name="b"), hit(1, 1, user_name="c"), hit(11, 2, user_name="a")]) == []


def test_value_count_takes_every_value_of_a_list_and_none_of_an_absent_field() -> None:
    rule = correlation("type: value_count\ncondition: {gte: 3, field: user.name}")
    assert seconds(moments(rule, [hit(0, 0, user_name=["a", "b"]), hit(1, 1, user_name="c")])) == [1]
    assert moments(rule, [hit(0, 0, user_name=["a", "b"]), hit(1, 1)]) == []


def test_value_count_over_two_fields_counts_their_combinations() -> None:
    rule = correlation("type: value_count\ncondition: {gte: 3, field: [user.name, host.name]}")
    pairs = [("a", "x"), ("a", "y"), ("a", "x"), ("b", "y")]
    found = moments(rule, [hit(n, n, user_name=user, host_name=host) for n, (user, host) in enumerate(pairs)])
    assert seconds(found) == [3]


@pytest.mark.parametrize(
    ("condition", "expected"), [("gt: 2", [2]), ("lt: 2", [0]), ("lte: 2", [0, 1]), ("eq: 2", [1])]
)
def test_every_operator_compares_the_count(condition: str, expected: list[float]) -> None:
    rule = correlation(f"type: event_count\ncondition: {{{condition}}}")
    assert seconds(moments(rule, [hit(n, n) for n in range(3)])) == expected


def test_no_time_is_too_early() -> None:
    early = Hit(
        event_id="0" * 32,
        rule_id=ID.format(1),
        rule_digest="",
        level=Level.LOW,
        at=datetime(1, 1, 1, tzinfo=UTC),
    )
    assert moments(correlation("type: event_count\ncondition: {gte: 1}"), [early])[0].event_ids == ("0" * 32,)


# --- the types of which the number is not that of events ---------------------------------------------------------


def steps(rules: str, gap: float = 1) -> list[Hit]:
    """Return hits of these rules, one after the other: "123" is a hit of rule 1, of rule 2, of rule 3."""
    return [hit(n * gap, n, rule=int(rule)) for n, rule in enumerate(rules)]


@pytest.mark.parametrize(
    ("series", "temporal", "ordered"),
    [("123", [2], [2]), ("321", [2], []), ("1123", [3], [3]), ("132", [2], []), ("1323", [2, 3], [3]), ("111", [], [])],
)
def test_temporal_asks_for_all_rules_and_ordered_for_their_order(
    series: str, temporal: list[float], ordered: list[float]
) -> None:
    assert seconds(moments(over_three("type: temporal"), steps(series))) == temporal
    assert seconds(moments(over_three("type: temporal_ordered"), steps(series))) == ordered


@pytest.mark.parametrize("days", [(0, 0), (1, 2), (2, 1)])
def test_ties_are_decided_by_the_place_of_events_not_by_the_day_of_their_receipt(days: tuple[int, int]) -> None:
    """Two events of one time, of two streams: whichever was received first, the answer is the same."""
    first, second = (
        replace(hit(0, 0, rule=rule), event_id=f"{day:04x}{stream:012x}{0:016x}")
        for rule, stream, day in ((1, 5, days[0]), (2, 9, days[1]))
    )
    found = over_three("type: temporal_ordered\ncondition: {gte: 2}")
    for hits in ([first, second], [second, first]):
        assert seconds(moments(found, hits)) == [0]
    assert list(in_turn(sorted([first, second], key=lambda one: one.event_id))) == [first, second]


def test_more_ties_than_are_put_in_order_stay_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliding, "MAX_TIES", 2)
    hits = [replace(hit(0, 0), event_id=f"{0:04x}{stream:028x}") for stream in (3, 1, 2)]
    later = hit(1, 9)
    assert list(in_turn([*hits, later])) == [hits[1], hits[0], hits[2], later]


def test_the_order_is_that_of_the_document_and_may_name_a_rule_twice() -> None:
    rule = over_three("type: temporal_ordered", rules="[r3, r1, r3]")
    assert seconds(moments(rule, steps("31"))) == []
    assert seconds(moments(rule, steps("3123"))) == [3]
    assert seconds(moments(rule, steps("313", gap=5))) == []


def test_one_event_is_no_order_however_many_rules_it_satisfies() -> None:
    both = [hit(0, 1, rule=1), hit(0, 1, rule=2), hit(0, 1, rule=3)]
    assert seconds(moments(over_three("type: temporal"), both)) == [0]
    assert moments(over_three("type: temporal_ordered"), both) == []


def test_a_threshold_on_a_temporal_correlation_counts_rules() -> None:
    two = over_three("type: temporal\ncondition: {gte: 2}")
    assert seconds(moments(two, steps("1121"))) == [2, 3]
    assert seconds(moments(over_three("type: temporal_ordered\ncondition: {gte: 2}"), steps("3213"))) == [3]


@pytest.mark.parametrize(
    ("words", "series", "expected"),
    [
        ("r1 and r2", "12", [1]),
        ("r1 and not r2", "121", [0]),
        ("r1 and not r2", "11", [0, 1]),
        ("r2 or r3 and r1", "312", [1, 2]),
        ("(r2 or r3) and r1", "312", [1, 2]),
        ("not (r1 and r2) and r3", "3123", [0, 1]),
    ],
)
def test_a_condition_in_words_holds_over_the_rules_in_the_window(
    words: str, series: str, expected: list[float]
) -> None:
    rule = over_three(f"type: temporal\ncondition: {words}", rules="[" + ", ".join(sorted(set(words.replace("(", " ")
        .replace(")", " ").split()) & {"r1", "r2", "r3"})) + "]")  # fmt: skip
    used = [one for one in steps(series) if one.rule_id in rule.rule_ids]
    assert seconds(moments(rule, used)) == expected


def test_a_condition_in_words_may_name_its_rules_alone() -> None:
    texts = [rule_text(f"s: {{user.name: u{n}}}\ncondition: s", number=n, head=f"name: r{n}") for n in (1, 2)]
    text = correlation_text("type: temporal_ordered\ncondition: r2 and r1").replace(f"  rules: [{ID.format(1)}]\n", "")
    ruleset = load(*texts, text)
    assert ruleset.problems == ()
    assert ruleset.correlations[0].order == (ID.format(2), ID.format(1))
    assert not any(rule.generates for rule in ruleset.rules)


def calculating(kind: str, condition: str) -> CorrelationRule:
    return correlation(f"type: {kind}\ncondition: {{field: http.bytes, {condition}}}", timespan="10s")


def sizes(*values: Value) -> list[Hit]:
    return [hit(n, n, http_bytes=value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("kind", "condition", "expected"),
    [
        ("value_sum", "gt: 5", [(2, 6), (3, 10)]),
        ("value_sum", "eq: 3", [(1, 3)]),
        ("value_avg", "gte: 2", [(2, 2), (3, 2.5)]),
        ("value_avg", "gt: 1, lt: 2", [(1, 1.5)]),
        ("value_percentile", "percentile: 50, gte: 2", [(2, 2), (3, 2)]),
        ("value_percentile", "percentile: 100, gt: 2.5", [(2, 3), (3, 4)]),
        ("value_percentile", "percentile: 0, eq: 1", [(0, 1), (1, 1), (2, 1), (3, 1)]),
        ("value_median", "gte: 2", [(2, 2), (3, 2.5)]),
    ],
)
def test_values_are_added_averaged_and_ranked(kind: str, condition: str, expected: list[tuple[float, float]]) -> None:
    found = moments(calculating(kind, condition), sizes(1, 2, 3, 4))
    assert list(zip(seconds(found), (moment.count for moment in found), strict=True)) == expected


def test_text_that_is_a_number_counts_and_other_text_does_not() -> None:
    rule = calculating("value_sum", "gte: 3")
    assert seconds(moments(rule, sizes("1", "2"))) == [1]
    assert moments(rule, [*sizes("many", "9e999", "nan", True), hit(5, 9)]) == []
    assert seconds(moments(rule, sizes(["1", "x", "1", "1"]))) == [0]


def test_sums_are_exact_whatever_slid_through_the_window() -> None:
    rule = calculating("value_sum", "eq: 0.3")
    hits = [hit(0, 0, http_bytes=10**30), *(hit(11 + n, n + 1, http_bytes=value) for n, value in enumerate([0.3]))]
    assert [moment.count for moment in moments(rule, hits)] == [0.3]


def test_numbers_and_booleans_of_a_correlation_may_be_written_in_any_form_of_yaml() -> None:
    block = "type: value_percentile\ngenerate: {}\ncondition: {{gte: {}, field: x, percentile: {}}}"
    for written, plain in ((("yes", "1e1", "99.0"), ("true", 10, 99)), (("off", "'0.50'", 5), ("false", 0.5, 5))):
        assert correlation(block.format(*written)) == correlation(block.format(*plain))


@pytest.mark.parametrize(("written", "generates"), [("yes", True), ("true", True), ("off", False), ("false", False)])
def test_a_base_rule_speaks_if_its_correlation_says_so_in_any_form_of_yaml(written: str, *, generates: bool) -> None:
    block = f"type: event_count\ngenerate: {written}\ncondition: {{gte: 2}}"
    (base,) = load(rule_text(), correlation_text(block)).rules
    assert base.generates is generates


def test_a_range_needs_both_of_its_ends() -> None:
    rule = correlation("type: event_count\ncondition: {gt: 1, lte: 3}")
    assert seconds(moments(rule, [hit(n, n) for n in range(5)])) == [1, 2]


@pytest.mark.parametrize("measure", [10**400, -(10**400)], ids=["huge", "negative"])
def test_a_measure_is_shown_as_json_can_say_it(measure: int) -> None:
    assert abs(shown(measure)) > 1e308
    assert shown(Fraction(5, 2)) == 2.5
    assert shown(Fraction(4, 2)) == 2


# --- against the sentence of the specification --------------------------------------------------------------------


def named(rule: CorrelationRule, one: Hit) -> bool:
    return not rule.value_fields or bool(list(numbers_of(one)) if rule.type != "value_count" else one.captured)


def numbers_of(one: Hit) -> Iterator[Fraction]:
    value = one.captured.get("user.name")
    if isinstance(value, int | float):
        yield Fraction(value)


def longest(order: tuple[str, ...], window: list[set[str]]) -> int:
    """Return the length of the longest common series, the slow way."""
    best = [[0] * (len(window) + 1) for _ in range(len(order) + 1)]
    for i, rule_id in enumerate(order):
        for j, seen in enumerate(window):
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + (rule_id in seen))
    return best[-1][-1]


def percentile(rule: CorrelationRule, numbers: list[Fraction]) -> Fraction:
    wanted = Fraction(str(rule.percentile)) / 100
    return next(n for n in numbers if Fraction(sum(m <= n for m in numbers), len(numbers)) >= wanted)


def measured(rule: CorrelationRule, window: list[Hit], seen: dict[str, set[str]]) -> Fraction | int:
    numbers = sorted(number for one in window for number in numbers_of(one))
    measures: dict[str, Callable[[], Fraction | int]] = {
        "event_count": lambda: len(window),
        "value_count": lambda: len({str(one.captured.get("user.name")) for one in window}),
        "temporal": lambda: len(set().union(*(seen[one.event_id] for one in window))),
        "temporal_ordered": lambda: longest(rule.order, [seen[one.event_id] for one in window]),
        "value_sum": lambda: sum(numbers, Fraction(0)),
        "value_avg": lambda: sum(numbers, Fraction(0)) / len(numbers),
        "value_median": lambda: Fraction(statistics.median(numbers)),
        "value_percentile": lambda: percentile(rule, numbers),
    }
    return measures[rule.type]()


def brute_force(rule: CorrelationRule, hits: list[Hit]) -> list[tuple[str, float, tuple[str, ...]]]:
    """The sentence of the specification, event by event."""
    seen: dict[str, set[str]] = {}
    for one in hits:
        seen.setdefault(one.event_id, set()).add(one.rule_id)
    events = {one.event_id: one for one in hits if named(rule, one)}
    ordered = sorted(events.values(), key=lambda one: (one.at, one.event_id))
    found = []
    for index, one in enumerate(ordered):
        window = [other for other in ordered[: index + 1] if one.at - rule.timespan < other.at <= one.at]
        count = measured(rule, window, seen)
        if rule.threshold.holds(count):
            found.append((one.event_id, shown(count), tuple(other.event_id for other in window)))
    return found


def _hits(rows: Sequence[tuple[int, str | int | float | None, int]]) -> list[Hit]:
    made = []
    for n, (at, value, rules) in enumerate(rows):
        values: dict[str, Value] = {} if value is None else {"user.name": value}
        made += [replace(hit(at / 2, n, rule=rule), captured=values) for rule in (1, 2, 3) if rules & 1 << rule]
    return made


NAMES = st.sampled_from(["a", "b", "c", None])
NUMBERS = st.integers(-3, 9) | st.sampled_from([0.1, 0.5, 1e300, 10**40, None])
SETS = st.integers(1, 7).map(lambda bits: bits << 1)
RULES = [
    over_three("type: event_count\ncondition: {gte: 3}", timespan="5s"),
    over_three("type: event_count\ncondition: {gt: 1, lt: 4}", timespan="5s"),
    over_three("type: value_count\ncondition: {gte: 2, field: user.name}", timespan="5s"),
    over_three("type: value_count\ncondition: {lt: 3, field: user.name}", timespan="2s"),
    over_three("type: temporal", timespan="4s"),
    over_three("type: temporal\ncondition: {eq: 2}", timespan="4s"),
    over_three("type: temporal_ordered", timespan="5s"),
    over_three("type: temporal_ordered\ncondition: {gte: 2}", rules="[r1, r3, r1, r2]", timespan="5s"),
]
CALCULATING = [
    over_three(f"type: {kind}\ncondition: {{{condition}, field: user.name}}", timespan="5s")
    for kind, condition in [
        ("value_sum", "gte: 3"),
        ("value_sum", "neq: 0.5"),
        ("value_avg", "lt: 2.5"),
        ("value_median", "gte: 1"),
        ("value_percentile", "percentile: 90, gte: 2"),
        ("value_percentile", "percentile: 99.9, lt: 5"),
        ("value_percentile", "percentile: 0, lt: 1"),
    ]
]


@given(
    case=st.tuples(st.lists(st.tuples(st.integers(0, 40), NAMES, SETS), max_size=30).map(_hits), st.sampled_from(RULES))
    | st.tuples(
        st.lists(st.tuples(st.integers(0, 40), NUMBERS, SETS), max_size=20).map(_hits), st.sampled_from(CALCULATING)
    ),
    seed=st.integers(0, 9),
)
def test_moments_are_what_the_definition_says_whatever_the_order_of_arrival(
    case: tuple[list[Hit], CorrelationRule], seed: int
) -> None:
    hits, rule = case
    shuffled = random.Random(seed).sample(hits, len(hits))  # noqa: S311  an order, not a secret
    found = moments(rule, shuffled)
    assert [(moment.event_id, moment.count, moment.event_ids) for moment in found] == brute_force(rule, hits)
    assert list(members(found)) == sorted(
        {event for moment in found for event in moment.event_ids},
        key=[one.event_id for one in sorted(hits, key=lambda one: (one.at, one.event_id))].index,
    )
    assert all(before.last < after.last for before, after in pairwise(found))
