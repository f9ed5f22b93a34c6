"""How commands print: JSON lines on standard output, tables for people, text that cannot steer a terminal."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

# Control characters (ANSI sequences included) and bidirectional overrides: a log line must not steer a terminal.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def safe(text: object) -> str:
    """Return text for a terminal: control and bidirectional characters become visible escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def write_json(row: Mapping[str, Any]) -> None:
    """Print one object on a line of its own: UTF-8, not ASCII-escaped."""
    sys.stdout.buffer.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS))


def flush() -> None:
    """Hand everything printed so far to the reader."""
    sys.stdout.buffer.flush()


def write_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, color: bool = True) -> None:
    """Print a table for people."""
    from rich.console import Console  # noqa: PLC0415  rich takes 60 ms to import, and only tables need it
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(safe(cell) for cell in row))
    Console(file=sys.stdout, no_color=not color, highlight=False, markup=False).print(table)
