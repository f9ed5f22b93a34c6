"""A rule as a question to a store: it finds every event that the rule matches."""

import sys

import pytest
from hypothesis import example, given, settings

from secmon.model.event import Event
from secmon.model.query import EVERYTHING, AllOf, AnyOf, Equals, Exists, Like, predicate
from secmon.sigma.match import Definition, holds
from secmon.sigma.routing import known_sources, route
from secmon.sigma.rule import RuleSet
from secmon.sigma.superset import MAX_LEAVES, _is_delicate, _is_delicate_in_regex, bounded, of_route, of_rule, of_tree
from secmon.sigma.tree import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Cidr,
    Compare,
    Keyword,
    Node,
    Not,
    Null,
    Operator,
    Or,
    Regex,
    Text,
)
from secmon.sigma.values import fold
from tests.sigma.fuzzing import EVENTS, rule_sets
from tests.sigma.test_sigma_engine import EVENTS as SMALL_EVENTS
from tests.sigma.test_sigma_engine import TREES
from tests.sigma.test_sigma_fuzz import fuzzed


@settings(deadline=None, max_examples=500)
@given(tree=TREES, event=SMALL_EVENTS)
@example(Text("a", ("4625",)), {"a": 4625.0})
@example(Text("a", (ANY_TEXT, "25")), {"a": 4625.0})
@example(Text("a", ("0", ANY_TEXT)), {"a": -0.0})
@example(Text("a", ("foo", ANY_TEXT, "bar")), {"a": "foo\x1fbar"})
@example(Text("a", ("a", ANY_CHARACTER, "b")), {"a": "a\x1fb"})
@example(Text("a", ("ski",)), {"a": "S\u212a\u0130"})
@example(Text("a", ("whoami kiki kiki kiki",)), {"a": "whoami kiki kiki KIKI"})
@example(Cidr("a", "fe80::/10"), {"a": "fe80::1%eth0"})
@example(Compare("a", Operator.GTE, 5), {"a": "+5"})
@example(Compare("a", Operator.EQ, 0.1), {"a": "0.1000000000000000055511151231257827"})
@example(Compare("a", Operator.GT, 1), {"a": "1" * 50})
@example(Regex("a", "(?i)kiss"), {"a": "\u212aiſs"})
def test_what_a_condition_matches_its_question_finds(tree: Node, event: Event) -> None:
    if holds(tree, event):
        assert predicate(of_tree(tree))(event)


@fuzzed
@given(ruleset=rule_sets(), event=EVENTS)
def test_what_a_rule_matches_its_question_finds(ruleset: RuleSet, event: Event) -> None:
    for rule in Definition(ruleset.rules).match(event):
        assert predicate(of_rule(rule))(event)


def test_every_character_that_folds_to_another_is_known() -> None:
    folding = {character: fold(character) for character in map(chr, range(sys.maxunicode + 1))}
    partners = {target for character, target in folding.items() if target != character}
    plain = set("abcdefghjlmnopqrstuvwxyz")  # their only partners are A–Z, which stores fold too
    assert all(_is_delicate(target) for target in partners - plain)
    assert all(character.isascii() for character, target in folding.items() if target in plain)
    assert all(map(_is_delicate_in_regex, "ikIKsS中é"))


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (Text("url.path", ("/admin",)), AnyOf((Equals("url.path", "/admin"), Equals("url.path", "/adm\u0130n")))),
        (Text("url.path", (ANY_TEXT, "/etc/passwd", ANY_TEXT)), Like("url.path", "*/etc/passwd*")),
        (Text("url.path", (ANY_TEXT, "whoami")), Like("url.path", "*whoam?")),
        (Text("url.path", ("a*b", ANY_TEXT)), Like("url.path", "a\\*b*")),
        (Or((Text("a", ("x",)), Keyword(("x",)))), EVERYTHING),
        (And((Text("a", ("x",)), Not(Text("b", ("y",))))), Equals("a", "x")),
        (Not(Null("a")), Exists("a")),
        (Regex("a", r"cmd\.exe.+/c"), Like("a", "*cmd.exe*")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_question_is_as_narrow_as_it_can_be(tree: Node, expected: object) -> None:
    assert of_tree(tree) == expected


def test_many_values_become_their_field_and_many_fields_everything() -> None:
    values = AnyOf(tuple(Equals("a", str(number)) for number in range(MAX_LEAVES + 1)))
    assert bounded(AllOf((values, Equals("b", "x")))) == AllOf((Exists("a"), Exists("b")))
    fields = AnyOf(tuple(Equals(f"f{number}", "x") for number in range(MAX_LEAVES + 1)))
    assert bounded(fields) == EVERYTHING


def test_every_log_source_is_a_question() -> None:
    for source in known_sources():
        found = route(source)
        assert found is not None
        assert of_route(found) != EVERYTHING
