"""Rule collections and filters: many documents that make one rule, one document that narrows many rules."""

import pytest

from secmon.model.event import Event
from secmon.sigma.rule import RuleSet
from tests.sigma.rule_texts import ID, both, correlation_text, load, login, only_problem, rule_text

GLOBAL = """action: global
taxonomy: ecs
logsource: {category: authentication}
level: high
detection:
  condition: selection
"""
ONE = "---\ntitle: One\ndetection: {selection: {user.name: one}}\n"
TWO = "---\ntitle: Two\ndetection: {selection: {user.name: two}}\n"


def names(ruleset: RuleSet, event: Event) -> list[str]:
    return [rule.name for rule in ruleset.rules if both(rule, event)]


def test_a_global_document_completes_every_rule_that_follows() -> None:
    ruleset = load(GLOBAL + ONE + TWO)
    assert ruleset.problems == ()
    assert names(ruleset, login(user_name="one")) == ["One"]
    assert names(ruleset, login(user_name="two")) == ["Two"]


def test_an_inherited_id_is_kept_by_the_first_and_varied_for_the_others() -> None:
    text = f"id: {ID.format(5)}\n" + GLOBAL + ONE + TWO
    first, second = load(text).rules, load(text.replace("two", "three")).rules
    ids = {rule.name: rule.id for rule in first}
    assert ids["One"] == ID.format(5)
    assert ids["Two"] != ID.format(5)
    assert ids == {rule.name: rule.id for rule in second}


def test_reset_ends_the_global_document() -> None:
    (problem,) = load(GLOBAL + ONE + "---\naction: reset\n" + TWO).problems
    assert (problem.line, problem.name) == (14, "Two")


def test_repeat_is_the_rule_before_with_other_values() -> None:
    repeat = "---\naction: repeat\ntitle: Again\ndetection: {selection: {user.name: again}}\n"
    ruleset = load(GLOBAL + ONE + repeat)
    assert ruleset.problems == ()
    assert names(ruleset, login(user_name="again")) == ["Again"]
    assert names(ruleset, login(user_name="one")) == ["One"]


def test_two_values_of_what_decides_are_refused_at_the_rule() -> None:
    problem = only_problem(GLOBAL + "---\ntitle: X\ndetection: {selection: {user.name: x}, condition: not selection}\n")
    assert "global document" in problem.problem
    assert problem.line == 9


def test_lines_of_a_merged_rule_are_those_of_the_document_that_says_it() -> None:
    assert only_problem(GLOBAL.replace("high", "terrible") + ONE).line == 4
    assert only_problem(GLOBAL + ONE.replace("user.name", "user.name|nope")).line == 9


@pytest.mark.parametrize("action", ["repeat", "glocal", "[global]"])
def test_an_action_without_a_meaning_is_refused(action: str) -> None:
    assert only_problem(f"action: {action}\n" + rule_text()).line == 1


def test_correlations_take_nothing_from_a_global_document() -> None:
    ruleset = load(rule_text(), GLOBAL + "---\n" + correlation_text("type: event_count\ncondition: {gte: 2}", head=""))
    assert ruleset.problems == ()
    assert ruleset.correlations[0].level == "medium"


# --- filters ----------------------------------------------------------------------------------------------------


def filter_text(rules: str = "any", *, block: str = "condition: not selection", logsource: str = "") -> str:
    return "\n".join(
        [
            "title: Known accounts",
            "taxonomy: ecs",
            f"logsource: {{{logsource or 'category: authentication'}}}",
            "filter:",
            f"  rules: {rules}",
            "  selection: {user.name|startswith: adm_}",
            f"  {block}",
            "",
        ]
    )


EVERYONE = rule_text("selection: {user.name: '*'}\ncondition: selection")


@pytest.mark.parametrize("rules", ["any", "ANY", "[]", ID.format(1), f"[{ID.format(1)}]", "everyone"])
def test_a_filter_narrows_the_rules_it_names(rules: str) -> None:
    ruleset = load(EVERYONE.replace("level:", "name: everyone\nlevel:"), filter_text(rules))
    assert ruleset.problems == ()
    assert not names(ruleset, login(user_name="adm_1"))
    assert names(ruleset, login(user_name="root")) == ["Rule 1"]


def test_the_condition_of_a_filter_is_joined_as_it_stands() -> None:
    ruleset = load(EVERYONE, filter_text(block="condition: selection"))
    assert names(ruleset, login(user_name="adm_1")) == ["Rule 1"]
    assert not names(ruleset, login(user_name="root"))


def test_a_filter_changes_the_digest_and_the_fields_of_a_rule_and_stands_before_it_as_well_as_behind() -> None:
    block = "sel2: {host.name: x}\n  condition: not 1 of sel*"
    (plain,), (one,), (other,) = (
        load(*texts).rules
        for texts in ([EVERYONE], [EVERYONE, filter_text(block=block)], [filter_text(block=block), EVERYONE])
    )
    assert (one.tree, one.digest) == (other.tree, other.digest)
    assert one.digest != plain.digest
    assert one.fields == ("host.name", "user.name")


def test_a_filter_is_for_rules_within_its_log_source_only() -> None:
    windows = rule_text("selection: {user.name: '*'}\ncondition: selection", logsource="product: windows")
    ruleset = load(windows, filter_text())
    assert "finds no rule" in ruleset.problems[0].problem
    whole = load(windows.replace("product: windows", "product: windows\n  service: security"),
                 filter_text(logsource="product: windows"))  # fmt: skip
    assert whole.problems == ()
    assert "adm_" in repr(whole.rules[0].tree)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (filter_text("nobody"), 5, "finds no rule nobody"),
        (filter_text("5"), 5, "which rules"),
        (filter_text(block="condition: [a, b]"), 7, "one condition"),
        (filter_text(block="condition: not selektion"), 7, "selektion"),
        (filter_text().replace("startswith", "starts"), 6, "starts"),
        (filter_text().replace("logsource: {category: authentication}", "status: test"), 1, "log source"),
        (filter_text().replace("taxonomy: ecs", "status: test").replace("user.name", "User"), 6, "not known"),
    ],
)
def test_a_filter_that_is_wrong_is_told_with_its_line_and_narrows_nothing(text: str, line: int, problem: str) -> None:
    ruleset = load(EVERYONE, text)
    (found,) = ruleset.problems
    assert problem in found.problem
    assert (found.path, found.line) == ("r1.yml", line)
    assert ruleset.rules == load(EVERYONE).rules


def test_a_rule_with_an_id_of_its_own_is_repeated_under_other_ids() -> None:
    own = "title: T\nid: 00000000-0000-4000-8000-00000000000a\nlogsource: {category: authentication}\ntaxonomy: ecs\n"
    again = "---\naction: repeat\ndetection: {s: {user.name: "
    ruleset = load(own + "detection: {s: {user.name: a}, condition: s}\n" + again + "b}}\n" + again + "c}}\n")
    assert not ruleset.problems
    assert len(ruleset.rules) == len({rule.id for rule in ruleset.rules}) == 3
    assert "00000000-0000-4000-8000-00000000000a" in {rule.id for rule in ruleset.rules}
