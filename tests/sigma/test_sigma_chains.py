"""Chains of correlations: one that goes on from the moments of another."""

from datetime import timedelta

from secmon.model.event import Value, format_time
from secmon.model.hit import Hit
from secmon.sigma.correlate import group_hits, moments, with_derived
from secmon.sigma.hits import make_hits
from secmon.sigma.match import Definition
from secmon.sigma.rule import RuleSet
from tests.sigma.correlated import START, seconds
from tests.sigma.rule_texts import correlation_text, load, login, rule_text


def chain(outer: str, *, inner: str = "", rules: str = "[many, success]") -> RuleSet:
    """Return the specification's example: many failed logins of a user, then one that succeeds."""
    failed = rule_text("s: {event.outcome: failure}\ncondition: s", head="name: failed")
    success = rule_text("s: {event.outcome: success}\ncondition: s", number=2, head="name: success")
    many = correlation_text(
        inner or "type: event_count\ngroup-by: [user.name]\ncondition: {gte: 3}",
        number=8,
        head="name: many",
        rules="[failed]",
    )
    ruleset = load(failed, success, many, correlation_text(outer, rules=rules))
    assert ruleset.problems == ()
    return ruleset


LOGINS = "type: temporal_ordered\ngroup-by: [user.name]"


def logins(ruleset: RuleSet, *rows: tuple[int, str, str]) -> list[Hit]:
    """Return the hits of logins: second, user and outcome, and the host "h" or what stands behind the "@"."""
    hits = []
    for number, (second, user, outcome) in enumerate(rows):
        name, _, host = user.partition("@")
        made = login(user_name=name, host_name=host or "h", event_outcome=outcome) | {
            "@timestamp": format_time(START + timedelta(seconds=second)),
            "event.id": f"{number:032x}",
        }
        hits += make_hits(ruleset, made, Definition(ruleset.rules).match(made))
    return hits


def chained(ruleset: RuleSet, hits: list[Hit]) -> list[tuple[dict[str, Value], list[float]]]:
    outer = next(rule for rule in ruleset.correlations if rule.generates)
    found = [(group, seconds(moments(outer, some))) for group, some in group_hits(outer, with_derived(outer, hits))]
    return [each for each in found if each[1]]


def test_a_chain_goes_on_from_the_event_that_completes_its_link() -> None:
    ruleset = chain(LOGINS)
    rows = [(n, "mori", "failure") for n in range(3)]
    assert chained(ruleset, logins(ruleset, *rows, (9, "mori", "success"))) == [({"user.name": "mori"}, [9])]
    assert chained(ruleset, logins(ruleset, *rows, (9, "other", "success"))) == []
    assert chained(ruleset, logins(ruleset, *rows[:2], (9, "mori", "success"))) == []
    assert chained(ruleset, logins(ruleset, (0, "mori", "success"), *[(n + 1, u, o) for n, u, o in rows])) == []


def test_a_chain_groups_by_its_own_fields_whatever_its_link_groups_by() -> None:
    ruleset = chain(LOGINS, inner="type: event_count\ngroup-by: [host.name]\ncondition: {gte: 3}")
    rows = [(0, "a@x", "failure"), (1, "b@x", "failure"), (2, "mori@x", "failure"), (3, "mori@y", "success")]
    assert chained(ruleset, logins(ruleset, *rows)) == [({"user.name": "mori"}, [3])]
    assert chained(ruleset, logins(ruleset, *[(n, u.replace("b@x", "b@z"), o) for n, u, o in rows])) == []


def test_aliases_name_a_link_of_a_chain_or_the_rule_below_it() -> None:
    for below in ("many", "failed"):
        aliases = f"aliases: {{who: {{{below}: user.name, success: host.name}}}}"
        ruleset = chain(f"type: temporal\ngroup-by: [who]\n{aliases}")
        rows = [(n, "mori@x", "failure") for n in range(3)]
        assert chained(ruleset, logins(ruleset, *rows, (5, "z@mori", "success"))) == [({"who": "mori"}, [5])]


def test_moments_of_a_link_can_be_counted() -> None:
    ruleset = chain("type: event_count\ncondition: {gte: 2}", rules="[many]")
    rows = [(n, user, "failure") for n, user in enumerate("aabbab")]
    assert chained(ruleset, logins(ruleset, *rows)) == [({}, [5])]


def test_a_link_makes_hits_of_its_own_only_where_the_chain_says_generate() -> None:
    assert [rule.generates for rule in chain(LOGINS).correlations] == [False, True]
    assert [rule.generates for rule in chain(LOGINS + "\ngenerate: true").correlations] == [True, True]
