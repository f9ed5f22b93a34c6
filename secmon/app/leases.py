"""Several daemons on one store: each has a session that lives as long as its beat; leases hang on sessions.

A daemon writes its own document every few seconds. A session whose document has not changed for the whole time to live,
by the monotonic clock of whoever looks, is ended by a compare-and-swap of that document: its daemon finds out at its
next beat, drops everything, and begins a new one. A lease names owner and session; one whose session is over is free.
So one write every few seconds keeps all leases of a daemon, and one write gives all of them back.

Leases only spare work that would be in vain. Nothing rests on them: what counts is decided by compare-and-swap of
checkpoints, marks and windows (`app.recovery`, `app.evaluate`, `app.ledger`).
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.app.sharing import plan
from secmon.errors import ConflictError, StoreError
from secmon.model.access import Access
from secmon.model.event import format_time
from secmon.model.record import Document, RecordQuery

DAEMON, LEASE = "daemon", "lease"
FORWARD: Final = "forward"
"""The lease of alerts and windows, which one daemon brings forward for all."""
BEAT_S: Final = 4.0
TTL_S: Final = 15.0
"""How long a session lives without a beat. Noticed within a beat, taken within another: well below 30 s together."""
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A daemon as its document tells.

    Args:
        id: of its state folder (`STATE/daemon.id`).
        host: where it runs.
        started: when, RFC 3339.
        software: version of secmon.
        sources: what it is configured to read.
        session: number of its session, one more at each start.
        beat: beats in it.
        state: "stopped" by itself, or found "dead" by another one.
        ruleset: digest of the rules that it works by; "" of a version that does not tell.
        version: of the document.
    """

    id: str
    host: str
    started: str
    software: str
    sources: tuple[str, ...]
    session: int = 0
    beat: int = 0
    state: Literal["running", "stopped", "dead"] = "running"
    ruleset: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has something.

    Args:
        name: a source's, as `source_lease` gives it, or `FORWARD`.
        owner: id of the daemon; empty if it was given back.
        session: the session of the daemon that it hangs on.
        epoch: how often it has changed hands.
        version: of the document.
    """

    name: str
    owner: str = ""
    session: int = 0
    epoch: int = 0
    version: int = 0


def source_lease(source: str) -> str:
    """Return the name of the lease of a source."""
    return f"source:{source}"


def peers(house: Installation, access: Access) -> list[Peer]:
    """Return all daemons that ever shared this store, by id."""
    found = every(house.records, access, RecordQuery(kind=DAEMON, limit=_PAGE))
    return [msgspec.convert({**one.body, "id": one.id, "version": one.version}, Peer) for one in found]


def valid_leases(house: Installation, access: Access, among: Sequence[Peer]) -> dict[str, Lease]:
    """Return name → lease, of those whose session goes on."""
    sessions = {(one.id, one.session) for one in among if one.state == "running"}
    return {one.name: one for one in _leases(house, access) if (one.owner, one.session) in sessions}


def readers(house: Installation, access: Access) -> dict[str, Peer]:
    """Return source → the daemon that reads it; empty where one machine has its store for itself."""
    if not house.is_shared:
        return {}
    everybody = {one.id: one for one in peers(house, access)}
    held = valid_leases(house, access, list(everybody.values()))
    prefix = source_lease("")
    return {
        name.removeprefix(prefix): everybody[lease.owner] for name, lease in held.items() if name.startswith(prefix)
    }


class Alone:
    """The only daemon of an embedded store: it has everything, always."""

    def term(self, name: str) -> int:
        """Return 1: it has everything."""
        del name
        return 1

    def let_go(self) -> None:
        """Nobody else wants anything."""


ALONE: Final = Alone()


class Member:
    """One of the daemons that share a store. `beat` is one thread's, everything else any thread's.

    Args:
        house: the installation.
        access: as whom it asks.
        peer: what its document says of it; session, beat and version are of no account.
        takes_all: take every source that is free, whoever else there is: for a run that ends by itself.
    """

    def __init__(self, house: Installation, access: Access, peer: Peer, *, takes_all: bool = False) -> None:
        self._house, self._access = house, access
        self._peer = replace(peer, session=0, version=0)
        self._takes_all = takes_all
        self._changing = threading.Lock()  # held while documents are written, for seconds where the store is slow
        self._lock = threading.Lock()
        self._is_displaced = False
        self._held: dict[str, Lease] = {}
        self._leaving: set[str] = set()
        self._renewed_s = float("-inf")
        self._seen: dict[str, tuple[int, float]] = {}
        self._free_since: dict[str, float] = {}
        self.others: tuple[Peer, ...] = ()
        self.ruleset = peer.ruleset or house.ruleset.digest
        """What it tells the others of its rules, with the next beat."""

    def term(self, name: str) -> int:
        """Return the epoch of a lease as long as this daemon has it for certain; else 0."""
        with self._lock:
            lease = self._held.get(name)
            if lease is None or name in self._leaving:
                return 0
            return lease.epoch if self._now() - self._renewed_s < TTL_S else 0

    def beat(self) -> None:
        """Keep the session, look at the others, take and give.

        Raises:
            StoreUnavailableError: the store is away.
            ConflictError: somebody was in between; the next beat goes on.
            StoreError: another daemon runs under our id.
        """
        with self._changing:
            before = self._now()  # of before the write: ours ends earlier than anybody else can think it did
            if self._peer.session:
                self._renew()
            if self._is_displaced:
                raise StoreError(
                    "another daemon runs under the id of this one",
                    where="daemon.id",
                    hint="the state folder was copied: delete daemon.id in one of the two and restart it",
                )
            if not self._peer.session:
                self._begin()
            with self._lock:
                self._renewed_s = before
            alive = self._living()
            self._share([self._peer, *alive])
            self.others = tuple(alive)

    def let_go(self) -> None:
        """Give back what others shall read; to be called when nothing of it is being read."""
        if not self._leaving:
            return
        with self._changing:
            with self._lock:
                leaving = [self._held.pop(name) for name in self._leaving if name in self._held]
                self._leaving = set()
            for lease in leaving:
                self._swap(replace(lease, owner="", session=0))

    def end(self) -> None:
        """End the session: everything is free at once.

        Raises:
            StoreUnavailableError: the store is away; then others wait for the time to live.
        """
        with self._changing:
            self._drop()
            if not self._peer.session:
                return
            stopped = replace(self._peer, state="stopped")
            self._peer = replace(self._peer, session=0)
            try:
                self._write(stopped)
            except ConflictError:
                return  # it was ended by somebody else

    def _now(self) -> float:
        return self._house.clock.monotonic_s()

    def _drop(self) -> None:
        with self._lock:
            self._held, self._leaving = {}, set()

    def _renew(self) -> None:
        """Beat; find out that the session is over."""
        try:
            self._peer = self._write(replace(self._peer, beat=self._peer.beat + 1))
        except ConflictError:
            ours, found = self._peer, self._house.records.get(self._access, DAEMON, self._peer.id)
            if found is not None and found.body["session"] == ours.session and found.body["state"] == "running":
                # We wrote it ourselves, and the answer was lost.
                self._peer = self._write(replace(ours, beat=ours.beat + 1, version=found.version))
                return
            self._drop()
            self._peer = replace(ours, session=0)
            self._is_displaced = found is not None and found.body["session"] > ours.session

    def _begin(self) -> None:
        """Begin a session: whatever hung on an earlier one of this state folder is free.

        `writer.lock` proves that no other process of this state folder is left.
        """
        found = self._house.records.get(self._access, DAEMON, self._peer.id)
        session = int(found.body["session"]) + 1 if found else 1
        version = found.version if found else 0
        started = format_time(self._house.clock.now())
        fresh = replace(self._peer, started=started, session=session, beat=0, state="running", version=version)
        self._peer = self._write(fresh)

    def _write(self, peer: Peer) -> Peer:
        peer = replace(peer, ruleset=self.ruleset)
        body = msgspec.to_builtins(peer)
        del body["id"], body["version"]
        document = Document(
            kind=DAEMON, id=peer.id, body=body, version=peer.version, keys={"state": peer.state, "host": peer.host}
        )
        records = self._house.records
        saved = records.replace(self._access, document) if peer.version else records.create(self._access, document)
        return replace(peer, version=saved.version)

    def _living(self) -> list[Peer]:
        """Return the other daemons that live; end the sessions of those that do not."""
        alive = []
        for peer in peers(self._house, self._access):
            if peer.id == self._peer.id or peer.state != "running":
                continue
            version, since_s = self._seen.get(peer.id, (0, 0.0))
            if version != peer.version:
                since_s = self._now()
                self._seen[peer.id] = (peer.version, since_s)
            if self._now() - since_s < TTL_S:
                alive.append(peer)
                continue
            try:
                self._write(replace(peer, state="dead"))
            except ConflictError:
                alive.append(peer)  # it lives after all, or somebody else saw the same
        return alive

    def _share(self, everybody: list[Peer]) -> None:
        """Take what is ours to take; mark what is to be given away."""
        leases = {one.name: one for one in _leases(self._house, self._access)}
        sessions = {(one.id, one.session) for one in everybody}
        valid = {name: one for name, one in leases.items() if (one.owner, one.session) in sessions}
        me = self._peer.id
        with self._lock:
            # What the store says, not what we remember: an answer may have been lost, a session ended.
            self._held = {name: one for name, one in valid.items() if one.owner == me}
        decided = plan(
            me,
            {one.id: [source_lease(name) for name in one.sources] for one in everybody},
            {name: one.owner for name, one in valid.items()},
            overdue=self._overdue(set(map(source_lease, self._peer.sources)) - valid.keys()),
        )
        for name in (*decided.take, *(() if FORWARD in valid else (FORWARD,))):
            known = leases.get(name, Lease(name))
            self._take(replace(known, owner=me, session=self._peer.session, epoch=known.epoch + 1))
        with self._lock:
            self._leaving = {name for name in decided.give if name in self._held}

    def _overdue(self, free: set[str]) -> set[str]:
        """Return the free sources that nobody took for a whole time to live."""
        now = self._now()
        self._free_since = {name: self._free_since.get(name, now) for name in free}
        return {name for name, since_s in self._free_since.items() if self._takes_all or now - since_s >= TTL_S}

    def _take(self, lease: Lease) -> None:
        taken = self._swap(lease)
        if taken is not None:
            with self._lock:
                self._held[lease.name] = taken

    def _swap(self, lease: Lease) -> Lease | None:
        """Write a lease over the version it was read with; None if somebody else did."""
        body = {"owner": lease.owner, "session": lease.session, "epoch": lease.epoch}
        document = Document(kind=LEASE, id=lease.name, body=body, version=lease.version, keys={"owner": lease.owner})
        records = self._house.records
        try:
            saved = records.replace(self._access, document) if lease.version else records.create(self._access, document)
        except ConflictError:
            return None
        return replace(lease, version=saved.version)


def _leases(house: Installation, access: Access) -> Iterator[Lease]:
    for one in every(house.records, access, RecordQuery(kind=LEASE, limit=_PAGE)):
        yield Lease(one.id, one.body["owner"], one.body["session"], one.body["epoch"], one.version)
