"""The embedded store by itself: µs and bytes an event of a durable commit, point reads, counts.

Run: python -m bench.store [--events N]. Events are unique, about 600 bytes, 5 % with a hit; times are CPU seconds of
this process (one core) and wall seconds, so that a loaded machine shows.
"""

import argparse
import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from secmon.model.access import Access, job_access
from secmon.model.batch import INDEXED_FIELDS, Batch, Counts, StoredEvent
from secmon.model.event import Event, format_time, to_micros
from secmon.model.hit import Hit, Level
from secmon.model.ids import event_id, key_id, stream_prefix
from secmon.model.questions import EventQuery
from secmon.store.sqlite.eventlog import SqliteEventLog

DAY = date(2026, 11, 21)
START = datetime(2026, 11, 21, tzinfo=UTC)
PREFIX = stream_prefix(DAY, "web", "ab" * 32)
HIT_SHARE = 0.05
ACCESS: Access = job_access("bench")


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one measurement."""

    cpu_s: float
    wall_s: float


def measured(work: Callable[[], object]) -> Spent:
    """Run something once and return what it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def events(count: int) -> Iterator[tuple[bytes, datetime, Event]]:
    """Yield access log events of a campus portal: few dozen pages are hot, users and addresses repeat."""
    dice = random.Random(7)  # noqa: S311  repeatable data, no secret
    for number in range(count):
        at = START + timedelta(milliseconds=number * 20 + dice.randrange(20))
        ip = f"198.51.100.{dice.randrange(256)}" if dice.random() < 0.8 else f"2001:db8::{dice.randrange(60_000):x}"
        path = f"/jw/xs/{int(dice.paretovariate(1.1)) % 4_000}"
        identity = event_id(PREFIX, number * 311)
        user = f"2024{dice.randrange(20_000):06d}"
        line = (
            f'{ip} - {user} [21/Nov/2026:08:00:00 +0800] "GET {path}?t={dice.random()} HTTP/1.1" 200 '
            f'{dice.randrange(90_000)} "https://jwxt.example.edu.cn/" "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"'
        )
        yield identity, at, {
            "@timestamp": format_time(at), "event.id": identity.hex(), "event.kind": "event",
            "event.category": ["web"], "event.type": ["access"], "event.dataset": "nginx.access",
            "event.action": "GET", "event.outcome": "success", "event.hash": dice.randbytes(16).hex(),
            "host.name": f"web{dice.randrange(4):02d}", "user.name": user, "source.ip": ip, "url.path": path,
            "unit.id": "school-1", "asset.id": "jwxt", "event.original": line,
        }  # fmt: skip


def batches(count: int, size: int) -> list[Batch]:
    """Return unique batches, ready made: only the store is measured."""
    made: list[Batch] = []
    stored: list[StoredEvent] = []
    hits: list[Hit] = []
    dice = random.Random(8)  # noqa: S311  repeatable data, no secret
    for identity, at, event in events(count):
        body = orjson.dumps(event)
        columns = tuple(str(event[name]) if name in event else None for name in INDEXED_FIELDS)
        stored.append(StoredEvent(identity, to_micros(at), hashlib.sha256(body).digest()[:16], body, columns))
        if dice.random() < HIT_SHARE:
            hits.append(_hit(event, at))
        if len(stored) == size:
            made.append(batch_of(len(made) + 1, stored, hits))
            stored, hits = [], []
    return made


def _hit(event: Event, at: datetime) -> Hit:
    group = {"source.ip": event["source.ip"]}
    return Hit(
        event_id=str(event["event.id"]),
        rule_id="0d4ab5a0-5f1f-4f31-b7a1-9c61cf41a3d1",
        rule_digest="d" * 64,
        level=Level.MEDIUM,
        at=at,
        alert_id=hashlib.sha256(str(group).encode()).hexdigest()[:32],
        group=group,
        keys=(key_id("rule", group),),
        captured={"user.name": event["user.name"]},
        signature="0123456789abcdef",
        unit_id="school-1",
        asset_id="jwxt",
    )


def batch_of(number: int, stored: list[StoredEvent], hits: list[Hit]) -> Batch:
    """Return the batch of a number."""
    return Batch(
        source="web",
        generation="ab" * 32,
        number=number,
        epoch=1,
        day=DAY,
        retention="security",
        offset_from=0,
        offset_to=0,
        ruleset="f" * 64,
        received_at=START,
        counts=Counts(received=len(stored), stored=len(stored), events=len(stored)),
        events=tuple(stored),
        hits=tuple(hits),
    )


def commit_all(log: SqliteEventLog, work: list[Batch]) -> None:
    """Commit all batches."""
    for batch in work:
        log.commit(ACCESS, batch)


def report(size: int, count: int) -> None:
    """Measure one batch size and print its lines."""
    work = batches(count, size)
    total = sum(len(batch.events) for batch in work)
    average = sum(len(event.body) for batch in work for event in batch.events) / total
    with TemporaryDirectory() as folder:
        log = SqliteEventLog(Path(folder) / "events", writable=True)
        spent = measured(lambda: commit_all(log, work))
        again = measured(lambda: commit_all(log, work))
        ids = [event.id.hex() for batch in work for event in batch.events[:: max(1, total // 200)]][:200]
        point = measured(lambda: [log.events_by_id(ACCESS, [one]) for one in ids])
        user = {"user.name": (work[0].events[0].columns[5] or "",)}
        rare = measured(lambda: log.count(ACCESS, EventQuery(equals=user)))
        hour = EventQuery(since=START, until=START + timedelta(hours=1), equals={"host.name": ("web01",)})
        common = measured(lambda: log.count(ACCESS, hour, by="user.name"))
        latest = measured(lambda: list(log.events(ACCESS, EventQuery(ascending=False, limit=100))))
        text = measured(lambda: log.count(ACCESS, EventQuery(text="no such phrase anywhere")))
        size_bytes = sum(partition.bytes for partition in log.partitions(ACCESS))
        log.close()
        final = sum(path.stat().st_size for path in (Path(folder) / "events").iterdir())
    print(f"batches of {size}: {total} events of {average:.0f} B, {HIT_SHARE:.0%} with a hit")
    print(f"  commit        {1e6 * spent.cpu_s / total:8.1f} µs/event CPU   {1e6 * spent.wall_s / total:8.1f} µs wall")
    print(f"  commit again  {1e6 * again.cpu_s / total:8.1f} µs/event CPU (all there)")
    print(f"  size          {final / total:8.0f} B/event on disk ({size_bytes / total:.0f} with the log)")
    print(f"  point read    {1e3 * point.wall_s / len(ids):8.2f} ms")
    print(f"  count rare    {1e3 * rare.wall_s:8.1f} ms (one user, all times)")
    print(f"  count hour    {1e3 * common.wall_s:8.1f} ms (one host, by user)")
    print(f"  latest 100    {1e3 * latest.wall_s:8.1f} ms")
    print(f"  text scan     {1e6 * text.cpu_s / total:8.1f} µs/event")


def main() -> None:
    """Measure the two usual batch sizes."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    count = options.parse_args().events
    for size in (1_000, 5_000):
        report(size, count)


if __name__ == "__main__":
    main()
