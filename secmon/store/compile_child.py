"""The child process of `store.limited`: makes one Hyperscan database out of patterns on standard input.

Run by its path, so that it imports nothing of ours and starts in a tenth of a second. Standard output is the database;
the exit status is 3 if a pattern is refused. Whatever else ends it, the parent takes for a refusal as well.
"""

import json
import resource
import sys

import hyperscan

REFUSED = 3


def main() -> int:
    """Make the database within the limits that the parent names."""
    task = json.loads(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_CPU, (task["cpu_s"], task["cpu_s"]))
    resource.setrlimit(resource.RLIMIT_AS, (task["memory_bytes"], task["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[text.encode("latin-1") for text in task["expressions"]],
            ids=task["ids"],
            elements=len(task["ids"]),
            flags=task["flags"],
        )
    except (hyperscan.HyperscanError, MemoryError):
        return REFUSED
    sys.stdout.buffer.write(hyperscan.dumpb(database))
    return 0


if __name__ == "__main__":
    sys.exit(main())
