"""How commands print: JSON lines on standard output, tables for people, text that cannot steer a terminal."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from secmon.cli.shared import shared
from secmon.errors import SecmonError

# Control characters (ANSI sequences included) and bidirectional overrides: a log line must not steer a terminal.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# Wide enough for any row we print: problems and masked lines are cut at 500 characters.
WIDE = 4000
_MORE = " (and "  # how `daemon.health.problems` begins "(and 3 more)"


def words(ctx: click.Context) -> Callable[[str], str]:
    """Return the translation of what people read into the language of this run."""
    from secmon.i18n import translator  # noqa: PLC0415  lazily: streams of JSON need no words

    return translator(shared(ctx).get("lang"))


def message(ctx: click.Context, text: str) -> str:
    """Return a message that was kept with its values filled in, in the language of this run."""
    from secmon.i18n import translated  # noqa: PLC0415  lazily: streams of JSON need no words

    say = words(ctx)
    if say is str:
        return text
    first, opening, rest = text.rpartition(_MORE)
    if opening and rest.endswith(" more)"):
        return say("{problem} (and {number} more)").format(problem=translated(first), number=rest[: -len(" more)")])
    return translated(text)


def complain(error: SecmonError | str) -> None:
    """Print what is wrong with one record or file, in the language of this run; the command goes on."""
    ctx = click.get_current_context()
    text = message(ctx, error) if isinstance(error, str) else error.text(words(ctx))
    click.echo(safe(text), err=True)


def safe(text: object) -> str:
    """Return text for a terminal: control and bidirectional characters become visible escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def write_json(row: Mapping[str, Any]) -> None:
    """Print one object on a line of its own: UTF-8, not ASCII-escaped."""
    sys.stdout.buffer.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS))


def write_file(path: Path, content: str | None, data: object) -> None:
    """Write a document, given in hex, or data as JSON where there is none (`write_bytes`)."""
    pretty = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    write_bytes(path, orjson.dumps(data, option=pretty) if content is None else bytes.fromhex(content))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file; name it on standard error.

    It appears whole or not at all: a reader, or a full disk, never leaves half a report under its name.

    Raises:
        SecmonError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        hint = "check the folder of --out, its mode and its free space"
        values = {"reason": error.strerror or type(error).__name__}
        raise SecmonError("cannot be written: {reason}", where=str(path), hint=hint, values=values) from error
    click.echo(safe(path), err=True)


def flush() -> None:
    """Hand everything printed so far to the reader."""
    sys.stdout.buffer.flush()


def write_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, color: bool = True) -> None:
    """Print a table for people.

    On a terminal the columns fold to its width, except the first: an id must stay in one piece to be copied.
    Elsewhere (a file, `| grep`) nothing folds, one row is one line.
    """
    from rich.console import Console  # noqa: PLC0415  rich takes 60 ms to import, and only tables need it
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    is_terminal = sys.stdout.isatty()
    for number, name in enumerate(head):
        table.add_column(name, overflow="fold", no_wrap=not is_terminal or number == 0)
    for row in rows:
        table.add_row(*(safe(cell).replace("\n", " ") for cell in row))
    console = Console(
        file=sys.stdout,
        color_system="auto" if color else None,
        width=None if is_terminal else WIDE,
        highlight=False,
        markup=False,
    )
    if is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
