"""Which files there are: patterns to regular files, once a second, for thousands of files.

One `stat` a file and poll, nothing else: notifications of the system (inotify) get lost on network file systems and
overflow under load, so asking is the truth.
"""

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_FILES = 100_000
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

FileKey = tuple[int, int]
"""Device and inode: names one file as long as it exists, and no longer."""


class Sighting(NamedTuple):
    """One regular file as it was seen.

    `path` is where it can be opened (of a symbolic link, its target), `key` device and inode, `size` bytes,
    `mtime_ns` the time of its last change in nanoseconds since 1970.
    """

    path: str
    key: FileKey
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Scan:
    """What one look found.

    Args:
        files: by device and inode; a file under several names is one file.
        problems: place → "place: problem (remedy)".
        link_folders: folders that symbolic links lead into.
    """

    files: dict[FileKey, Sighting] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    link_folders: set[str] = field(default_factory=set)

    def add(self, path: str, status: os.stat_result, *, link: bool) -> bool:
        """Take a file in; tell whether it is a regular one."""
        if not stat.S_ISREG(status.st_mode):
            return False
        if link:
            path = os.path.realpath(path)
            self.link_folders.add(os.path.dirname(path))  # noqa: PTH120  a Path object a file and second costs more than the stat
        key = (status.st_dev, status.st_ino)
        if key not in self.files or not link:
            self.files[key] = Sighting(path, key, status.st_size, status.st_mtime_ns)
        return True


def shown(path: str) -> str:
    """Return a path as text that can be stored and shown: bytes that are no UTF-8 and control characters escaped."""
    if path.isprintable():
        return path
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def reason(error: OSError) -> str:
    """Return "problem (remedy)" for what the system said."""
    if isinstance(error, FileNotFoundError):
        return "is not there (create it, or correct `paths` of this source)"
    if isinstance(error, PermissionError):
        return "may not be read (give the account that runs secmon the right to read it, e.g. by its group)"
    return f"cannot be read: {os.strerror(error.errno or 0)} (see to the disk or the mount)"


class Scanner:
    """Looks for the files of one source.

    Args:
        patterns: files, folders (the files right in them) and patterns with * ? [ ] and ** for any depth. Names that
            begin with a dot are passed over unless the pattern says so.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(os.path.abspath(pattern) for pattern in patterns)  # noqa: PTH100  keeps ".." of links
        self._matchers = {pattern: re.compile(fnmatch.translate(pattern)) for pattern in self._patterns}

    def scan(self, extra: Iterable[str] = ()) -> Scan:
        """Return what is there now.

        Args:
            extra: files to look at besides; it is no problem if they are gone.
        """
        found = Scan()
        for pattern in self._patterns:
            if glob.has_magic(pattern):
                self._scan_pattern(pattern, found)
            else:
                self._scan_path(pattern, found)
        for path in extra:
            try:
                found.add(path, os.stat(path), link=False)  # noqa: PTH116  see Scan.add
            except OSError:
                continue
        return found

    def covers(self, path: str) -> bool:
        """Tell whether a path is one that the patterns mean."""
        parent = os.path.dirname(path)  # noqa: PTH120  see Scan.add
        return path in self._patterns or parent in self._patterns or any(m.match(path) for m in self._matchers.values())

    def _scan_path(self, path: str, found: Scan) -> None:
        place = shown(path)
        try:
            status = os.stat(path)  # noqa: PTH116  see Scan.add
            if stat.S_ISDIR(status.st_mode):
                self._scan_folder(path, "*", found)
            elif not found.add(path, status, link=os.path.islink(path)):  # noqa: PTH114  see Scan.add
                found.problems[place] = f"{place}: is neither a regular file nor a folder (name a log file)"
        except OSError as error:
            found.problems[place] = f"{place}: {reason(error)}"

    def _scan_pattern(self, pattern: str, found: Scan) -> None:
        parent, name = os.path.split(pattern)
        if name == "**":
            parent, name = pattern, "*"
        before = len(found.files), len(found.problems)
        folders = glob.glob(parent + os.sep, recursive=True) if glob.has_magic(parent) else [parent]  # noqa: PTH207
        for folder in folders:
            try:
                self._scan_folder(folder, name, found)
            except OSError as error:
                found.problems[shown(folder)] = f"{shown(folder)}: {reason(error)}"
        if before == (len(found.files), len(found.problems)):
            place = shown(pattern)
            found.problems[place] = f"{place}: no file matches (correct `paths` of this source, if there should be one)"

    def _scan_folder(self, folder: str, name: str, found: Scan) -> None:
        with os.scandir(folder) as entries:
            for entry in _named(entries, name):
                if len(found.files) >= MAX_FILES:
                    place = shown(folder)
                    found.problems[place] = f"{place}: more than {MAX_FILES} files (narrow `paths` of this source)"
                    return
                try:
                    found.add(entry.path, entry.stat(), link=entry.is_symlink())
                except OSError:
                    continue  # gone since the listing, or a link that leads nowhere


def _named(entries: Iterator[os.DirEntry[str]], name: str) -> Iterator[os.DirEntry[str]]:
    matches = re.compile(fnmatch.translate(name)).match
    hidden = name.startswith(".")
    for entry in entries:
        if (hidden or not entry.name.startswith(".")) and matches(entry.name):
            yield entry


def rotated_siblings(places: Iterable[str]) -> list[Sighting]:
    """Return the regular files beside these places whose names begin like theirs, the places themselves included."""
    folders: dict[str, set[str]] = {}
    for place in places:
        folder, name = os.path.split(place)
        folders.setdefault(folder, set()).add(name)
    found = Scan()
    for folder, names in folders.items():
        begins = tuple(names)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if shown(entry.name).startswith(begins) and not entry.is_symlink():
                        found.add(entry.path, entry.stat(), link=False)
        except OSError:
            continue  # the folder went, too
    return list(found.files.values())
