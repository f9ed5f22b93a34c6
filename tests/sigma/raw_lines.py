"""Raw lines through the engine of lines, as `secmon detect --source native` works them, and through the definition."""

from datetime import UTC
from functools import cache

import pytest

from secmon.app.detect import Worked
from secmon.app.detect_lines import LineStation, SkimStation
from secmon.parse import skim
from secmon.parse.frame import whole_lines
from secmon.parse.native import NATIVE
from secmon.pipeline import Lane
from secmon.sigma.lines import LineEngine
from secmon.sigma.match import Definition
from secmon.sigma.native import native_route
from secmon.sigma.rule import RuleSet

scan_once = cache(skim._scan)
"""What lines are skimmed with depends on no rule: most of the time of a property test would go into compiling it."""


def worked(ruleset: RuleSet, data: bytes) -> list[Worked]:
    """Return what is found in lines, after checking that reading every line in full gives the same."""
    lane = Lane(source="native", generation="", kind=NATIVE, zone=UTC, place="a.jsonl")
    slow = LineStation(Definition(ruleset.rules, router=native_route), ruleset)
    expected = [slow.work(block, lane, bytes(8)) for block in whole_lines([data])]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(skim, "_scan", scan_once)
        quick = SkimStation(LineEngine(ruleset), ruleset)
        assert [quick.work(block, lane, bytes(8)) for block in whole_lines([data])] == expected
    return expected
