"""What the stages are made of, as it was read once: rules, what tunes them, lists, intelligence, calendar, registers.

The main process reads; worker processes, jobs and whatever replaces them are made from this value, never from the
disk. So a pool that is made anew after a crash works by the very rules that its batches name, whatever became of the
files meanwhile.
"""

import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from secmon.clock import SystemClock
from secmon.config import Settings
from secmon.content import classifier_files, read_files, shipped
from secmon.errors import ConfigError, ContentError
from secmon.parse.intel_reading import MAX_BYTES
from secmon.sigma.rule import RuleFile

MAX_INTEL_FILES = 1000
_INTEL_SUFFIXES = frozenset({".csv", ".txt", ".json"})


@dataclass(frozen=True, slots=True)
class IntelFile:
    """A file of threat intelligence.

    Args:
        path: its path.
        packed: its bytes (no more than are read), deflated: it lies in memory as long as the rules do.
        written: when it was written.
    """

    path: str
    packed: bytes
    written: datetime

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return zlib.decompress(self.packed)


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """What rules are made of.

    Args:
        files: the rules, and what tunes them.
        pipelines: pySigma pipelines.
        lists: name of a placeholder → its values.
    """

    files: Sequence[RuleFile]
    pipelines: Sequence[RuleFile]
    lists: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Everything that stages are made of; frozen, and small enough to be sent to worker processes.

    Args:
        shipped: rules that came with the program.
        rules: the operator's rules, exceptions, overrides and maintenance windows.
        pipelines: pySigma pipelines.
        lists: lists of values.
        intel: threat intelligence.
        calendar: the school calendar; None without one.
        classifiers: classifiers.
        units: the unit tree; None without one.
        assets: the asset register; None without one.
        today: the day by which ages are told.
        errors: what could not be read of that which stays as it was at the start.
        unread: what could not be read of the rest.
    """

    shipped: tuple[RuleFile, ...] = ()
    rules: tuple[RuleFile, ...] = ()
    pipelines: tuple[RuleFile, ...] = ()
    lists: tuple[RuleFile, ...] = ()
    intel: tuple[IntelFile, ...] = ()
    calendar: RuleFile | None = None
    classifiers: tuple[RuleFile, ...] = ()
    units: RuleFile | None = None
    assets: RuleFile | None = None
    today: date
    errors: tuple[ContentError, ...] = ()
    unread: tuple[ContentError, ...] = ()
    _by_path: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """32 hex over what a reload reads anew: two equal readings make the same rules."""
        sha = hashlib.sha256()
        for group in (self.rules, self.pipelines, self.lists, (self.calendar,) if self.calendar else ()):
            sha.update(b"\0%d" % len(group))
            for file in group:
                _put(sha, file.path, file.text)
        for feed in self.intel:
            _put(sha, feed.path, feed.written.isoformat(), hashlib.sha256(feed.data).hexdigest())
        return sha.hexdigest()[:32]

    def of_rules(self) -> tuple[RuleTexts, list[ContentError]]:
        """Return what rules are made of, and the lists that are wrong."""
        from secmon.sigma.lists import read_lists  # noqa: PLC0415  pySigma takes a second

        lists, wrong = read_lists(self.lists)
        return RuleTexts((*self.shipped, *self.rules), self.pipelines, lists), wrong

    def text_of(self, path: str) -> str:
        """Return the text of a rule's file as it is in force; "" if there is none of that name."""
        if not self._by_path:
            self._by_path.update((file.path, file.text) for file in (*self.shipped, *self.rules))
        return self._by_path.get(path, "")


def _put(sha: "hashlib._Hash", *texts: str) -> None:
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        sha.update(b"\0%d\0" % len(data))
        sha.update(data)


def read_texts(settings: Settings) -> Texts:
    """Read everything that stages are made of; what cannot be read is named, the rest goes on.

    Raises:
        ContentError: a pipeline cannot be read: every rule would mean something else without it.
        ConfigError: a register cannot be read.
    """
    classifiers, errors = classifier_files(settings["content.classifiers"])
    ours, unread = read_files([shipped("rules")], "*.yml")
    texts = Texts(
        shipped=_files(ours),
        classifiers=_files(classifiers),
        units=read_register(settings["registers.units"]),
        assets=read_register(settings["registers.assets"]),
        today=SystemClock().now().date(),
        errors=(*unread, *errors),
    )
    return reread(settings, texts)


