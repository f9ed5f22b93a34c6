"""What the outside must offer. Every method takes first who asks and what part of the tree they may see.

Adapters: `store` (EventLog, Records, Vault, Signer, Spool), `collect` (Collector), `notify` (Notifier), `render`
(Renderer), `clock` (Clock). One contract test suite runs against every adapter of a port: tests/contracts/.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow, EventFinding, Partition
from secmon.model.document import OfficialDocument
from secmon.model.event import Event
from secmon.model.hit import Hit
from secmon.model.questions import EventQuery, FindingQuery, HitQuery, Profile
from secmon.model.record import Document, Page, RecordQuery
from secmon.model.search import Budget, Survey
from secmon.model.stream import Checkpoint


class EventLog(Protocol):
    """Events, hits and findings in partitions of ingest day × retention class."""

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        """Make a batch durable: all of it or nothing; idempotent by id.

        An event whose id is already there with the same digest belongs to an unfinished attempt of the same
        batch and is passed over; the batch row of an earlier attempt is returned as it stands.

        Raises:
            StoreError: an id is there with another digest (nothing of the batch is stored).
            StoreUnavailableError: it cannot be written now; try again later.
            ConflictError: another writer took the stream over; nothing of this attempt counts.
            PoisonError: these events can never be stored; the batch without them can.
        """
        ...

    def batch(self, access: Access, *, day: date, retention: str, stream: str, number: int) -> BatchRow | None:
        """Return the row of one batch if it was made durable, None otherwise: recovery asks this."""
        ...

    def fence(
        self, access: Access, *, day: date, retention: str, stream: str, number: int, epoch: int
    ) -> BatchRow | None:
        """Keep every attempt of an earlier epoch from making batch `number` of a stream durable, from now on.

        Who takes a stream over, or takes it to another partition, asks this before its compare-and-swap of the
        checkpoint: whatever an earlier writer has under way can then come back at any time and counts for nothing.

        Returns:
            the row of the batch if it was durable already: nothing is fenced then, the taker goes on behind it.

        Raises:
            ConflictError: a later epoch has it; the asker was replaced itself.
            StoreUnavailableError: it cannot be written now; try again later.
        """
        ...

    def batches(self, access: Access, *, since: datetime | None = None) -> Iterator[BatchRow]:
        """Yield batch rows by (partition, stream, number); `since` compares `received_at`."""
        ...

    def batches_of(self, access: Access, stream: str) -> Iterator[BatchRow]:
        """Yield the batch rows of one stream by number, of all partitions that are still there."""
        ...

    def digests(self, access: Access, ids: Sequence[str]) -> dict[str, bytes]:
        """Return event id → digest of its raw record (16 bytes), of the events that are there."""
        ...

    def together(self, access: Access) -> AbstractContextManager[None]:
        """Let the reads of a block, those of this thread, share what it costs to begin one: a report asks a lot.

        They may all see the moment of the first one; what is committed later belongs to the next block, and
        `hits_since` does not pass over it. Reads with a budget stand apart, and so does a block within a block.
        """
        ...

    def events(self, access: Access, query: EventQuery, *, budget: Budget | None = None) -> Iterator[Event]:
        """Yield events in order; only those in scope.

        Raises:
            SearchStoppedError: the budget is used up; what was yielded so far is right, and not all there is.
        """
        ...

    def unindexed(self, access: Access, query: EventQuery, *, fields: Sequence[str] = ()) -> tuple[str, ...]:
        """Return what this store can answer only by reading every event of the time range: it is scanning then.

        Args:
            access: who asks.
            query: which events.
            fields: whose values are wanted too.

        Returns:
            Names of fields; `model.query.ANY_TEXT` for words; empty if the indices decide everything.
        """
        ...

    def survey(
        self,
        access: Access,
        query: EventQuery,
        *,
        interval_s: int = 0,
        utc_offset_s: int = 0,
        fields: Sequence[str] = (),
        size: int = 10,
        budget: Budget | None = None,
    ) -> Survey:
        """Return how the events in scope spread over time and values; `query.after` and `.limit` do not apply.

        A search that is stopped is no error here: the survey says that it is not complete.

        Args:
            access: who asks.
            query: which events.
            interval_s: length of an interval of the histogram in seconds; 0 for none.
            utc_offset_s: seconds east of UTC of the clock whose midnight the intervals are counted from.
            fields: whose most frequent values are wanted.
            size: most values of a field.
            budget: what it may take.
        """
        ...

    def events_by_id(self, access: Access, ids: Sequence[str]) -> list[Event]:
        """Return the events with these ids, in this order; those out of scope or gone are left out."""
        ...

    def count(self, access: Access, query: EventQuery, *, by: str = "") -> dict[str, int]:
        """Return counts of events by the text of one field ("" where absent); by="" gives {"": total}."""
        ...

    def profile(
        self, access: Access, query: EventQuery, *, by: str = "", utc_offset_s: int = 0, ids: int = 20
    ) -> Profile:
        """Return the profile of the events in scope; `query.limit` and its order do not apply.

        Args:
            access: who asks.
            query: which events.
            by: field whose values are counted apart.
            utc_offset_s: seconds east of UTC of the calendar that days are counted in.
            ids: most event ids to return.
        """
        ...

    def hits(self, access: Access, query: HitQuery) -> Iterator[Hit]:
        """Yield hits by (`at`, event id, rule id); only those in scope."""
        ...

    def count_suppressed(
        self, access: Access, query: HitQuery, *, utc_offset_s: int = 0
    ) -> dict[tuple[str, date], int]:
        """Return how many suppressed hits there are, by what suppresses them and calendar day of their `at`.

        Args:
            access: who asks; only hits in scope count.
            query: which hits; `upto` and `limit` do not apply.
            utc_offset_s: seconds east of UTC of the calendar that days are counted in.
        """
        ...

    def hits_since(self, access: Access, mark: str, *, limit: int = 50_000) -> tuple[list[Hit], str]:
        """Return hits of batches committed after `mark`, whole batches at a time, and the mark behind them.

        `mark` is the adapter's own; "" stands before everything. With no new batch the same mark comes back. For the
        root only: where a page ends tells how many hits all units have.
        """
        ...

    def commits(self, access: Access, *, after: str = "", upto: str = "") -> Iterator[tuple[BatchRow, str]]:
        """Yield what counts in the order of its commits: each batch row with the mark (`hits_since`) right behind it.

        Args:
            access: who asks; the root only.
            after: a mark; batches before it are left out.
            upto: a mark; batches behind it are left out; "" for everything that is committed when the walk begins.
        """
        ...

    def contents(self, access: Access, row: BatchRow) -> Batch:
        """Return the batch of a row as it was committed: another store takes it over with `commit`.

        What an earlier batch had stored already under the same ids belongs to that batch and is not repeated.

        Raises:
            NotFoundError: it is not there; its partition may have been dropped.
        """
        ...

    def findings(self, access: Access, query: FindingQuery) -> Iterator[EventFinding]:
        """Yield findings by (`at`, event id); only those in scope."""
        ...

    def count_findings(self, access: Access, query: FindingQuery) -> dict[str, int]:
        """Return counts of findings by class."""
        ...

    def partitions(self, access: Access) -> list[Partition]:
        """Return all partitions, oldest first."""
        ...

    def drop_partition(self, access: Access, day: date, retention: str) -> None:
        """Remove one partition as a whole. The caller has checked retention and legal holds."""
        ...

    def digest(self, access: Access) -> dict[str, str]:
        """Return SHA-256 (hex) of the sorted sets "events", "hits" and "findings".

        Without `event.ingested`, receive times and process ids: equal after any crash and on every store.
        """
        ...

    def check(self, access: Access, *, deep: bool = False) -> list[str]:
        """Return the problems of the store's own integrity; empty is good. `deep` reads everything."""
        ...


