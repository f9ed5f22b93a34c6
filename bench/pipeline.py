"""The whole pipeline, durable, into the embedded store: µs a record by stage, events a second, memory.

    python -m bench [--records 200000] [--workers 2]

Data are unique lines made on the spot (bench.logs) and, if SECMON_CORPORA is set, 97,000 real Windows events. Every
run is a first pass in a process of its own with a store of its own. Compare figures of one run with each other only:
CPU µs hardly depend on what else the machine does, wall seconds do. The start (loading rules and classifiers) is
not counted, except in the row of the whole command, which names it beside.
"""

import argparse
import multiprocessing
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import zstandard

from bench.logs import access_lines, syslog_lines, write_log
from bench.measure import Spent
from bench.stages import StageTimes, staged
from bench.whole import Run, command, inline, pooled, settings_of
from secmon.store.sqlite.eventlog import SqliteEventLog
from secmon.wiring import opened

LIBRARIES = ("orjson", "hyperscan", "zstandard", "numpy", "apsw")
WINDOWS = Path("windows") / "otrf-97k.jsonl.zst"


@dataclass(frozen=True, slots=True)
class Corpus:
    """One file of records.

    Args:
        name: what it is, for people.
        kind: kind of its records.
    """

    name: str
    kind: str
    path: Path


def corpora(folder: Path, records: int) -> Iterator[Corpus]:
    """Write the corpora into a folder."""
    access = Corpus("nginx access, 2 % personal data, 0.5 % attacks", "nginx.access", folder / "access.log")
    write_log(access.path, access_lines(records))
    yield access
    syslog = Corpus("syslog, one fifth sshd", "syslog", folder / "messages")
    write_log(syslog.path, syslog_lines(records))
    yield syslog
    packed = Path(os.environ.get("SECMON_CORPORA", "")) / WINDOWS
    if packed.is_file():
        windows = Corpus("real Windows events", "windows.json", folder / "windows.jsonl")
        with zstandard.open(packed, "rb") as source:
            windows.path.write_bytes(source.read())
        yield windows


def stage_times(state: Path, path: Path, kind: str) -> StageTimes:
    """Time the stages of a file beside the bare commit of the same batches."""
    with (
        opened(settings_of(state / "stages"), writable=True) as house,
        closing(SqliteEventLog(state / "bare", writable=True)) as bare,
    ):
        return staged(house, bare, path, kind)


def apart(work: Callable[..., object], *args: object) -> object:
    """Do one piece of work in a process of its own: nothing remembered, its own peak of memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def print_stages(report: StageTimes) -> None:
    """Print µs a record for each stage."""
    print(f"  {report.records:,} records, {report.events:,} events, {report.hits:,} hits, {report.findings:,} findings")
    print(f"  {'stage':<24}{'CPU µs':>9}{'wall µs':>9}")
    whole = Spent(sum(one.cpu_s for one in report.spent.values()), sum(one.wall_s for one in report.spent.values()))
    for name, spent in [*report.spent.items(), ("sum", whole), ("bare commit of the same", report.bare)]:
        print(f"  {name:<24}{micros(spent.cpu_s, report.records):9.1f}{micros(spent.wall_s, report.records):9.1f}")


def print_runs(runs: list[Run], bare: Spent) -> None:
    """Print the whole runs, each beside the bare commit."""
    print(f"  {'whole pipeline':<18}{'events/s':>10}{'wall µs':>9}{'main µs':>9}{'workers µs':>11}", end="")
    print(f"{'× bare':>8}{'main MB':>9}{'worker MB':>10}{'alerts s':>10}")
    for run in runs:
        wall, per_s = micros(run.main.wall_s, run.records), run.records / run.main.wall_s
        main, workers = micros(run.main.cpu_s, run.records), micros(run.workers_cpu_s, run.records)
        print(f"  {run.name:<18}{per_s:10,.0f}{wall:9.1f}{main:9.1f}{workers:11.1f}", end="")
        cpu_s = run.main.cpu_s + run.workers_cpu_s
        print(f"{cpu_s / bare.cpu_s:8.1f}{run.peak_mb:9.0f}{run.worker_mb:10.0f}{run.evaluate_s:10.1f}", end="")
        print(f"  (start {run.start_s:.1f} s CPU in it)" if run.start_s else "")


def micros(seconds: float, records: int) -> float:
    """Return microseconds a record."""
    return seconds / records * 1e6


def report(corpus: Corpus, folder: Path, workers: int) -> None:
    """Measure one corpus and print its tables."""
    print(f"\n{corpus.name}: {corpus.path.stat().st_size / 1e6:.0f} MB", flush=True)
    stages = apart(stage_times, folder / "stages", corpus.path, corpus.kind)
    assert isinstance(stages, StageTimes)  # noqa: S101  for the type checker
    print_stages(stages)
    runs = [apart(inline, folder / "inline", corpus.path, corpus.kind)]
    runs += [apart(pooled, folder / f"{n}", corpus.path, corpus.kind, n) for n in range(1, workers + 1)]
    runs.append(command(folder / "command", corpus.path, corpus.kind, stages.records))
    print_runs([run for run in runs if isinstance(run, Run)], stages.bare)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all corpora; `arguments` are those of the command line by default."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=200_000, help="lines of each made corpus")
    options.add_argument("--workers", type=int, default=2, help="most worker processes")
    chosen = options.parse_args(arguments)
    libraries = " ".join(f"{name} {version(name)}" for name in LIBRARIES)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {libraries}")
    with TemporaryDirectory() as folder:
        for number, corpus in enumerate(corpora(Path(folder), chosen.records)):
            report(corpus, Path(folder) / str(number), chosen.workers)
