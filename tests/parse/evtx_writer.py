"""Writes small EVTX files for tests, as Windows lays them out: templates, defined once a chunk, and their values.

Format: libyal/libevtx, "Windows XML Event Log (EVTX) format". Only what the tests need: elements, attributes, text
values and substitutions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from struct import Struct, pack, pack_into
from zlib import crc32

FILE_HEADER = 4096
CHUNK = 65_536
CHUNK_HEADER = 512
RECORD_HEADER = Struct("<4sIQQ")
_WRITTEN = 134_340_000_690_000_000  # when the records were written: a FILETIME of 2026

STRING, BINXML, STRING_ARRAY = 0x01, 0x21, 0x81
_HEADER = b"\x0f\x01\x01\x00"
# The offsets of names, and of the definitions that hold them, count from the start of the chunk.
Body = Callable[[int], bytes]


@dataclass(frozen=True)
class Element:
    """An element of a template: its children are elements, or one text, or one substitution (its number)."""

    name: str
    attributes: dict[str, str | int] = field(default_factory=dict)
    children: "Sequence[Element] | str | int" = ()


class _Writer:
    """BinXML of a template definition that begins at an offset of the chunk."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.written = bytearray(_HEADER)

    def element(self, element: Element) -> None:
        out = self.written
        out += bytes([0x41 if element.attributes else 0x01]) + b"\xff\xff"
        size_at = len(out)
        out += bytes(4)
        self._name(element.name)
        if element.attributes:
            self._attributes(list(element.attributes.items()))
        if element.children == ():
            out += b"\x03"
        else:
            out += b"\x02"
            if isinstance(element.children, str | int):
                self._content(element.children)
            else:
                for child in element.children:
                    self.element(child)
            out += b"\x04"
        pack_into("<I", out, size_at, len(out) - size_at - 4)

    def _name(self, name: str) -> None:
        place = self._at + len(self.written) + 4
        self.written += pack("<IIHH", place, 0, 0, len(name)) + name.encode("utf-16-le") + b"\0\0"

    def _attributes(self, attributes: list[tuple[str, str | int]]) -> None:
        size_at = len(self.written)
        self.written += bytes(4)
        for number, (name, value) in enumerate(attributes, start=1):
            self.written += b"\x46" if number < len(attributes) else b"\x06"
            self._name(name)
            self._content(value)
        pack_into("<I", self.written, size_at, len(self.written) - size_at - 4)

    def _content(self, value: str | int) -> None:
        if isinstance(value, int):
            self.written += pack("<BHB", 0x0E, value, STRING)
        else:
            self.written += pack("<BBH", 0x05, STRING, len(value)) + value.encode("utf-16-le")


@dataclass(frozen=True)
class Template:
    """A template, and where in the chunk it was defined (0: not yet)."""

    root: Element

    def definition(self, at: int) -> bytes:
        """Return the definition that begins at an offset of the chunk."""
        writer = _Writer(at + 24)
        writer.element(self.root)
        fragment = bytes(writer.written) + b"\0"
        return pack("<I16sI", 0, b"\x11" * 16, len(fragment)) + fragment


def instance(template: Template, values: Sequence[tuple[int, bytes | Body]], *, known_at: int = 0) -> Body:
    """Return BinXML of a template with its values; it defines the template in place unless that is `known_at`."""

    def body(at: int) -> bytes:
        place = known_at or at + 14
        out = _HEADER + pack("<BBII", 0x0C, 1, 1, place)
        if not known_at:
            out += template.definition(place)
        start = at + len(out) + 4 + 4 * len(values)
        written = []
        for _, value in values:
            data = value(start) if callable(value) else value
            written.append(data)
            start += len(data)
        descriptors = b"".join(
            pack("<HBB", len(data), kind, 0) for (kind, _), data in zip(values, written, strict=True)
        )
        return out + pack("<I", len(values)) + descriptors + b"".join(written)

    return body


def strings(*values: str) -> list[tuple[int, bytes | Body]]:
    """Return text values."""
    return [(STRING, value.encode("utf-16-le")) for value in values]


def chunk(bodies: Sequence[Body], *, first_id: int = 1) -> bytes:
    """Return one chunk with these records."""
    out = bytearray(CHUNK_HEADER)
    last = CHUNK_HEADER
    for number, body in enumerate(bodies, start=first_id):
        last = len(out)
        data = body(last + RECORD_HEADER.size) + b"\0"
        size = RECORD_HEADER.size + len(data) + 4
        size += -size % 8
        out += RECORD_HEADER.pack(b"**\0\0", size, number, _WRITTEN) + data
        out += bytes(last + size - 4 - len(out)) + pack("<I", size)
    end, last_id = len(out), first_id + len(bodies) - 1
    out += bytes(CHUNK - end)
    pack_into("<8sQQQQIIII", out, 0, b"ElfChnk\0", first_id, last_id, first_id, last_id, 128, last, end, 0)
    pack_into("<I", out, 52, crc32(out[CHUNK_HEADER:end]))
    pack_into("<I", out, 124, crc32(bytes(out[:120]) + bytes(out[128:CHUNK_HEADER])))
    assert len(out) == CHUNK
    return bytes(out)


def file(chunks: Sequence[bytes]) -> bytes:
    """Return a whole file."""
    header = bytearray(FILE_HEADER)
    pack_into(
        "<8sQQQIHHHH", header, 0, b"ElfFile\0", 0, max(len(chunks) - 1, 0), 1, 128, 1, 3, FILE_HEADER, len(chunks)
    )
    pack_into("<I", header, 124, crc32(header[:120]))
    return bytes(header) + b"".join(chunks)


_NS = "http://schemas.microsoft.com/win/2004/08/events/event"


def event_template(names: Sequence[str]) -> Template:
    """Return the template of an event whose EventData holds these names; "" is an unnamed value."""
    system = Element(
        "System",
        {},
        [
            Element("Provider", {"Name": 0}),
            Element("EventID", {}, 1),
            Element("Keywords", {}, 2),
            Element("TimeCreated", {"SystemTime": 3}),
            Element("EventRecordID", {}, 4),
            Element("Channel", {}, 5),
            Element("Computer", {}, 6),
        ],
    )
    data = [Element("Data", {"Name": name} if name else {}, number) for number, name in enumerate(names, start=7)]
    return Template(Element("Event", {"xmlns": _NS}, [system, Element("EventData", {}, data)]))


@dataclass(frozen=True)
class Logged:
    """One event to write."""

    code: str
    data: dict[str, str]
    provider: str = "Microsoft-Windows-Security-Auditing"
    channel: str = "Security"
    keywords: str = "0x8020000000000000"
    time: str = "2026-09-07T00:01:09.1234567Z"
    record_id: str = "1"
    computer: str = "DC01.edu.example"

    def body(self, known_at: int = 0) -> Body:
        """Return its BinXML."""
        values = strings(
            self.provider,
            self.code,
            self.keywords,
            self.time,
            self.record_id,
            self.channel,
            self.computer,
            *self.data.values(),
        )
        return instance(event_template(list(self.data)), values, known_at=known_at)
