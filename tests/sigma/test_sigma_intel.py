"""Indicators at detection: what matches, when, and what never does."""

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.asset import Asset, asset_register
from secmon.model.event import Event, Value
from secmon.model.indicator import Indicator, Kind, Tlp, indicator_value
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.intel import Indicators, indicators_of, with_intel
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.wiring.intel import own_values

RULE = """
title: Listed name
id: 11111111-1111-4111-8111-111111111111
taxonomy: ecs
logsource: {category: dns}
detection: {a: {dns.question.name|exists: true}, condition: a}
level: high
custom:
  secmon:
    reason: "{dns.question.name} {threat.feed.name} {threat.indicator.confidence}"
    intel: {fields: [dns.question.name, destination.ip], type: [domain, ipv4, ipv6]}
---
title: Any query
id: 22222222-2222-4222-8222-222222222222
taxonomy: ecs
logsource: {category: dns}
detection: {a: {dns.question.name|exists: true}, condition: a}
"""
LISTED, ANY = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
NOON = datetime(2026, 9, 7, 4, 0, tzinfo=UTC)
RULESET = load_rules([RuleFile("test.yml", RULE)])


def indicator(value: str, kind: Kind = Kind.DOMAIN, **more: object) -> Indicator:
    made = indicator_value(kind, value)
    assert made is not None
    return Indicator(kind=kind, value=made, source="某省情报", **more)  # type: ignore[arg-type]  # a test's own fields


def query(name: str = "bad.example.net", **more: Value) -> Event:
    return {"@timestamp": "2026-09-07T04:00:00.000Z", "event.id": "0" * 32, "event.module": "zeek",
            "event.dataset": "zeek.dns", "dns.question.name": name} | more  # fmt: skip


def matched(event: Event, indicators: Indicators) -> list[str]:
    ruleset = with_intel(RULESET, indicators)
    rules = indicators.narrowed(event, Engine(ruleset).match(event))
    return [hit.rule_id for hit in make_hits(ruleset, event, rules)]


def test_without_intelligence_no_engine_tries_the_rule() -> None:
    assert ([rule.id for rule in RULESET.rules], [rule.id for rule in RULESET.intel_rules]) == ([ANY], [LISTED])
    assert set(RULESET.by_id) == {ANY, LISTED}


def test_a_listed_value_makes_a_hit_that_says_who_lists_it() -> None:
    event = query("BAD.Example.net.")
    indicators = indicators_of([indicator("bad.example.net", name="C2", confidence=80, tlp=Tlp.AMBER)])
    assert matched(event, indicators) == [LISTED, ANY]
    assert {name: value for name, value in event.items() if name.startswith("threat.")} == {
        "threat.indicator.type": "domain",
        "threat.indicator.name": "bad.example.net",
        "threat.indicator.description": "C2",
        "threat.indicator.confidence": 80,
        "threat.indicator.marking.tlp": "amber",
        "threat.feed.name": "某省情报",
    }


def test_the_hit_carries_what_the_reason_names() -> None:
    event, indicators = query(), indicators_of([indicator("bad.example.net")])
    ruleset = with_intel(RULESET, indicators)
    (hit, _) = make_hits(ruleset, event, indicators.narrowed(event, Engine(ruleset).match(event)))
    assert (hit.captured["threat.feed.name"], hit.captured["threat.indicator.confidence"]) == ("某省情报", 50)


def test_a_value_that_is_not_listed_makes_none() -> None:
    event = query("good.example.net")
    assert matched(event, indicators_of([indicator("bad.example.net")])) == [ANY]
    assert "threat.indicator.name" not in event


def test_hits_of_the_rule_need_a_comparison() -> None:
    """A path that knows no intelligence (a back-test, `detect`) must not take the condition for the whole."""
    event, ruleset = query(), with_intel(RULESET, Indicators())
    assert [hit.rule_id for hit in make_hits(ruleset, event, Engine(ruleset).match(event))] == [ANY]


@pytest.mark.parametrize(
    ("listed", "asked", "expected"),
    [
        ("bad.example.net", "x.bad.example.net", False),
        ("*.bad.example.net", "x.bad.example.net", True),
        ("*.bad.example.net", "y.x.bad.example.net", True),
        ("*.bad.example.net", "bad.example.net", False),
        ("*.bad.example.net", "notbad.example.net", False),
    ],
)
def test_a_name_stands_for_itself_and_a_star_for_what_lies_below(listed: str, asked: str, *, expected: bool) -> None:
    assert (LISTED in matched(query(asked), indicators_of([indicator(listed)]))) is expected