class Records(Protocol):
    """Small versioned documents with compare-and-swap. History is a document of its own, never an overwrite."""

    def get(self, access: Access, kind: str, id: str) -> Document | None:  # noqa: A002
        """Return a document, read by id (never stale), or None if it is not there or out of scope."""
        ...

    def create(self, access: Access, document: Document) -> Document:
        """Store a new document and return it with version 1.

        Raises:
            ConflictError: the id is taken.
        """
        ...

    def create_all(self, access: Access, documents: Sequence[Document]) -> int:
        """Store new documents at once, pass over those whose id is taken; return how many were stored.

        For what arrives in thousands, such as dead letters: one durable write instead of one each.
        """
        ...

    def kinds(self, access: Access) -> tuple[str, ...]:
        """Return the kinds of which there is a document, sorted; to the root only."""
        ...

    def restore(self, access: Access, documents: Sequence[Document]) -> int:
        """Store documents of another store as they are, each under its version; return how many were stored.

        Those whose id is taken are passed over, so that it can be done again.
        """
        ...

    def replace(self, access: Access, document: Document) -> Document:
        """Replace the version `document.version` and return the next one.

        Raises:
            ConflictError: it has another version by now.
            NotFoundError: it is not there.
        """
        ...

    def delete(self, access: Access, kind: str, id: str) -> None:  # noqa: A002
        """Remove a document; nothing happens if it is not there. Only sessions and one-time links are removed."""
        ...

    def find(self, access: Access, query: RecordQuery) -> Page:
        """Return one page of the documents in scope."""
        ...

    def count(self, access: Access, query: RecordQuery, *, by: str = "") -> dict[str, int]:
        """Return counts by the value of one key ("" where absent); by="" gives {"": total}."""
        ...

    def check(self, access: Access, *, deep: bool = False) -> list[str]:
        """Return the problems of the store's own integrity; empty is good. `deep` reads everything."""
        ...


