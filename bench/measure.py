"""What a piece of work takes: CPU and wall seconds of this process, and memory of any."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import sysconf
from pathlib import Path


@dataclass(slots=True)
class Spent:
    """Seconds of one measurement, or the sum of several."""

    cpu_s: float = 0.0
    wall_s: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add what a block takes."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu_s += time.process_time() - cpu
            self.wall_s += time.perf_counter() - wall


def measured(work: Callable[[], object]) -> Spent:
    """Run something once and return what it took."""
    spent = Spent()
    with spent.timed():
        work()
    return spent


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a running process has used (proc_pid_stat(5), fields utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")


def peak_mb(pid: int | str = "self") -> float:
    """Return the peak resident set of a running process in MB (proc_pid_status(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) / 1024
