"""Rules and pattern databases as they were prepared at an earlier start (`CacheFolder`).

A rule set is kept under everything that it was made of: paths and texts of rules and pipelines, lists, the
program's own sources and the versions of the libraries. A database is kept under its patterns alone, so that a changed
rule costs no more than the databases of its fields.
"""

import gc
import hashlib
import json
import logging
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import hyperscan

from secmon.errors import ContentError
from secmon.model.patterns import Patterns, RefusedError, Several, compiled
from secmon.sigma import dump
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.store.cache import CacheFolder
from secmon.store.limited import LimitedCompiler

_LIBRARIES = ("pysigma", "hyperscan", "google-re2", "PyYAML", "msgspec")
# A database of fewer literals is made faster than it is read.
_WORTH_KEEPING = 64
# So many literals are made here, in a second and 80 MiB; more of them in a process of their own.
MAX_UNGUARDED = 20_000
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Prepared:
    """What was prepared before, and what has to be prepared now.

    Args:
        cache: where it is kept.
    """

    def __init__(self, cache: CacheFolder) -> None:
        self._cache = cache
        self._limited = LimitedCompiler()

    def rule_set(
        self,
        files: Sequence[RuleFile],
        *,
        pipelines: Sequence[RuleFile] = (),
        placeholders: Mapping[str, Sequence[str]] | None = None,
        native: bool = False,
    ) -> RuleSet:
        """Return the rule set of some files, as `sigma.ruleset.load_rules` does.

        Raises:
            ContentError: a pipeline is wrong.
        """
        lists = [RuleFile(name, "\n".join(values)) for name, values in sorted((placeholders or {}).items())]
        name = f"{'native' if native else 'rules'}-{_digest_of(files, pipelines, lists)}"
        with _no_collector():
            if ruleset := self._kept(name, dump.load):
                return ruleset
            from secmon.sigma.ruleset import load_rules  # noqa: PLC0415  pySigma, which a warm start needs not

            ruleset = load_rules(files, pipelines=pipelines, placeholders=placeholders, native=native)
            try:
                self._cache.put(name, dump.dump(ruleset))
            except ContentError as error:
                _log.info("%s", error)
            return ruleset

    def notes(self, files: Sequence[RuleFile], *, pipelines: Sequence[RuleFile] = ()) -> "RunNotes":
        """Return what runs with the very same rules leave to each other (`sigma.gate.Notes`)."""
        return RunNotes(self._cache, _digest_of(files, pipelines))

    def compile(self, patterns: Patterns) -> Any:
        """Return the database of some patterns (`model.patterns.Compiler`); of literals always.

        Raises:
            RefusedError: some expressions are refused, or beyond the limits.
        """
        if patterns.literal and len(patterns.ids) < _WORTH_KEEPING:
            return compiled(patterns)
        name = f"patterns-{patterns.digest[:32]}-{_platform()}"
        if database := self._kept(name, _loaded):
            return database
        if patterns.literal and len(patterns.ids) <= MAX_UNGUARDED:
            database = compiled(patterns)
            self._cache.put(name, hyperscan.dumpb(database))
            return database
        try:
            data = self._guarded(patterns, f"refused-{name}")
        except RefusedError:
            if not patterns.literal:
                raise
            return Several([self.compile(half) for half in patterns.halves()])
        self._cache.put(name, data)
        return _loaded(data)

    def _guarded(self, patterns: Patterns, refused: str) -> bytes:
        """Return a database that another process made; remember what it refuses, but not that none could be run.

        Raises:
            RefusedError: there is none.
        """
        places = self._kept(refused, _places)
        if places is not None:
            raise RefusedError(places)
        try:
            return self._limited.compile(patterns)
        except RefusedError as error:
            self._cache.put(refused, json.dumps(error.places).encode())
            raise
        except hyperscan.HyperscanError as error:
            _log.warning("%d patterns are matched one by one this time: %s", len(patterns.ids), error)
            raise RefusedError(range(len(patterns.ids))) from error

    def _kept(self, name: str, load: Callable[[bytes], _T]) -> _T | None:
        data = self._cache.get(name)
        if data is None:
            return None
        try:
            return load(data)
        except (ContentError, ValueError, hyperscan.HyperscanError) as error:
            _log.info("%s is prepared anew (%s)", name, type(error).__name__)
            return None


@dataclass(frozen=True, slots=True)
class RunNotes:
    """What runs with the same rules leave to each other.

    Args:
        cache: where it is kept.
        digest: of the rules and of all that reads them.
    """

    cache: CacheFolder
    digest: str

    def get(self, name: str) -> bytes | None:
        """Return what was kept under a name."""
        return self.cache.get(f"{name}-{self.digest}")

    def put(self, name: str, content: bytes) -> None:
        """Keep something, if it can be kept."""
        self.cache.put(f"{name}-{self.digest}", content)


def _places(data: bytes) -> list[int]:
    places = json.loads(data)
    if not isinstance(places, list):
        raise ValueError("no list of places")  # noqa: TRY004  as any other damage
    return places


def _loaded(data: bytes) -> Any:
    database = hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK)
    database.scratch = hyperscan.Scratch(database)
    return database


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep the garbage collector from walking through a hundred thousand new objects again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _digest_of(*groups: Sequence[RuleFile]) -> str:
    sha = hashlib.sha256(_program().encode())
    for files in groups:
        sha.update(b"\0%d" % len(files))
        for file in files:
            for text in (file.path, file.text):
                data = text.encode("utf-8", "surrogatepass")
                sha.update(b"\0%d\0" % len(data))
                sha.update(data)
    return sha.hexdigest()[:32]


@cache
def _program() -> str:
    """Return what makes another rule set of the same texts: our sources and the libraries."""
    package = Path(__file__).parents[1]
    sha = hashlib.sha256(repr((sys.version_info[:3], [(name, metadata.version(name)) for name in _LIBRARIES])).encode())
    for path in sorted((*(package / "sigma").glob("*.py"), *(package / "model").glob("*.py"))):
        sha.update(path.read_bytes())
    return sha.hexdigest()


@cache
def _platform() -> str:
    """Return what a database is good for; the library itself refuses one of another version or processor."""
    return hashlib.sha256(f"{metadata.version('hyperscan')} {platform.machine()}".encode()).hexdigest()[:8]
