"""Rules from somewhere else: a ZIP archive is read, and the files that are wanted are written.

An archive is hostile until it is read: how much it holds, what it is called there and what it unpacks to are bounded
before anything is unpacked, names cannot leave the folder, and links, encryption and rare methods are refused. Format:
PKWARE APPNOTE 6.3, sections 4.3.16 (end of central directory) and 4.4.
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from secmon.errors import ContentError

MAX_ARCHIVE_BYTES = 64 << 20
MAX_DIRECTORY_BYTES = 8 << 20
MAX_ENTRIES = 40_000
MAX_FILE_BYTES = 1 << 20
MAX_TOTAL_BYTES = 256 << 20
MAX_RATIO = 200
MAX_NAME = 240

RULES = "*.yml"
LICENCES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")
OLD = ".old"
"""Behind the name of a rule file that an import replaced; rules are read from `*.yml` only."""

_END = b"PK\x05\x06"
_END_RECORD = struct.Struct("<4sHHHHIIH")
_MAX_COMMENT = 0xFFFF
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file.

    Args:
        name: its path within the bundle, with "/".
        text: its content.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """What stands in an archive, or in a folder.

    Args:
        rules: the rule files, by name.
        licences: the licence files, by name.
        errors: files that could not be read.
    """

    rules: tuple[BundleFile, ...]
    licences: tuple[BundleFile, ...]
    errors: tuple[ContentError, ...] = ()


def is_archive(path: Path) -> bool:
    """Tell whether a path is a ZIP archive, or is called one."""
    return path.is_file() and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path))


def read_archive(path: Path) -> Bundle:
    """Read the rules and licences in an archive.

    Raises:
        ContentError: it is no archive, breaks a bound, or tries to trick its reader.
    """
    if not zipfile.is_zipfile(path):
        raise ContentError("this is no ZIP archive", where=str(path))
    _check_end(path)
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = list(_wanted(archive, str(path)))
            files, errors = _read(archive, wanted, str(path))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise ContentError("the archive cannot be read", where=str(path), hint="download it again") from error
    rules = tuple(file for file in files if fnmatchcase(file.name, RULES))
    licences = tuple(file for file in files if not fnmatchcase(file.name, RULES))
    return Bundle(rules, licences, tuple(errors))


def _check_end(path: Path) -> None:
    """Refuse an archive whose list of entries alone would be too much; `zipfile` reads all of that at once."""
    size = path.stat().st_size
    if size > MAX_ARCHIVE_BYTES:
        raise ContentError("the archive is larger than 64 MiB", where=str(path), hint="unpack it, and give the folder")
    with path.open("rb") as stream:
        stream.seek(max(0, size - _END_RECORD.size - _MAX_COMMENT))
        tail = stream.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise ContentError("the archive cannot be read", where=str(path), hint="download it again")
    _, _, _, _, entries, directory, _, _ = _END_RECORD.unpack_from(tail, at)
    if entries > MAX_ENTRIES or directory > MAX_DIRECTORY_BYTES:
        raise ContentError("the archive has too many entries", where=str(path), hint="unpack it, and give the folder")


def _wanted(archive: zipfile.ZipFile, where: str) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Yield the entries to be read with their names in the bundle, after looking at all of them."""
    # Not `is_dir`: it stumbles over an entry whose name begins with a NUL, and is empty.
    entries = [entry for entry in archive.infolist() if entry.filename and not entry.filename.endswith("/")]
    if len(entries) > MAX_ENTRIES:
        raise ContentError("the archive has too many entries", where=where, hint="unpack it, and give the folder")
    top = _common_top(entries)
    seen: set[str] = set()
    total = 0
    for entry in entries:
        name = entry.filename.removeprefix(top)
        if not _is_wanted(name):
            continue
        _check_entry(entry, where)
        total += entry.file_size
        if name.casefold() in seen:
            raise ContentError("the archive has two entries of one name", where=where)
        seen.add(name.casefold())
        if total > MAX_TOTAL_BYTES:
            raise ContentError("the archive unpacks to too much", where=where, hint="unpack it, and give the folder")
        yield entry, name


def _common_top(entries: list[zipfile.ZipInfo]) -> str:
    """Return the one folder that everything lies in, as hosting sites pack it, or ""."""
    tops = {entry.filename.partition("/")[0] for entry in entries if "/" in entry.filename}
    flat = any("/" not in entry.filename for entry in entries)
    return f"{tops.pop()}/" if len(tops) == 1 and not flat else ""


def _is_wanted(name: str) -> bool:
    last = PurePosixPath(name).name
    return fnmatchcase(last, RULES) or any(fnmatchcase(last, pattern) for pattern in LICENCES)


def _check_entry(entry: zipfile.ZipInfo, where: str) -> None:
    parts = entry.filename.split("/")
    if _BAD_NAME.search(entry.filename) or len(entry.filename) > MAX_NAME or not {"", ".", ".."}.isdisjoint(parts):
        raise ContentError("the archive has an entry whose name is not allowed", where=where)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise ContentError("the archive has an entry that is no plain file", where=where)
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise ContentError("the archive is encrypted or packed in an unusual way", where=where)
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 64):
        raise ContentError("the archive has an entry that unpacks to far more than it is", where=where)


def _read(
    archive: zipfile.ZipFile, wanted: Iterable[tuple[zipfile.ZipInfo, str]], where: str
) -> tuple[list[BundleFile], list[ContentError]]:
    files: list[BundleFile] = []
    errors: list[ContentError] = []
    for entry, name in wanted:
        place = f"{where}/{name}"
        if entry.file_size > MAX_FILE_BYTES:
            errors.append(ContentError("larger than 1 MiB", where=place, hint="split the file"))
            continue
        with archive.open(entry) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:  # the list of entries lied about its size
            errors.append(ContentError("larger than 1 MiB", where=place, hint="split the file"))
            continue
        try:
            files.append(BundleFile(name, data.decode("utf-8-sig")))
        except UnicodeDecodeError:
            errors.append(ContentError("not valid YAML text", where=place, hint="save the file as UTF-8"))
    return sorted(files, key=lambda file: file.name), errors


def write_files(folder: Path, files: Iterable[BundleFile]) -> int:
    """Write files below a folder, each whole or not at all; return how many.

    What a file replaces stays beside it, with `.old` behind its name: perhaps somebody had changed it.

    Raises:
        ContentError: a file cannot be written, or its place is a link out of the folder.
    """
    count = 0
    root = folder.resolve()
    for file in files:
        path = folder / file.name
        if not path.resolve().is_relative_to(root):
            raise ContentError("the place of a rule is a link that leads out of the folder", where=str(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.new")
            fresh.write_text(file.text, encoding="utf-8", newline="")
            if path.exists():
                os.replace(path, path.with_name(path.name + OLD))  # noqa: PTH105  replaces an older one as well
            fresh.replace(path)
        except OSError as error:
            problem = "cannot be written: {reason}"
            values = {"reason": error.strerror or type(error).__name__}
            hint = "check the folder of --into, its mode and its free space"
            raise ContentError(problem, where=str(path), hint=hint, values=values) from error
        count += 1
    return count
