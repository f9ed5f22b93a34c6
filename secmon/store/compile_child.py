"""The child process of `store.limited`: makes one Hyperscan database out of patterns on standard input.

Run by its path, so that it imports nothing of ours and starts in a tenth of a second. Standard output is the database;
the exit status is 3 if a pattern is refused. Whatever else ends it, the parent takes for a refusal as well.

Asked to sort out, it tries the patterns one by one, each within a limit of its own, and writes a byte for each as soon
as it is decided: `+` accepted, `-` refused. If one takes too much, the process ends there, and the parent knows which.
"""

import json
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import hyperscan

REFUSED = 3
ACCEPTED_ONE, REFUSED_ONE = b"+", b"-"


def main() -> int:
    """Do what the parent asks for within the limits that it names."""
    task = json.loads(sys.stdin.buffer.read())
    with suppress(OSError):  # if the machine runs out of memory, let it be this process that ends
        Path("/proc/self/oom_score_adj").write_text("1000")
    patterns = list(zip((text.encode("latin-1") for text in task["expressions"]), task["flags"], strict=True))
    resource.setrlimit(resource.RLIMIT_AS, (task["memory_bytes"], task["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    if task["sort_out"]:
        _sort_out(patterns, task["cpu_s"])
        return 0
    _limit(task["cpu_s"])
    try:
        database = _database(patterns, task["ids"], literal=task["literal"])
    except (hyperscan.HyperscanError, MemoryError):
        return REFUSED
    sys.stdout.buffer.write(hyperscan.dumpb(database))
    return 0


def _limit(cpu_s: float) -> None:
    """End this process by a signal after so much more processor time; finer than RLIMIT_CPU."""
    signal.setitimer(signal.ITIMER_PROF, cpu_s)


def _database(patterns: list[tuple[bytes, int]], ids: list[int], *, literal: bool) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    expressions, flags = zip(*patterns, strict=True)
    database.compile(expressions=list(expressions), ids=ids, elements=len(ids), flags=list(flags), literal=literal)
    return database


def _sort_out(patterns: list[tuple[bytes, int]], cpu_s: float) -> None:
    for pattern in patterns:
        _limit(cpu_s)
        try:
            _database([pattern], [0], literal=False)
            verdict = ACCEPTED_ONE
        except (hyperscan.HyperscanError, MemoryError):
            verdict = REFUSED_ONE
        sys.stdout.buffer.write(verdict)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
