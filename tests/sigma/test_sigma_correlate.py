"""Correlations: true sliding windows by event time, a function of the set of hits."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Event, Value
from secmon.model.hit import Hit, Level
from secmon.model.ids import key_id
from secmon.sigma.correlate import Moment, group_hits, members, moments
from secmon.sigma.hits import MAX_CAPTURED, captured, make_hits
from secmon.sigma.rule import CorrelationRule
from tests.sigma.rule_texts import ID, correlation_text, load, login, rule_text

START = datetime(2026, 9, 7, tzinfo=UTC)


def correlation(block: str = "type: event_count\ncondition: {gte: 3}", *, timespan: str = "10s") -> CorrelationRule:
    ruleset = load(rule_text(), correlation_text(block, timespan=timespan))
    assert ruleset.problems == ()
    return ruleset.correlations[0]


def hit(second: float, event: int, **values: Value) -> Hit:
    """Return a hit of rule 1 so many seconds after the start; `user_name` is `user.name`."""
    return Hit(
        event_id=f"{event:032x}",
        rule_id=ID.format(1),
        rule_digest="",
        level=Level.LOW,
        at=START + timedelta(seconds=second),
        captured={name.replace("_", "."): value for name, value in values.items()},
    )


def seconds(found: list[Moment]) -> list[float]:
    return [(moment.at - START).total_seconds() for moment in found]


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


def brute_force(rule: CorrelationRule, hits: list[Hit]) -> list[tuple[str, int, tuple[str, ...]]]:
    """The sentence of the specification, event by event."""
    named = {one.event_id: one for one in hits if rule.type == "event_count" or "user.name" in one.captured}
    ordered = sorted(named.values(), key=lambda one: (one.at, one.event_id))
    found = []
    for index, one in enumerate(ordered):
        window = [other for other in ordered[: index + 1] if one.at - rule.timespan < other.at <= one.at]
        values = {str(other.captured.get("user.name")) for other in window}
        count = len(window) if rule.type == "event_count" else len(values)
        if rule.threshold.holds(count):
            found.append((one.event_id, count, tuple(other.event_id for other in window)))
    return found


HITS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["a", "b", "c", None])), max_size=30).map(
    lambda rows: [hit(at / 2, n, **({"user_name": name} if name else {})) for n, (at, name) in enumerate(rows)]
)
RULES = [
    correlation("type: event_count\ncondition: {gte: 3}", timespan="5s"),
    correlation("type: value_count\ncondition: {gte: 2, field: user.name}", timespan="5s"),
    correlation("type: value_count\ncondition: {lt: 3, field: user.name}", timespan="2s"),
]


@given(hits=HITS, rule=st.sampled_from(RULES), seed=st.integers(0, 9))
def test_moments_are_what_the_definition_says_whatever_the_order_of_arrival(
    hits: list[Hit], rule: CorrelationRule, seed: int
) -> None:
    shuffled = random.Random(seed).sample(hits, len(hits))  # noqa: S311  an order, not a secret
    found = moments(rule, shuffled)
    assert [(moment.event_id, moment.count, moment.event_ids) for moment in found] == brute_force(rule, hits)
    assert list(members(found)) == sorted(
        {event for moment in found for event in moment.event_ids},
        key=[one.event_id for one in sorted(hits, key=lambda one: (one.at, one.event_id))].index,
    )
    assert all(before.last < after.last for before, after in pairwise(found))


# --- hits -------------------------------------------------------------------------------------------------------

GROUPED = "type: value_count\ngroup-by: [source.ip]\ncondition: {gte: 2, field: user.name}"


def event(**fields: Value) -> Event:
    return login(user_name="root", **fields) | {"@timestamp": "2026-09-07T00:01:09.000Z", "event.id": "ab" * 16}


def test_a_hit_carries_what_alerts_and_correlations_need() -> None:
    ruleset = load(rule_text(), correlation_text(GROUPED))
    (made,) = make_hits(ruleset, event(source_ip="192.0.2.9", unit_id="370200", asset_id="A-1"), ruleset.rules)
    assert made.captured == {"source.ip": "192.0.2.9", "user.name": "root"}
    assert made.keys == (key_id(ID.format(9), {"source.ip": "192.0.2.9"}),)
    assert (made.unit_id, made.asset_id) == ("370200", "A-1")
    assert made.alert_id is None


def test_an_event_without_the_group_by_field_is_in_no_group() -> None:
    ruleset = load(rule_text(), correlation_text(GROUPED))
    (made,) = make_hits(ruleset, event(), ruleset.rules)
    assert made.keys == ()
    assert list(group_hits(ruleset.correlations[0], [made])) == []


def test_an_alert_is_rule_and_group_and_hour() -> None:
    ruleset = load(rule_text())

    def alert_of(stamp: str, host: str) -> str | None:
        made = make_hits(ruleset, event(host_name=host) | {"@timestamp": stamp}, ruleset.rules)
        return made[0].alert_id

    base = alert_of("2026-09-07T00:00:00Z", "web01")
    assert base == alert_of("2026-09-07T00:59:59Z", "web01")
    assert base != alert_of("2026-09-07T01:00:00Z", "web01")
    assert base != alert_of("2026-09-07T00:00:00Z", "web02")


def test_the_signature_follows_the_fields_that_the_rule_looked_at() -> None:
    ruleset = load(rule_text())

    def signature(**fields: Value) -> str:
        return make_hits(ruleset, event(**fields), ruleset.rules)[0].signature

    assert signature(source_ip="192.0.2.1") == signature(source_ip="192.0.2.2")
    assert signature() != make_hits(ruleset, event() | {"user.name": "admin"}, ruleset.rules)[0].signature


def test_aliases_name_the_field_of_each_base_rule() -> None:
    block = (
        "type: event_count\ngroup-by: [who]\ncondition: {gte: 2}\n"
        f"aliases: {{who: {{{ID.format(1)}: user.name, {ID.format(2)}: source.user.name}}}}"
    )
    rules = f"[{ID.format(1)}, {ID.format(2)}]"
    other = rule_text("selection: {source.user.name: '*'}\ncondition: selection", number=2)
    ruleset = load(rule_text(), other, correlation_text(block, rules=rules))
    assert ruleset.problems == ()
    one, two = ruleset.rules
    hits = make_hits(ruleset, event(), [one])
    hits += make_hits(ruleset, event(source_user_name="root") | {"event.id": "cd" * 16}, [two])
    ((group, found),) = group_hits(ruleset.correlations[0], hits)
    assert (group, len(found)) == ({"who": "root"}, 2)


@given(st.text(min_size=MAX_CAPTURED - 2, max_size=MAX_CAPTURED + 3), st.text(max_size=3))
def test_captured_values_are_small_distinct_and_storable(text: str, more: str) -> None:
    first, second = captured(text), captured(text + more)
    assert isinstance(first, str)
    assert len(first) <= MAX_CAPTURED
    assert (first == second) is (more == "")
    first.encode()


def test_a_lone_surrogate_is_captured_as_its_escape() -> None:
    assert captured("a\ud800") == "a\\ud800"
    assert captured(["a"]) == "a"
    assert captured([str(n) for n in range(99)]) != captured([str(n) for n in range(100)])
