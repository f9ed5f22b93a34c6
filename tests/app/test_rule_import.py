"""Importing rules: new, changed, the same, unsupported, and where the files go."""

from secmon.app.rule_import import ImportPlan, Surroundings, plan_import
from secmon.sigma.rule import RuleFile
from tests.sigma.rule_texts import ID, correlation_text, rule_text

ONE = rule_text(head="author: Mori\nlicense: DRL-1.1")
TWO = rule_text(number=2)
BROKEN = rule_text("s: {user.name|nope: x}\ncondition: s", number=3)


CARD_PIPELINE = """
name: cards
priority: 10
transformations:
- id: source
  type: change_logsource
  category: authentication
  rule_conditions:
  - {type: logsource, category: campus_card}
"""


def plan(bundle: dict[str, str], existing: dict[str, str] | None = None, *licences: str) -> ImportPlan:
    there = [RuleFile(*each) for each in (existing or {}).items()]
    return plan_import([RuleFile(*each) for each in bundle.items()], there, licences)


def changes(planned: ImportPlan) -> dict[str, str]:
    return {rule.rule_id: rule.change for rule in planned.rules}


def test_a_rule_is_new_changed_or_the_same_by_what_stands_in_it() -> None:
    existing = {"a.yml": ONE.replace("\n", "\r\n") + "# a comment\n", "b.yml": TWO.replace("root", "toor")}
    planned = plan({"a.yml": ONE, "b.yml": TWO, "c.yml": rule_text(number=4)}, existing)
    assert changes(planned) == {ID.format(1): "same", ID.format(2): "changed", ID.format(4): "new"}
    assert planned.writes == {"b.yml": "b.yml", "c.yml": "c.yml"}


def test_author_and_licence_are_told_or_the_licence_file_above() -> None:
    bundle = {"x/a.yml": ONE, "x/b.yml": TWO, "b.yml": rule_text(number=4), "xy/c.yml": rule_text(number=5)}
    told = {rule.path: (rule.author, rule.licence) for rule in plan(bundle, None, "x/LICENSE", "LICENSE.md").rules}
    assert told == {
        "x/a.yml": ("Mori", "DRL-1.1"),
        "x/b.yml": ("", "x/LICENSE"),
        "b.yml": ("", "LICENSE.md"),
        "xy/c.yml": ("", "LICENSE.md"),
    }


def test_what_cannot_run_is_told_with_its_line_and_left_out() -> None:
    planned = plan({"x/a.yml": BROKEN, "b.yml": "title: [\ndetection: {}\n", "c.yml": "jobs: {}\n"})
    assert {rule.path: rule.change for rule in planned.rules} == {"x/a.yml": "unsupported", "b.yml": "unsupported"}
    assert planned.rules[0].reason.startswith("x/a.yml:8: ")
    assert planned.writes == {}
    assert planned.others == 1


def test_a_file_is_taken_whole_if_one_of_its_rules_can_run() -> None:
    planned = plan({"a.yml": ONE + "---\n" + BROKEN})
    assert changes(planned) == {ID.format(1): "new", ID.format(3): "unsupported"}
    assert planned.writes == {"a.yml": "a.yml"}


def test_a_rule_that_was_moved_is_written_where_it_stands() -> None:
    planned = plan({"new/a.yml": ONE}, {"old/a.yml": ONE.replace("root", "toor")})
    assert planned.writes == {"old/a.yml": "new/a.yml"}


def test_a_correlation_finds_its_rules_among_those_that_are_there() -> None:
    block = "type: event_count\ncondition: {gte: 3}"
    assert changes(plan({"c.yml": correlation_text(block)}, {"a.yml": ONE})) == {ID.format(9): "new"}
    assert changes(plan({"c.yml": correlation_text(block)})) == {ID.format(9): "unsupported"}


def test_rules_without_an_id_are_known_by_file_and_title() -> None:
    nameless = ONE.replace(f"id: {ID.format(1)}\n", "")
    assert [rule.change for rule in plan({"a.yml": nameless}, {"a.yml": nameless}).rules] == ["same"]


def test_rules_are_tried_with_the_lists_pipelines_and_rules_that_they_will_run_with() -> None:
    bundle = [
        RuleFile("list.yml", rule_text("s: {user.name|expand: '%admins%'}\ncondition: s", number=1)),
        RuleFile("mapped.yml", rule_text(logsource="category: campus_card", number=2)),
        RuleFile("over.yml", correlation_text("type: event_count\ncondition: {gte: 5}", rules=f"[{ID.format(7)}]")),
    ]
    surroundings = Surroundings(
        [RuleFile("ours.yml", rule_text(number=7))],
        [RuleFile("p.yml", CARD_PIPELINE)],
        {"admins": ("root",)},
    )
    assert {rule.change for rule in plan_import(bundle, [], [], surroundings).rules} == {"new"}
    assert {rule.change for rule in plan_import(bundle, [], []).rules} == {"unsupported"}


def test_what_is_wrong_with_rules_beside_is_no_problem_of_the_bundle() -> None:
    planned = plan_import([RuleFile("a.yml", ONE)], [], [], Surroundings([RuleFile("a.yml", BROKEN)]))
    assert changes(planned) == {ID.format(1): "new"}


def test_a_file_never_goes_over_the_rules_of_another() -> None:
    there = {"a.yml": TWO, "b.yml": "exception: {}\n", "x/c.yml": rule_text(number=5)}
    planned = plan({"a.yml": ONE, "b.yml": rule_text(number=4)}, there)
    assert planned.writes == {"a-2.yml": "a.yml", "b-2.yml": "b.yml"}
    moved = plan({"c.yml": rule_text("s: {user.name: x}\ncondition: s", number=5), "x/c.yml": ONE}, there)
    assert moved.writes == {"x/c.yml": "c.yml", "x/c-2.yml": "x/c.yml"}
    again = plan({"a.yml": ONE.replace("root", "toor")}, {**there, "a-2.yml": ONE})
    assert again.writes == {"a-2.yml": "a.yml"}


def test_a_rule_without_an_id_goes_over_itself() -> None:
    text = "\n".join(line for line in ONE.splitlines() if not line.startswith("id:"))
    assert plan({"a.yml": text.replace("root", "toor")}, {"a.yml": text}).writes == {"a.yml": "a.yml"}
