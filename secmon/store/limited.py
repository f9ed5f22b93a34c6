"""Pattern databases, made in a process of their own: an expression of a rule may take any time, many literals much.

Hyperscan bounds what an expression may grow to, but not how long that takes. What is not made within the limits is as
if the library had refused it. Which expressions of a set it refuses, one more process tells for all of them; RE2
decides those, and the others are made together (`sigma.patterns`).
"""

import json
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import hyperscan

from secmon.model.patterns import Patterns, RefusedError
from secmon.store.compile_child import ACCEPTED_ONE, REFUSED, REFUSED_ONE

# Processor time for a set of expressions: those that somebody wrote by hand take 10 milliseconds each.
LEAST_CPU_S, EACH_CPU_S, CPU_S = 4.0, 0.1, 20.0
ALONE_CPU_S = 0.5
"""For an expression without others; where a refused set is sorted out each has `EACH_CPU_S`, so that all that are
accepted fit into what a set may take."""
LITERALS_CPU_S = 120.0
"""For literals, which are never dear by themselves: 100,000 take 5 seconds."""
MEMORY_BYTES = 2 << 30
WALL_S = 600.0
# When refusals have taken so long in all, nothing more is tried: a thousand hostile rules must not delay a start.
PATIENCE_S = 60.0
_CHILD = Path(__file__).with_name("compile_child.py")


class LimitedCompiler:
    """Makes databases within limits.

    Args:
        patience_s: seconds that refusals may take in all.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s

    def compile(self, patterns: Patterns) -> bytes:
        """Return a database as `hyperscan.loadb` reads it.

        Raises:
            RefusedError: patterns are refused, or beyond the limits.
            hyperscan.HyperscanError: it could not be tried.
        """
        if self._patience_s <= 0:
            raise hyperscan.HyperscanError("no more patterns are tried")
        started = monotonic()
        made = _run(_task(patterns, _cpu_s(patterns)), WALL_S)
        if made is not None and made.returncode == 0 and made.stdout:
            return made.stdout
        places = () if patterns.literal else self._sorted_out(patterns, started + self._patience_s)
        self._patience_s -= monotonic() - started
        raise RefusedError(places)

    def _sorted_out(self, patterns: Patterns, until: float) -> tuple[int, ...]:
        """Return the places of the expressions that are refused each for itself, and of those not decided in time."""
        count, verdicts = len(patterns.ids), b""
        while 1 < count > len(verdicts) and (left := until - monotonic()) > 0:
            done = _run(_task(_rest(patterns, len(verdicts)), EACH_CPU_S, sort_out=True), left)
            if done is None:
                break
            verdicts += done.stdout
            if len(verdicts) < count:  # it ended within the next one
                verdicts += REFUSED_ONE
        return tuple(place for place in range(count) if verdicts[place : place + 1] != ACCEPTED_ONE)


def _cpu_s(patterns: Patterns) -> float:
    if patterns.literal:
        return LITERALS_CPU_S
    count = len(patterns.ids)
    return ALONE_CPU_S if count == 1 else min(CPU_S, LEAST_CPU_S + EACH_CPU_S * count)


def _rest(patterns: Patterns, begin: int) -> Patterns:
    return Patterns(patterns.expressions[begin:], patterns.ids[begin:], patterns.flags[begin:])


def _task(patterns: Patterns, cpu_s: float, *, sort_out: bool = False) -> dict[str, Any]:
    return {
        "expressions": [expression.decode("latin-1") for expression in patterns.expressions],
        "ids": patterns.ids,
        "flags": patterns.flags,
        "literal": patterns.literal,
        "sort_out": sort_out,
        "cpu_s": cpu_s,
        "memory_bytes": MEMORY_BYTES,
    }


def _run(task: dict[str, Any], wall_s: float) -> "subprocess.CompletedProcess[bytes] | None":
    """Run the child to its end, refusals included; None where that takes too long.

    Raises:
        hyperscan.HyperscanError: it could not be run.
    """
    command, data = [sys.executable, "-I", str(_CHILD)], json.dumps(task).encode()
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=wall_s, check=False)  # noqa: S603  our own file
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise hyperscan.HyperscanError(f"no process for it ({type(error).__name__})") from error
    if done.returncode in {0, REFUSED} or done.returncode < 0:  # a signal: one of the limits
        return done
    raise hyperscan.HyperscanError(f"its process ended with {done.returncode}")
