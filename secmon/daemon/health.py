"""What can be wrong with an installation, and what to do about it: `secmon doctor`, /readyz and the console."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from secmon.app.installation import Installation
from secmon.app.retention import Review
from secmon.app.tuning import ending
from secmon.errors import SecmonError
from secmon.ports import Spool

State = Literal["ok", "warn", "fail", "not_run"]

MIN_PYTHON = (3, 11)
RESERVE_BYTES = 1 << 30
RESERVE_SHARE = 0.05
_NAMED = 3
OLDEST_PLAUSIBLE = datetime(2025, 1, 1, tzinfo=UTC)
ESSENTIAL = frozenset({"store", "disk_space", "reading", "scheduler", "keys"})
"""Checks without which the daemon must not take records; the others are shown and do not stop it."""
DAEMONS = "daemons"
"""The check that a daemon has where others share its store; there it is as essential."""


@dataclass(frozen=True, slots=True)
class Check:
    """One row of `doctor`.

    Args:
        check: its name.
        state: "ok", "warn", "fail" or "not_run".
        detail: what was seen.
        remedy: what to do; empty if nothing.
    """

    check: str
    state: State
    detail: str
    remedy: str = ""

    def row(self) -> dict[str, str]:
        """Return the row as JSON."""
        return {"check": self.check, "state": self.state, "detail": self.detail, "remedy": self.remedy}


def python_version() -> Check:
    """Python 3.11 to 3.13."""
    found = sys.version.split()[0]
    if sys.version_info < MIN_PYTHON:
        return Check("python", "fail", found, "install Python 3.11, 3.12 or 3.13")
    return Check("python", "ok", found)


def sqlite_version() -> Check:
    """A SQLite without the WAL-reset bug (fixed in 3.51.3)."""
    import apsw  # noqa: PLC0415  a broken wheel must be a row, not a traceback

    version = apsw.sqlite_lib_version()
    good = tuple(map(int, version.split("."))) >= (3, 51, 3)
    if not good:
        return Check("sqlite_version", "fail", version, "pip install -U apsw: before 3.51.3 a WAL can lose commits")
    return Check("sqlite_version", "ok", version)


# Expressions that Vectorscan after 5.4.11 misses on processors with AVX-512 VBMI, at some places of a text.
_MISSED_BY_SOME = {rb":\s*\{": b":{", rb"a\s*b": b"a  b", rb"\s+/": b"   /", b"hd": b"hd"}
_FILLER = b"%_:a ::  [a:h [:ae.cd|.[ a|{:a :[" * 5
_PLACES = 130


def hyperscan() -> Check:
    """The pattern matcher finds what it must, on this processor."""
    import hyperscan as hs  # noqa: PLC0415

    for expression, text in _MISSED_BY_SOME.items():
        database = hs.Database()
        database.compile(expressions=[expression], ids=[1], elements=1, flags=[hs.HS_FLAG_SINGLEMATCH])
        for room in range(_PLACES):
            found: list[int] = []
            database.scan(_FILLER[:room] + text, match_event_handler=lambda *_, found=found: found.append(1))
            if not found:
                hint = "pip install --force-reinstall hyperscan==0.7.21"
                return Check("hyperscan", "fail", "a known pattern was not found", hint)
    return Check("hyperscan", "ok", metadata.version("hyperscan"))


def java() -> Check:
    """A JDK, which only the Elasticsearch tests need."""
    path = shutil.which("java")
    if path is None:
        return Check("java", "not_run", "no java; only the tests against a real Elasticsearch need one")
    found = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    return Check("java", "ok", (found.stderr or found.stdout).splitlines()[0] if found.returncode == 0 else path)


def disk_space(state: Path) -> Check:
    """Room for what is still to come: at least 1 GiB and 5 % of the disk."""
    folder = next((one for one in (state, *state.parents) if one.exists()), Path("/"))
    usage = shutil.disk_usage(folder)
    detail = f"{usage.free / 2**30:.1f} GiB free ({usage.free / usage.total:.0%})"
    remedy = "make room, or move the state folder; reading stops and loses nothing when the disk is full"
    if usage.free < RESERVE_BYTES:
        return Check("disk_space", "fail", detail, remedy)
    if usage.free < usage.total * RESERVE_SHARE:
        return Check("disk_space", "warn", detail, remedy)
    return Check("disk_space", "ok", detail)


def keys(paths: Sequence[Path], *, started: bool = False) -> Check:
    """Key files are there and nobody else may read them; before the first start there are none yet.

    Args:
        paths: the key files.
        started: the daemon runs on them, so that they have been made.
    """
    missing = [path for path in paths if not path.exists()]
    if len(missing) == len(paths) and not started:
        return Check("keys", "ok", "made at the first start")
    if missing:
        return Check(
            "keys", "fail", f"{missing[0]} is missing", "restore it from the backup; without it data stays sealed"
        )
    for path in paths:
        if path.stat().st_mode & 0o077:
            return Check("keys", "fail", f"{path} can be read by others", f"chmod 600 {path}")
    return Check("keys", "ok", f"{len(paths)} key files")


def credentials(paths: Sequence[Path]) -> Check:
    """Files with credentials of a cluster are nobody else's to read."""
    for path in paths:
        if path.stat().st_mode & 0o077:
            return Check("credentials", "warn", f"{path} can be read by others", f"chmod 600 {path}")
    return Check("credentials", "ok", f"{len(paths)} files" if paths else "none needed")


