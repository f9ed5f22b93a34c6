"""The port `Spool`: sealed records in STATE/spool/, for the time that the store is away.

Each stream has files of its own, `<stream>.<offset>.part` (`spool_part`), and each source a `<source>.book` with what
is known of its streams; names are digests. Nothing of a record lies on the disk in the clear. A file is removed once
all of it is committed.
"""

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from secmon.errors import SpoolFullError, StoreError, StoreUnavailableError
from secmon.model.access import Access
from secmon.model.fingerprint import TAIL_BYTES
from secmon.model.stream import Checkpoint
from secmon.ports import Spooled, Vault
from secmon.store.spool_part import Part, Piece, damaged, ends_of, packed, pieces, sealed_of

DEFAULT_MAX_BYTES: Final = 1 << 30
RESERVE_BYTES: Final = 1 << 30
"""Free space of the disk that the spool leaves alone: the embedded store may live on the same one."""
PART_BYTES: Final = 16 << 20
LEAST_BYTES: Final = 64 * 1024
"""`read` goes on to the next piece until it has so many: what a framer holds back of a huge record is less."""

_NAME_DIGITS: Final = 32
_PART, _BOOK, _FRESH = ".part", ".book", ".new"
_FAILED = "the spool cannot be read or written: {reason}"
_CHECK = "check owner and mode of the folder, and free space; sources wait until then"
_Content = TypeVar("_Content")


@dataclass(slots=True)
class _Stream:
    """What the spool holds of one stream, in the order of its offsets."""

    end: Checkpoint
    parts: list[Part] = field(default_factory=list)


