"""Detection beside other engines: the same lines, the same rules, one core, first pass, hits written out.

    SECMON_CORPORA=… SECMON_PUBLIC_RULES=… python -m bench detect --rsigma PATH [--set windows|linux|web|cloud] …

The events of Windows are real, each seen once; there are too few of the others, so they are varied (`bench.varied`).
Every run is a process of its own on one core. Its
CPU time (user + system) less that of a run over an empty file is what the events took: rules are loaded, and on our
side taken from the warm cache, in both. Ours runs in several states: with an empty cache (`cold`, where loading is
preparing, too), with what is prepared of rules alone (`first`: no event was ever seen), and once more over the same
lines (`again`). Of two halves of the file (runs of 500 lines, in turns, so that most recordings are in one of them),
`unseen` has seen the one in an earlier process, and is measured over the other. In turns; medians.

Then the hits are compared rule by rule. Where they differ it is printed on which channels and event ids the hits lie
that only one engine has, which is nearly always the reason: who takes an event for one of the rule's log source.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from io import BufferedReader
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import zstandard

from bench import varied
from bench.detect import read_rules

_OTHERS = ("zircolite", "chainsaw", "hayabusa")  # many times slower than rsigma wherever that was measured
_LISTED = 4
_WIDTHS = (8, 10, 10, 10, 10, 14, 9)
# Developers may have set these; where the program is installed it finds its modules compiled, and writes in blocks.
_AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONUNBUFFERED": ""}
_RUN = 500


@dataclass(frozen=True, slots=True)
class Set:
    """Rules and the events for them.

    Args:
        rules: what the log sources of its rules hold.
        lines: corpora and a number → so many lines; all there are for 0.
        count: how many it takes if nothing else is said.
        pipeline: rsigma's for them.
        place: fields by which events are told apart where hits differ.
    """

    rules: re.Pattern[str]
    lines: Callable[[Path, int], Iterator[bytes]]
    count: int
    pipeline: tuple[str, ...] = ()
    place: tuple[str, ...] = ("event.dataset", "event.module")


def _sources(key: str, names: str) -> re.Pattern[str]:
    return re.compile(rf"^\s+{key}:\s*['\"]?(?:{names})\b", re.MULTILINE | re.IGNORECASE)


def _windows(corpora: Path, count: int) -> Iterator[bytes]:
    """Yield real events, or so many of them from all over the file; line by line, for memory: see `split`."""
    source = corpora / "windows" / "otrf-97k.jsonl.zst"
    with zstandard.open(source, "rb") as stream:
        step = max(1, sum(1 for _ in BufferedReader(stream)) // count) if count else 1
    with zstandard.open(source, "rb") as stream:
        yield from islice(BufferedReader(stream), 0, None, step)


_VARIED = 60_000
SETS: Mapping[str, Set] = {
    "windows": Set(_sources("product", "windows"), _windows, 0, ("-p", "sysmon"), ("Channel", "EventID")),
    "linux": Set(_sources("product", "linux"), varied.linux, _VARIED),
    "web": Set(_sources("category", "webserver|proxy"), varied.web, _VARIED),
    "cloud": Set(
        _sources("product", "aws|azure|gcp|m365|okta|onelogin|github|bitbucket|kubernetes"), varied.cloud, _VARIED
    ),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process took: CPU seconds and the peak of its resident set in MB."""

    cpu_s: float
    peak_mb: float


@dataclass(slots=True)
class Series:
    """Runs of one engine in one state.

    Args:
        name: engine and state.
        count: number of events.
        empty: runs over the empty file.
        full: runs over the events.
    """

    name: str
    count: int
    empty: list[Taken] = field(default_factory=list)
    full: list[Taken] = field(default_factory=list)

    @property
    def load_s(self) -> float:
        """CPU seconds over an empty file."""
        return median(taken.cpu_s for taken in self.empty)

    @property
    def net_s(self) -> float:
        """CPU seconds that the events took."""
        return median(taken.cpu_s for taken in self.full) - self.load_s

    @property
    def nets_s(self) -> list[float]:
        """CPU seconds that the events took, of each round."""
        return [taken.cpu_s - self.load_s for taken in self.full]

    @property
    def peak_mb(self) -> float:
        """Peak resident set with the events."""
        return max(taken.peak_mb for taken in self.full)


