"""The account of each source: received = stored + duplicate + dead-lettered + dropped(reason) + in flight."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from secmon.app import checkpoints, deadletters, leases
from secmon.app.installation import Installation
from secmon.app.streams import source_of
from secmon.errors import ConfigError, NotFoundError
from secmon.model.access import Access
from secmon.model.batch import Counts
from secmon.model.event import format_time
from secmon.model.stream import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of one source.

    Args:
        state: "ok", "silent" (nothing for `silent_after`), "paused" or "failing".
        counts: its durable account.
        in_flight: records read and not settled yet: in the spool, or in work in the running daemon.
        problems: why it is failing, as "place: problem (remedy)".
        read_by: host of the daemon that reads it, where several share a store; empty if none does.
    """

    source: str
    kind: str
    state: str
    counts: Counts
    in_flight: int = 0
    first_event: datetime | None = None
    last_event: datetime | None = None
    last_received: datetime | None = None
    skew_s: float = 0.0
    encodings: Mapping[str, int]
    streams: int = 0
    problems: tuple[str, ...] = ()
    read_by: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """What only the running daemon knows of a source."""

    in_flight: int = 0
    problems: tuple[str, ...] = ()


def accounts(house: Installation, access: Access, live: Mapping[str, Live] | None = None) -> list[Account]:
    """Return the account of every configured source and of every source that ever delivered, by name."""
    by_source: dict[str, list[Checkpoint]] = {name: [] for name in house.sources}
    for checkpoint in checkpoints.load_all(house, access):
        by_source.setdefault(checkpoint.source, []).append(checkpoint)
    reading = leases.readers(house, access)
    return [
        replace(
            _account(house, access, name, found, (live or {}).get(name, Live())),
            read_by=reading[name].host if name in reading else "",
        )
        for name, found in sorted(by_source.items())
    ]


def account(house: Installation, access: Access, name: str) -> Account:
    """Return one source's account.

    Raises:
        NotFoundError: no source of this name is configured or ever delivered.
    """
    found = checkpoints.load_all(house, access, name)
    if not found and name not in house.sources:
        raise NotFoundError("no such source", hint="secmon sources list shows them")
    reader = leases.readers(house, access).get(name)
    return replace(_account(house, access, name, found, Live()), read_by=reader.host if reader else "")


def _account(house: Installation, access: Access, name: str, streams: list[Checkpoint], live: Live) -> Account:
    counts = Counts()
    encodings: dict[str, int] = {}
    for stream in streams:
        counts += stream.counts
        for encoding, number in stream.encodings.items():
            encodings[encoding] = encodings.get(encoding, 0) + number
    counts += deadletters.adjustments(house, access, name)
    received = [(one.last_received, one.skew_s) for one in streams if one.last_received]
    last_received, skew_s = max(received, default=(None, 0.0))
    return Account(
        source=name,
        kind=_kind(house, name, streams),
        state=_state(house, name, last_received, live),
        counts=counts,
        in_flight=live.in_flight + _put_by(house, access, name, streams),
        first_event=min((one.first_event for one in streams if one.first_event), default=None),
        last_event=max((one.last_event for one in streams if one.last_event), default=None),
        last_received=last_received,
        skew_s=skew_s,
        encodings=encodings,
        streams=len(streams),
        problems=live.problems,
    )


def _put_by(house: Installation, access: Access, name: str, streams: list[Checkpoint]) -> int:
    """Return how many records wait in the spool beyond these committed states."""
    if house.spool is None:
        return 0
    committed = {stream.generation: stream.position.number for stream in streams}
    ends = house.spool.ends(access, name)
    return sum(max(0, end.position.number - committed.get(end.generation, 0)) for end in ends)


def _kind(house: Installation, name: str, streams: list[Checkpoint]) -> str:
    return house.sources[name].kind if name in house.sources else (streams[0].kind if streams else name)


def _state(house: Installation, name: str, last_received: datetime | None, live: Live) -> str:
    if live.problems:
        return "failing"
    try:
        source = source_of(house, name)
    except ConfigError:
        return "paused"  # it delivered once and is configured no more
    if name not in house.sources:
        return "ok"  # a one-off import owes nothing
    if last_received is None or house.clock.now() - last_received > source.silent_after:
        return "silent"
    return "ok"


def summary_row(source: str, counts: Counts, in_flight: int = 0) -> dict[str, Any]:
    """Return an account as `import` prints it (contracts)."""
    return {
        "source": source,
        "received": counts.received + in_flight,
        "stored": counts.stored,
        "duplicate": counts.duplicate,
        "dead_lettered": counts.dead_lettered,
        "dropped": dict(sorted(counts.dropped.items())),
        "in_flight": counts.in_flight + in_flight,
    }


def row(found: Account) -> dict[str, Any]:
    """Return an account as `sources list` prints it (contracts)."""
    times = {
        "first_event": found.first_event,
        "last_event": found.last_event,
        "last_received": found.last_received,
    }
    return {
        **summary_row(found.source, found.counts, found.in_flight),
        "kind": found.kind,
        "state": found.state,
        **{name: format_time(moment) for name, moment in times.items() if moment},
        "skew_s": round(found.skew_s, 3),
        "encoding": dict(sorted(found.encodings.items())),
        "events": found.counts.events,
        "streams": found.streams,
        **({"read_by": found.read_by} if found.read_by else {}),
        **({"problems": list(found.problems)} if found.problems else {}),
    }


def run_list(house: Installation, access: Access, args: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Do `sources list`."""
    del args
    return [row(one) for one in accounts(house, access)]


def run_show(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `sources show`."""
    return row(account(house, access, args["name"]))