class FileSpool:
    """A spool in a folder.

    Args:
        folder: its folder; made when something is put by.
        vault: seals and opens.
        max_bytes: most bytes of all its files together; 0 takes nothing.
        reserve_bytes: free space that it leaves on the disk.
        part_bytes: size at which a new file is begun.
        writable: whether this process may write; only one at a time.
    """

    def __init__(
        self,
        folder: Path,
        vault: Vault,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        part_bytes: int = PART_BYTES,
        writable: bool = True,
    ) -> None:
        self._folder, self._vault, self._writable = folder, vault, writable
        self._max_bytes, self._reserve, self._part_bytes = max_bytes, reserve_bytes, part_bytes
        self._streams: dict[str, _Stream] = {}
        self._broken: dict[str, StoreError] = {}
        self._is_open = False
        self._opening = threading.Lock()

    def _open(self) -> dict[str, _Stream]:
        """Return what is there, by the digest of each stream; look the first time that somebody asks."""
        with self._opening:
            if not self._is_open:
                self._find_all()
                self._is_open = True
        return self._streams

    def _find_all(self) -> None:
        with _disk(self._folder):
            names = sorted(path.name for path in self._folder.iterdir()) if self._folder.exists() else []
            for name in names:
                if name.endswith(_PART):
                    self._find(self._folder / name)
                elif name.endswith(_FRESH) and self._writable:
                    (self._folder / name).unlink(missing_ok=True)

    def usage(self) -> tuple[int, int]:
        """Return how many bytes it holds on the disk, and the most that it may; see `ports.Spool`."""
        return self._size_bytes(), self._max_bytes

    def _size_bytes(self) -> int:
        return sum(part.size for stream in tuple(self._open().values()) for part in tuple(stream.parts))

    def append(self, access: Access, piece: Spooled) -> None:  # noqa: ARG002  one access: the daemon's
        """Put records by; see `ports.Spool`."""
        key = _key(piece.end.source, piece.end.generation)
        start, end = piece.start.position.offset, piece.end.position.offset
        stream = self._stream(key)
        if stream is not None and stream.end.position.offset != start:
            raise StoreError(
                "the spool does not go on where it ended", where=str(self._folder), hint="please report this"
            )
        sealed = self._vault.seal(msgspec.msgpack.encode(piece), purpose=_purpose(key, start, end))
        entry = packed(sealed, start, end)
        self._check_room(len(entry))
        last = stream.parts[-1] if stream is not None and stream.parts else None
        if last is None or last.size >= self._part_bytes:
            last = Part(self._folder / f"{key}.{start:015d}{_PART}", start, start, 0)
        self._write(last, entry)
        last.end, last.size = end, last.size + len(entry)
        if stream is None:
            stream = self._streams[key] = _Stream(piece.end)
        stream.end = piece.end
        if last not in stream.parts:
            stream.parts.append(last)

    def read(
        self,
        access: Access,  # noqa: ARG002  as above
        source: str,
        generation: str,
        offset: int,
        *,
        max_bytes: int,
    ) -> Spooled | None:
        """Return records from a place between two records on; see `ports.Spool`."""
        key = _key(source, generation)
        stream = self._stream(key)
        if stream is None or offset >= stream.end.position.offset:
            return None
        if offset < stream.parts[0].start:
            raise StoreError(
                "the spool begins behind what is committed",
                where=str(stream.parts[0].path),
                hint="the store is older than the spool: was a backup put back?",
            )
        found: Spooled | None = None
        for piece in self._from(key, stream, offset):
            if found is None:
                found = _behind(piece, offset)
            elif _ends_here(found, piece, max_bytes):
                break
            else:
                found = replace(found, end=piece.end, data=found.data + piece.data, at_end=piece.at_end)
            if found.at_end:
                break
        return found

    def ends(self, access: Access, source: str) -> list[Checkpoint]:  # noqa: ARG002  as above
        """Return how far each stream of a source is held; see `ports.Spool`."""
        return [stream.end for stream in tuple(self._open().values()) if stream.end.source == source]

    def settle(self, access: Access, committed: Checkpoint) -> None:  # noqa: ARG002  as above
        """Remove what lies before a committed position; see `ports.Spool`."""
        key = _key(committed.source, committed.generation)
        stream = self._open().get(key)
        if stream is None:
            return
        with _disk(self._folder):
            while stream.parts and stream.parts[0].end <= committed.position.offset:
                stream.parts[0].path.unlink(missing_ok=True)
                self._sync_folder()
                del stream.parts[0]
        if not stream.parts:
            del self._streams[key]

    def remember(self, access: Access, source: str, known: Sequence[Checkpoint]) -> None:  # noqa: ARG002  as above
        """Keep what is known of the streams of a source; see `ports.Spool`."""
        path = self._book(source)
        sealed = self._vault.seal(msgspec.msgpack.encode(list(known)), purpose=f"spool book:{source}")
        fresh = path.with_suffix(_FRESH)
        with _disk(path):
            self._make_folder()
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _write_all(descriptor, sealed)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            fresh.replace(path)
            self._sync_folder()

    def remembered(self, access: Access, source: str) -> list[Checkpoint] | None:  # noqa: ARG002  as above
        """Return what was kept of the streams of a source; see `ports.Spool`."""
        path = self._book(source)
        with _disk(path):
            try:
                sealed = path.read_bytes()
            except FileNotFoundError:
                return None
        return self._opened(sealed, f"spool book:{source}", path, list[Checkpoint])

    def problems(self) -> list[str]:
        """Return what is wrong with it; see `ports.Spool`."""
        self._open()
        return list(dict.fromkeys(map(str, self._broken.values())))

    def _stream(self, key: str) -> _Stream | None:
        """Return what is there of a stream.

        Raises:
            StoreError: it cannot be opened.
        """
        stream = self._open().get(key)
        if key in self._broken:
            raise self._broken[key]
        return stream

    def _find(self, path: Path) -> None:
        """Take over a file that an earlier process left."""
        key, _, _ = path.name.partition(".")
        try:
            with _disk(path), _descriptor(path, writable=self._writable) as descriptor:
                ends = ends_of(descriptor, path, writable=self._writable)
                if not ends:
                    if self._writable:
                        path.unlink()
                    return
                first, last = ends
                end = self._piece(key, descriptor, last, path).end
        except StoreError as error:
            self._broken[key] = error
            return
        stream = self._streams.setdefault(key, _Stream(end))
        if stream.parts and stream.parts[-1].end != first.start:
            self._broken[key] = damaged(path)
            return
        stream.end = end
        stream.parts.append(Part(path, first.start, last.end, last.at + last.length))

    def _from(self, key: str, stream: _Stream, offset: int) -> Iterator[Spooled]:
        """Yield the pieces of a stream from the one that holds an offset on."""
        for part in stream.parts:
            if part.end <= offset:
                continue
            with _disk(part.path), _descriptor(part.path, writable=False) as descriptor:
                for piece in pieces(descriptor):
                    if piece.end > part.end:
                        break  # not acknowledged
                    if piece.end > offset:
                        yield self._piece(key, descriptor, piece, part.path)

    def _piece(self, key: str, descriptor: int, piece: Piece, path: Path) -> Spooled:
        sealed = sealed_of(descriptor, piece, path)
        return self._opened(sealed, _purpose(key, piece.start, piece.end), path, Spooled)

    def _opened(self, sealed: bytes, purpose: str, path: Path, kind: type[_Content]) -> _Content:
        try:
            return msgspec.msgpack.decode(self._vault.open(sealed, purpose=purpose), type=kind)
        except StoreError as error:
            raise StoreError(
                "the spool was sealed with another key, or changed",
                where=str(path),
                hint="put the old vault key beside the new one; until then nothing of it is read or removed",
            ) from error

    def _check_room(self, size: int) -> None:
        """Refuse what would be too much.

        Raises:
            SpoolFullError: it would.
        """
        if self._size_bytes() + size > self._max_bytes:
            raise SpoolFullError(
                "the spool is full ({size} MiB)",
                where=str(self._folder),
                hint="bring the store back, or raise spool.max_bytes; sources wait until then",
                values={"size": self._size_bytes() >> 20},
            )
        with _disk(self._folder):
            self._make_folder()
            free = shutil.disk_usage(self._folder).free
        if free - size < self._reserve:
            raise SpoolFullError(
                "the disk has no room left for the spool",
                where=str(self._folder),
                hint="free disk space, or bring the store back; sources wait until then",
            )

    def _write(self, part: Part, entry: bytes) -> None:
        """Write a piece behind the acknowledged ones; what a failed attempt left there is overwritten or cut."""
        is_new = part.size == 0
        with _disk(part.path):
            descriptor = os.open(part.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.ftruncate(descriptor, part.size)
                os.lseek(descriptor, part.size, os.SEEK_SET)
                _write_all(descriptor, entry)
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, part.size)
                raise
            finally:
                os.close(descriptor)
            if is_new:
                self._sync_folder()

    def _book(self, source: str) -> Path:
        return self._folder / (hashlib.sha256(source.encode()).hexdigest()[:_NAME_DIGITS] + _BOOK)

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _behind(piece: Spooled, offset: int) -> Spooled:
    """Return what a piece holds from an offset on."""
    skipped = offset - piece.start.position.offset
    if skipped <= 0:
        return piece
    before = (piece.before + piece.data[:skipped])[-TAIL_BYTES:]
    return replace(piece, data=piece.data[skipped:], before=before)


def _ends_here(found: Spooled, following: Spooled, max_bytes: int) -> bool:
    """Tell whether a piece is to be given by itself, and not together with what was found before it."""
    is_elsewhere = following.start.place != found.start.place and not found.end.position.skipping
    is_much = len(found.data) >= LEAST_BYTES and len(found.data) + len(following.data) > max_bytes
    return is_elsewhere or is_much


def _key(source: str, generation: str) -> str:
    return hashlib.sha256(f"{source}\0{generation}".encode()).hexdigest()[:_NAME_DIGITS]


def _purpose(key: str, start: int, end: int) -> str:
    return f"spool:{key}:{start}:{end}"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _descriptor(path: Path, *, writable: bool) -> Iterator[int]:
    descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn failures of the disk into our own.

    Raises:
        SpoolFullError: it is full.
        StoreUnavailableError: it does not work now.
    """
    try:
        yield
    except OSError as error:
        values = {"reason": os.strerror(error.errno or 0)}
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise SpoolFullError(_FAILED, where=str(path), hint=_CHECK, values=values) from error
        raise StoreUnavailableError(_FAILED, where=str(path), hint=_CHECK, values=values) from error
