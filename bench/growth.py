"""What growth does: the same questions behind one million and behind ten million events, on either store.

    python -m bench.growth [--store sqlite|elasticsearch] [--steps 1,2,5,10]

Unique access events of a campus portal go straight into the store (batches of 5,000, a million a partition), one in
five hundred with a hit of a shipped rule; alerts are brought up to date as the daemon does it. At every step:
what the last million cost, and how long people wait for the list of alerts, the self-assessment (等保自查) of one
system and some searches. Elasticsearch is the one at SECMON_ES_URL, under a prefix of its own, removed at the end.
Times are seconds of this process's CPU and wall seconds; the server's CPU is not in the first.
"""

import argparse
import hashlib
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench.measure import Spent, measured
from secmon.app import rulebook
from secmon.app.alerts import AlertFilter, list_alerts
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.app.reports import assess_asset
from secmon.config import load_settings
from secmon.content import shipped
from secmon.model.access import job_access
from secmon.model.batch import INDEXED_FIELDS, Batch, Counts, StoredEvent
from secmon.model.event import Event, format_time, to_micros
from secmon.model.hit import Hit
from secmon.model.ids import event_id, stream_prefix
from secmon.model.questions import EventQuery
from secmon.sigma.hits import make_hits
from secmon.sigma.rule import Rule
from secmon.wiring import opened

MILLION = 1_000_000
BATCH = 5_000
HIT_EVERY = 500
ASSET, UNIT = "A-0001", "370200"
START = datetime(2026, 9, 1, tzinfo=UTC)
GENERATION = "ab" * 32
ACCESS = job_access("bench")
ASKED = 20


@dataclass(slots=True)
class Clock:
    """A clock that stands where the newest partition is (ports.Clock)."""

    at: datetime = START

    def now(self) -> datetime:
        """Return the moment."""
        return self.at

    def monotonic_s(self) -> float:
        """Return seconds."""
        return time.monotonic()


@contextmanager
def house_of(store: str, clock: Clock) -> Iterator[Installation]:
    """Open an installation of its own, with the demo's registers; nothing of it is left."""
    with TemporaryDirectory() as name:
        folder, registers = Path(name), shipped("demo") / "registers"
        config = folder / "secmon.toml"
        lines = [
            f'[secmon]\nstate = "{folder / "state"}"\n[store]\nkind = "{store}"\nretention_days = 183',
            f'[registers]\nunits = "{registers / "units.yaml"}"\nassets = "{registers / "assets.csv"}"',
        ]
        if store == "elasticsearch":
            url, prefix = os.environ["SECMON_ES_URL"], f"growth-{os.getpid()}"
            lines.append(f'[store.elasticsearch]\nurls = ["{url}"]\nprefix = "{prefix}"\nreplicas = 0')
        config.write_text("\n".join(lines), encoding="utf-8")
        settings = load_settings(config, environ={})
        try:
            with opened(settings, writable=True, clock=clock) as house:
                yield house
        finally:
            if store == "elasticsearch":
                _remove(url, prefix)


def _remove(url: str, prefix: str) -> None:
    from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway  # noqa: PLC0415  an extra

    gateway = Gateway(ElasticsearchSettings(urls=(url,), prefix=prefix))
    gateway.remove_everything()
    gateway.close()


