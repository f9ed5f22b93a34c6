"""The whole pipeline: inline, with worker processes, and as the command `secmon import`."""

import multiprocessing
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.measure import Spent, cpu_of, peak_mb
from bench.stages import ACCESS, WARM_RECORDS, warm
from secmon.app.evaluate import evaluate
from secmon.app.imports import Imported
from secmon.app.installation import Installation
from secmon.app.work import InlineWork, Work
from secmon.config import Settings, load_settings
from secmon.daemon.importing import import_into
from secmon.daemon.workers import pool_of
from secmon.wiring import opened, read_texts

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the whole pipeline.

    Args:
        name: what ran.
        records: how many records it took.
        main: CPU of the main process, and the wall time.
        workers_cpu_s: CPU seconds of all workers, without their start.
        start_s: CPU seconds of the start, where it is counted.
        evaluate_s: CPU seconds of bringing the alerts up to date afterwards.
        peak_mb: peak resident set of the main process in MB; it never falls within one run of the bench.
        worker_mb: peak resident set of the largest worker in MB; 0 where there is none.
    """

    name: str
    records: int
    main: Spent
    workers_cpu_s: float = 0.0
    start_s: float = 0.0
    evaluate_s: float = 0.0
    peak_mb: float = 0.0
    worker_mb: float = 0.0


def settings_of(state: Path) -> Settings:
    """Return the default settings over a state folder; nothing of this machine's own settings counts."""
    return load_settings(flags={"secmon.state": str(state)}, environ={})


def inline(state: Path, path: Path, kind: str) -> Run:
    """Import a file inside this process."""
    with opened(settings_of(state), writable=True) as house:
        work = InlineWork(house.stages)
        warm(house, work, path, kind)
        spent, done, after = _imported(house, work, path, kind)
        return Run("inline", done.counts.received, spent, evaluate_s=after.cpu_s, peak_mb=peak_mb())


def pooled(state: Path, path: Path, kind: str, workers: int) -> Run:
    """Import a file with worker processes; they have loaded rules and classifiers before the clock starts."""
    settings = settings_of(state)
    texts = read_texts(settings)
    with (
        opened(settings, writable=True, texts=texts) as house,
        closing(pool_of(settings, texts, house.ruleset.digest, workers=workers)) as work,
    ):
        warm(house, work, path, kind, processes=workers)
        pids = [child.pid for child in multiprocessing.active_children() if child.pid]
        loaded = sum(map(cpu_of, pids))
        spent, done, after = _imported(house, work, path, kind)
        return Run(
            f"{workers} worker" + "s" * (workers > 1),
            done.counts.received,
            spent,
            workers_cpu_s=sum(map(cpu_of, pids)) - loaded,
            evaluate_s=after.cpu_s,
            peak_mb=peak_mb(),
            worker_mb=max(map(peak_mb, pids), default=0.0),
        )


def _imported(house: Installation, work: Work, path: Path, kind: str) -> tuple[Spent, Imported, Spent]:
    spent, after = Spent(), Spent()
    with spent.timed():
        done = import_into(house, ACCESS, {"source": kind, "files": [str(path)]}, work=work, data=None)
    with after.timed():
        evaluate(house, ACCESS)
    return spent, done, after


def command(state: Path, path: Path, kind: str, records: int) -> Run:
    """Run `secmon import` as its users do, and once over a few records: what its start alone takes."""
    few = path.with_name("few-" + path.name)
    with path.open("rb") as file:
        few.write_bytes(b"".join(islice(file, WARM_RECORDS)))
    start, _ = _commanded(state / "few", few, kind)
    spent, peak = _commanded(state / "all", path, kind)
    return Run("secmon import", records, spent, start_s=start.cpu_s, peak_mb=peak)


def _commanded(state: Path, path: Path, kind: str) -> tuple[Spent, float]:
    """Run the command; return CPU of all its processes, wall time, and the peak of the largest in MB."""
    order = [sys.executable, "-m", "secmon", "--state", str(state), "-q", "import", "--source", kind, str(path)]
    started = time.perf_counter()
    process = subprocess.Popen(order, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, order)
    return Spent(used.ru_utime + used.ru_stime, wall_s), used.ru_maxrss / 1024
