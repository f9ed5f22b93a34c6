"""What the hits of one key say about a correlation's alerts, read in pieces, in bounded memory."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.alert import AlertContent
from secmon.model.hit import Hit, Level
from secmon.sigma import sliding
from secmon.sigma.correlate import members, moments
from secmon.sigma.rule import CorrelationRule, Threshold
from secmon.sigma.sliding import counted, in_order
from secmon.sigma.tree import Operator
from secmon.triage.content import COUNT, of_rule, share_of
from secmon.triage.correlated import Correlated, Stretches, touched_range
from tests.triage.test_alert_content import CARD, HOUR, NOON, hit


def correlation(**more: Any) -> CorrelationRule:
    values: dict[str, Any] = {
        "id": "c",
        "name": "Many",
        "level": Level.MEDIUM,
        "path": "t.yml",
        "line": 1,
        "digest": "c1",
        "type": "event_count",
        "rule_ids": ("r",),
        "group_by": ("source.ip",),
        "timespan": timedelta(minutes=10),
        "threshold": Threshold(Operator.GTE, 3),
    }
    return CorrelationRule(**{**values, **more})


def contents(rule: CorrelationRule, hits: Sequence[Hit], **more: Any) -> dict[datetime, AlertContent]:
    drafts = Correlated(rule, {"source.ip": "192.0.2.9"}, **more).drafts(counted(rule, in_order(hits)))
    return {draft.window_from: draft.content for draft in drafts}


def counts(rule: CorrelationRule, hits: Sequence[Hit], **more: Any) -> dict[datetime, int]:
    return {start: content.count for start, content in contents(rule, hits, **more).items()}


def only(found: dict[datetime, AlertContent]) -> AlertContent:
    (content,) = found.values()
    return content


def test_a_threshold_reached_across_the_border_of_a_grouping_window_belongs_to_the_later_one() -> None:
    assert counts(correlation(), [hit(1, 57), hit(2, 59), hit(3, 60)]) == {NOON + HOUR: 1}


def test_moments_on_both_sides_of_the_border_are_two_alerts() -> None:
    found = counts(correlation(), [hit(n, minute) for n, minute in enumerate((55, 56, 57, 58, 60, 61))])
    assert found == {NOON: 2, NOON + HOUR: 2}


def test_the_sample_of_a_correlation_is_what_stood_in_its_windows() -> None:
    hits = [hit(n, minute) for n, minute in enumerate((0, 30, 31, 32, 59))]
    content = only(contents(correlation(), hits))
    assert content.samples == tuple(one.event_id for one in hits[1:4])
    assert (content.count, content.captured[COUNT]) == (1, 3)


def test_a_share_of_a_correlation_counts_the_units_own_events() -> None:
    hits = [hit(1, 0, unit_id="S-1"), hit(2, 1, unit_id="S-2"), hit(3, 2, unit_id="S-1"), hit(4, 3, unit_id="S-1")]
    content = only(contents(correlation(), hits))
    assert content.counts_by_unit == {"S-1": 3, "S-2": 1}
    share = share_of(content, frozenset({"S-2"}))
    assert (share.count, share.captured["user.name"], share.captured[COUNT]) == (1, "u2", 4)


@given(
    old=st.lists(st.integers(0, 240), max_size=25, unique=True),
    new=st.lists(st.integers(0, 240), min_size=1, max_size=8, unique=True),
    spans=st.tuples(st.integers(1, 90), st.sampled_from([15, 60, 120])),
    threshold=st.sampled_from([Threshold(Operator.GTE, 3), Threshold(Operator.LT, 3), Threshold(Operator.EQ, 2)]),
)
def test_the_touched_range_is_enough(
    old: list[int], new: list[int], spans: tuple[int, int], threshold: Threshold
) -> None:
    """Reading only the touched range gives the same windows as reading everything."""
    minutes, window = spans
    rule = correlation(timespan=timedelta(minutes=minutes), group_window=timedelta(minutes=window), threshold=threshold)
    hits = [hit(n, minute) for n, minute in enumerate([*old, *new])]
    fresh = [one.at for one in hits[len(old) :]]
    since, until = touched_range((min(fresh), max(fresh)), rule.timespan, rule.group_window)
    read = [one for one in hits if since <= one.at < until]
    from_window, up_to = since + rule.timespan, until
    whole = {start: found for start, found in contents(rule, hits).items() if from_window <= start < up_to}
    assert contents(rule, read, begin=from_window) == whole


@given(minutes=st.lists(st.integers(0, 90), min_size=1, max_size=40), limit=st.integers(2, 6), number=st.integers(1, 6))
def test_a_content_is_that_of_all_members_of_its_moments(minutes: list[int], limit: int, number: int) -> None:
    rule = correlation(threshold=Threshold(Operator.GTE, number))
    hits = in_order([hit(n, minute, unit_id=f"S-{n % 3}") for n, minute in enumerate(minutes)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliding, "MAX_WINDOW", limit)
        found, every = contents(rule, hits), moments(rule, hits)
    for start, content in found.items():
        mine = [moment for moment in every if start <= moment.at < start + HOUR]
        ids = set(members(mine))
        expected = of_rule(CARD, [one for one in hits if one.event_id in ids]).content
        assert (content.count, content.first, content.last) == (len(mine), mine[0].at, mine[-1].at)
        assert (content.earliest, content.shares) == (expected.earliest, expected.shares)
        assert content.captured == {**expected.captured, COUNT: max(moment.count for moment in mine)}
    assert sum(content.count for content in found.values()) == len(every)


# Windows that are too long to be held.


def test_of_a_window_that_is_too_long_the_latest_events_count_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliding, "MAX_WINDOW", 4)
    rule = correlation(type="value_count", value_fields=("user.name",), threshold=Threshold(Operator.GTE, 3))
    users = ["a", "b", "c", "a", "a", "a", "a"]
    hits = [hit(n, n, captured={"user.name": user}) for n, user in enumerate(users)]
    evaluation = Correlated(rule, {})
    (draft,) = evaluation.drafts(counted(rule, hits))
    assert (draft.content.count, draft.content.cut, evaluation.cut) == (3, True, {NOON})
    assert only(contents(rule, hits[:4])).cut is False


def test_a_threshold_above_the_limit_is_reached_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliding, "MAX_WINDOW", 4)
    rule = correlation(threshold=Threshold(Operator.GT, 9))
    content = only(contents(rule, [hit(n, n / 10) for n in range(12)]))
    assert (content.count, content.captured[COUNT], content.cut) == (3, 10, True)


@given(minutes=st.lists(st.integers(0, 120), min_size=1, max_size=40, unique=True), start=st.integers(0, 120))
def test_what_is_cut_does_not_depend_on_where_reading_began(minutes: list[int], start: int) -> None:
    rule = correlation(type="value_count", value_fields=("user.name",), group_window=timedelta(minutes=15))
    hits = [hit(n, minute, captured={"user.name": str(n % 5)}) for n, minute in enumerate(sorted(minutes))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliding, "MAX_WINDOW", 4)
        whole = contents(rule, hits)
        begin = NOON + timedelta(minutes=start - start % 15)
        part = contents(rule, [one for one in hits if one.at > begin - rule.timespan], begin=begin)
    assert part == {window: content for window, content in whole.items() if window >= begin}


# Which stretches of time are touched.


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60), st.integers(0, 60))
def test_stretches_are_what_an_obvious_reading_says(minutes: list[int], reach: int) -> None:
    stretches = Stretches(timedelta(minutes=reach))
    for minute in minutes:
        at = NOON + timedelta(minutes=minute)
        stretches.add(at, at)
    expected: list[list[int]] = []
    for minute in sorted(minutes):
        if expected and minute - expected[-1][1] <= reach:
            expected[-1][1] = minute
        else:
            expected.append([minute, minute])
    found = [[(time - NOON) // timedelta(minutes=1) for time in stretch] for stretch in stretches]
    assert found == expected


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_break_nothing(moment: datetime) -> None:
    extreme = hit(1, at=moment)
    since, until = touched_range((moment, moment), timedelta(days=7), timedelta(days=7))
    assert since <= moment <= until
    stretches = Stretches(timedelta(days=7))
    stretches.add(moment, moment)
    assert list(stretches) == [(moment, moment)]
    assert of_rule(CARD, [extreme]).window_from <= moment
