"""What is told of two rule sets: added, changed, removed, whatever kind it is."""

from secmon.sigma.changes import changes
from secmon.sigma.rule import RuleSet
from tests.sigma.rule_texts import ID, correlation_text, load, rule_text
from tests.sigma.tuning_texts import EXCEPTION, exception_text, maintenance_text, override_text

COUNT = "type: event_count\ngroup-by: [user.name]\ncondition: {gte: 3}"


def told(before: RuleSet, after: RuleSet) -> list[tuple[str, str, str]]:
    return [(one.change, one.kind, one.id) for one in changes(before, after)]


def test_equal_rules_are_no_change_wherever_they_lie() -> None:
    assert changes(load(rule_text(number=2), rule_text()), load(rule_text(), rule_text(number=2))) == ()


def test_a_rule_is_added_changed_and_removed() -> None:
    one, two = rule_text(), rule_text(number=2)
    assert told(load(one), load(one, two)) == [("added", "rule", ID.format(2))]
    assert told(load(one, two), load(one)) == [("removed", "rule", ID.format(2))]
    other = rule_text("selection: {user.name: admin}\ncondition: selection")
    assert told(load(one), load(other)) == [("changed", "rule", ID.format(1))]


def test_what_does_not_decide_what_is_found_is_a_change_too() -> None:
    low = rule_text().replace("level: high", "level: low")
    assert told(load(rule_text()), load(low)) == [("changed", "rule", ID.format(1))]
    assert load(rule_text()).digest != load(low).digest
    assert load(rule_text()).by_id[ID.format(1)].digest == load(low).by_id[ID.format(1)].digest


def test_a_correlation_changes_with_its_rules() -> None:
    other = rule_text("selection: {user.name: admin}\ncondition: selection")
    found = told(load(rule_text(), correlation_text(COUNT)), load(other, correlation_text(COUNT)))
    assert ("changed", "rule", ID.format(1)) in found
    assert {kind for _, kind, _ in found} <= {"rule", "correlation"}


def test_what_tunes_rules_is_told_by_its_kind() -> None:
    tuned = load(
        rule_text(), exception_text(), maintenance_text(), override_text(f"{{rules: ['{ID.format(1)}'], level: low}}")
    )
    assert tuned.problems == ()
    found = told(load(rule_text()), tuned)
    assert {(change, kind) for change, kind, _ in found} == {
        ("added", "exception"),
        ("added", "maintenance"),
        ("added", "override"),
        ("changed", "rule"),
    }
    renewed = load(rule_text(), exception_text(reason="另一个理由"))
    assert told(load(rule_text(), exception_text()), renewed) == [("changed", "exception", EXCEPTION.format(1))]
