"""The tests beside rules, with the parsers that their raw lines go through."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from secmon.app.installation import Installation
from secmon.errors import ContentError
from secmon.model.event import Event, Frame
from secmon.model.patterns import Compiler
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, parse_frames
from secmon.sigma.rule import CorrelationRule, Rule, RuleFile, RuleSet
from secmon.sigma.testing import Outcome, run_tests

ZONE = ZoneInfo("Asia/Shanghai")
# Raw lines of tests are read as of this moment, so that stamps without a year mean the same for ever.
TEST_NOW = datetime(2026, 12, 31, tzinfo=UTC)


def parse_lines(kind: str, lines: Sequence[str]) -> list[Event]:
    """Return the events of raw lines, as the parser of their kind reads them.

    Raises:
        ContentError: the kind is unknown, or a line breaks its format.
    """
    if kind not in KINDS:
        raise ContentError("unknown kind of source", hint="known: " + ", ".join(KINDS))
    lane = Lane(source=kind, generation="", kind=KINDS[kind], zone=ZONE)
    frames = [Frame(line.encode(), number, number, number) for number, line in enumerate(lines, start=1)]
    parsed = parse_frames(frames, lane, now=TEST_NOW)
    for _, _, error in parsed.malformed:
        raise ContentError("a line of the test is malformed: " + error.problem)
    return [event for event, _, _ in parsed.events]


def outcomes(house: Installation, rule: Rule | CorrelationRule) -> tuple[Outcome, ...]:
    """Run the tests that stand beside a rule in force; nothing where there are none."""
    path = rule.path.removesuffix(".yml") + ".test.yaml"
    text = house.rule_text(path)
    return _outcomes(_Rules(house.ruleset, house.compiler), path, text) if text else ()


class _Rules:
    """A rule set as a key: equal by its digest, which tells all that tests can show."""

    def __init__(self, ruleset: RuleSet, compiler: Compiler) -> None:
        self.ruleset, self.compiler = ruleset, compiler

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rules) and other.ruleset.digest == self.ruleset.digest

    def __hash__(self) -> int:
        return hash(self.ruleset.digest)


@lru_cache(maxsize=256)
def _outcomes(rules: _Rules, path: str, text: str) -> tuple[Outcome, ...]:
    return run_tests(rules.ruleset, [RuleFile(path, text)], parse_lines, compiler=rules.compiler).outcomes
