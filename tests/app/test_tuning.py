"""The list of what quiets alerts: states, counts, scope, drafts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from secmon.app import alerts, tuning
from secmon.app.tuning_draft import draft
from secmon.errors import NotFoundError
from secmon.model.access import Access, Scope
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from tests.app.houses import NOON, OPERATOR, RULES, SHELL, access_line
from tests.app.test_suppressed_alerts import PATHS, SCANNER, WEB, contents_of, house_of, refused, take_in
from tests.sigma.tuning_texts import EXCEPTION, exception_text, maintenance_text, override_text


@pytest.mark.parametrize(
    ("custom", "state"),
    [
        ({"expires": "2026-12-31"}, "active"),
        ({"expires": "2026-11-30"}, "expiring"),
        ({"expires": "2026-11-20"}, "expired"),
        ({"expires": "2027-03-31", "starts": "2027-01-01"}, "pending"),
    ],
    ids=str,
)
def test_the_state_tells_what_is_to_be_done(custom: dict[str, Any], state: str) -> None:
    with house_of(exception_text(**WEB, **custom)) as house:
        (row,) = tuning.tuning(house, OPERATOR)
        assert row["suppression.state"] == state
        assert bool(tuning.problems(house.ruleset, NOON)) is (state in {"expiring", "expired"})


def test_hits_are_counted_by_day_in_the_zone_of_the_installation() -> None:
    late = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)  # one in the morning of the 22nd in Shanghai
    with house_of(SCANNER) as house:
        take_in(house, [access_line(at, "/shell.jsp", address="192.0.2.8") for at in (NOON, late)])
        (row,) = tuning.tuning(house, OPERATOR)
    assert row["suppression.days"] == {"2026-11-21": 1, "2026-11-22": 1}
    assert row["suppression.hits"] == 2


def test_a_viewer_sees_what_reaches_into_their_units_and_counts_their_own_hits() -> None:
    texts = [
        exception_text(number=number, units=units, **WEB)
        for number, units in enumerate(("any", "[C-1]", "[S-1]", "[S-2]"), start=1)
    ]
    viewer = Access(OPERATOR.principal, Scope(frozenset({"S-1"})))
    with house_of(*texts, override_text(f"{{rules: [{SHELL}], level: low}}")) as house:
        seen = {row["suppression.id"] for row in tuning.tuning(house, viewer)}
        assert all("path" not in row for row in tuning.tuning(house, viewer))
        assert len(tuning.tuning(house, OPERATOR)) == 5
        with pytest.raises(NotFoundError):
            tuning.one_of(house, viewer, EXCEPTION.format(4))
    assert seen == {EXCEPTION.format(number) for number in (1, 2, 3)}


def test_what_was_taken_away_is_still_known_by_what_it_suppressed() -> None:
    with house_of(SCANNER) as house:
        take_in(house, [refused(0)])
        later = replace(house, ruleset=load_rules([RuleFile("r.yml", RULES)]))
        assert tuning.tuning(later, OPERATOR) == []
        row = tuning.one_of(later, OPERATOR, EXCEPTION.format(1))
        assert (row["suppression.name"], row["suppression.hits"]) == ("Exception 1", 1)
        assert tuning.name_of(later, EXCEPTION.format(1)) == "Exception 1"
        assert tuning.name_of(later, "nobody") == "nobody"


def test_what_is_broken_stands_first() -> None:
    files = [RuleFile("r.yml", RULES), RuleFile("e.yml", exception_text(owner=None, **WEB))]
    ruleset = load_rules(
        [*files, RuleFile("m.yml", maintenance_text("{rules: any, from: 2026-11-21, to: 2026-11-22}"))]
    )
    with house_of() as house:
        rows = tuning.tuning(replace(house, ruleset=ruleset), OPERATOR)
    assert [row["suppression.state"] for row in rows] == ["broken", "active"]
    assert "owner is missing" in rows[0]["problem"]
    assert tuning.problems(ruleset, NOON) == [rows[0]["problem"]]


def test_what_was_suppressed_beside_an_alert_is_counted_with_its_group() -> None:
    lines = [
        access_line(NOON, "/shell.jsp", address="192.0.2.9"),
        access_line(NOON + timedelta(minutes=1), "/shell-test.jsp", address="192.0.2.9"),
        access_line(NOON + timedelta(minutes=2), "/shell.jsp", address="192.0.2.8"),
    ]
    with house_of(SCANNER, PATHS) as house:
        take_in(house, lines)
        contents_of(house)
        (alert,) = alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
        rows, is_cut = tuning.beside(house, OPERATOR, alert)
    assert not is_cut
    assert {(row.name, row.hits, row.same_group) for row in rows} == {("Exception 1", 1, 0), ("Exception 2", 1, 1)}


def test_a_draft_suppresses_nothing_until_it_is_completed_and_then_the_alerts_group() -> None:
    lines = [access_line(NOON, "/shell.jsp", address=address) for address in ("192.0.2.9", "192.0.2.8")]
    with house_of() as house:
        take_in(house, lines)
        contents_of(house)
        alert = next(iter(alerts.every_alert(house, OPERATOR, alerts.AlertFilter())))
        text = draft(house, OPERATOR, alert.id)
    (problem,) = load_rules([RuleFile("r.yml", RULES), RuleFile("e.yml", text)]).problems
    assert (problem.kind, problem.problem) == ("exception", "custom.secmon.owner is missing")
    complete = text.replace("owner: ''", "owner: 张三").replace("approver: ''", "approver: 李四")
    with house_of(complete.replace("reason: ''", "reason: 测试")) as house:
        take_in(house, lines)
        (content,) = contents_of(house).values()
        assert content.count == 1
        assert alert.id not in contents_of(house)


def test_a_draft_for_a_correlation_excepts_from_its_base_rules() -> None:
    lines = [refused(minute, "192.0.2.9") for minute in range(3)]
    with house_of() as house:
        take_in(house, lines)
        contents_of(house)
        (alert,) = alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
        text = draft(house, OPERATOR, alert.id)
    complete = text.replace("owner: ''", "owner: 张三").replace("approver: ''", "approver: 李四")
    with house_of(complete.replace("reason: ''", "reason: 测试")) as house:
        take_in(house, lines)
        assert contents_of(house) == {}
