"""The documents of the coverage ledger: its head, its sheets, its seals, and the lists of rules that do not run.

The head is the only document that changes, by compare-and-swap; it says how far commits are entered, what the windows
hold that are not closed yet, and what was decided to be written next (`pending`). Whoever finds something pending
writes it first, so that a daemon that dies between the head and a sheet leaves nothing half, and one that was frozen
writes nothing twice.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.coverage import GENESIS, WINDOW, Delivered, hours_of
from secmon.model.event import format_time, parse_time
from secmon.model.record import Body, Document, RecordQuery

SHEET: Final = "coverage"
SEAL: Final = "coverage_seal"
NOT_RUN_LIST: Final = "coverage_rules"
FAILING: Final = "coverage_failing"
_HEAD: Final = ("mark", "coverage")
"""Of the kind "mark", whose place a move translates for the other store (`app.move`)."""
_PAGE = 200
_MOMENT = timedelta(milliseconds=1)
"""As fine as times are written: a row that ends at the moment in question lies before it."""


@dataclass(slots=True, kw_only=True)
class SealHead:
    """The last seal: its number and digest, and the last sheet that it binds."""

    number: int = 0
    digest: str = GENESIS
    last: int = 0


@dataclass(slots=True, kw_only=True)
class SourceHead:
    """What is known of a source between two ticks: since when, and when it last delivered."""

    since: datetime
    received: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Head:
    """Where the ledger stands.

    Args:
        mark: behind the last commit that is entered (`EventLog.commits`).
        closed: every window before it is closed; None before the first.
        number: of the last sheet.
        digest: of the last sheet.
        seal: the last seal.
        open: start of a window that is not closed → source → what it brought so far.
        sources: source → what is known of it.
        watched: when daemons were looking, oldest first.
        failing: start of a window → sources that could not be read in it.
        pending: documents to be written before anything else: [kind, id, body, keys].
        version: of the document; 0 if there is none.
    """

    mark: str = ""
    closed: datetime | None = None
    number: int = 0
    digest: str = GENESIS
    seal: SealHead = field(default_factory=SealHead)
    open: dict[str, dict[str, Delivered]] = field(default_factory=dict)
    sources: dict[str, SourceHead] = field(default_factory=dict)
    watched: list[tuple[datetime, datetime]] = field(default_factory=list)
    failing: dict[str, list[str]] = field(default_factory=dict)
    pending: list[tuple[str, str, Body, dict[str, str]]] = field(default_factory=list)
    version: int = 0


def load_head(house: Installation, access: Access) -> Head | None:
    """Return the head, None if nothing was ever entered."""
    document = house.records.get(access, *_HEAD)
    return None if document is None else msgspec.convert({**document.body, "version": document.version}, Head)


def save_head(house: Installation, access: Access, head: Head) -> None:
    """Store the head over the version it was read with.

    Raises:
        ConflictError: somebody else moved it; nothing of ours counts.
    """
    body: Body = msgspec.to_builtins(head)
    del body["version"]
    kind, identity = _HEAD
    document = Document(kind=kind, id=identity, body=body, version=head.version)
    saved = house.records.replace(access, document) if head.version else house.records.create(access, document)
    head.version = saved.version


def write_pending(house: Installation, access: Access, head: Head) -> int:
    """Write what was decided, then note that it is written; return how many documents it was.

    Raises:
        ConflictError: somebody else has done so meanwhile.
    """
    pending = [Document(kind=kind, id=id_, body=body, keys=keys) for kind, id_, body, keys in head.pending]
    if not pending:
        return 0
    house.records.create_all(access, pending)
    house.anchor_coverage(f"{head.number} {head.digest}\n")
    head.pending = []
    save_head(house, access, head)
    return len(pending)


def note_failing(house: Installation, access: Access, daemon: str, failing: Iterable[str]) -> None:
    """Tell the daemon that writes the ledger which sources another one cannot read now."""
    document = house.records.get(access, FAILING, daemon)
    body: Body = {"sources": sorted(failing), "at": format_time(house.clock.now())}
    fresh = Document(kind=FAILING, id=daemon, body=body, version=document.version if document else 0)
    with contextlib.suppress(ConflictError):  # it is told again with the next tick
        if document is None:
            house.records.create(access, fresh)
        else:
            house.records.replace(access, fresh)


def failing_elsewhere(house: Installation, access: Access, since: datetime) -> set[str]:
    """Return the sources of which other daemons have told since a moment that they cannot read them."""
    told = (document.body for document in every(house.records, access, RecordQuery(kind=FAILING, limit=_PAGE)))
    return {source for body in told if parse_time(body["at"]) >= since for source in body["sources"]}


def sheet_entry(body: Body) -> tuple[str, str, Body, dict[str, str]]:
    """Return a sheet as `Head.pending` has it."""
    number = f"{body['number']:012d}"
    keys = {"number": number}
    if body["rows"]:
        keys["from"] = min(row["from"] for row in body["rows"])
        keys["to"] = max(row["to"] for row in body["rows"])
    return SHEET, number, body, keys


def seal_entry(body: Body) -> tuple[str, str, Body, dict[str, str]]:
    """Return a seal as `Head.pending` has it."""
    number = f"{body['number']:012d}"
    return SEAL, number, body, {"number": number, "day": body["day"]}


def documents(house: Installation, access: Access, kind: str, *, first: int = 0, last: int = 0) -> Iterator[Body]:
    """Yield sheets or seals by number.

    Args:
        house: the installation.
        access: who asks.
        kind: `SHEET` or `SEAL`.
        first: the first number wanted.
        last: the last number wanted; 0 for all that follow.
    """
    ranges = {"number": (f"{first:012d}", f"{last + 1:012d}" if last else None)}
    query = RecordQuery(kind=kind, ranges=ranges, order="number", limit=_PAGE)
    yield from (document.body for document in every(house.records, access, query))


def sheets_between(
    house: Installation, access: Access, since: datetime | None, until: datetime | None
) -> Iterator[Body]:
    """Yield the sheets that hold rows of windows in a range, by number; half-open."""
    ranges: dict[str, tuple[str | None, str | None]] = {}
    if until is not None:
        ranges["from"] = (None, format_time(until))
    if since is not None:
        ranges["to"] = (format_time(since + _MOMENT), None)
    query = RecordQuery(kind=SHEET, ranges=ranges, order="number", limit=_PAGE)
    yield from (document.body for document in every(house.records, access, query))


def latest_rows(
    house: Installation, access: Access, since: datetime | None, until: datetime | None
) -> dict[tuple[str, str], tuple[Body, Body]]:
    """Return (hour, source) → its last row and the sheet that the row stands in, of all hours in a range."""
    found: dict[tuple[str, str], tuple[Body, Body]] = {}
    first = format_time(since) if since else ""
    last = format_time(until) if until else "~"
    for sheet in sheets_between(house, access, since, until):
        for row in sheet["rows"]:
            for hour in hours_of(row):
                if first <= hour < last:
                    found[(hour, row["source"])] = (row, sheet)
    return found


def latest_row(house: Installation, access: Access, source: str, hour: str) -> Body | None:
    """Return the last row of a source and an hour, None if there is none."""
    start = parse_time(hour)
    found = latest_rows(house, access, start, start + WINDOW).get((hour, source))
    return found[0] if found else None


def not_run_list(house: Installation, access: Access, identity: str) -> list[Mapping[str, str]]:
    """Return the rules that do not run, as a sheet names their list."""
    document = house.records.get(access, NOT_RUN_LIST, identity) if identity else None
    return list(document.body["rules"]) if document else []
