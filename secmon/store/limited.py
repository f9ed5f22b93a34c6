"""Databases of regular expressions, made in a process of their own: an expression of a rule may take any time.

Hyperscan bounds what an expression may grow to, but not how long that takes. What is not made within the limits is as
if the library had refused it: `sigma.patterns` then tries each expression alone, and leaves to RE2 what fails again.
"""

import json
import subprocess
import sys
from pathlib import Path
from time import monotonic

import hyperscan

from secmon.model.patterns import Patterns
from secmon.store.compile_child import REFUSED

# One expression of a rule that somebody wrote by hand takes milliseconds, 200 of them 2 seconds.
CPU_S, CPU_ALONE_S = 20, 2
MEMORY_BYTES = 2 << 30
WALL_S = 120
# When refusals have taken so long in all, nothing more is tried: a thousand hostile rules must not delay a start.
PATIENCE_S = 60.0
_CHILD = Path(__file__).with_name("compile_child.py")


class LimitedCompiler:
    """Makes databases of expressions within limits.

    Args:
        patience_s: seconds that refusals may take in all.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s

    def compile(self, patterns: Patterns) -> bytes | None:
        """Return a database as `hyperscan.loadb` reads it; None if an expression is refused, or beyond the limits.

        Raises:
            hyperscan.HyperscanError: it could not be tried.
        """
        if self._patience_s <= 0:
            raise hyperscan.HyperscanError("no more expressions are tried")
        started = monotonic()
        made = _made(patterns)
        if made is None:
            self._patience_s -= monotonic() - started
        return made


def _made(patterns: Patterns) -> bytes | None:
    task = {
        "expressions": [expression.decode("latin-1") for expression in patterns.expressions],
        "ids": patterns.ids,
        "flags": patterns.flags,
        "cpu_s": CPU_S if len(patterns.ids) > 1 else CPU_ALONE_S,
        "memory_bytes": MEMORY_BYTES,
    }
    command, data = [sys.executable, "-I", str(_CHILD)], json.dumps(task).encode()
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=WALL_S, check=False)  # noqa: S603  our own file
    except (OSError, subprocess.TimeoutExpired) as error:
        raise hyperscan.HyperscanError(f"no process for it ({type(error).__name__})") from error
    if done.returncode == 0 and done.stdout:
        return done.stdout
    if done.returncode == REFUSED or done.returncode < 0:  # a signal: one of the limits
        return None
    raise hyperscan.HyperscanError(f"its process ended with {done.returncode}")