def spool(found: Spool | None, problem: str = "") -> Check:
    """What is put by while the store is away, and whether there is room for more."""
    if found is None:
        return Check("spool", "ok", "off: records wait in their sources")
    wrong = found.problems()
    if wrong or problem:
        return problems("spool", [*wrong, *([problem] if problem else [])], "")
    held, most = found.usage()
    detail = f"{held / 2**20:.1f} of {most / 2**20:.0f} MiB"
    if held:
        return Check("spool", "warn", detail, "records wait for the store; they go in by themselves when it is back")
    return Check("spool", "ok", detail)


def correlations(cut: Sequence[str]) -> Check:
    """No sliding window of a correlation held more events than are counted."""
    if not cut:
        return Check("correlations", "ok", "all events counted")
    detail = f"windows too long for {len(cut)} correlations: {', '.join(cut[:_NAMED])}"
    return Check(
        "correlations", "warn", detail, "a flood, or a rule whose timespan or group-by is too wide for its logs"
    )


def clock(now: datetime, last_received: datetime | None) -> Check:
    """The clock is plausible and did not go back behind what is stored."""
    if now < OLDEST_PLAUSIBLE:
        return Check("clock", "fail", now.isoformat(), "set the clock (chronyd or systemd-timesyncd)")
    if last_received and now < last_received - timedelta(minutes=5):
        detail = f"{last_received - now} behind the last stored record"
        return Check("clock", "fail", detail, "set the clock (chronyd or systemd-timesyncd)")
    return Check("clock", "ok", now.isoformat(timespec="seconds"))


def retention(found: Review) -> Check:
    """The retention job may go on, and nothing is older than its ceiling."""
    if found.is_held_up:
        detail = f"the clock is {found.leap_days} days further than its last run explains"
        remedy = "set the clock; if the date is right: secmon store retention --confirm-clock"
        return Check("retention", "fail", detail, remedy)
    if found.beyond:
        detail = f"{len(found.beyond)} partitions are older than the ceiling of their class"
        return Check("retention", "warn", detail, "let secmon up run: its daily job drops them")
    return Check("retention", "ok", f"{len(found.due)} partitions are due")


def tuning(house: Installation) -> Check:
    """Nothing that quiets alerts has run out unseen, or is about to."""
    found = ending(house.ruleset, house.clock.now())
    remedy = "renew it with a new approval, or take it away: secmon tuning list"
    return problems("tuning", found, f"{len(house.ruleset.suppressions)} in force", state="warn", remedy=remedy)


def problems(name: str, found: Sequence[str], good: str, *, state: State = "fail", remedy: str = "") -> Check:
    """Return a check that fails with the first of several problems and says how many there are."""
    if not found:
        return Check(name, "ok", good)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Check(name, state, found[0] + more, remedy)


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Run a check; what it raises becomes its row, so that one broken part does not hide the others."""
    try:
        return check()
    except SecmonError as error:
        return Check(name, "fail", error.statement(), error.advice())
    except Exception as error:  # noqa: BLE001  a doctor that falls ill himself helps nobody
        return Check(name, "fail", f"{type(error).__name__}: {error}", "please report this")


def readiness(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the object of /readyz."""
    ready = not any(one.state == "fail" and one.check in ESSENTIAL | {DAEMONS} for one in checks)
    return {
        "ready": ready,
        "checks": [{"check": one.check, "state": one.state, "detail": one.detail} for one in checks],
    }
