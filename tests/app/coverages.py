"""Installations for tests of the coverage ledger and of our own sight: any store, a clock to be set, sources, a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from secmon.app import alerts
from secmon.app.coverage_writing import bring_forward
from secmon.app.installation import Installation, Source
from secmon.app.schedule import go_on
from secmon.app.watching import watch
from secmon.model.access import job_access
from secmon.model.alert import Alert
from secmon.model.event import Event
from secmon.model.ids import key_id
from secmon.model.record import RecordQuery
from secmon.store.signing import FileSigner
from tests.app.houses import BRUTE, FAILURES, NOON, SetClock, opened_house
from tests.contracts.backends import store_of
from tests.contracts.builders import batch_of, event_at, hit_on

JOB = job_access("coverage")
HOUR = timedelta(hours=1)
SHELL = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a001"


class Anchor:
    """Keeps what the installation anchors outside the store."""

    text = ""

    def __call__(self, head: str) -> None:
        self.text = head


@contextmanager
def covered_house(
    state: Path, clock: SetClock, *, backend: str = "sqlite", sources: tuple[str, ...] = ("web",), **more: Any
) -> Iterator[Installation]:
    """Open an installation whose two ports are those of a store."""
    with opened_house(state / "house", clock) as plain, store_of(backend, state) as store:
        configured = {name: Source(name=name, kind="nginx.access", zone=UTC) for name in sources}
        yield replace(
            plain, log=store.log, records=store.records, sources=configured, signer=FileSigner(b"s" * 32), **more
        )


@contextmanager
def watched_house(state: Path, clock: SetClock, backend: str) -> Iterator[Installation]:
    """Open an installation with one source, which has agreed to say something every hour."""
    with covered_house(state, clock, backend=backend) as opened:
        source = Source(name="web", kind="nginx.access", zone=UTC, asset="A-1", silent_after=HOUR)
        yield replace(opened, sources={"web": source})


def deliver(
    house: Installation,
    number: int,
    at: datetime,
    *,
    source: str = "web",
    hits: int = 0,
    events: int = 2,
    ruleset: str = "",
    **more: Any,
) -> None:
    """Commit a batch that was received at a moment; its first events are hit by one rule."""
    found: list[Event] = [
        event_at((number - 1) * 100_000 + place, at, source=source, day=at.date()) for place in range(events)
    ]
    chosen = [hit_on(event, rule=SHELL) for event in found[:hits]]
    batch = batch_of(
        found,
        number=number,
        source=source,
        hits=chosen,
        received_at=at,
        day=at.date(),
        **more,
    )
    house.log.commit(JOB, replace(batch, ruleset=ruleset or batch.ruleset))


def look(house: Installation, clock: SetClock, *, hours: float = 0, minutes: int = 0) -> None:
    """Let time pass with a tick every few minutes: often enough to count as looking."""
    left = round(hours * 60) + minutes
    while left:
        step = min(left, 4)
        clock.pass_time(minutes=step)
        bring_forward(house, JOB)
        left -= step


def pass_time(house: Installation, clock: SetClock, minutes: int) -> None:
    """Let time pass with the daemon's whole tick every few minutes."""
    while minutes:
        step = min(minutes, 4)
        clock.pass_time(minutes=step)
        go_on(house)
        minutes -= step


def watch_only(house: Installation) -> None:
    """Do of a tick what watches the sources."""
    bring_forward(house, JOB)
    watch(house, JOB, thoroughly=False)


def found(house: Installation, rule: str) -> list[Alert]:
    """Return the alerts of a rule, the first first."""
    query = RecordQuery(kind=alerts.KIND, equals={"rule": (rule,)}, order="first")
    return [alerts.to_alert(document) for document in house.records.find(JOB, query).documents]


def counted_by(house: Installation) -> dict[str, Any]:
    """Return what a hit of a refused request counts by towards the correlation."""
    group: dict[str, Any] = {"source.ip": "192.0.2.9"}
    rule = house.ruleset.by_id[FAILURES]
    return {"rule_digest": rule.digest, "captured": group, "keys": (key_id(BRUTE, group),)}


__all__ = [
    "HOUR",
    "JOB",
    "NOON",
    "SHELL",
    "Anchor",
    "SetClock",
    "counted_by",
    "covered_house",
    "deliver",
    "found",
    "look",
    "pass_time",
    "watch_only",
    "watched_house",
]
