"""A real secmon in its own processes, and what it holds in the end: for tests that hurt it."""

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secmon.app import alerts, checkpoints
from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.config import load_settings
from secmon.model.access import job_access
from secmon.model.event import Event
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.model.record import RecordQuery
from secmon.wiring import opened

ACCESS = job_access("test")
READY_S = 60.0
SOON_S = 60.0
ENDS_S = 60.0
"""No goal: a batch and a tick that are under way are brought to their end, on a machine that may be busy."""
_STACKS = 20_000
SOURCE = "web"
_DAY = "20/Nov/2026"
_DAY_DIGITS = 4  # an event id begins with its partition day: two bytes


def loops(default: int) -> int:
    """Return how often to do it: as often as in CI, or as SECMON_FAULT_LOOPS says."""
    return int(os.environ.get("SECMON_FAULT_LOOPS", str(default)))


def log_line(number: int) -> str:
    """Return line `number` of an access log: some blank, some malformed, some attacks, some with personal data."""
    if number % 997 == 0:
        return "this is no access log line"
    if number % 401 == 0:
        return ""
    path = "/admin/shell.jsp?cmd=id" if number % 89 == 0 else f"/jwxt/grade?id={number}"
    phone = "&phone=13800138000" if number % 53 == 0 else ""
    return web_line(f"{path}{phone}{'&' if '?' in path else '?'}n={number}", number)


def web_line(target: str, number: int = 0) -> str:
    """Return one line of an access log, a second after the one before it."""
    address = f"198.51.100.{number % 250 + 1}"
    clock = f"{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    return f'{address} - - [{_DAY}:{clock} +0800] "GET {target} HTTP/1.1" 200 512 "-" "Mozilla/5.0"'


@dataclass
class House:
    """An installation in a folder of its own.

    Args:
        folder: where everything is.
        paths: what its only source follows.
        kind: kind of that source.
        workers: worker processes of the daemon.
        state: its state folder, if it is not below `folder`.
        more: further settings, as TOML: other sources, another store.
    """

    folder: Path
    paths: list[str] = field(default_factory=list)
    kind: str = "nginx.access"
    workers: int = 1
    state: Path = Path()
    more: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.state == Path():
            self.state = self.folder / "state"
        self.config.write_text(
            f'[secmon]\nstate = "{self.state}"\nworkers = {self.workers}\n[console]\nlisten = "127.0.0.1:0"\n'
            f'[[sources]]\nname = "{SOURCE}"\nkind = "{self.kind}"\npaths = {json.dumps(self.paths)}\n'
            f"{self.more}",
            encoding="utf-8",
        )

    @property
    def config(self) -> Path:
        return self.folder / "secmon.toml"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "secmon", "--config", str(self.config), "--quiet", *arguments]

    def share_keys_of(self, other: "House") -> None:
        """Take over another one's keys: digests and tokens are keyed."""
        (self.state / "keys").mkdir(parents=True, exist_ok=True)
        for key in (other.state / "keys").iterdir():
            (self.state / "keys" / key.name).write_bytes(key.read_bytes())
            (self.state / "keys" / key.name).chmod(0o600)

    def done(self, *arguments: str, standard_input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments), input=standard_input, capture_output=True, timeout=300, check=False
        )

    def output(self, *arguments: str) -> dict[str, Any]:
        """Run a command that succeeds and return the object it prints."""
        done = self.done(*arguments)
        assert done.returncode in {0, 5}, done.stderr.decode()
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def account(self) -> dict[str, Any]:
        return self.output("sources", "show", SOURCE, "--json")

    @contextmanager
    def reading(self) -> Iterator[Installation]:
        with opened(load_settings(self.config), writable=False, content=False) as house:
            yield house

    def content(self) -> dict[str, str]:
        """Return digests of what is stored, without partition days: equal whenever the same records came in."""
        with self.reading() as house:
            found = {
                "events": [_event_fact(event) for event in house.log.events(ACCESS, EventQuery())],
                "hits": [f"{hit.rule_id} {_dayless(hit.event_id)} {hit.at}" for hit in _hits(house)],
                "findings": [
                    f"{one.finding.data_class} {_dayless(one.event_id)} {one.finding.masked}"
                    for one in house.log.findings(ACCESS, FindingQuery())
                ],
                "dead letters": [
                    f"{one.body['generation']} {one.body['offset']} {one.body['state']}"
                    for one in _documents(house, "deadletter")
                ],
                "alerts": sorted(self._alert_facts(house)),
            }
        return {name: _digest(rows) for name, rows in found.items()}

    def alert_facts(self) -> set[str]:
        """Return what hits decide about each alert, without ids of events: equal on any way the lines came in."""
        with self.reading() as house:
            return set(self._alert_facts(house))

    @staticmethod
    def _alert_facts(house: Installation) -> Iterator[str]:
        for document in _documents(house, alerts.KIND):
            row = alerts.row(alerts.to_alert(document))
            names = ("alert.id", "rule.id", "alert.count", "alert.first", "alert.last", "alert.state")
            yield json.dumps({name: row[name] for name in names}, sort_keys=True)

    def numbers(self) -> Counter[int]:
        """Return how often the line with each number is stored (`n=NUMBER` at the end of its target)."""
        with self.reading() as house:
            found = house.log.events(ACCESS, EventQuery(present=("url.query",)))
            return Counter(int(str(event["url.query"]).rpartition("n=")[2]) for event in found)

    def originals(self) -> list[str]:
        """Return the text of all events, in order of arrival."""
        with self.reading() as house:
            found = house.log.events(ACCESS, EventQuery())
            return [str(event["event.original"]) for event in sorted(found, key=lambda one: str(one["event.id"]))]

    def unfinished(self) -> int:
        """Return how many streams have a durable batch that their checkpoint does not know yet."""
        with self.reading() as house:
            known = {f"{one.source}:{one.generation}": one.batch for one in checkpoints.load_all(house, ACCESS)}
            highest: dict[str, int] = {}
            for row in house.log.batches(ACCESS):
                stream = f"{row.source}:{row.generation}"
                highest[stream] = max(highest.get(stream, 0), row.number)
        return sum(highest[stream] > known[stream] for stream in highest)

    def batches(self) -> int:
        """Return how many batches are durable."""
        if not (self.state / "control.db").exists():
            return 0
        with self.reading() as house:
            return sum(1 for _ in house.log.batches(ACCESS))


