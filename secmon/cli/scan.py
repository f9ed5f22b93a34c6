"""`secmon scan`: personal data in files and folders. Touches no store."""

import gzip
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, Protocol

import click

from secmon.classify.classifier import Classifier
from secmon.classify.definition import load_definitions
from secmon.classify.detector import MIN_CONFIDENCE
from secmon.classify.scan import Layout, Located, Scanner
from secmon.cli.output import complain, flush, safe, write_json
from secmon.cli.session import session
from secmon.clock import SystemClock
from secmon.content import classifier_files
from secmon.errors import ConfigError, ContentError, SecmonError
from secmon.store.keys import load_or_make_key

_PIECE_BYTES = 1 << 20
_HEAD_BYTES = 8192
_GZIP = b"\x1f\x8b"
_FOUND = 3
_LEAST_KEY_BYTES = 16
_LAYOUTS: dict[str, Layout] = {".csv": "csv", ".tsv": "tsv"}


@click.command
@click.argument("targets", metavar="PATH|-...", nargs=-1, required=True)
@click.option("--format", "layout", type=click.Choice(["json"]), default="json", show_default=True, help="JSON Lines.")
@click.option("--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Key file of the digests.")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=MIN_CONFIDENCE,
    show_default=True,
    help="Least confidence of a finding.",
)
@click.option("--strict", is_flag=True, help="Exit status 4 if a classifier is broken.")
@click.pass_context
def scan(
    ctx: click.Context, targets: tuple[str, ...], *, layout: str, key: Path | None, min_confidence: float, strict: bool
) -> int:
    """Print what of PATH... is personal data, one finding a line, never the value itself; "-" is standard input.

    Text, JSON lines and CSV, UTF-8 or GB18030, gzipped or not; a folder with all that is in it. The exit status is
    3 if anything is found.

    Example: secmon scan --min-confidence 0.8 /var/log/jwxt
    """
    del layout
    for target in targets:
        if "://" in target:
            raise click.BadParameter("only files and folders can be scanned", param_hint="PATH")
        if target != "-" and not Path(target).exists():
            raise click.BadParameter("no such file or folder", param_hint="PATH")
    run = _Run(_classifier(ctx, key, strict=strict), min_confidence)
    for target in targets:
        for path in _files(target):
            run.scan(path)
    if run.unread:
        raise SecmonError("files that could not be read: {count}", values={"count": run.unread})
    return _FOUND if run.found else 0


def _classifier(ctx: click.Context, key: Path | None, *, strict: bool) -> Classifier:
    """Return a classifier with the shipped classes and the operator's overlays; broken files are named."""
    settings = session(ctx).settings
    files, unread = classifier_files(settings["content.classifiers"])
    definitions, broken = load_definitions(files)
    for error in (*unread, *broken):
        complain(error)
    if not definitions or (strict and (unread or broken)):
        problem = "a classifier is broken" if definitions else "no classifier could be loaded"
        raise ContentError(problem, hint="see the lines above")
    return Classifier(
        definitions, token_key=_token_key(key, settings["keys.pii_file"]), today=SystemClock().now().date()
    )


def _token_key(given: Path | None, installed: Path) -> bytes:
    """Return the given key, else the installation's, else one for this run only."""
    if given is not None:
        data = given.read_bytes()
        if len(data) < _LEAST_KEY_BYTES:
            raise ConfigError("the key is too short", where=str(given), hint="at least 16 random bytes")
        return data
    return load_or_make_key(installed) if os.access(installed, os.R_OK) else secrets.token_bytes(32)


class _Stream(Protocol):
    """What is read from: a file, or an unpacked one."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


class _Run:
    """One run over all files: prints findings, counts what was found and what could not be read."""

    def __init__(self, classifier: Classifier, min_confidence: float) -> None:
        self._classifier = classifier
        self._min_confidence = min_confidence
        self.found = 0
        self.unread = 0

    def scan(self, path: str) -> None:
        """Scan one file; one that cannot be read is named and never stops the others."""
        try:
            with _opened(path) as (stream, is_packed):
                self._scan(path, stream, is_packed=is_packed)
        except (OSError, EOFError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a whole gzip file"
            complain(SecmonError("cannot be read: {reason}", where=path, values={"reason": reason}))
            self.unread += 1

    def _scan(self, path: str, stream: _Stream, *, is_packed: bool) -> None:
        head = stream.read(_PIECE_BYTES)
        if b"\0" in head[:_HEAD_BYTES]:
            click.echo(safe(f"{path}: passed over, not a text file"), err=True)
            return
        layout = _LAYOUTS.get(Path(path.removesuffix(".gz")).suffix.lower(), "auto")
        scanner = Scanner(self._classifier, layout=layout, min_confidence=self._min_confidence)
        piece = head
        while True:
            following = stream.read(_PIECE_BYTES) if piece else b""
            for located in scanner.feed(piece, at_end=not following):
                write_json(_row(path, located, is_packed=is_packed))
                self.found += 1
            flush()
            if not following:
                return
            piece = following


def _row(path: str, located: Located, *, is_packed: bool) -> dict[str, Any]:
    """Return the row of the contract; what is not known is absent."""
    finding = located.finding
    row: dict[str, Any] = {"file.path": path, "data.record": located.record}
    if finding.path:
        row["data.path"] = finding.path
    row |= {
        "data.class": finding.data_class,
        "data.level": finding.level,
        "data.candidate": finding.candidate,
        "data.minor": str(finding.minor),
    }
    if finding.span is not None and not is_packed:
        row["data.span"] = list(finding.span)
    return row | {
        "data.confidence": finding.confidence,
        "data.masked": finding.masked,
        "data.digest": finding.digest,
        "data.trace": list(finding.trace),
    }


def _files(target: str) -> Iterator[str]:
    """Yield the files of a target: itself, or everything below a folder, sorted, symbolic links left alone."""
    if target == "-" or not Path(target).is_dir():
        yield target
        return
    for folder, folders, names in os.walk(target):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield str(path)


@contextmanager
def _opened(path: str) -> Iterator[tuple[_Stream, bool]]:
    """Open a file, or standard input, unpacking gzip; tell whether it was packed."""
    raw = BufferedReader(FileIO(sys.stdin.fileno(), closefd=False) if path == "-" else FileIO(path))
    with raw:
        if raw.peek(len(_GZIP))[:2] == _GZIP:
            with gzip.open(raw, "rb") as unpacked:
                yield unpacked, True
        else:
            yield raw, False
