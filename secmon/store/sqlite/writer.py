"""The one writer of one partition: a batch becomes durable in one transaction, or not at all."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import apsw

from secmon.errors import StoreError
from secmon.model.batch import Batch, BatchRow, EventFinding, StoredEvent
from secmon.model.event import to_micros
from secmon.model.hit import Hit
from secmon.model.ids import partition_number
from secmon.store.partition_name import PartitionName
from secmon.store.sqlite import block, rows
from secmon.store.sqlite.connection import fetch, fetch_one, open_writer, store_errors, transaction, write_back
from secmon.store.sqlite.dictionary import Dictionary
from secmon.store.sqlite.hit_detail import packed
from secmon.store.sqlite.schema import (
    COLUMNS,
    FIELD_ASSET,
    FIELD_CLASS,
    FIELD_RULE,
    FIELD_RULE_DIGEST,
    FIELD_SHAPE,
    FIELD_SUPPRESSED,
    FIELD_UNIT,
    PARTITION,
    any_word,
)
from secmon.store.values import finding_detail, finding_mark, to_json

_EVENT_PLACES = ", ".join("?" * (4 + len(COLUMNS)))
_INSERT_EVENT = f"INSERT INTO event VALUES ({_EVENT_PLACES})"  # noqa: S608  built from constants
_INSERT_BATCH = (
    f"INSERT INTO batch (commit_number, stream, {rows.BATCH_COLUMNS}) "  # noqa: S608  built from constants
    f"VALUES ({', '.join('?' * (2 + len(rows.StoredBatch._fields)))})"
)
_SELECT_BATCH = f"SELECT {rows.BATCH_COLUMNS} FROM batch WHERE stream = ? AND number = ?"  # noqa: S608  constants
# model.ids: the first 8 bytes name partition day and stream; then 6 bytes of offset.
_PREFIX = 8
_OFFSET = slice(8, 14)


def batch_row(connection: apsw.Connection, name: PartitionName, stream: str, number: int) -> BatchRow | None:
    """Return one batch's row, or None."""
    found = fetch(connection, _SELECT_BATCH, (stream, number))
    return rows.batch_from_row(rows.StoredBatch(*found[0]), name.day, name.retention) if found else None


