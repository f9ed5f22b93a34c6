"""The Sigma specification 2.1, sentence by sentence, on the engine and on its definition (conformance/README.md)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from secmon.model.event import Event
from secmon.sigma.rule import RuleSet
from tests.sigma.rule_texts import both, load

FOLDER = Path(__file__).parent / "conformance"
CASES: dict[str, dict[str, Any]] = {
    f"{path.stem}: {case['name']}": case
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
}
REFUSED = [pytest.param(case, id=name) for name, case in CASES.items() if "problem" in case]
MATCHED = [pytest.param(case, id=name) for name, case in CASES.items() if "problem" not in case]


def ruleset_of(case: dict[str, Any]) -> RuleSet:
    lines = ["title: A case", f"taxonomy: {case.get('taxonomy', 'ecs')}", "logsource:"]
    source = case.get("logsource", {"category": "authentication"})
    lines += [f"  {key}: {value}" for key, value in source.items()]
    lines += ["detection:", *(f"  {line}" for line in case["detection"].splitlines())]
    return load("\n".join(lines) + "\n", placeholders=case.get("placeholders"))


def event_of(case: dict[str, Any], fields: Event) -> Event:
    return fields if "logsource" in case else fields | {"event.category": ["authentication"]}


@pytest.mark.parametrize("case", MATCHED)
def test_a_rule_matches_what_the_specification_says(case: dict[str, Any]) -> None:
    ruleset = ruleset_of(case)
    assert ruleset.problems == ()
    (rule,) = ruleset.rules
    wrong = [fields for fields in case["match"] if not both(rule, event_of(case, fields))]
    wrong += [fields for fields in case.get("miss", []) if both(rule, event_of(case, fields))]
    assert not wrong


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_kept_is_refused_with_its_reason(case: dict[str, Any]) -> None:
    ruleset = ruleset_of(case)
    (problem,) = ruleset.problems
    assert case["problem"] in problem.text
    assert problem.line > 1
    assert ruleset.rules == ()
