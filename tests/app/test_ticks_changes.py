"""Ticks over what changed since the hits: rules that are others or gone, partitions that were dropped."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from secmon.app import rulebook
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.sigma.rule import Rule
from tests.app.houses import BRUTE, FAILURES, NOON, OPERATOR, RULES, SHELL, opened_house
from tests.app.ticking import commit, found, refused, request, shells
from tests.contracts.builders import DAY, batch_of

# Rules that change.


WITHOUT_SHELL = RULES.split("---\n", 1)[1]
ONLY_SHELL = RULES.split("---\n", 1)[0]


def test_hits_of_a_rule_that_was_taken_away_are_still_told(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state") as before:
        commit(before, 1, shells(1, 2))
    with opened_house(tmp_path / "state", rules=WITHOUT_SHELL) as house:
        evaluate(house, OPERATOR)
        alert = found(house)[0]
    assert (alert.rule_title_zh, alert.content.count) == ("网页后门访问", 2)
    assert alert.reason == "192.0.2.9 访问 /shell.jsp"


def test_hits_of_a_rule_that_nobody_knows_are_still_told(house: Installation) -> None:
    stranger = replace(commit(house, 1, shells(1, 1))[0], rule_id="gone", alert_id="f" * 32)
    event = request(50, 1)
    hit = replace(stranger, event_id=str(event["event.id"]))
    house.log.commit(OPERATOR, batch_of([event], number=2, hits=[hit]))
    evaluate(house, OPERATOR)
    assert [(one.rule_name, one.content.count) for one in found(house, "gone")] == [("gone", 1)]


def test_a_correlation_that_was_taken_away_is_evaluated_for_the_last_time(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state") as before:
        commit(before, 1, refused(1, [0, 1, 2]))
    with opened_house(tmp_path / "state", rules=ONLY_SHELL) as house:
        evaluate(house, OPERATOR)
        assert [(one.rule_title_zh, one.content.count) for one in found(house, BRUTE)] == [("多次被拒", 1)]


def test_a_level_that_was_lowered_leaves_the_alert_as_high_as_its_hits(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state") as before:
        commit(before, 1, shells(1, 1))
        evaluate(before, OPERATOR)
    lowered = RULES.replace("level: high", "level: low")
    with opened_house(tmp_path / "state", rules=lowered) as house:
        commit(house, 2, shells(5, 1))
        evaluate(house, OPERATOR)
        assert [one.content.level.value for one in found(house)] == ["high"]


def test_a_level_that_was_raised_raises_the_alert(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state") as before:
        commit(before, 1, shells(1, 1))
        evaluate(before, OPERATOR)
    with opened_house(tmp_path / "state", rules=RULES.replace("level: high", "level: critical")) as house:
        commit(house, 2, shells(5, 1))
        evaluate(house, OPERATOR)
        assert [one.content.level.value for one in found(house)] == ["critical"]


def test_a_rule_set_is_kept_once(house: Installation) -> None:
    rulebook.keep(house, OPERATOR)
    rulebook.keep(house, OPERATOR)
    kept = house.records.get(OPERATOR, rulebook.RULESET, house.ruleset.digest)
    assert kept is not None
    assert set(kept.body["rules"]) == {SHELL, FAILURES, BRUTE}
    assert isinstance(house.ruleset.by_id[SHELL], Rule)


# Retention.


def test_a_late_hit_does_not_shrink_an_alert_whose_partition_is_gone(house: Installation) -> None:
    commit(house, 1, shells(1, 30))
    evaluate(house, OPERATOR)
    before = found(house)[0]
    house.log.drop_partition(OPERATOR, DAY, "security")
    later = DAY + timedelta(days=190)
    commit(house, 2, shells(500, 1, day=later), day=later)
    evaluate(house, OPERATOR)
    alert = found(house)[0]
    assert (alert.content.count, alert.content.first, alert.revision) == (31, before.content.first, 2)
    assert alert.content.samples == before.content.samples


@pytest.mark.parametrize(
    ("minutes", "count", "last"),
    [([30, 31, 32], 4, 32), ([3.1, 3.2, 3.3], 3, 4)],
    ids=["later than all it has", "among what is gone"],
)
def test_a_correlation_whose_partition_is_gone_keeps_what_it_said(
    house: Installation, minutes: list[float], count: int, last: int
) -> None:
    commit(house, 1, refused(1, [0, 1, 2, 3, 4]))
    evaluate(house, OPERATOR)
    assert found(house, BRUTE)[0].content.count == 3
    house.log.drop_partition(OPERATOR, DAY, "security")
    later = DAY + timedelta(days=190)
    commit(house, 2, refused(500, minutes, day=later), day=later)
    evaluate(house, OPERATOR)
    alert = found(house, BRUTE)[0]
    assert (alert.content.count, alert.content.first) == (count, NOON + timedelta(minutes=2))
    assert alert.content.last == NOON + timedelta(minutes=last)
