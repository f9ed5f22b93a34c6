"""Threat intelligence that the settings name: files and folders, read at start like rules."""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from secmon.config import Settings
from secmon.errors import ContentError
from secmon.model.asset import AssetRegister
from secmon.model.indicator import Kind, address_of
from secmon.parse.intel import read_feed
from secmon.parse.intel_reading import MAX_BYTES, Feed, restricted
from secmon.sigma.intel import Indicators, IsOwn, indicators_of

MAX_FILES = 1000
_SUFFIXES = frozenset({".csv", ".txt", ".json"})


def load_indicators(settings: Settings, register: AssetRegister) -> tuple[Indicators | None, list[str]]:
    """Read all files; None if the settings name none. What is wrong in a file never stops the others."""
    if not settings["intel.files"]:
        return None, []
    feeds, errors = read_feeds(settings)
    problems = [str(error) for error in (*errors, *(problem for feed in feeds for problem in feed.problems))]
    found = [one for feed in feeds for one in feed.indicators]
    return indicators_of(found, is_own=own_values(register), own_digest=_own_digest(register)), problems


def read_feeds(settings: Settings) -> tuple[list[Feed], list[ContentError]]:
    """Return every file as it was read, and those that could not be."""
    feeds: list[Feed] = []
    errors: list[ContentError] = []
    for path in _paths(settings["intel.files"], errors):
        try:
            data, written = _content(path)
        except OSError as error:
            values = {"reason": type(error).__name__}
            errors.append(ContentError("the indicators cannot be read: {reason}", where=str(path), values=values))
            continue
        feed = read_feed(str(path), data, written=written, ttl=settings["intel.ttl"])
        feeds.append(restricted(feed, settings["intel.confidence"]))
    return feeds, errors


def _paths(named: tuple[Path, ...], errors: list[ContentError]) -> Iterator[Path]:
    """Yield the files, and those in the folders, in order."""
    left = MAX_FILES
    for path in named:
        inside = (
            sorted(each for each in path.rglob("*") if each.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
        )
        if len(inside) > left:
            hint = "name fewer files in intel.files"
            errors.append(ContentError("more files of indicators than are read", where=str(path), hint=hint))
        yield from inside[:left]
        left -= len(inside[:left])


def _content(path: Path) -> tuple[bytes, datetime]:
    """Return a regular file's bytes, no more than are read, and when it was written; never waits for a pipe."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        written = datetime.fromtimestamp(int(os.fstat(file.fileno()).st_mtime), UTC)
        return file.read(MAX_BYTES + 1), written


def own_values(register: AssetRegister) -> IsOwn:
    """Return what tells whether a value is one's own: it lies in a domain or a block of addresses of the register."""

    def is_own(kind: Kind, value: str) -> bool:
        if kind is Kind.HASH:
            return False
        host = value.rpartition("@")[2] if kind is Kind.EMAIL else value
        if kind is Kind.URL:
            host = value.partition("://")[2].partition("/")[0]
            host = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
        if address_of(host) is not None:
            return register.of_address(host) is not None
        labels = host.split(".")
        return any(".".join(labels[start:]) in register.by_domain for start in range(len(labels)))

    return is_own


def _own_digest(register: AssetRegister) -> str:
    blocks = sorted(str(block) for asset in register.assets.values() for block in asset.addresses)
    return hashlib.sha256(repr((sorted(register.by_domain), blocks)).encode()).hexdigest()