class PartitionWriter:
    """The open end of one partition."""

    def __init__(self, path: Path, name: PartitionName) -> None:
        self._path, self._name = path, name
        self._connection = open_writer(path, PARTITION)
        self._dictionary = Dictionary(self._connection)
        self._wal_pages = 0
        self._connection.set_wal_hook(self._note_wal)

    def _note_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    @property
    def last_commit(self) -> int:
        """Number of the last commit in this partition."""
        with store_errors(self._path):
            number: int = fetch_one(self._connection, "SELECT last_commit FROM facts")
            return number

    def commit(self, batch: Batch, commit_number: int) -> tuple[BatchRow, bool]:
        """Make a batch durable under a commit number; return its row and whether it is new.

        Raises:
            StoreError: an event is there with another digest; nothing is stored.
            StoreUnavailableError: it cannot be written now; nothing is stored.
        """
        with store_errors(self._path):
            try:
                with transaction(self._connection):
                    row = batch_row(self._connection, self._name, batch.stream, batch.number)
                    if row is not None:
                        return row, False
                    self._store(batch, commit_number)
                    row = batch_row(self._connection, self._name, batch.stream, batch.number)
            except BaseException:
                self._dictionary.forget()
                raise
        assert row is not None  # noqa: S101  it was inserted in this transaction
        self._write_back()
        return row, True

    def close(self) -> None:
        """Move the log into the database, as far as readers let it, and close."""
        with store_errors(self._path):
            with contextlib.suppress(apsw.Error):  # a full disk: the log is durable, and read at the next start
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._connection.close()

    def _write_back(self) -> None:
        # The batch is durable already; a log that cannot be moved now is moved after a later commit.
        with contextlib.suppress(apsw.Error):
            write_back(self._connection, self._wal_pages)

    def _store(self, batch: Batch, commit_number: int) -> None:
        events = self._new_events(batch)
        if events:
            self._insert_events(events)
        hits = self._insert_hits(batch.hits, commit_number) if batch.hits else 0
        findings = self._insert_findings(batch.findings, commit_number) if batch.findings else 0
        times = [event.time for event in batch.events]
        first, last = (min(times), max(times)) if times else (None, None)
        self._connection.execute(_INSERT_BATCH, (commit_number, batch.stream, *rows.batch_to_row(batch, first, last)))
        marked = chain((hit.at for hit in batch.hits), (finding.at for finding in batch.findings))
        times += [to_micros(at) for at in marked]
        self._connection.execute(
            "UPDATE facts SET events = events + ?, hits = hits + ?, findings = findings + ?, "
            "first = min(coalesce(first, ?4), coalesce(?4, first)), "
            "last = max(coalesce(last, ?5), coalesce(?5, last)), last_commit = ?6",
            (len(events), hits, findings, min(times, default=None), max(times, default=None), commit_number),
        )

    def _new_events(self, batch: Batch) -> Sequence[StoredEvent]:
        """Return the events that are not stored yet.

        Raises:
            StoreError: one is stored, or stands twice in the batch, with another digest.
        """
        digests = self._stored_digests(batch)
        if not digests and len({event.id for event in batch.events}) == len(batch.events):
            return batch.events
        new = []
        for event in batch.events:
            known = digests.get(event.id)
            if known is None:
                digests[event.id] = event.digest
                new.append(event)
            elif known != event.digest:
                raise StoreError(
                    "another record was already stored for the same place of the stream (offset {offset})",
                    where=batch.source,
                    hint="the source was rewritten without a new generation; nothing of the batch was stored",
                    values={"offset": int.from_bytes(event.id[_OFFSET], "big")},
                )
        return new

    def _stored_digests(self, batch: Batch) -> dict[bytes, bytes]:
        """Return id → digest of what is stored between the first and the last id of each stream.

        A batch holds all events of its piece of the stream, so that the piece is either empty or this batch.
        """
        streams: dict[bytes, list[bytes]] = {}
        for event in batch.events:
            streams.setdefault(event.id[:_PREFIX], []).append(event.id)
        found: dict[bytes, bytes] = {}
        day = partition_number(self._name.day).to_bytes(2, "big")
        for prefix, ids in streams.items():
            if prefix[:2] != day:  # events are looked up by the day in their id
                raise StoreError("an event id names another day than its batch", where=batch.source)
            low, high = min(ids), max(ids)
            ask = "SELECT id, digest FROM event WHERE id BETWEEN ? AND ?"
            found.update(fetch(self._connection, ask, (low, high)))
        return found

    def _insert_events(self, events: Sequence[StoredEvent]) -> None:
        first: int = fetch_one(self._connection, "SELECT coalesce(max(seq), 0) + 1 FROM event")
        texts = zip(*(event.columns for event in events), strict=True)
        columns = [self._dictionary.encode(field, column) for field, column in enumerate(texts)]
        times = [event.time for event in events]
        self._connection.executemany(
            _INSERT_EVENT,
            zip(
                range(first, first + len(events)),
                [event.id for event in events],
                times,
                [event.digest for event in events],
                *columns,
                strict=True,
            ),
        )
        filled = [(field, column) for field, column in enumerate(columns) if any(column)]
        bodies = [event.body for event in events]
        for start, end in block.cut([len(body) for body in bodies]):
            span = times[start:end]
            self._connection.execute(
                "INSERT INTO block VALUES (?, ?, ?, ?, ?)",
                (first + start, end - start, min(span), max(span), block.pack(bodies[start:end])),
            )
            self._connection.executemany(
                "INSERT INTO posting VALUES (?, ?, ?)",
                [(word, first + start, events) for word, events in _postings(filled, start, end)],
            )

    def _insert_hits(self, hits: Sequence[Hit], commit_number: int) -> int:
        encode = self._dictionary.encode
        seqs = range(
            first := fetch_one(self._connection, "SELECT coalesce(max(seq), 0) + 1 FROM hit"), first + len(hits)
        )
        details = [packed(hit) for hit in hits]
        columns = zip(
            seqs,
            [rows.required_key(hit.event_id) for hit in hits],
            encode(FIELD_RULE, [hit.rule_id for hit in hits]),
            encode(FIELD_RULE_DIGEST, [hit.rule_digest for hit in hits]),
            [hit.level.rank for hit in hits],
            [to_micros(hit.at) for hit in hits],
            [hit.alert_id for hit in hits],
            encode(FIELD_UNIT, [hit.unit_id for hit in hits]),
            encode(FIELD_ASSET, [hit.asset_id for hit in hits]),
            [commit_number] * len(hits),
            [detail for _, detail in details],
            encode(FIELD_SUPPRESSED, [hit.suppressed_by for hit in hits]),
            encode(FIELD_SHAPE, [shape for shape, _ in details]),
            strict=True,
        )
        # Taken after `encode`, which inserts words. What is there already is of an unfinished attempt, as its event.
        before = self._connection.total_changes()
        self._connection.executemany(
            "INSERT OR IGNORE INTO hit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", columns
        )
        stored = self._connection.total_changes() - before
        self._connection.executemany(
            "INSERT OR IGNORE INTO hit_key SELECT ?2, time, seq FROM hit WHERE seq = ?1",
            [(seq, rows.key_column(key)) for seq, hit in zip(seqs, hits, strict=True) for key in hit.keys],
        )
        return stored

    def _insert_findings(self, findings: Sequence[EventFinding], commit_number: int) -> int:
        encode = self._dictionary.encode
        classes = [found.finding.data_class for found in findings]
        details = [to_json(finding_detail(found.finding)) for found in findings]
        columns = zip(
            [rows.required_key(found.event_id) for found in findings],
            map(finding_mark, classes, details),
            [to_micros(found.at) for found in findings],
            encode(FIELD_CLASS, classes),
            encode(FIELD_UNIT, [found.unit_id for found in findings]),
            encode(FIELD_ASSET, [found.asset_id for found in findings]),
            [commit_number] * len(findings),
            details,
            strict=True,
        )
        before = self._connection.total_changes()  # taken after `encode`, which inserts words
        self._connection.executemany("INSERT OR IGNORE INTO finding VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", columns)
        return self._connection.total_changes() - before


def _postings(columns: Sequence[tuple[int, Sequence[int | None]]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (word, events with it) of the events from `start` to `end`, in the order of the index."""
    held: dict[int, int] = {}
    for field, column in columns:
        words = Counter(column[start:end])
        absent = words.pop(None, 0)
        if words:
            held[any_word(field)] = end - start - absent
            held.update(words)  # type: ignore[arg-type]  # None is not among them any more
    yield from sorted(held.items())
