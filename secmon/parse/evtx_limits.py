"""How large a record of an EVTX file may become when it is written out.

BinXML ([MS-EVEN6] 2.2.12; chunk layout: libyal/libevtx, "Windows XML Event Log (EVTX) format") lets a template name
the same substitution value any number of times, and a value may be a fragment with a template of its own: 64 KiB
can stand for terabytes of text, and the decoder would die of it. Here the size is estimated from above without
writing anything out. Only what decides it is read: template instances, their values' sizes and types, and how
often a definition may mention each value. Tokens are counted by their bytes wherever they stand, which can only
overestimate.
"""

import re
from collections import Counter
from struct import Struct, error

# Written as JSON, one byte of BinXML becomes at most three characters ("\u0001" out of two bytes; numbers and hex
# less); the elements of an array repeat what stands around them.
_SCALAR_FACTOR = 3
_ARRAY_FACTOR = 32
_MAX_NESTING = 8

_FRAGMENT_HEADER, _TEMPLATE_INSTANCE = 0x0F, 0x0C
_BINXML_TYPE, _ARRAY_FLAG = 0x21, 0x80
# Template instance: token, a byte, template id, offset of its definition.
_INSTANCE = Struct("<BBII")
# Template definition: offset of the next one, GUID, size of the fragment that follows.
_DEFINITION = Struct("<I16sI")
_COUNT = Struct("<I")
# Size, type and a byte of one substitution value.
_DESCRIPTOR = Struct("<HBB")
_SUBSTITUTION = re.compile(rb"(?=[\x0d\x0e]([\s\S]{2}))")
# Something that could be a template instance: its definition lies within the 64 KiB of the chunk.
_HIDDEN_INSTANCE = re.compile(rb"\x0c[\s\S]{7}\x00\x00")


class TooLargeError(ValueError):
    """The size cannot be bounded."""


class Expansion:
    """Estimates the records of one chunk; remembers what was found out about its template definitions.

    Args:
        chunk: the whole chunk; offsets count from its start.
    """

    def __init__(self, chunk: bytes) -> None:
        self._chunk = chunk
        self._mentions: dict[int, Counter[bytes]] = {}
        self._scanned = 0

    def written_size(self, start: int, end: int) -> int:
        """Return an upper bound of the characters that the BinXML between two offsets becomes.

        Raises:
            TooLargeError: it is broken or hides a template where none belongs.
        """
        try:
            return self._fragment(start, end, _MAX_NESTING)
        except error as broken:
            raise TooLargeError from broken

    def _fragment(self, at: int, end: int, nesting: int) -> int:
        chunk = self._chunk
        if nesting == 0 or not at <= end <= len(chunk):
            raise TooLargeError
        if at < end and chunk[at] == _FRAGMENT_HEADER:
            at += 4
        size = 0
        if at < end and chunk[at] == _TEMPLATE_INSTANCE:
            size, at = self._instance(at, end, nesting)
        if _HIDDEN_INSTANCE.search(chunk, at, end):
            raise TooLargeError
        return size + max(end - at, 0) * _SCALAR_FACTOR

    def _instance(self, at: int, end: int, nesting: int) -> tuple[int, int]:
        """Return the size of a template instance and where it ends."""
        chunk = self._chunk
        _, _, _, definition = _INSTANCE.unpack_from(chunk, at)
        at += _INSTANCE.size
        _, _, length = _DEFINITION.unpack_from(chunk, definition)
        if definition == at:
            at += _DEFINITION.size + length
        (count,) = _COUNT.unpack_from(chunk, at)
        at += _COUNT.size
        value = at + count * _DESCRIPTOR.size
        if value > end:
            raise TooLargeError
        mentions = self._mentions_in(definition, length)
        total = length * _SCALAR_FACTOR
        for index, (size, kind, _) in enumerate(_DESCRIPTOR.iter_unpack(chunk[at:value])):
            mentioned = mentions[index.to_bytes(2, "little")]
            if kind == _BINXML_TYPE:
                total += self._fragment(value, value + size, nesting - 1) * mentioned
            else:
                total += size * mentioned * (_ARRAY_FACTOR if kind & _ARRAY_FLAG else _SCALAR_FACTOR)
            value += size
        if value > end:
            raise TooLargeError
        return total, value

    def _mentions_in(self, definition: int, length: int) -> Counter[bytes]:
        """Return how often a template definition may mention each of its values."""
        known = self._mentions.get(definition)
        if known is None:
            # Definitions do not overlap, so together they are smaller than the chunk.
            self._scanned += length
            if self._scanned > len(self._chunk):
                raise TooLargeError
            start = definition + _DEFINITION.size
            # Two bytes more: a token at the very end of the definition is seen whole.
            body = self._chunk[start : start + length + 2]
            known = self._mentions[definition] = Counter(found[1] for found in _SUBSTITUTION.finditer(body))
        return known
