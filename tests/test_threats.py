"""docs/threats.md is true: its rules exist, no alerting rule is missing, and every threat names what it rests on."""

import re
from collections import Counter
from pathlib import Path

from tests.shipped_rules import alerting, stem

THREATS = Path(__file__).parent.parent / "docs" / "threats.md"
POLICIES = ("九部门", "鲁案", "青岛", "鲁点", "威海", "网络安全法", "实务", "同上")


def rows() -> list[list[str]]:
    """Return the cells of each threat of the Chinese tables."""
    chinese = THREATS.read_text(encoding="utf-8").partition("\n## English\n")[0]
    lines = re.findall(r"^\| ([TN]\d\d \|.*) \|$", chinese, re.MULTILINE)
    return [re.split(r" \| ", line) for line in lines]


def named() -> Counter[str]:
    return Counter(rule for row in rows() for rule in re.findall(r"`([a-z]+/[a-z0-9_]+)`", " ".join(row)))


def test_every_rule_of_the_table_exists() -> None:
    assert named()
    assert set(named()) - {stem(rule) for rule in alerting()} == set()


def test_every_alerting_rule_answers_a_threat() -> None:
    assert {stem(rule) for rule in alerting()} - set(named()) == set()


def test_no_rule_stands_under_two_threats() -> None:
    assert [rule for rule, count in named().items() if count > 1] == []


def test_every_threat_has_rules_or_is_among_those_that_have_none() -> None:
    for row in rows():
        assert bool(re.search(r"`[a-z]+/", " ".join(row))) == row[0].startswith("T"), row[0]


def test_every_threat_names_a_policy_or_practice_with_its_confidence() -> None:
    for row in rows():
        assert any(policy in row[2] for policy in POLICIES), row[0]
        assert re.search(r"（(?:V2?|P)）", row[2]), row[0]


def test_every_threat_tells_what_is_missing() -> None:
    for row in rows():
        assert len(row) == (6 if row[0].startswith("T") else 5), row[0]
        assert all(cell.strip() for cell in row), row[0]


def test_numbers_are_in_order_and_told_in_english_too() -> None:
    numbers = [row[0] for row in rows()]
    threats = [number for number in numbers if number.startswith("T")]
    assert threats == [f"T{n:02}" for n in range(1, len(threats) + 1)]
    english = THREATS.read_text(encoding="utf-8").partition("\n## English\n")[2]
    assert re.findall(r"^\| (T\d\d) \|", english, re.MULTILINE) == threats
