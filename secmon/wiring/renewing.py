"""Texts in the place of others while a daemon runs: read when they stand still, and tried before they take effect.

What is worse than before is refused. A file that was right and is broken now counts as it was; a folder that is gone,
or has nothing in it any more, takes nothing away.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from secmon.config import Settings
from secmon.errors import ContentError
from secmon.sigma.lists import read_lists
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.wiring.calendar import load_calendar
from secmon.wiring.content import load_content
from secmon.wiring.intel import feeds_of
from secmon.wiring.keys import Keys
from secmon.wiring.texts import IntelFile, Texts, reread

_READINGS = 5
_File = TypeVar("_File", RuleFile, IntelFile)
Sighting = frozenset[tuple[str, int, int, int]]
"""(path, size, time of the last change in nanoseconds, inode) of each file."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Texts to be tried.

    Args:
        fresh: what the files say.
        before: what is in force.
        broken: paths of the files of which some rule was broken before.
    """

    fresh: Texts
    before: Texts
    broken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of texts that were tried.

    Args:
        kept: paths of the files that count as they were before.
        refused: why, as "place: problem (remedy)".
    """

    kept: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def places(settings: Settings) -> tuple[Path, ...]:
    """Return the files and folders that are read anew."""
    found = [path for key in ("rules", "pipelines", "lists") for path in settings[f"content.{key}"]]
    calendar = settings["calendar.file"]
    return (*found, *settings["intel.files"], *([calendar] if calendar else ()))


def look(settings: Settings) -> Sighting:
    """Return what lies in all places, without reading it; two equal looks, and nothing was changed meanwhile."""
    return frozenset(seen for place in places(settings) for seen in _seen(place))


def _seen(place: Path) -> Iterator[tuple[str, int, int, int]]:
    for file in _inside(place) if place.is_dir() else [str(place)]:
        try:
            status = os.stat(file)  # noqa: PTH116  thousands of them, every few seconds
        except OSError:
            yield file, -1, 0, 0
        else:
            yield file, status.st_size, status.st_mtime_ns, status.st_ino


def _inside(folder: Path) -> Iterator[str]:
    for at, _, names in os.walk(folder):
        yield from (f"{at}{os.sep}{name}" for name in names)


def read_steady(settings: Settings, before: Texts) -> tuple[Texts, Sighting]:
    """Read anew what takes effect without a restart, and what the files looked like then.

    Raises:
        ContentError: a pipeline cannot be read; or the files keep changing.
    """
    for _ in range(_READINGS):
        seen = look(settings)
        fresh = reread(settings, before)
        if look(settings) == seen:
            return fresh, seen
    raise ContentError("the rule files keep changing", hint="reload when they have all been copied")


def require_places(settings: Settings, fresh: Texts, before: Texts, *, accept_empty: bool) -> None:
    """Refuse to lose all that a file or folder held, when nobody said that it is meant.

    Raises:
        ContentError: something is gone, cannot be looked into, or is empty by now.
    """
    old, new = _paths(before), _paths(fresh)
    for error in fresh.unread:
        count = _below(Path(error.where), old)
        if count and error.where not in old:
            raise _lost(error.where, count, "what held {count} files of rules is gone, or cannot be read")
    for place in places(settings):
        count = _below(place, old)
        if not count or _below(place, new):
            continue
        if not place.exists():
            raise _lost(str(place), count, "what held {count} files of rules is gone, or cannot be read")
        if not accept_empty and place.is_dir():
            raise ContentError(
                "what held {count} files of rules is empty",
                where=str(place),
                hint="if that is meant: secmon rules reload --accept-empty",
                values={"count": count},
            )


def _lost(place: str, count: int, problem: str) -> ContentError:
    hint = "bring it back, or take it out of the settings and restart"
    return ContentError(problem, where=place, hint=hint, values={"count": count})


def _below(place: Path, paths: Iterable[str]) -> int:
    name = str(place)
    return sum(path == name or path.startswith(name.rstrip(os.sep) + os.sep) for path in paths)


def _paths(texts: Texts) -> dict[str, RuleFile | IntelFile]:
    files: list[RuleFile | IntelFile] = [*texts.rules, *texts.pipelines, *texts.lists, *texts.intel]
    if texts.calendar is not None:
        files.append(texts.calendar)
    return {file.path: file for file in files}


