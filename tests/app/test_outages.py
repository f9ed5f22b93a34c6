"""After any outage the alerts are those of a run without one: a minute to three days, of whatever part."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import StoreUnavailableError
from tests.app.houses import NOON, OPERATOR, SetClock
from tests.app.lateness import Facts, Request, commit, events_of, expected, found, house_on, tick
from tests.contracts.builders import DAY

OUTAGES = {"1min": 60, "1h": 3_600, "24h": 86_400, "72h": 259_200}
CAMPUS, BRANCH = "campus", "branch"
_BEFORE_S = 1_800
_AFTER_S = 1_800


def log_of(outage_s: int) -> list[Request]:
    """Return a log around an outage: bursts, so that every kind of correlation has something to find in it."""
    end = _BEFORE_S + outage_s + _AFTER_S
    step = max(120, outage_s // 40)
    log = []
    for burst, start in enumerate(range(0, end, step)):
        for n in range(4):
            status = (401, 401, 403, 200)[(n + burst) % 4]
            log.append(Request(start + 17 * n + burst % 7, 1 + burst % 2, status, "ab"[n % 2], (burst + n) % 6))
    return sorted({one.second: one for one in log}.values(), key=lambda one: one.second)


@dataclass(slots=True)
class World:
    """An installation with a clock and two sources, one of each address.

    Args:
        house: the installation.
        clock: its clock; events come on the day it shows.
        numbers: source → its batches so far.
    """

    house: Installation
    clock: SetClock
    numbers: dict[str, int] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)

    def deliver(self, log: Sequence[Request]) -> None:
        """Let lines arrive now, each from its source."""
        for source, address in ((CAMPUS, 1), (BRANCH, 2)):
            mine = [one for one in log if one.address == address]
            if mine:
                number = self.numbers[source] = self.numbers.get(source, 0) + 1
                first = self.offsets.get(source, 1)
                self.offsets[source] = first + len(mine)
                day = self.clock.now().date()
                events = events_of(mine, source=source, day=day, first=first)
                commit(self.house, number, events, source=source, day=day)

    def at(self, second: int) -> None:
        """Set the clock to a second of the log."""
        self.clock.moment = NOON + timedelta(seconds=second)


def between(log: Sequence[Request], since: float, until: float) -> list[Request]:
    return [one for one in log if since <= one.second < until]


def live(world: World, log: Sequence[Request], since: float, until: float) -> None:
    """Let lines arrive as they are written, with a tick every ten minutes."""
    step = max(600, int(until - since) // 12)
    for start in range(int(since), int(until), step):
        end = min(start + step, until)
        world.at(int(end))
        world.deliver(between(log, start, end))
        evaluate(world.house, OPERATOR)


Outage = Callable[[World, list[Request], int, int], None]


def daemon_down(world: World, log: list[Request], since: int, until: int) -> None:
    """Nothing is read; then all of it, in pieces, as fast as it goes."""
    world.at(until)
    missed = between(log, since, until)
    for start in range(0, len(missed), 50):
        world.deliver(missed[start : start + 50])
        evaluate(world.house, OPERATOR)


def daemon_down_and_one_batch(world: World, log: list[Request], since: int, until: int) -> None:
    """The same, and a single tick for all of it."""
    world.at(until)
    world.deliver(between(log, since, until))


def read_backwards(world: World, log: list[Request], since: int, until: int) -> None:
    """The newest file is read first, the rotated ones after it."""
    world.at(until)
    missed = between(log, since, until)
    for start in reversed(range(0, len(missed), 40)):
        world.deliver(missed[start : start + 40])
        evaluate(world.house, OPERATOR)


class Away:
    """A store that answers nothing from its n-th question on."""

    def __init__(self, port: Any, left: int) -> None:
        self._port, self._left = port, left

    def __getattr__(self, name: str) -> Any:
        self._left -= 1
        if self._left < 0:
            raise StoreUnavailableError("the store is away", where="test")
        return getattr(self._port, name)


def store_away(world: World, log: list[Request], since: int, until: int) -> None:
    """Lines are put by; ticks fail, each a little further on its way."""
    world.deliver(between(log, since, since + 60))
    for left in range(0, 120, 3):
        world.clock.pass_time(seconds=(until - since) / 40)
        log_port: Any = Away(world.house.log, left)
        records: Any = Away(world.house.records, left)
        with contextlib.suppress(StoreUnavailableError):
            evaluate(replace(world.house, log=log_port, records=records), OPERATOR)
    world.at(until)
    world.deliver(between(log, since + 60, until))


def one_source_late(world: World, log: list[Request], since: int, until: int) -> None:
    """One source is cut off while the other goes on; at last it sends what it has."""
    live(world, [one for one in log if one.address == 1], since, until)
    world.deliver(between([one for one in log if one.address == 2], since, until))


def clock_jumps(world: World, log: list[Request], since: int, until: int) -> None:
    """The clock of this machine goes wrong by the length of the outage, forth and back, between batches."""
    middle = (since + until) // 2
    world.at(until + (until - since))
    world.deliver(between(log, since, middle))
    evaluate(world.house, OPERATOR)
    world.at(since - (until - since))
    world.deliver(between(log, middle, until))


def ticks_missed_and_doubled(world: World, log: list[Request], since: int, until: int) -> None:
    """The timer fails: none, then many."""
    step = max(1, (until - since) // 6)
    for number, start in enumerate(range(since, until, step)):
        world.at(min(start + step, until))
        world.deliver(between(log, start, min(start + step, until)))
        for _ in range(3 * (number % 2)):
            evaluate(world.house, OPERATOR)


def ticks_killed(world: World, log: list[Request], since: int, until: int) -> None:
    """Every tick dies at another point, some after the alerts were written and before the mark was."""
    step = max(1, (until - since) // 6)
    for number, start in enumerate(range(since, until, step)):
        world.at(min(start + step, until))
        world.deliver(between(log, start, min(start + step, until)))
        for death in range(1 + number, 400, 37):
            tick(world.house, "killed", death)


WAYS: tuple[Outage, ...] = (
    daemon_down, daemon_down_and_one_batch, read_backwards, store_away, one_source_late, clock_jumps,
    ticks_missed_and_doubled, ticks_killed,
)  # fmt: skip


def after(opened: Callable[[], Any], clock: SetClock, log: list[Request], outage_s: int, way: Outage | None) -> Facts:
    """Return what is found after an outage; the daemon starts anew behind it. `None`: there was none."""
    since, until, end = _BEFORE_S, _BEFORE_S + outage_s, _BEFORE_S + outage_s + _AFTER_S
    with opened() as house:
        world = World(house, clock)
        live(world, log, 0, since)
        (way or live)(world, log, since, until)
    with opened() as house:
        world = World(house, clock, world.numbers, world.offsets)
        live(world, log, until, end + 1)
        evaluate(house, OPERATOR)
        return found(house)


def opener(folder: Path, clock: SetClock, backend: str = "sqlite") -> Callable[[], Any]:
    return lambda: house_on(backend, folder, clock)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Facts]:
    """Return what a run without an outage finds; each is run once."""
    known: dict[int, Facts] = {}

    def facts(outage_s: int) -> Facts:
        if outage_s not in known:
            clock = SetClock()
            folder = tmp_path_factory.mktemp("undisturbed")
            known[outage_s] = after(opener(folder, clock), clock, log_of(outage_s), outage_s, None)
        return known[outage_s]

    return facts


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("outage_s", OUTAGES.values(), ids=OUTAGES.keys())
def test_after_an_outage_the_alerts_are_those_of_a_run_without_one(
    undisturbed: Callable[[int], Facts], store_in_full: str, tmp_path: Path, outage_s: int, way: Outage
) -> None:
    clock = SetClock()
    assert after(opener(tmp_path, clock, store_in_full), clock, log_of(outage_s), outage_s, way) == undisturbed(
        outage_s
    )


@pytest.mark.parametrize("outage_s", OUTAGES.values(), ids=OUTAGES.keys())
def test_a_run_without_an_outage_finds_what_an_obvious_reading_does(
    undisturbed: Callable[[int], Facts], tmp_path: Path, outage_s: int
) -> None:
    log = log_of(outage_s)
    with house_on("sqlite", tmp_path) as house:
        wanted = expected(house, events_of(log))
    assert undisturbed(outage_s) == wanted
    assert len({name for name, _ in wanted}) >= 12


def test_the_log_of_three_days_comes_on_four_days() -> None:
    days = {day_of(one.second) for one in log_of(OUTAGES["72h"])}
    assert days == {DAY + timedelta(days=n) for n in range(4)}


def day_of(second: int) -> date:
    moment: datetime = NOON + timedelta(seconds=second)
    return moment.date()