def _dayless(event_id: str) -> str:
    return event_id[_DAY_DIGITS:]


def _event_fact(event: Event) -> str:
    left_out = {"event.ingested", "event.id"}
    facts = {name: value for name, value in event.items() if name not in left_out}
    return json.dumps({**facts, "id": _dayless(str(event["event.id"]))}, sort_keys=True)


def _hits(house: Installation) -> Iterator[Any]:
    return house.log.hits(ACCESS, HitQuery())


def _documents(house: Installation, kind: str) -> Iterator[Any]:
    return every(house.records, ACCESS, RecordQuery(kind=kind, limit=500))


def _digest(rows: list[str]) -> str:
    return f"{len(rows)} " + hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


def is_balanced(account: dict[str, Any]) -> bool:
    """Tell whether received = stored + duplicate + dead-lettered + dropped + in flight."""
    settled = account["stored"] + account["duplicate"] + account["dead_lettered"] + account["in_flight"]
    return bool(account["received"] == settled + sum(account["dropped"].values()))


class Daemon:
    """A running `secmon up`.

    Args:
        house: what it runs on.
        wrapper: command that starts it, such as strace with its options.
        environment: further environment variables.
    """

    def __init__(self, house: House, wrapper: tuple[str, ...] = (), **environment: str) -> None:
        self.house = house
        self._errors = (house.folder / "daemon.log").open("ab")
        self.process = subprocess.Popen(
            [*wrapper, *house.command("up")],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONFAULTHANDLER": "1", **environment},
        )
        try:
            self.ready = self._ready_line()
        except BaseException:
            self.kill()
            raise
        self.pid: int = self.ready["pid"]
        self.url: str = self.ready["url"]

    def _ready_line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        arrived, _, _ = select.select([self.process.stdout], [], [], READY_S)
        line = self.process.stdout.readline() if arrived else b""
        assert line, f"it did not become ready: {self.log()}"
        found: dict[str, Any] = json.loads(line)
        return found

    def log(self) -> str:
        """Return what it and those before it wrote on standard error."""
        return (self.house.folder / "daemon.log").read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[int]:
        """Return the pids of its child processes."""
        text = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(pid) for path in text for pid in path.read_text().split()]

    def workers(self) -> list[int]:
        """Return the pids of its worker processes."""
        return [pid for pid in self.children() if b"spawn_main" in _command_line(pid)]

    def memory_kib(self) -> int:
        """Return the highest memory that it and its workers ever held, added up."""
        return sum(_peak_kib(pid) for pid in (self.pid, *self.workers()))

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and JSON of one page."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:  # noqa: S310  our own server
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def check(self, name: str) -> dict[str, str]:
        """Return one check of /readyz."""
        found: dict[str, str] = next(one for one in self.get("readyz")[1]["checks"] if one["check"] == name)
        return found

    def freeze(self) -> None:
        """SIGSTOP: it stands still wherever it is, and knows nothing of it."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        with suppress(ProcessLookupError):
            if hasattr(self, "pid"):
                os.kill(self.pid, signal.SIGKILL)
        self.process.kill()
        self._reap()

    def terminate(self, *, within_s: float = ENDS_S) -> int:
        """SIGTERM; return its exit status. One that does not end says where each of its threads stands."""
        os.kill(self.pid, signal.SIGTERM)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGABRT)  # PYTHONFAULTHANDLER: every thread's stack, on standard error
            self.process.wait(10)
            raise AssertionError(f"it did not end within {within_s:.0f} s: {self.log()[-_STACKS:]}") from None
        finally:
            self.kill()

    def _reap(self) -> None:
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.close()


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@contextmanager
def daemon(house: House, wrapper: tuple[str, ...] = (), **environment: str) -> Iterator[Daemon]:
    """Start a daemon and end it with the block, whatever happens there."""
    running = Daemon(house, wrapper, **environment)
    try:
        yield running
    finally:
        running.kill()


def until(is_so: Callable[[], bool], what: str, *, within_s: float = SOON_S, every_s: float = 0.1) -> float:
    """Wait until something is so; return how many seconds that took."""
    start = time.monotonic()
    while not is_so():
        passed = time.monotonic() - start
        assert passed < within_s, f"not within {within_s:g} s: {what}"
        time.sleep(every_s)
    return time.monotonic() - start


def until_read(house: House, records: int, *, within_s: float = SOON_S) -> float:
    """Wait until so many records were received; return how many seconds that took."""

    def is_read() -> bool:
        with house.reading() as opened_house:
            found = checkpoints.load_all(opened_house, ACCESS, SOURCE)
        return sum(one.counts.received for one in found) >= records

    return until(is_read, f"{records} records received", within_s=within_s)


def is_alive(pid: int) -> bool:
    """Tell whether a process lives (one that ended and was not waited for does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