def reread(settings: Settings, texts: Texts) -> Texts:
    """Return texts with everything read anew that takes effect without a restart.

    What came with the program, classifiers and registers stay as they are: they were chosen for this run.

    Raises:
        ContentError: a pipeline cannot be read.
    """
    rules, errors = read_files(settings["content.rules"], "*.yml")
    pipelines, unread = read_files(settings["content.pipelines"], "*.yml")
    for error in unread:
        raise error
    lists, missing = read_files(settings["content.lists"], "*.txt")
    intel, lost = read_intel(settings)
    calendar = _calendar(settings["calendar.file"], lost)
    return replace(
        texts,
        rules=_files(rules),
        pipelines=_files(pipelines),
        lists=_files(lists),
        intel=intel,
        calendar=calendar,
        today=SystemClock().now().date(),
        unread=(*errors, *missing, *lost),
        _by_path={},
    )


def rule_texts(settings: Settings) -> tuple[RuleTexts, list[ContentError]]:
    """Read everything that rules are made of, and what is wrong with some of it.

    Raises:
        ContentError: a pipeline cannot be read.
    """
    ours, unread = read_files([shipped("rules")], "*.yml")
    texts = reread(settings, Texts(shipped=_files(ours), errors=tuple(unread), today=SystemClock().now().date()))
    found, wrong = texts.of_rules()
    return found, [*texts.errors, *texts.unread, *wrong]


def _files(found: Sequence[tuple[str, str]]) -> tuple[RuleFile, ...]:
    return tuple(RuleFile(*each) for each in found)


def read_register(path: Path | None) -> RuleFile | None:
    """Return a register's file, None if the settings name none.

    Raises:
        ConfigError: it cannot be read.
    """
    if path is None:
        return None
    try:
        return RuleFile(str(path), path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        hint = "see [registers] in the settings"
        raise ConfigError("the register cannot be read: " + type(error).__name__, where=str(path), hint=hint) from error


def _calendar(path: Path | None, errors: list[ContentError]) -> RuleFile | None:
    if path is None:
        return None
    try:
        return RuleFile(str(path), path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        values, hint = {"reason": type(error).__name__}, "see calendar.file in the settings"
        errors.append(ContentError("the calendar cannot be read: {reason}", where=str(path), hint=hint, values=values))
        return None


def read_intel(settings: Settings) -> tuple[tuple[IntelFile, ...], list[ContentError]]:
    """Return the files of threat intelligence that the settings name, and those that cannot be read."""
    found: list[IntelFile] = []
    errors: list[ContentError] = []
    for path in _intel_paths(settings["intel.files"], errors):
        try:
            found.append(_intel(path))
        except OSError as error:
            values = {"reason": type(error).__name__}
            errors.append(ContentError("the indicators cannot be read: {reason}", where=str(path), values=values))
    return tuple(found), errors


def _intel_paths(named: Sequence[Path], errors: list[ContentError]) -> Iterator[Path]:
    """Yield the files of threat intelligence, and those in the folders, in order."""
    left = MAX_INTEL_FILES
    for path in named:
        inside = _inside(path, errors) if path.is_dir() else [path]
        if len(inside) > left:
            hint = "name fewer files in intel.files"
            errors.append(ContentError("more files of indicators than are read", where=str(path), hint=hint))
        yield from inside[:left]
        left -= len(inside[:left])


def _inside(folder: Path, errors: list[ContentError]) -> list[Path]:
    """Return the files of threat intelligence below a folder; a folder that cannot be looked into is an error."""

    def unreadable(error: OSError) -> None:
        values, place = {"reason": type(error).__name__}, str(error.filename or folder)
        errors.append(ContentError("the indicators cannot be read: {reason}", where=place, values=values))

    walk = os.walk(folder, onerror=unreadable)
    files = (Path(place, name) for place, _, names in walk for name in names)
    return sorted(path for path in files if path.suffix.lower() in _INTEL_SUFFIXES)


def _intel(path: Path) -> IntelFile:
    """Return a regular file, no more of it than is read; never waits for a pipe."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        written = datetime.fromtimestamp(int(os.fstat(file.fileno()).st_mtime), UTC)
        return IntelFile(str(path), zlib.compress(file.read(MAX_BYTES + 1), 1), written)
