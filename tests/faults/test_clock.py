"""A clock that is set back and forward by hours: no window missed or done twice, no stream back to an earlier day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.app import checkpoints
from secmon.app.evaluate import evaluate
from secmon.app.ingest import ingest_stream
from secmon.app.installation import Installation
from secmon.app.ledger import KIND, Window
from secmon.app.schedule import Task, run_due
from secmon.app.work import InlineWork
from secmon.collect.files import FileCollector
from secmon.daemon.health import clock
from secmon.model.access import Access, job_access
from secmon.model.questions import EventQuery
from secmon.model.record import Body, RecordQuery
from tests.app.houses import NOON, SetClock, access_line, opened_house

ACCESS = job_access("test")
HOUR = timedelta(hours=1)


class SteppedClock(SetClock):
    """A clock whose wall can be set while its monotonic seconds go on."""

    def __init__(self, now: datetime = NOON) -> None:
        super().__init__(now)
        self.passed_s = 0.0

    def monotonic_s(self) -> float:
        return self.passed_s

    def live(self, seconds: float) -> None:
        """Let time pass."""
        self.passed_s += seconds
        self.pass_time(seconds=seconds)


def windows_done(steps: Sequence[tuple[float, float]], state: Path) -> tuple[list[Window], list[str]]:
    """Live through (hours to pass, hours to set the clock by) with a tick after each; return runs and rows."""
    runs: list[Window] = []

    def run(_house: Installation, _access: Access, window: Window) -> Body:
        runs.append(window)
        return {}

    wall = SteppedClock()
    with opened_house(state, wall) as house:
        for pass_h, set_by_h in steps:
            wall.live(pass_h * 3600)
            run_due(house, (Task("hourly", HOUR, run),))
            wall.moment += timedelta(hours=set_by_h)
            run_due(house, (Task("hourly", HOUR, run),))
        page = house.records.find(ACCESS, RecordQuery(kind=KIND, equals={"task": ("hourly",)}, limit=10_000))
    return runs, sorted(document.body["from"] for document in page.documents)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.floats(0, 5, allow_nan=False), st.floats(-30, 30, allow_nan=False)), min_size=1, max_size=8
    )
)
def test_windows_are_neither_missed_nor_repeated(
    steps: list[tuple[float, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    runs, rows = windows_done(steps, tmp_path_factory.mktemp("house"))
    starts = [window.since for window in runs]
    assert starts == [starts[0] + number * HOUR for number in range(len(starts))]
    assert len(rows) == len(runs)


def followed(house: Installation, log: Path) -> int:
    """Read what a file has, as the daemon does; return how many events are stored in all."""
    collector = FileCollector(source="web", kind="nginx.access", paths=[str(log)], clock=house.clock, settle_s=0.0)
    for stream in collector.streams(ACCESS, checkpoints.load_all(house, ACCESS, "web")):
        for _ in ingest_stream(house, ACCESS, collector, stream, work=InlineWork(house.stages)):
            pass
    collector.close()
    return house.log.count(ACCESS, EventQuery())[""]


def days(house: Installation) -> list[date]:
    """Return the partition days of the only stream's batches, in order."""
    (stream,) = checkpoints.load_all(house, ACCESS, "web")
    return [row.day for row in house.log.batches_of(ACCESS, f"web:{stream.generation}")]


def append(log: Path, *lines: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_partition_days_of_a_stream_never_go_back(tmp_path: Path) -> None:
    wall, log = SteppedClock(datetime(2026, 11, 22, 0, 30, tzinfo=UTC)), tmp_path / "access.log"
    with opened_house(tmp_path / "state", wall) as house:
        for number, set_by_h in enumerate((-3, +3, +30, -26, +1)):
            append(log, access_line(NOON, f"/{number}"))
            assert followed(house, log) == number + 1
            wall.moment += timedelta(hours=set_by_h)
            wall.live(60)
        assert days(house) == sorted(days(house))
        assert len(set(days(house))) == 2
        (stream,) = checkpoints.load_all(house, ACCESS, "web")
        assert stream.counts.received == stream.counts.stored == 5


def test_alerts_do_not_depend_on_the_clock_of_this_machine(tmp_path: Path) -> None:
    lines = [access_line(NOON + timedelta(seconds=number), "/shell", status=401) for number in range(6)]

    def alerts_of(name: str, jumps: Sequence[int]) -> set[tuple[str, int]]:
        wall, log = SteppedClock(), tmp_path / f"{name}.log"
        with opened_house(tmp_path / name, wall) as house:
            for line, set_by_h in zip(lines, jumps, strict=True):
                append(log, line)
                followed(house, log)
                evaluate(house, ACCESS)
                wall.moment += timedelta(hours=set_by_h)
            found = house.records.find(ACCESS, RecordQuery(kind="alert")).documents
            return {(document.id, document.body["content"]["count"]) for document in found}

    quiet = alerts_of("quiet", [0] * 6)
    assert len(quiet) == 2
    assert alerts_of("jumping", [-5, +9, -30, +48, -2, 0]) == quiet


def test_a_clock_behind_what_is_stored_is_told() -> None:
    assert clock(NOON, NOON + timedelta(hours=2)).state == "fail"
    assert clock(NOON, NOON + timedelta(minutes=2)).state == "ok"
    assert clock(datetime(2020, 1, 1, tzinfo=UTC), None).state == "fail"
