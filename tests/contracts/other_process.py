"""What another process does with a store: `python -m tests.contracts.other_process JOB BACKEND STATE [SEED]`.

Jobs: `write` commits batches until it kills itself at a random moment, and prints each one's number when acknowledged;
`commit` commits five batches and a document and lives on; `read` prints what a reader sees; `swap` raises a counter
25 times by compare-and-swap.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from secmon.errors import ConflictError
from secmon.model.batch import Batch
from secmon.model.questions import EventQuery
from secmon.model.record import Document, RecordQuery
from tests.contracts.backends import Opened, store_of
from tests.contracts.builders import DAY, NOON, ROOT_ACCESS, batch_of, event_at, finding_in, hit_on

BATCHES = 40
EVENTS = 150
SWAPS = 25


def numbered_batch(number: int) -> Batch:
    """Return batch `number` of the stream that every writer writes; they take turns on two partitions."""
    day = DAY + timedelta(days=number % 2)
    first = number * 1_000
    events = [
        event_at(first + n, NOON + timedelta(milliseconds=first + n), day=day, user_name=f"u{n % 9}")
        for n in range(EVENTS)
    ]
    return batch_of(
        events,
        number=number,
        day=day,
        hits=[hit_on(event, keys=("k",)) for event in events[::10]],
        findings=[finding_in(event) for event in events[::25]],
    )


def _write(store: Opened, seed: int) -> None:
    life_s = random.Random(seed).uniform(0.0, 0.4)  # noqa: S311  a repeatable moment, no secret
    threading.Thread(target=_kill_after, args=(life_s,), daemon=True).start()
    _commit(store, BATCHES)


def _commit(store: Opened, batches: int) -> None:
    for number in range(1, batches + 1):
        store.log.commit(ROOT_ACCESS, numbered_batch(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _kill_after(life_s: float) -> None:
    time.sleep(life_s)
    os.kill(os.getpid(), signal.SIGKILL)


def _read(store: Opened) -> None:
    seen = {
        "digest": store.log.digest(ROOT_ACCESS),
        "events": store.log.count(ROOT_ACCESS, EventQuery())[""],
        "documents": store.records.count(ROOT_ACCESS, RecordQuery(kind="alert"))[""],
    }
    sys.stdout.write(json.dumps(seen))


def _swap(store: Opened) -> None:
    for _ in range(SWAPS):
        while True:
            read = store.records.get(ROOT_ACCESS, "counter", "n")
            assert read is not None
            try:
                store.records.replace(ROOT_ACCESS, replace(read, body={"n": read.body["n"] + 1}))
            except ConflictError:
                continue
            break


def main(job: str, backend: str, state: str, seed: str = "0") -> None:
    """Do one job."""
    with store_of(backend, Path(state), writable=job != "read") as store:
        if job == "write":
            _write(store, int(seed))
        elif job == "commit":
            _commit(store, 5)
            store.records.create(ROOT_ACCESS, Document(kind="alert", id="a", body={}))
            sys.stdout.write("document\n")
            sys.stdout.flush()
        elif job == "read":
            _read(store)
        else:
            _swap(store)


if __name__ == "__main__":
    main(*sys.argv[1:])
