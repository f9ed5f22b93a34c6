"""Reading where several daemons share a store: only what is ours, over and over changing hands, nothing left behind."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from secmon.app import checkpoints
from secmon.app.installation import Installation
from secmon.app.leases import BEAT_S, TTL_S, Member, Peer, source_lease
from secmon.app.spooling import SpooledCollector
from secmon.app.work import InlineWork
from secmon.collect.files import FileCollector
from secmon.daemon.reading import Reading
from secmon.model.questions import EventQuery
from secmon.store.spool import FileSpool
from secmon.store.vault import FileVault
from tests.app.houses import NOON, OPERATOR, SetClock, access_line, opened_house

SOURCE = "web"


class Machine:
    """One daemon of several, turned by hand; its folder of logs is its own or shared."""

    def __init__(self, id_: str, house: Installation, logs: Path, spool: Path | None = None) -> None:
        self.house = house
        if spool is not None:
            kept = FileSpool(spool, FileVault(b"v" * 32), reserve_bytes=0)
            self.house = replace(house, spool=kept)
        self.collector = FileCollector(
            source=SOURCE, kind="nginx.access", paths=[f"{logs}/*.log"], clock=house.clock, settle_s=0.0
        )
        peer = Peer(id=id_, host=id_, started="", software="1", sources=(SOURCE,))
        self.member = Member(house, OPERATOR, peer)
        self.reading = Reading(
            self.house, [self.collector], InlineWork(house.stages), share=self.member, committed=threading.Event()
        )

    def turn(self) -> None:
        while self.reading.turn():
            pass

    @property
    def reads(self) -> bool:
        return bool(self.member.term(source_lease(SOURCE)))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with opened_house(tmp_path / "state", clock) as opened:
        yield replace(opened, is_shared=True)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def write(logs: Path, first: int, count: int) -> None:
    with (logs / "a.log").open("a", encoding="utf-8") as file:
        for number in range(first, first + count):
            file.write(access_line(NOON + timedelta(seconds=number), f"/{number}") + "\n")


def stored(house: Installation) -> int:
    return house.log.count(OPERATOR, EventQuery())[""]


def test_a_source_is_read_by_who_has_its_lease(house: Installation, logs: Path) -> None:
    one, other = Machine("a", house, logs), Machine("b", house, logs)
    write(logs, 0, 5)
    one.member.beat()
    other.member.beat()
    other.turn()
    assert (one.reads, other.reads, stored(house)) == (True, False, 0)
    one.turn()
    assert stored(house) == 5


def test_who_takes_over_goes_on_under_the_next_epoch_and_who_wakes_stores_nothing(
    house: Installation, logs: Path, clock: SetClock
) -> None:
    frozen, other = Machine("a", house, logs), Machine("b", house, logs)
    write(logs, 0, 5)
    frozen.member.beat()
    frozen.turn()
    other.member.beat()
    for _ in range(6):
        clock.pass_time(seconds=BEAT_S)
        other.member.beat()
    write(logs, 5, 5)
    other.turn()
    frozen.turn()
    assert (frozen.reads, other.reads, stored(house)) == (False, True, 10)
    (checkpoint,) = checkpoints.load_all(house, OPERATOR)
    assert (checkpoint.epoch, checkpoint.counts.stored) == (2, 10)


def test_a_lease_that_nobody_took_meanwhile_goes_on(house: Installation, logs: Path, clock: SetClock) -> None:
    only = Machine("a", house, logs)
    only.member.beat()
    write(logs, 0, 5)
    only.turn()
    clock.pass_time(seconds=TTL_S)
    write(logs, 5, 5)
    only.turn()
    assert stored(house) == 5
    only.member.beat()
    only.turn()
    assert stored(house) == 10


def test_what_one_daemon_put_by_is_stored_though_another_one_reads_the_source(
    house: Installation, logs: Path, clock: SetClock, tmp_path: Path
) -> None:
    """The file was rotated away in the outage: nobody else has these records."""
    one, other = Machine("a", house, logs, tmp_path / "spool"), Machine("b", house, logs)
    write(logs, 0, 5)
    one.member.beat()
    one.turn()
    assert one.house.spool is not None
    spooled = SpooledCollector(one.collector, one.house.spool)
    spooled.streams(OPERATOR, checkpoints.load_all(house, OPERATOR, SOURCE))
    write(logs, 5, 5)
    assert spooled.put_by(OPERATOR)
    (logs / "a.log").unlink()
    for _ in range(6):
        clock.pass_time(seconds=BEAT_S)
        other.member.beat()
    other.turn()
    assert (other.reads, stored(house)) == (True, 5)
    one.member.beat()
    one.turn()
    assert (one.reads, stored(house)) == (False, 10)
    other.turn()
    one.turn()
    assert stored(house) == 10
    (checkpoint,) = checkpoints.load_all(house, OPERATOR)
    assert checkpoint.counts.stored == 10
    assert one.house.spool.ends(OPERATOR, SOURCE) == []
