"""What rules cost: which are tried how often, and what no scan decides."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given

from secmon.model.event import Event
from secmon.model.patterns import Patterns, RefusedError, compiled
from secmon.sigma.cost import Profile, RuleCost, kind_of
from secmon.sigma.index import Engine
from secmon.sigma.rule import RuleSet
from secmon.sigma.tree import ANY_CHARACTER, ANY_TEXT, Atom, Cidr, Compare, Keyword, Operator, Regex, Text, TimePart
from tests.sigma.fuzzing import EVENTS, rule_sets
from tests.sigma.rule_texts import ID, load, login, rule_text


def ticking() -> Iterator[float]:
    return map(float, count())


def profile(ruleset: RuleSet, events: list[Event]) -> dict[str, RuleCost]:
    clock = ticking()
    run = Profile(ruleset.rules, lambda: next(clock))
    for event in events:
        run.add(event)
    return {cost.rule.id: cost for cost in run.costs()}


RULES = load(
    rule_text("a: {user.name: root}\ncondition: a"),
    rule_text("a: {source.ip|cidr: 192.0.2.0/24}\nb: {user.name: root}\ncondition: b and not a", number=2),
    rule_text("a: {user.name: null}\ncondition: a", number=3),
    rule_text("a: {source.port|gt: 1024}\ncondition: a", number=4),
    rule_text("a: {event.dataset: x}\ncondition: a", number=5, logsource="product: cas\nservice: audit"),
)
EVENTS_OF_LOGIN = [login(user_name="root"), login(user_name="mori", source_ip="192.0.2.7"), login(source_port=4000)]


def test_a_rule_is_tried_where_something_it_cannot_do_without_is_true() -> None:
    found = profile(RULES, EVENTS_OF_LOGIN)
    tried = {identity: (cost.events, cost.evaluations, cost.hits) for identity, cost in found.items()}
    assert tried == {
        ID.format(1): (3, 1, 1),
        ID.format(2): (3, 1, 1),
        ID.format(3): (3, 3, 1),
        ID.format(4): (3, 1, 1),
        ID.format(5): (0, 0, 0),
    }
    assert found[ID.format(3)].is_always_tried
    assert not found[ID.format(1)].is_always_tried


def test_time_is_that_of_trials_and_of_what_no_scan_decides() -> None:
    found = profile(RULES, EVENTS_OF_LOGIN)  # each look at the clock is a second
    assert found[ID.format(2)].seconds == 3.0  # one trial; on the two others the network alone
    assert found[ID.format(3)].seconds == 3.0
    assert found[ID.format(5)].seconds == 0.0
    assert found[ID.format(2)].slow_atoms == ("network: source.ip",)
    assert found[ID.format(3)].slow_atoms == ("null or exists: user.name",)
    assert found[ID.format(1)].slow_atoms == ()


@pytest.mark.parametrize(
    ("atom", "kind"),
    [
        (Text("a", ("x",)), ""),
        (Text("a", ()), ""),
        (Text("a", (ANY_TEXT,)), ""),
        (Text("a", (ANY_CHARACTER, ANY_TEXT)), "nothing but wildcards"),
        (Regex("a", "abc"), ""),
        (Regex("a", "中"), "regular expression for RE2 alone"),
        (Compare("a", Operator.EQ, 9, TimePart.HOUR), "comparison of numbers"),
        (Cidr("a", "0.0.0.0/0"), "network"),
        (Keyword(("x",)), "keyword in any field"),
    ],
    ids=str,
)
def test_atoms_that_no_scan_decides_are_named(atom: Atom, kind: str) -> None:
    assert kind_of(atom) == kind


@given(ruleset=rule_sets(max_rules=3), event=EVENTS)
def test_what_the_engine_finds_was_tried_and_hit(ruleset: RuleSet, event: Event) -> None:
    found = profile(ruleset, [event])
    assert [identity for identity in sorted(found) if found[identity].hits] == [
        rule.id for rule in Engine(ruleset).match(event)
    ]
    assert all(cost.hits <= cost.evaluations <= cost.events for cost in found.values())


def test_an_expression_that_hyperscan_refuses_is_named_and_charged_for_every_value() -> None:
    def refusing(patterns: Patterns) -> Any:
        if not patterns.literal and len(patterns.ids) > 1:
            raise RefusedError([place for place, each in enumerate(patterns.expressions) if b"dear" in each])
        return compiled(patterns)

    ruleset = load(
        rule_text("a: {user.name|re: 'dear.*x'}\ncondition: a"),
        rule_text("a: {user.name|re: 'cheap.*x'}\ncondition: a", number=2),
    )
    clock = ticking()
    run = Profile(ruleset.rules, lambda: next(clock), compiler=refusing)
    for name in ("mori", "a dear one: x", "ada"):
        run.add(login(user_name=name))
    dear, cheap = run.costs()
    assert (dear.rule.id, dear.slow_atoms) == (ID.format(1), ("regular expression for RE2 alone: user.name",))
    assert (dear.seconds, dear.evaluations, dear.hits) == (3.0, 1, 1)
    assert (cheap.rule.id, cheap.slow_atoms, cheap.seconds) == (ID.format(2), (), 0.0)