class Vault(Protocol):
    """Keeps raw bytes unreadable without the key file (AEAD)."""

    def seal(self, data: bytes, *, purpose: str) -> bytes:
        """Return the sealed bytes; `purpose` is bound to them as associated data."""
        ...

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """Return the bytes again.

        Raises:
            StoreError: wrong key, wrong purpose or changed bytes.
        """
        ...


class Signer(Protocol):
    """Signs what shall be provable later, with a key that lies outside the store."""

    @property
    def public(self) -> str:
        """The public key, hex: it verifies what was signed, and tells nothing about the private one."""
        ...

    def sign(self, data: bytes) -> str:
        """Return the signature, hex."""
        ...

    def verifies(self, data: bytes, signature: str, public: str) -> bool:
        """Tell whether a signature over some bytes was made by the private half of a public key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Bytes of a stream from its checkpoint's position on.

    Args:
        checkpoint: the stream's committed state that these bytes follow.
        data: the bytes.
        at_end: the last record may be taken as complete: nothing follows for now, or what follows begins another.
        before: the last up to 256 bytes before them, for `model.fingerprint.advance`.
    """

    checkpoint: Checkpoint
    data: bytes
    at_end: bool
    before: bytes = b""


class Collector(Protocol):
    """One source: finds its streams and reads them; it never moves a checkpoint itself."""

    @property
    def source(self) -> str:
        """The source's id."""
        ...

    def streams(self, access: Access, known: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Return the streams that are there now, each with its committed state or a new one."""
        ...

    def read(self, access: Access, checkpoint: Checkpoint, *, max_bytes: int) -> Chunk | None:
        """Return what follows the checkpoint's position, None if there is nothing now."""
        ...

    def problems(self) -> list[str]:
        """Return what keeps it from reading, as "place: problem (remedy)"; empty is good."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """Whole records of one stream that were put by.

    Args:
        start: the state of the stream that they follow.
        end: its state behind them: a place between two records.
        data: their bytes.
        before: the last up to 256 bytes before them.
        at_end: nothing followed when they were read; their last record ends here although no byte says so.
    """

    start: Checkpoint
    end: Checkpoint
    data: bytes
    before: bytes = b""
    at_end: bool = False


class Spool(Protocol):
    """Sealed records on the disk of this machine, bounded, for the time that the store is away.

    One process has it open for writing. What was appended is durable; what a crash cut off was not appended.
    """

    def append(self, access: Access, piece: Spooled) -> None:
        """Put records by, behind those of the same stream that are there.

        Raises:
            SpoolFullError: there is no room.
            StoreUnavailableError: the disk does not take them now.
            StoreError: they do not follow what is there, or what is there cannot be opened.
        """
        ...

    def read(self, access: Access, source: str, generation: str, offset: int, *, max_bytes: int) -> Spooled | None:
        """Return records from a place between two records on; None where the spool holds nothing.

        They reach as far as `max_bytes` allow without parting what was appended at once, and end where the first
        piece that was `at_end` does. `start` is the state that the first appended piece of them follows, which may
        lie before `offset`; `data` and `before` are those of `offset`.

        Raises:
            StoreError: wrong key or damaged file; nothing is removed.
            StoreUnavailableError: the disk cannot be read now.
        """
        ...

    def ends(self, access: Access, source: str) -> list[Checkpoint]:
        """Return how far each stream of a source is held, of those the spool holds anything of."""
        ...

    def settle(self, access: Access, committed: Checkpoint) -> None:
        """Remove what lies before a committed position."""
        ...

    def remember(self, access: Access, source: str, known: Sequence[Checkpoint]) -> None:
        """Keep what is known of the streams of a source, in the place of what was kept before.

        Raises:
            StoreUnavailableError: the disk does not take it now.
        """
        ...

    def remembered(self, access: Access, source: str) -> list[Checkpoint] | None:
        """Return what was kept of the streams of a source; None if nothing was ever kept.

        Raises:
            StoreError: wrong key or damaged file.
        """
        ...

    def usage(self) -> tuple[int, int]:
        """Return how many bytes it holds on the disk, and the most that it may."""
        ...

    def problems(self) -> list[str]:
        """Return what is wrong with it, as "place: problem (remedy)"; empty is good."""
        ...


class Notifier(Protocol):
    """One channel that tells people something: only a number, a deadline and a link leave the house."""

    def send(self, access: Access, *, key: str, subject: str, link: str) -> None:
        """Deliver once per idempotency key.

        Raises:
            SecmonError: it was not delivered; `retryable` says whether to try again.
        """
        ...


class Renderer(Protocol):
    """Writes an official document in one format; the same document gives the same bytes."""

    @property
    def format(self) -> str:
        """File name ending: "html", "docx" or "pdf"."""
        ...

    def render(self, access: Access, document: OfficialDocument) -> bytes:
        """Return the file's bytes."""
        ...


class Clock(Protocol):
    """The only clock."""

    def now(self) -> datetime:
        """Return the aware UTC time."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never go back, for time-outs and leases."""
        ...
