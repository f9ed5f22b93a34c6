"""What hits say about an alert: the same in any order and in any pieces, bounded, and shared out by unit."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.alert import MAX_SAMPLES, MAX_UNIT_SAMPLES, AlertContent, Sample
from secmon.model.hit import Hit, Level
from secmon.triage.card import RuleCard
from secmon.triage.content import (
    MAX_SIGNATURES,
    MORE,
    merged,
    of_rule,
    share_of,
)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CARD = RuleCard(id="r", digest="d", kind="event", name="Rule", level=Level.HIGH)


def hit(number: int, minutes: float = 0, **more: Any) -> Hit:
    values: dict[str, Any] = {
        "event_id": f"{number:032x}",
        "rule_id": "r",
        "rule_digest": "d",
        "level": Level.HIGH,
        "at": NOON + timedelta(minutes=minutes),
        "alert_id": "a" * 32,
        "group": {"source.ip": "192.0.2.9"},
        "captured": {"user.name": f"u{number}"},
        "signature": f"{number % 7:016x}",
    }
    return Hit(**{**values, **more})


def content_of(hits: Sequence[Hit]) -> AlertContent:
    return of_rule(CARD, hits).content


UNITS = st.sampled_from([None, "S-1", "S-2", "S-3"])
HITS = st.lists(
    st.builds(
        lambda number, minutes, unit, asset, level, signature: hit(
            number, minutes, unit_id=unit, asset_id=asset, level=level, signature=signature
        ),
        st.integers(0, 10_000),
        st.integers(0, 59),
        UNITS,
        st.sampled_from([None, "A-1", "A-2"]),
        st.sampled_from(list(Level)),
        st.integers(0, 400).map(lambda n: f"{n:016x}") | st.just(""),
    ),
    min_size=1,
    max_size=120,
    unique_by=lambda one: one.event_id,
)


def obvious(hits: Sequence[Hit]) -> dict[str, object]:
    """What the content must say, written without any care for time or memory."""
    ordered = sorted(hits, key=lambda one: (one.at, one.event_id))
    signatures = sorted({one.signature for one in hits} - {""})
    return {
        "count": len(hits),
        "first": ordered[0].at,
        "last": ordered[-1].at,
        "level": max((one.level for one in hits), key=lambda level: level.rank),
        "samples": tuple(one.event_id for one in ordered[:20]),
        "captured": ordered[0].captured,
        "signatures": tuple(signatures[:200]) + ((MORE,) if len(signatures) > 200 else ()),
        "unit_ids": tuple(sorted({one.unit_id for one in hits if one.unit_id})),
        "asset_ids": tuple(sorted({one.asset_id for one in hits if one.asset_id})),
        "counts": {unit: sum((one.unit_id or "") == unit for one in hits) for unit in {o.unit_id or "" for o in hits}},
    }


def said(content: AlertContent) -> dict[str, object]:
    return {
        "count": content.count,
        "first": content.first,
        "last": content.last,
        "level": content.level,
        "samples": content.samples,
        "captured": content.captured,
        "signatures": content.signatures,
        "unit_ids": content.unit_ids,
        "asset_ids": content.asset_ids,
        "counts": content.counts_by_unit,
    }


@given(hits=HITS)
def test_the_content_is_what_an_obvious_reading_says(hits: list[Hit]) -> None:
    assert said(content_of(hits)) == obvious(hits)


@given(hits=HITS, data=st.data())
def test_the_order_of_hits_does_not_matter(hits: list[Hit], data: st.DataObject) -> None:
    assert content_of(data.draw(st.permutations(hits))) == content_of(hits)


@given(hits=HITS.filter(lambda found: len(found) > 2), cuts=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_pieces_add_up_to_the_whole_in_any_order(hits: list[Hit], cuts: tuple[int, int]) -> None:
    first, second = sorted(min(cut, len(hits) - 1) for cut in cuts)
    parts = [part for part in (hits[:first], hits[first:second], hits[second:]) if part]
    contents = [content_of(part) for part in parts]
    forwards, backwards = contents[0], contents[-1]
    for one in contents[1:]:
        forwards = merged(forwards, one)
    for one in reversed(contents[:-1]):
        backwards = merged(backwards, one)
    assert forwards == backwards == content_of(hits)


def test_a_flood_is_summed_up_in_bounded_size() -> None:
    flood = (hit(number, number % 60, signature=f"{number * 7919 % 65536:016x}") for number in range(20_000))
    content = of_rule(CARD, flood).content
    assert (content.count, len(content.samples), len(content.signatures)) == (20_000, MAX_SAMPLES, MAX_SIGNATURES + 1)
    assert content.signatures[-1] == MORE


def test_no_hits_are_no_alert() -> None:
    with pytest.raises(ValueError, match="without hits"):
        of_rule(CARD, [])


# What a viewer of some units sees.


def test_a_viewer_of_all_units_sees_the_whole() -> None:
    content = content_of([hit(1, unit_id="S-1"), hit(2, unit_id="S-2")])
    assert share_of(content, frozenset({"S-1", "S-2", "S-9"})) is content


def test_a_share_holds_nothing_of_other_units() -> None:
    hits = [
        hit(1, 0, unit_id="S-1", asset_id="A-1", captured={"user.name": "secret-1"}),
        hit(2, 5, unit_id="S-2", asset_id="A-2", captured={"user.name": "own-2"}),
        hit(3, 9, unit_id="S-2", asset_id="A-2", captured={"user.name": "own-3"}),
        hit(4, 30, unit_id=None, captured={"user.name": "secret-4"}),
    ]
    share = share_of(content_of(hits), frozenset({"S-2"}))
    assert (share.count, share.first, share.last) == (2, hits[1].at, hits[2].at)
    assert share.earliest == (Sample(hits[1].at, hits[1].event_id), Sample(hits[2].at, hits[2].event_id))
    assert share.captured == {"user.name": "own-2"}
    assert (share.unit_ids, share.asset_ids, share.signatures) == (("S-2",), ("A-2",), ())
    assert not any(word in str(share) for word in ("secret", "S-1", "A-1"))


@given(hits=HITS, units=st.frozensets(st.sampled_from(["S-1", "S-2", "S-3"]), min_size=1))
def test_a_share_is_the_content_of_the_viewers_own_hits(hits: list[Hit], units: frozenset[str]) -> None:
    own = [one for one in hits if one.unit_id in units]
    if not own or len(own) == len(hits):
        return
    share, expected = share_of(content_of(hits), units), content_of(own)
    assert (share.count, share.first, share.last, share.shares) == (
        expected.count,
        expected.first,
        expected.last,
        expected.shares,
    )
    assert share.captured == expected.captured
    assert share.samples[:MAX_UNIT_SAMPLES] == expected.samples[:MAX_UNIT_SAMPLES]