def mended(fresh: Texts, before: Texts, kept: Iterable[str]) -> Texts:
    """Return texts with some files as they were before."""
    paths = set(kept)
    if not paths:
        return fresh
    calendar = before.calendar if before.calendar and before.calendar.path in paths else fresh.calendar
    return replace(
        fresh,
        rules=_with(fresh.rules, before.rules, paths),
        lists=_with(fresh.lists, before.lists, paths),
        intel=_with(fresh.intel, before.intel, paths),
        calendar=calendar,
        _by_path={},
    )


def _with(fresh: Iterable[_File], before: Iterable[_File], paths: set[str]) -> tuple[_File, ...]:
    """Return files in the order of their paths; within a folder that is the order in which they count."""
    new = {file.path: file for file in fresh}
    old = {file.path: file for file in before if file.path in paths}
    if old.keys() <= new.keys():
        return tuple(old.get(path, file) for path, file in new.items())
    # One that cannot be read now stands where it stood: behind the one before it.
    order = list(new)
    earlier: str | None = None
    for file in before:
        if file.path in old and file.path not in new:
            order.insert(order.index(earlier) + 1 if earlier in order else 0, file.path)
        earlier = file.path if file.path in order else earlier
    return tuple(old[path] if path in old else new[path] for path in order)


def broken_in(ruleset: RuleSet) -> frozenset[str]:
    """Return the paths of the files of which some rule is broken."""
    return frozenset(_broken(ruleset))


def _broken(ruleset: RuleSet) -> dict[str, str]:
    return {one.path: one.text for one in reversed(ruleset.problems) if one.state == "broken"}


def tried(settings: Settings, trial: Trial, keys: Keys) -> Verdict:
    """Prepare everything that stages are made of, and say which files have to count as they were before.

    What was prepared is kept in STATE/cache, so that whoever makes stages of it afterwards need not wait.

    Raises:
        ContentError: without rules, under other pipelines than are written, or without rules that run, nothing goes on.
    """
    old = _paths(trial.before)
    wrong = {error.where: str(error) for error in trial.fresh.unread if error.where in old}
    texts = mended(trial.fresh, trial.before, wrong)
    ruleset = load_content(settings, texts, keys).stages.ruleset or RuleSet()
    new = _paths(texts)
    changed = {path for path in new if path in old and old[path] != new[path]}
    _require_room(ruleset, trial, {*old, *(file.path for file in trial.before.shipped)} - changed)
    broken = {path: text for path, text in _broken(ruleset).items() if path not in trial.broken}
    beside = {path: text for path, text in _wrong(settings, texts, changed).items() if path not in broken}
    known = _wrong(settings, trial.before, beside)
    worse = {path: text for path, text in (broken | beside).items() if path in changed and path not in known}
    if worse:
        wrong |= worse
        load_content(settings, mended(trial.fresh, trial.before, wrong), keys)
    return Verdict(tuple(wrong), tuple(wrong.values()))


def _require_room(ruleset: RuleSet, trial: Trial, unchanged: Collection[str]) -> None:
    """Refuse rules that take the room of others: what all rules together may cost is bounded, and the later ones lose.

    Raises:
        ContentError: a rule of an unchanged file, which ran before, would not run any more.
    """
    from secmon.sigma.ruleset import FEWER  # noqa: PLC0415  pySigma, which a warm start needs not

    pushed = [
        one
        for one in ruleset.problems
        if one.state == "broken" and one.hint == FEWER and one.path in unchanged and one.path not in trial.broken
    ]
    if pushed:
        raise ContentError(
            "the rules that were added take the room of {count} that run",
            where=f"{pushed[0].path}:{pushed[0].line}",
            hint="add fewer rules",
            values={"count": len(pushed)},
        )


def _wrong(settings: Settings, texts: Texts, paths: Collection[str]) -> dict[str, str]:
    """Return path → the first problem of those lists, indicators and calendars that are of no use as they are."""
    errors = read_lists([file for file in texts.lists if file.path in paths])[1]
    found = {error.where.rpartition(":")[0]: str(error) for error in reversed(errors)}
    for feed in feeds_of(settings, [file for file in texts.intel if file.path in paths]):
        if feed.problems and not feed.indicators:
            found[feed.path] = str(feed.problems[0])
    if texts.calendar is not None and texts.calendar.path in paths:
        problems = load_calendar(settings, texts.calendar)[1]
        found |= {texts.calendar.path: problems[0]} if problems else {}
    return found