def run(command: Sequence[str], output: Path, core: int, environment: Mapping[str, str]) -> Taken:
    """Run a program on one core and return what it took; what it says is kept beside its output."""
    with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=err,
            env={**os.environ, **_AS_INSTALLED, **environment},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509  no thread runs here
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 5):  # 5: some records were malformed
        said = output.with_suffix(".err").read_text("utf-8", "replace")
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {said[-500:]}")
    return Taken(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


class Comparison:
    """Runs the engines in turns over one folder of rules and one file of events.

    Args:
        folder: a folder of its own.
        rsigma: the program, and what it is told about the rules.
        core: the core that all run on.
    """

    def __init__(self, folder: Path, rsigma: Sequence[str], core: int) -> None:
        self.rules, self.events, self.empty = folder / "rules", folder / "events.jsonl", folder / "empty.jsonl"
        self._folder, self._rsigma, self._core = folder, rsigma, core
        self.halves = folder / "half.jsonl", folder / "other.jsonl"
        self.series: dict[str, Series] = {}

    def split(self, lines: Iterable[bytes]) -> int:
        """Write the events, and the two halves; return their number.

        Line by line: a process counts the memory of its parent as its own peak.
        """
        counts = [0, 0]
        with ExitStack() as stack:
            whole, *halves = (stack.enter_context(path.open("wb")) for path in (self.events, *self.halves))
            for number, line in enumerate(lines):
                which = number // _RUN % 2
                counts[which] += 1
                whole.write(line)
                halves[which].write(line)
        self.empty.touch()
        numbers = dict.fromkeys(("rsigma", "secmon cold", "secmon first", "secmon again"), sum(counts))
        numbers |= dict.fromkeys(("rsigma, half", "secmon unseen"), counts[0])
        self.series = {name: Series(name, number) for name, number in numbers.items()}
        return sum(counts)

    def round(self) -> None:
        """Run each engine in each state once."""
        loaded = self._run_rsigma(self.empty, [])
        for name, events in (("rsigma", self.events), ("rsigma, half", self.halves[0])):
            self._note(name, "empty", loaded)
            self._note(name, "full", self._run_rsigma(events, []))
        cache = self._folder / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        self._note("secmon cold", "empty", self._run_ours(self.empty))
        shutil.rmtree(cache)
        self._note("secmon cold", "full", self._run_ours(self.events))
        shutil.rmtree(cache)
        self._run_ours(self.empty)
        for name in ("secmon first", "secmon again"):
            self._note(name, "empty", self._run_ours(self.empty))
            self._note(name, "full", self._run_ours(self.events))
        shutil.rmtree(cache)
        self._run_ours(self.halves[1])
        self._note("secmon unseen", "empty", self._run_ours(self.empty))
        self._note("secmon unseen", "full", self._run_ours(self.halves[0]))

    def _note(self, name: str, kept: str, taken: Taken) -> None:
        getattr(self.series[name], kept).append(taken)

    def _run_rsigma(self, events: Path, more: list[str]) -> Taken:
        program, *given = self._rsigma
        command = [program, "engine", "eval", "-r", str(self.rules), *given, "-e", f"@{events}", *more]
        return run(command, self._folder / "rsigma.jsonl", self._core, {})

    def _run_ours(self, events: Path) -> Taken:
        command = [sys.executable, "-m", "secmon", "detect", "--source", "native", "--rules", str(self.rules)]
        cache = {"XDG_CACHE_HOME": str(self._folder / "cache")}
        return run([*command, str(events)], self._folder / "secmon.jsonl", self._core, cache)

    def hits(self) -> tuple[set["Match"], set["Match"]]:
        """Return the hits of rsigma and ours, each with its event."""
        self._run_rsigma(self.events, ["--include-event"])
        theirs = {Match(row["rule_id"], _name_of(row["event"])) for row in _rows(self._folder / "rsigma.jsonl")}
        self._run_ours(self.events)
        lines = self.events.read_bytes().split(b"\n")
        ours = {
            Match(row["rule.id"], _name_of(orjson.loads(lines[row["secmon.record"] - 1])))
            for row in _rows(self._folder / "secmon.jsonl")
        }
        return theirs, ours


@dataclass(frozen=True, slots=True)
class Match:
    """A rule and an event that satisfies it, as canonical JSON."""

    rule_id: str
    event: bytes

    def place(self, fields: Iterable[str]) -> str:
        """Return what some fields say of what log the event is."""
        event = orjson.loads(self.event)
        return " ".join(str(event[name]) for name in fields if name in event)


def _name_of(event: object) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with path.open("rb") as file:
        yield from map(orjson.loads, file)


def report_hits(theirs: set[Match], ours: set[Match], names: Mapping[str, str], fields: Sequence[str]) -> None:
    """Print the rules whose hits differ, and on events of which `fields` those lie that only one engine has."""
    rules = {match.rule_id for match in theirs ^ ours}
    print(f"\nhits: rsigma {len(theirs):,}, secmon {len(ours):,}, the same {len(theirs & ours):,}")
    print(f"rules whose hits differ: {len(rules)}")
    for rule_id in sorted(rules, key=lambda rule_id: names.get(rule_id, rule_id)):
        counts = [sum(match.rule_id == rule_id for match in matches) for matches in (theirs, ours)]
        print(f"  {names.get(rule_id, rule_id)} ({rule_id}): rsigma {counts[0]}, secmon {counts[1]}")
        for who, only in (("rsigma", theirs - ours), ("secmon", ours - theirs)):
            places = Counter(match.place(fields) for match in only if match.rule_id == rule_id)
            if places:
                listed = ", ".join(f"{place} × {count}" for place, count in places.most_common(_LISTED))
                print(f"      only {who}: {listed}")


def report_speed(series: Iterable[Series]) -> None:
    """Print a row for each engine and state, each beside rsigma over the same events in the same round."""
    base: dict[int, list[float]] = {}
    heads = ("load s", "events s", "µs/event", "events/s", "× rsigma", "from – to", "peak MB")
    print(f"{'':<16}" + "".join(f"{head:>{width}}" for head, width in zip(heads, _WIDTHS, strict=True)))
    for row in series:
        each = row.net_s / row.count
        ratios = [
            theirs / ours for theirs, ours in zip(base.setdefault(row.count, row.nets_s), row.nets_s, strict=True)
        ]
        print(
            f"{row.name:<16}{row.load_s:8.2f}{row.net_s:10.2f}{each * 1e6:10.1f}{1 / each:10,.0f}"
            f"{median(ratios):10.2f}{f'{min(ratios):.2f} – {max(ratios):.2f}':>14}{row.peak_mb:9.0f}"
        )


def prepare(comparison: Comparison, chosen: Set, limit: int) -> tuple[int, dict[str, str]]:
    """Write the rules of a set that we load, and the events; return the number of events and the names of rules."""
    public = Path(os.environ["SECMON_PUBLIC_RULES"])
    comparison.rules.mkdir()
    paths = [path for path in sorted(public.glob("rules*/**/*.yml")) if chosen.rules.search(path.read_text("utf-8"))]
    for number, path in enumerate(paths):
        shutil.copyfile(path, comparison.rules / f"{number:05}-{path.name}")
    ruleset = read_rules(comparison.rules, "*.yml", native=True)
    refused = {problem.path: problem for problem in ruleset.problems}
    print(f"rules: {len(paths):,}; secmon runs {len(ruleset.rules):,}, the others are left out:")
    for name, problem in sorted(refused.items()):
        print(f"  {Path(name).name.partition('-')[2]}: {problem.problem}")
        Path(name).unlink(missing_ok=True)
    lines = chosen.lines(Path(os.environ["SECMON_CORPORA"]), limit or chosen.count)
    return comparison.split(lines), {rule.id: rule.name for rule in ruleset.rules}


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare."""
    options = argparse.ArgumentParser(prog="python -m bench detect", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rsigma", metavar="PATH", required=True, help="the program rsigma")
    options.add_argument("--set", choices=list(SETS), default="windows", help="which rules, and the events for them")
    options.add_argument("--events", type=int, default=0, help="only so many events")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    given = options.parse_args(arguments)
    chosen = SETS[given.set]
    said = subprocess.run([given.rsigma, "--version"], capture_output=True, text=True, check=True)
    print(f"{said.stdout.splitlines()[0]}; secmon {version('secmon')}, Python {platform.python_version()}")
    for peer in _OTHERS:
        print(f"{peer}: {'installed' if shutil.which(peer) else 'not here'}, not measured")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; all runs on core {given.core}")
    with tempfile.TemporaryDirectory(prefix="secmon-bench-") as name:
        comparison = Comparison(Path(name), (given.rsigma, *chosen.pipeline), given.core)
        count, names = prepare(comparison, chosen, given.events)
        for _ in range(given.rounds):
            comparison.round()
        size = comparison.events.stat().st_size
        print(f"\n{given.set}: {count:,} events, {size / 1e6:.0f} MB, {given.rounds} rounds, medians")
        report_speed(comparison.series.values())
        report_hits(*comparison.hits(), names, chosen.place)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
