"""Windows event log files (.evtx): one frame a record, with its true place in the file.

Format: a header of 4,096 bytes, then chunks of 65,536 bytes, each with a header of 512 bytes and records one behind
the other (libyal/libevtx, "Windows XML Event Log (EVTX) format"). BinXML is decoded by the `evtx` library, a chunk
at a time, behind a file header of our own. The frame of a record is its JSON text; what is damaged becomes a frame
of its raw bytes, which `parse_evtx` refuses, so that nothing is passed over in silence. Checksums are not compared:
Windows itself leaves them stale in a log that was not closed.

Made for finished files: exported (`wevtutil epl`) or archived logs. Windows writes a live log in place, not at its
end, so one that is still growing must not be followed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from struct import Struct
from zlib import crc32

from evtx import PyEvtxParser

from secmon.errors import ParseError
from secmon.model.event import Event, Frame, ParseContext, Record
from secmon.model.stream import Position
from secmon.parse.evtx_limits import Expansion, TooLargeError
from secmon.parse.json_text import load_exact
from secmon.parse.kind import MAX_RECORD_BYTES, Framing, Kind
from secmon.parse.windows_json import parse_nested

FILE_HEADER_SIZE = 4096
CHUNK_SIZE = 65_536
_CHUNK_HEADER_SIZE = 512
_FILE_MAGIC, _CHUNK_MAGIC, _RECORD_MAGIC = b"ElfFile\0", b"ElfChnk\0", b"**\0\0"
# First and last chunk, next record id, header size, version, header block size, number of chunks.
_FILE_HEADER = Struct("<8sQQQIHHHH")
# Record: magic, size, id, time written; its BinXML; its size again.
_RECORD_HEADER = Struct("<4sIQQ")
_SIZE = Struct("<I")
_MIN_RECORD = _RECORD_HEADER.size + _SIZE.size
# Chunk header: last record's id at 32, offset behind the last record at 48.
_LAST_ID_AT, _FREE_AT = 32, 48
# Chains of strings and templates for whoever writes the chunk. A record names what it needs by offset, so they are
# taken off: the library follows them first, and for ever if they lead in a circle.
_TABLES = slice(128, 512)
_NO_SUCH_ID = b"\xff" * 8
# A byte that starts no BinXML token: the library gives such a record up at once.
_BROKEN = 0xFF
# All records of a chunk together, written out; what Windows writes stays below a quarter of it.
_MAX_WRITTEN = 8 << 20
# Chinese Windows writes ANSI strings in code page 936.
_ANSI = "gbk"


def frame_evtx(data: bytes, position: Position, at_end: bool) -> Framing:  # noqa: FBT001  kind.Framer
    """Cut whole chunks into records; a chunk that is not there in full waits for the rest of it."""
    frames: list[Frame] = []
    at, number = 0, position.number
    while at < len(data):
        size = CHUNK_SIZE if position.offset + at else FILE_HEADER_SIZE
        block = data[at : at + size]
        if len(block) < size and not at_end:
            break
        for offset, raw in _cut_chunk(block) if size == CHUNK_SIZE else _cut_header(block):
            number += 1
            frames.append(Frame(raw[:MAX_RECORD_BYTES], position.offset + at + offset, number, 0))
        at += len(block)
    return Framing(tuple(frames), Position(position.offset + at, number))


def _cut_header(block: bytes) -> Iterator[tuple[int, bytes]]:
    """A sound header holds no record; a damaged one is reported, and the chunks are tried all the same."""
    if not block.startswith(_FILE_MAGIC) or len(block) < FILE_HEADER_SIZE:
        yield 0, block


def _cut_chunk(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the offset of each record and its JSON text, or the bytes of what is damaged."""
    if block.count(0) == len(block):
        return  # preallocated and never used
    if not block.startswith(_CHUNK_MAGIC) or len(block) < _CHUNK_HEADER_SIZE:
        yield 0, block
        return
    (free,) = _SIZE.unpack_from(block, _FREE_AT)
    if not _CHUNK_HEADER_SIZE <= free <= len(block):
        yield 0, block[:_CHUNK_HEADER_SIZE]
        free = len(block)
    pieces = list(_pieces(block, free))
    for piece, text in zip(pieces, _decode(block, pieces), strict=True):
        yield piece.start, block[piece.start : piece.end] if text is None else text.encode()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A record, or a stretch that should be records and is not (`sound` is False)."""

    start: int
    end: int
    sound: bool


def _pieces(block: bytes, end: int) -> Iterator[_Piece]:
    at = _CHUNK_HEADER_SIZE
    while at < end:
        size = _record_size(block, at, end)
        if size:
            yield _Piece(at, at + size, sound=True)
            at += size
            continue
        stop = _next_record(block, at, end)
        if block.count(0, at, stop) < stop - at:
            yield _Piece(at, stop, sound=False)
        at = stop


def _record_size(block: bytes, at: int, end: int) -> int:
    """Return the size of the record at an offset, 0 if there is none."""
    if at + _MIN_RECORD > end or not block.startswith(_RECORD_MAGIC, at):
        return 0
    (size,) = _SIZE.unpack_from(block, at + len(_RECORD_MAGIC))
    return size if _MIN_RECORD <= size <= end - at else 0


def _next_record(block: bytes, at: int, end: int) -> int:
    """Return where the next whole record begins behind a damaged one: both copies of its size agree."""
    at += _MIN_RECORD
    while (at := block.find(_RECORD_MAGIC, at, end)) >= 0:
        size = _record_size(block, at, end)
        if size and _SIZE.unpack_from(block, at + size - _SIZE.size)[0] == size:
            return at
        at += 1
    return end


def _decode(block: bytes, pieces: list[_Piece]) -> list[str | None]:
    """Return the JSON text of each piece, None where it cannot be decoded."""
    chunk, decodable = _repaired(block, pieces)
    texts: list[str | None] = []
    records = PyEvtxParser(BytesIO(_file_header() + chunk), 1, _ANSI, indent=False).records_json()
    while len(texts) < len(pieces):
        try:
            found = next(records)
            texts.append(None if found is None else found["data"])
        except RuntimeError:
            texts.append(None)
        except StopIteration:
            break
    texts += [None] * (len(pieces) - len(texts))
    return [text if sound else None for text, sound in zip(texts, decodable, strict=True)]


def _repaired(block: bytes, pieces: list[_Piece]) -> tuple[bytes, list[bool]]:
    """Return the chunk so that the library steps through exactly these pieces, and which of them it may decode."""
    chunk = bytearray(block.ljust(CHUNK_SIZE, b"\0"))
    end = pieces[-1].end if pieces else _CHUNK_HEADER_SIZE
    chunk[_LAST_ID_AT : _LAST_ID_AT + 8] = _NO_SUCH_ID
    chunk[_TABLES] = bytes(_TABLES.stop - _TABLES.start)
    _SIZE.pack_into(chunk, _FREE_AT, end)
    expansion, room = Expansion(block), _MAX_WRITTEN
    decodable = []
    for piece in pieces:
        size = _written_size(expansion, piece) if piece.sound else None
        sound = size is not None and size <= min(room, MAX_RECORD_BYTES)
        room -= size if sound and size is not None else 0
        decodable.append(sound)
        if not sound and piece.end - piece.start >= _MIN_RECORD:
            _RECORD_HEADER.pack_into(chunk, piece.start, _RECORD_MAGIC, piece.end - piece.start, 0, 0)
            chunk[piece.start + _RECORD_HEADER.size] = _BROKEN
    return bytes(chunk), decodable


def _written_size(expansion: Expansion, piece: _Piece) -> int | None:
    try:
        return expansion.written_size(piece.start + _RECORD_HEADER.size, piece.end - _SIZE.size)
    except TooLargeError:
        return None


def _file_header() -> bytes:
    header = bytearray(FILE_HEADER_SIZE)
    _FILE_HEADER.pack_into(header, 0, _FILE_MAGIC, 0, 0, 1, 128, 1, 3, FILE_HEADER_SIZE, 1)
    _SIZE.pack_into(header, 124, crc32(header[:120]))
    return bytes(header)


def parse_evtx(record: Record, _context: ParseContext) -> list[Event]:
    """Read one record that `frame_evtx` cut out.

    Raises:
        ParseError: it is damaged, or as for `windows_json.parse_nested`.
    """
    text = record.text
    if not text.startswith(_DECODED):
        raise ParseError(_damage(text), where=record.where, hint="export the log again, or repair the file")
    return [parse_nested(load_exact(record), record)]


# How the library begins each record.
_DECODED = '{"Event":{'
# How the bytes of a damaged frame begin → what it is.
_DAMAGES = {
    "**": "the record cannot be decoded",
    "ElfFile": "the file's header is cut short",
    "ElfChnk": "the header of the chunk is wrong, or the chunk is cut short",
}


def _damage(text: str) -> str:
    for start, problem in _DAMAGES.items():
        if text.startswith(start):
            return problem
    return "this part of the file is damaged"


def recognise(texts: list[str]) -> float:
    """Tell whether these are records of an EVTX file; a sample may end within its first chunk.

    Text that is framed as EVTX gives blocks with line ends in them.
    """
    first = texts[0] if texts else ""
    framed = first.startswith(_DECODED) and "\n" not in first
    return 1.0 if framed or first.startswith("ElfChnk\0") else 0.0


WINDOWS_EVTX = Kind(
    name="windows.evtx",
    dataset="windows.other",
    module="windows",
    frame=frame_evtx,
    parse=parse_evtx,
    recognise=recognise,
    binary=True,
)
