"""Chains of correlations over the hits of every store: what a late event touches, and what is found then."""

from collections.abc import Sequence

from secmon.app.chains import HitReader
from secmon.model.event import Event, Value
from secmon.model.hit import Hit
from secmon.ports import EventLog
from secmon.sigma.correlate import group_hits, moments, with_derived
from secmon.sigma.hits import make_hits
from secmon.sigma.match import Definition
from secmon.sigma.rule import CorrelationRule, RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.triage.correlated import touched_range
from tests.app.houses import OPERATOR
from tests.app.test_chains import RULES, SERIES, Row, events_of
from tests.contracts.builders import batch_of

RULESET = load_rules([RuleFile("chain.yml", RULES)])
CHAIN = next(rule for rule in RULESET.correlations if rule.generates)
MORE: list[Row] = [(4, "x", 2, False), (6, "x", 2, True), (7, "y", 1, False), (8, "y", 9, True)]


def hits_of(events: Sequence[Event]) -> list[Hit]:
    return [hit for event in events for hit in make_hits(RULESET, event, Definition(RULESET.rules).match(event))]


def found(reader: HitReader, rule: CorrelationRule, fresh: list[Hit]) -> dict[str, list[str]]:
    """Return the moments of every group that new hits touch."""
    result = {}
    for one in reader.touched(rule, by_rule(fresh)):
        since, until = touched_range((one.first, one.last), rule.timespan, rule.group_window)
        satisfied = moments(rule, list(reader.hits(rule, reader.stored(one.key, since, until))))
        result[name(one.group)] = [moment.event_id for moment in satisfied]
    return {group: ids for group, ids in result.items() if ids}


def by_rule(hits: list[Hit]) -> dict[str, list[Hit]]:
    return {rule: [hit for hit in hits if hit.rule_id == rule] for rule in {hit.rule_id for hit in hits}}


def name(group: dict[str, Value]) -> str:
    return str(group["source.ip"])


def test_a_late_event_is_followed_through_the_chain_on_every_store(log: EventLog) -> None:
    events = events_of([*SERIES, *MORE])
    early, late = [events[0], *events[2:]], [events[1]]
    for number, batch in enumerate((early, late), start=1):
        log.commit(OPERATOR, batch_of(batch, number=number, hits=hits_of(batch)))
    hits, _ = log.hits_since(OPERATOR, "")
    fresh = [hit for hit in hits if hit.event_id == late[0]["event.id"]]
    every = [(group, moments(CHAIN, some)) for group, some in group_hits(CHAIN, with_derived(CHAIN, hits_of(events)))]
    expected = {name(group): [moment.event_id for moment in some] for group, some in every if some}
    assert len(fresh) == 1
    assert len(expected) == 2
    assert found(HitReader(log, OPERATOR), CHAIN, fresh) == expected