def batches(house: Installation, million: int) -> Iterator[Batch]:
    """Yield the batches of one million: one ingest day."""
    day = (START + timedelta(days=million)).date()
    rule = next(rule for rule in house.ruleset.rules if rule.generates and not rule.keys)
    dice = random.Random(million)  # noqa: S311  repeatable data, no secret
    prefix = stream_prefix(day, "growth", GENERATION)
    for number in range(MILLION // BATCH):
        events = [_event(dice, prefix, day, number * BATCH + place) for place in range(BATCH)]
        hits = [hit for _, event in events[::HIT_EVERY] for hit in _hits(house, rule, event)]
        yield _batch(million * (MILLION // BATCH) + number + 1, day, [stored for stored, _ in events], hits)


def _event(dice: random.Random, prefix: bytes, day: date, number: int) -> tuple[StoredEvent, Event]:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(milliseconds=number * 86)
    identity = event_id(prefix, number * 311)
    ip = f"198.51.100.{dice.randrange(256)}" if dice.random() < 0.8 else f"2001:db8::{dice.randrange(1 << 24):x}"
    user, path = f"2024{dice.randrange(50_000):06d}", f"/jw/xs/{int(dice.paretovariate(1.1)) % 4_000}"
    event: Event = {
        "@timestamp": format_time(at), "event.id": identity.hex(), "event.kind": "event", "event.category": ["web"],
        "event.type": ["access"], "event.dataset": "nginx.access", "event.module": "nginx", "event.action": "GET",
        "event.outcome": "success" if dice.random() < 0.97 else "failure", "event.hash": dice.randbytes(16).hex(),
        "host.name": f"web{dice.randrange(4):02d}", "user.name": user, "source.ip": ip, "url.path": path,
        "unit.id": UNIT, "asset.id": ASSET,
        "event.original": f'{ip} - {user} [01/Sep/2026:08:00:00 +0800] "GET {path}?t={dice.random()} HTTP/1.1" 200 '
        f'{dice.randrange(90_000)} "https://jwxt.example.edu.cn/" "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"',
    }  # fmt: skip
    body = orjson.dumps(event)
    columns = tuple(str(event[name]) if name in event else None for name in INDEXED_FIELDS)
    return StoredEvent(identity, to_micros(at), hashlib.sha256(body).digest()[:16], body, columns), event


def _hits(house: Installation, rule: Rule, event: Event) -> list[Hit]:
    return make_hits(house.ruleset, event, [rule])


def _batch(number: int, day: date, events: list[StoredEvent], hits: list[Hit]) -> Batch:
    return Batch(
        source="growth",
        generation=GENERATION,
        number=number,
        epoch=1,
        day=day,
        retention="security",
        offset_from=0,
        offset_to=0,
        ruleset="f" * 64,
        received_at=datetime(day.year, day.month, day.day, tzinfo=UTC),
        counts=Counts(received=len(events), stored=len(events), events=len(events)),
        events=tuple(events),
        hits=tuple(hits),
    )


def asked(question: Callable[[], object], times: int = ASKED) -> str:
    """Return the median and the 95th percentile of a question, in milliseconds of wall time."""
    took = sorted(1e3 * measured(question).wall_s for _ in range(times))
    return f"{statistics.median(took):8.1f} ms, p95 {took[max(0, round(0.95 * times) - 1)]:8.1f} ms"


def report(house: Installation, clock: Clock, millions: int) -> None:
    """Print what people wait for."""
    end = clock.at
    first, recent = AlertFilter(limit=50), end - timedelta(hours=1)
    one_user = EventQuery(equals={"user.name": ("2024000042",)})
    by_path = EventQuery(since=recent, until=end, equals={"host.name": ("web01",)})
    cursor = list_alerts(house, ACCESS, first).cursor
    text = EventQuery(text="no such phrase anywhere", since=recent, until=end)
    print(f"behind {millions} million events:")
    print("  alerts, first page     ", asked(lambda: list_alerts(house, ACCESS, first)))
    print("  alerts, open and high  ", asked(lambda: list_alerts(house, ACCESS, AlertFilter(levels=("high",)))))
    print("  alerts, next page      ", asked(lambda: list_alerts(house, ACCESS, AlertFilter(limit=50, cursor=cursor))))
    print("  self-assessment, 7 days", asked(lambda: assess_asset(house, ACCESS, ASSET, days=7), 3))
    print("  one user, all times    ", asked(lambda: house.log.count(ACCESS, one_user), 5))
    print("  an hour by path        ", asked(lambda: house.log.count(ACCESS, by_path, by="url.path"), 5))
    print(
        "  latest 100 events      ",
        asked(lambda: list(house.log.events(ACCESS, EventQuery(ascending=False, limit=100))), 5),
    )
    print("  words in an hour       ", asked(lambda: house.log.count(ACCESS, text), 5), flush=True)


def main() -> None:
    """Grow a store and ask it at every step."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--store", choices=("sqlite", "elasticsearch"), default="sqlite")
    options.add_argument("--steps", default="1,2,5,10", help="millions of events at which to ask")
    given = options.parse_args()
    steps = sorted(map(int, given.steps.split(",")))
    clock = Clock()
    with house_of(given.store, clock) as house:
        rulebook.keep(house, ACCESS)
        for million in range(steps[-1]):
            clock.at = START + timedelta(days=million + 1)
            commit = Spent()
            for batch in batches(house, million):
                with commit.timed():
                    house.log.commit(ACCESS, batch)
            alerts = measured(lambda: evaluate(house, ACCESS))
            print(
                f"million {million + 1}: commit {commit.cpu_s:6.2f} µs CPU, {commit.wall_s:6.2f} µs wall an event; "
                f"alerts of {MILLION // HIT_EVERY} hits {alerts.wall_s:.1f} s",
                flush=True,
            )
            if million + 1 in steps:
                report(house, clock, million + 1)
        size = sum(partition.bytes for partition in house.log.partitions(ACCESS))
        print(f"on disk: {size / MILLION / steps[-1]:.0f} B an event")


if __name__ == "__main__":
    main()