@pytest.mark.parametrize(
    ("at", "expected"), [(NOON - timedelta(days=1), True), (NOON, True), (NOON + timedelta(days=1), False)]
)
def test_an_indicator_counts_from_its_beginning(at: datetime, *, expected: bool) -> None:
    assert (LISTED in matched(query(), indicators_of([indicator("bad.example.net", since=at)]))) is expected


@pytest.mark.parametrize(("at", "expected"), [(NOON, False), (NOON + timedelta(microseconds=1), True)])
def test_an_indicator_that_has_expired_does_not_match(at: datetime, *, expected: bool) -> None:
    assert (LISTED in matched(query(), indicators_of([indicator("bad.example.net", until=at)]))) is expected


OWN = asset_register(
    [
        Asset(
            id="A-1",
            name="门户",
            unit="S-1",
            domains=("example.edu.cn",),
            addresses=(ipaddress.ip_network("192.0.2.0/24"),),
        )
    ]
)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.DOMAIN, "www.example.edu.cn", True),
        (Kind.DOMAIN, "notexample.edu.cn", False),
        (Kind.IPV4, "192.0.2.7", True),
        (Kind.IPV4, "203.0.113.7", False),
        (Kind.URL, "https://www.example.edu.cn:8443/x", True),
        (Kind.URL, "http://192.0.2.7/x", True),
        (Kind.URL, "http://[2001:db8::1]:8080/x", False),
        (Kind.EMAIL, "a@example.edu.cn", True),
        (Kind.HASH, "a" * 64, False),
    ],
)
def test_what_is_ones_own_never_matches(kind: Kind, value: str, *, expected: bool) -> None:
    indicators = indicators_of([indicator(value, kind)], is_own=own_values(OWN))
    assert (indicators.find(kind, value) == ()) is expected


def test_the_digest_of_the_set_covers_the_indicators() -> None:
    one, other = indicators_of([indicator("bad.example.net")]), indicators_of([indicator("worse.example.net")])
    assert len({RULESET.digest, with_intel(RULESET, one).digest, with_intel(RULESET, other).digest}) == 3


def test_the_order_of_files_does_not_matter() -> None:
    found = [indicator("bad.example.net", confidence=10), indicator("bad.example.net", confidence=90)]
    one, other = indicators_of(found), indicators_of(found[::-1])
    assert (one.digest, one.by_value) == (other.digest, other.by_value)


ADDRESSES = st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number)))
BLOCKS = st.tuples(ADDRESSES, st.integers(8, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}")


@given(blocks=st.lists(BLOCKS, max_size=8), address=ADDRESSES, near=st.integers(0, 7))
def test_an_address_matches_the_blocks_it_lies_in(blocks: list[str], address: str, near: int) -> None:
    if blocks and near < len(blocks):
        address = blocks[near].partition("/")[0]
    found = indicators_of([indicator(block, Kind.IPV4) for block in blocks]).find(Kind.IPV4, address)
    holding = {ipaddress.ip_network(each, strict=False) for each in blocks}
    expected = {str(net) for net in holding if ipaddress.ip_address(address) in net}
    assert {str(ipaddress.ip_network(one.value)) for one in found} == expected


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("{fields: [a]}", "the block `intel` names no known type"),
        ("{type: domain}", "the block `intel` names no fields"),
        ("{fields: [a], type: dns}", "the block `intel` names no known type"),
        ("{fields: [a], type: domain, ttl: 1d}", "the block `intel` has `fields` and `type`"),
        ("domain", "the block `intel` has `fields` and `type`"),
    ],
)
def test_a_wrong_block_is_named(block: str, problem: str) -> None:
    text = RULE.replace("{fields: [dns.question.name, destination.ip], type: [domain, ipv4, ipv6]}", block)
    assert [each.problem for each in load_rules([RuleFile("test.yml", text)]).problems] == [problem]


def test_a_correlation_has_no_such_block() -> None:
    text = (
        RULE
        + """
---
title: Many
id: 33333333-3333-4333-8333-333333333333
correlation: {type: event_count, rules: [22222222-2222-4222-8222-222222222222], timespan: 1h, condition: {gte: 2}}
custom: {secmon: {intel: {fields: [a], type: domain}}}
"""
    )
    problems: list[str] = [each.problem for each in load_rules([RuleFile("test.yml", text)]).problems]
    assert problems == ["threat intelligence stands in a rule over single events"]


def test_a_value_with_thousands_of_entries_is_looked_at_in_part() -> None:
    values: Mapping[str, Value] = {"destination.ip": [f"198.51.100.{n % 250}" for n in range(5000)]}
    assert matched(query("good.example.net", **values), indicators_of([indicator("203.0.113.7", Kind.IPV4)])) == [ANY]


def test_a_rule_set_without_rules_takes_them() -> None:
    assert with_intel(RuleSet(), Indicators()).rules == ()
