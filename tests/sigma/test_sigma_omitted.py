"""Rules that a run cannot try: which they are, and why."""

import pytest

from secmon.content import rule_files
from secmon.model.indicator import Indicator, Kind
from secmon.sigma.intel import indicators_of, with_intel
from secmon.sigma.omitted import Omitted, omitted
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules

ID = "8c1f9a4e-0b1d-4c56-8a55-6d3c64f3a00{}"
PLAIN, LISTED, CLASSED, EITHER, OWNED, UNUSUAL, OVER_LISTED, OVER_BOTH, ORDERED = (ID.format(n) for n in range(1, 10))


def event_rule(identity: str, name: str, detection: str, custom: str = "") -> str:
    return f"""title: {name}
id: {identity}
name: {name}
taxonomy: ecs
logsource: {{category: dns}}
detection: {detection}
{custom}
"""


def correlation(identity: str, rules: str, custom: str = "", kind: str = "event_count") -> str:
    condition = "" if kind == "temporal" else "condition: {gte: 2}"
    return f"""title: Correlation {identity}
id: {identity}
correlation:
  type: {kind}
  rules: {rules}
  group-by: [host.name]
  timespan: 1h
  {condition}
{custom}
"""


BASELINE = "custom: {secmon: {baseline: {type: spike}}}"
INTEL = "custom: {secmon: {intel: {fields: [dns.question.name], type: [domain]}}}"
RULESET = load_rules(
    [
        RuleFile(
            "some.yml",
            "---\n".join(
                [
                    event_rule(PLAIN, "plain", "{a: {dns.question.name: x.example.edu.cn}, condition: a}"),
                    event_rule(LISTED, "listed", "{a: {dns.question.name|exists: true}, condition: a}", INTEL),
                    event_rule(CLASSED, "classed", "{a: {data.classes: cn_id18}, condition: a}"),
                    event_rule(
                        EITHER, "either", "{a: {data.classes: cn_id18}, b: {message|contains: x}, condition: a or b}"
                    ),
                    event_rule(OWNED, "owned", "{a: {unit.id: S-1}, condition: a}"),
                    correlation(UNUSUAL, "[plain]", BASELINE),
                    correlation(OVER_LISTED, "[listed]"),
                    correlation(OVER_BOTH, "[listed, plain]"),
                    correlation(ORDERED, "[listed, plain]", kind="temporal"),
                ]
            ),
        )
    ]
)


def test_the_rules_are_in_order() -> None:
    assert RULESET.problems == ()


@pytest.mark.parametrize("classifies", [True, False])
def test_a_run_over_files_leaves_out_what_takes_more_than_an_event(*, classifies: bool) -> None:
    expected = {
        LISTED: Omitted.INTELLIGENCE,
        OWNED: Omitted.REGISTERS,
        UNUSUAL: Omitted.BASELINE,
        OVER_LISTED: Omitted.INTELLIGENCE,
        ORDERED: Omitted.INTELLIGENCE,  # it needs both; the one that needs any of them goes on
    }
    if not classifies:
        expected[CLASSED] = Omitted.CLASSIFICATION
    assert omitted(RULESET, is_installed=False, classifies=classifies) == expected


def test_an_installation_leaves_out_what_waits_for_intelligence() -> None:
    waiting = dict.fromkeys((LISTED, OVER_LISTED, ORDERED), Omitted.INTELLIGENCE)
    assert omitted(RULESET, is_installed=True, classifies=True) == waiting
    found = indicators_of([Indicator(kind=Kind.DOMAIN, value="bad.example.com", source="test")])
    assert omitted(with_intel(RULESET, found), is_installed=True, classifies=True) == {}


def test_of_our_own_rules_every_baseline_and_no_other_rule_of_the_web_is_left_out_of_a_run_over_files() -> None:
    ruleset = load_rules([RuleFile(*one) for one in rule_files()[0]])
    found = omitted(ruleset, is_installed=False, classifies=True)
    assert {rule.id for rule in ruleset.baselines} == {one for one, why in found.items() if why is Omitted.BASELINE}
    assert not any("/web/" in ruleset.by_id[one].path for one, why in found.items() if why is not Omitted.BASELINE)
