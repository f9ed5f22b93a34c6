"""Findings in a stream of bytes: text, JSON lines, CSV. Pure; the caller reads the file.

Spans count bytes of the stream as it is stored, whatever its encoding (UTF-8, else GB18030, else Latin-1 for
bytes that are neither). Memory is bounded by one block and one record of at most `MAX_RECORD_BYTES`.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from secmon.classify.classifier import Classifier
from secmon.classify.detector import MIN_CONFIDENCE, Match
from secmon.classify.leaves import Leaf, cell_leaves, json_leaves
from secmon.model.hit import Finding

Layout = Literal["auto", "text", "csv", "tsv"]
MAX_RECORD_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = ",\t;|"


class Located(NamedTuple):
    """A finding and the number of its record in the stream, from 1."""

    record: int
    finding: Finding


class _Line(NamedTuple):
    """One record: its text, the encoding that made it, and its first byte in the stream."""

    text: str
    encoding: str
    start: int


class Scanner:
    """Scans one stream, fed in pieces of any size.

    Args:
        classifier: what to look for.
        layout: "auto" tells CSV from text by the first line; JSON is told line by line.
        min_confidence: lowest confidence of a finding.
    """

    def __init__(
        self, classifier: Classifier, *, layout: Layout = "auto", min_confidence: float = MIN_CONFIDENCE
    ) -> None:
        self._classifier = classifier
        self._layout: Layout = layout
        self._threshold = min_confidence
        self._delimiter = {"csv": ",", "tsv": "\t"}.get(layout, "")
        self._header: tuple[str, ...] = ()
        self._column_classes: dict[int, int] = {}
        self._tail = b""
        self._offset = 0
        self._record = 0

    def feed(self, data: bytes, *, at_end: bool = False) -> Iterator[Located]:
        """Yield the findings of all records that are complete with these bytes, in order.

        Args:
            data: the next bytes of the stream.
            at_end: nothing follows; the last record needs no line end.
        """
        block = self._tail + data
        if self._offset == 0 and block.startswith(_BOM):
            self._offset, block = len(_BOM), block[len(_BOM) :]
        if self._record == 0 and b"\n" not in block and not at_end and len(block) <= MAX_RECORD_BYTES:
            self._tail = block
            return
        if self._record == 0:
            self._look_at_head(block)
        ends = self._record_ends(block, at_end=at_end)
        self._tail = block[ends[-1] :] if ends.size else block
        if ends.size:
            yield from self._scan(block[: ends[-1]], ends)
            self._offset += int(ends[-1])
            self._record += ends.size

    def _look_at_head(self, block: bytes) -> None:
        """Decide on the first line whether this is CSV, and read its header."""
        line = block.split(b"\n", 1)[0][:MAX_RECORD_BYTES]
        text, _ = _decoded(line)
        if self._layout == "text" or text.lstrip()[:1] in {"{", "["}:
            self._layout = "text"
            return
        if self._layout == "auto" or (self._layout == "csv" and "," not in text):
            # Excel in many regions writes .csv with semicolons or tabs.
            self._delimiter = max(_DELIMITERS, key=text.count)
        names = tuple(text[leaf.start : leaf.end].strip() for leaf in cell_leaves(text, self._delimiter, ()))
        has_header = len(names) > 1 and any(self._classifier.detector.is_key(name) for name in names)
        if self._layout == "auto" and not has_header:
            self._layout = "text"
            return
        self._layout = "csv"
        if has_header or not self._classifier.detector.find(text):
            self._header = names
        by_key = self._classifier.detector.classes_by_key
        self._column_classes = {place: bits for place, name in enumerate(self._header) if (bits := by_key(name))}

    def _record_ends(self, block: bytes, *, at_end: bool) -> NDArray[np.int64]:
        """Return the place behind each complete record; a quoted cell of CSV may hold line ends."""
        data = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(data == ord("\n")) + 1
        if self._layout == "csv" and b'"' in block:
            quotes = np.cumsum(data == ord('"'), dtype=np.int64)
            balanced = ends[quotes[ends - 1] % 2 == 0]
            # A quote that never closes must not swallow the file.
            rest = len(block) - (int(balanced[-1]) if balanced.size else 0)
            ends = balanced if rest <= MAX_RECORD_BYTES else ends
        behind = int(ends[-1]) if ends.size else 0
        if at_end and behind < len(block):
            return np.append(ends, len(block))
        if len(block) - behind > MAX_RECORD_BYTES:
            return np.append(ends, behind + _soft_end(block[behind : behind + MAX_RECORD_BYTES]))
        return ends

    def _scan(self, block: bytes, ends: NDArray[np.int64]) -> Iterator[Located]:
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
        if _is_utf8(block):
            candidates = self._candidates(block, ends)
            lines: Sequence[_Line] | None = None
        else:
            lines = [_line(block[a:b], a) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
            encoded = [line.text.encode() for line in lines]
            candidates = self._candidates(b"".join(encoded), np.cumsum([len(one) for one in encoded]))
        # Column names are no values.
        first = 1 if self._header and self._record == 0 else 0
        numbers = range(ends.size) if self._column_classes else sorted(candidates)
        for number in numbers:
            if number < first:
                continue
            a, b = int(starts[number]), int(ends[number])
            line = lines[number] if lines is not None else _Line(block[a:b].decode(), "utf-8", a)
            for match, path in self._matches(line.text, candidates.get(number, 0)):
                span = _byte_span(line, match, self._offset)
                finding = self._classifier.finding(match, path=path, span=span)
                yield Located(self._record + number + 1, finding)

    def _candidates(self, buffer: bytes, ends: NDArray[np.int64]) -> dict[int, int]:
        """Return record → bits of the classes that may stand in it."""
        offsets, bits = self._classifier.prefilter.places(buffer)
        found: dict[int, int] = {}
        numbers = np.searchsorted(ends, offsets, side="right")
        for number, bit in zip(np.minimum(numbers, ends.size - 1).tolist(), bits.tolist(), strict=True):
            found[number] = found.get(number, 0) | bit
        return found

    def _matches(self, text: str, classes: int) -> Iterator[tuple[Match, str]]:
        leaves = self._leaves(text)
        if leaves is None:
            for match in self._classifier.detector.find(text, classes=classes, threshold=self._threshold):
                yield match, ""
            return
        for leaf in leaves:
            wanted = classes | (self._column_classes.get(leaf.column, 0) if self._layout == "csv" else 0)
            if not wanted:
                continue
            for match in self._classifier.detector.find(
                text[leaf.start : leaf.end],
                key=leaf.key,
                classes=wanted,
                is_number=leaf.is_number,
                threshold=self._threshold,
            ):
                path = f"{leaf.path}:{match.key}" if match.key else leaf.path
                yield match.moved(leaf.start), path

    def _leaves(self, text: str) -> list[Leaf] | None:
        """Return the named values of a record; None if it is plain text."""
        if self._layout == "csv":
            return cell_leaves(text, self._delimiter, self._header)
        return json_leaves(text) if text.lstrip()[:1] in {"{", "["} else None


def _decoded(raw: bytes) -> tuple[str, str]:
    """Return text and encoding; bytes that are no text stand as Latin-1, one character each."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1"), "latin-1"


def _line(raw: bytes, start: int) -> _Line:
    text, encoding = _decoded(raw)
    return _Line(text, encoding, start)


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _byte_span(line: _Line, match: Match, offset: int) -> tuple[int, int]:
    """Return the bytes of the stream in which a match stands."""
    base = offset + line.start
    if line.text.isascii() or line.encoding == "latin-1":
        return base + match.start, base + match.end
    start = len(line.text[: match.start].encode(line.encoding))
    return base + start, base + start + len(line.text[match.start : match.end].encode(line.encoding))


def _soft_end(record: bytes) -> int:
    """Return where to cut a record that is too long: behind a byte that is part of no value."""
    for sign in (b",", b" ", b"}", b";", b"&"):
        place = record.rfind(sign)
        if place > len(record) // 2:
            return place + 1
    return len(record)
