"""Reading a stream: work ahead, cuts, changes of day and rules, workers that die, two readers, floods of lines."""

import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app import checkpoints, ingest, integrity, rulebook
from secmon.app.ingest import Progress, ingest_stream
from secmon.app.installation import Installation
from secmon.app.recovery import recover, take_over
from secmon.app.work import Desk, InlineWork, Work
from secmon.collect.oneoff import ImportCollector
from secmon.errors import ConflictError, SecmonError
from secmon.model.event import Frame
from secmon.model.questions import EventQuery
from secmon.model.stream import Checkpoint
from secmon.pipeline import Lane, Processed, Stages
from secmon.ports import Chunk
from secmon.sigma.rule import RuleSet
from tests.app.houses import NOON, OPERATOR, RULES, SetClock, access_line, opened_house, stages_of

SOURCE = "nginx.access"


class Ahead:
    """Works several submissions ahead, as worker processes do; may lose its n-th one, as a killed worker does."""

    def __init__(self, stages: Stages, ahead: int, *, dies_at: int = -1) -> None:
        self._inline, self.ahead, self._dies_at = InlineWork(stages), ahead, dies_at
        self.submitted = 0

    def submit(self, frames: Sequence[Frame], lane: Lane, *, prefix: bytes, received_at: datetime) -> Future[Processed]:
        self.submitted += 1
        if self.submitted - 1 == self._dies_at:
            lost: Future[Processed] = Future()
            lost.set_exception(BrokenProcessPool("killed"))
            return lost
        return self._inline.submit(frames, lane, prefix=prefix, received_at=received_at)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BATCH_RECORDS", 4)
    monkeypatch.setattr(ingest, "CHUNK_BYTES", 1000)


def log_of(folder: Path, count: int, *, start: int = 0, name: str = "a.log") -> Path:
    path = folder / name
    lines = [access_line(NOON + timedelta(seconds=n), f"/{n}") for n in range(start, start + count)]
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


class Stream:
    """One file as a stream, read again and again."""

    def __init__(self, house: Installation, path: Path, source: str = SOURCE) -> None:
        self.house, self.source = house, source
        self.collector = ImportCollector(source=source, kind=source, files=[str(path)], clock=house.clock)

    def checkpoint(self) -> Checkpoint:
        known = checkpoints.load_all(self.house, OPERATOR, self.source)
        stream = self.collector.streams(OPERATOR, known)[0]
        return checkpoints.load(self.house, OPERATOR, stream.source, stream.generation) or stream

    def read(self, work: Work, house: Installation | None = None) -> Iterator[Progress]:
        return ingest_stream(house or self.house, OPERATOR, self.collector, self.checkpoint(), work=work)


def stored(house: Installation) -> int:
    return house.log.count(OPERATOR, EventQuery())[""]


def counted(house: Installation) -> int:
    return sum(one.counts.stored for one in checkpoints.load_all(house, OPERATOR))


@pytest.mark.parametrize("ahead", [1, 2, 5, 50])
def test_any_number_of_batches_ahead_gives_the_same(house: Installation, tmp_path: Path, ahead: int) -> None:
    steps = list(Stream(house, log_of(tmp_path, 50)).read(Ahead(house.stages, ahead)))
    assert sum(step.counts.received for step in steps) == stored(house) == counted(house) == 50
    assert [step.checkpoint.batch for step in steps] == list(range(1, len(steps) + 1))


class Reloading:
    """The desk of a daemon that reloads: another house, and who works by its rules, from one moment on."""

    def __init__(self, before: Desk, after: Desk) -> None:
        self.now, self._after = before, after

    def reload(self) -> None:
        self.now = self._after

    def __call__(self) -> Desk:
        return self.now


FEWER = RULES.split("---")[0]


def desk_of(house: Installation, rules: str, ahead: int) -> Desk:
    stages = stages_of(rules)
    return Desk(replace(house, stages=stages, ruleset=stages.ruleset or RuleSet()), Ahead(stages, ahead))


@pytest.mark.parametrize("ahead", [1, 3, 50])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_reload_takes_effect_between_two_batches(house: Installation, tmp_path: Path, ahead: int, steps: int) -> None:
    before, after = desk_of(house, RULES, ahead), desk_of(house, FEWER, ahead)
    desk, stream = Reloading(before, after), Stream(house, log_of(tmp_path, 400))
    reading = ingest_stream(before.house, OPERATOR, stream.collector, stream.checkpoint(), work=before.work, desk=desk)
    for _ in range(steps):
        next(reading)
    desk.reload()
    list(reading)
    rows = sorted(house.log.batches(OPERATOR), key=lambda row: row.number)
    digests = [row.ruleset for row in rows]
    border = digests.index(after.house.ruleset.digest)
    assert digests == [before.house.ruleset.digest] * border + [after.house.ruleset.digest] * (len(rows) - border)
    # What a chunk brought was submitted under the old rules; nothing behind it is.
    assert steps <= border <= steps + ahead + 4
    assert stored(house) == counted(house) == 400
    kept = [house.records.get(OPERATOR, rulebook.RULESET, digest) for digest in set(digests)]
    assert None not in kept


def test_what_waits_long_for_its_bytes_meets_the_rules_of_the_moment_in_which_they_come(
    house: Installation, tmp_path: Path
) -> None:
    before, after = desk_of(house, RULES, 1), desk_of(house, FEWER, 1)
    desk, stream = Reloading(before, after), Stream(house, log_of(tmp_path, 8))

    class Slow:
        """A collector whose bytes come while somebody reloads."""

        source = SOURCE

        def read(self, *args: Any, **more: Any) -> Chunk | None:
            desk.reload()
            return stream.collector.read(*args, **more)

        def streams(self, *args: Any) -> list[Checkpoint]:
            return stream.collector.streams(*args)

        def problems(self) -> list[str]:
            return []

        def close(self) -> None:
            """Nothing is open."""

    list(ingest_stream(before.house, OPERATOR, Slow(), stream.checkpoint(), work=before.work, desk=desk))
    assert {row.ruleset for row in house.log.batches(OPERATOR)} == {after.house.ruleset.digest}
    assert stored(house) == 8


def test_what_met_other_rules_than_the_checkpoint_names_is_not_committed(house: Installation, tmp_path: Path) -> None:
    other = InlineWork(stages_of(FEWER))
    with pytest.raises(SecmonError, match="other rules"):
        list(Stream(house, log_of(tmp_path, 8)).read(other))
    assert stored(house) == counted(house) == 0


def test_the_next_day_begins_with_the_next_chunk(house: Installation, tmp_path: Path, clock: SetClock) -> None:
    reading = Stream(house, log_of(tmp_path, 50)).read(Ahead(house.stages, 3))
    next(reading)
    clock.pass_time(days=1)
    list(reading)
    first, second = house.log.partitions(OPERATOR)
    assert (first.day, second.day) == (NOON.date(), NOON.date() + timedelta(days=1))
    assert first.events + second.events == counted(house) == 50
    assert min(first.events, second.events) > 0
    assert integrity.check(house, OPERATOR, store="sqlite", deep=True)["ok"]


def test_new_rules_begin_with_the_next_chunk(house: Installation, tmp_path: Path) -> None:
    reader = Stream(house, log_of(tmp_path, 50))
    next(reader.read(Ahead(house.stages, 3)))
    with opened_house(tmp_path / "other", rules=RULES.replace("contains: shell", "contains: webshell")) as other:
        changed = replace(house, ruleset=other.ruleset, stages=other.stages)
        list(reader.read(Ahead(changed.stages, 3), changed))
    rows = list(house.log.batches(OPERATOR))
    digests = [row.ruleset for row in rows]
    assert digests == [house.ruleset.digest] + [changed.ruleset.digest] * (len(rows) - 1)
    for digest in set(digests):
        assert house.records.get(OPERATOR, rulebook.RULESET, digest) is not None
    assert stored(house) == counted(house) == 50


def test_stopping_ends_after_what_is_in_flight(house: Installation, tmp_path: Path) -> None:
    reader, work = Stream(house, log_of(tmp_path, 200)), Ahead(house.stages, 4)
    seen: list[Progress] = []
    reading = ingest_stream(house, OPERATOR, reader.collector, reader.checkpoint(), work=work, stop=lambda: bool(seen))
    seen.extend(reading)
    assert 0 < stored(house) == counted(house) < 200
    assert len(list(house.log.batches(OPERATOR))) == work.submitted
    list(reader.read(work))
    assert stored(house) == counted(house) == 200


@pytest.mark.parametrize("dies_at", [0, 1, 4, 7])
def test_a_worker_that_dies_loses_and_doubles_nothing(house: Installation, tmp_path: Path, dies_at: int) -> None:
    reader = Stream(house, log_of(tmp_path, 60))
    with pytest.raises(BrokenProcessPool):
        list(reader.read(Ahead(house.stages, 3, dies_at=dies_at)))
    assert stored(house) == counted(house) < 60
    list(reader.read(Ahead(house.stages, 3)))
    assert stored(house) == counted(house) == 60


def test_of_two_readers_of_one_stream_one_is_refused_and_nothing_counts_twice(
    house: Installation, tmp_path: Path
) -> None:
    path = log_of(tmp_path, 60)
    first, second = Stream(house, path), Stream(house, path)
    slow = first.read(Ahead(house.stages, 2))
    next(slow)
    fast = second.read(Ahead(house.stages, 2))
    next(fast)
    with pytest.raises(ConflictError):
        list(slow)
    list(fast)
    assert stored(house) == counted(house) == 60
    assert recover(house, OPERATOR) == 0


def test_a_reader_that_is_given_up_leaves_a_stream_that_goes_on(house: Installation, tmp_path: Path) -> None:
    reader = Stream(house, log_of(tmp_path, 40))
    for _ in range(30):
        next(reader.read(Ahead(house.stages, 3)), None)
    assert stored(house) == counted(house) == 40


CAS = """2026-11-21 12:00:{n:02},000 INFO [org.apereo.inspektr.audit.support.Slf4jLoggingAuditTrailManager] - <Audit \
trail record BEGIN
=============================================================
WHO: teacher{n}
WHAT: TGT-0-*****6865308183-cas01
ACTION: AUTHENTICATION_FAILED
APPLICATION: CAS
WHEN: Sat Nov 21 12:00:{n:02} CST 2026
CLIENT IP ADDRESS: 192.0.2.9
SERVER IP ADDRESS: 198.51.100.1
=============================================================

>
"""


@settings(max_examples=20, deadline=None)
@given(chunk=st.integers(1000, 6000), batch=st.integers(1, 7), ahead=st.integers(1, 4))
def test_wherever_a_chunk_is_cut_records_of_several_lines_keep_their_places(
    tmp_path_factory: pytest.TempPathFactory, chunk: int, batch: int, ahead: int
) -> None:
    folder = tmp_path_factory.mktemp("cas")
    path = folder / "cas.log"
    path.write_text("".join(CAS.format(n=n) for n in range(23)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "CHUNK_BYTES", 1 << 20)
        patch.setattr(ingest, "BATCH_RECORDS", 10_000)
        with opened_house(folder / "whole") as house:
            list(Stream(house, path, "cas.audit").read(InlineWork(house.stages)))
            expected, end = integrity.digest(house, OPERATOR), checkpoints.load_all(house, OPERATOR)[0].position
        patch.setattr(ingest, "CHUNK_BYTES", chunk)
        patch.setattr(ingest, "BATCH_RECORDS", batch)
        with opened_house(folder / "cut") as house:
            list(Stream(house, path, "cas.audit").read(Ahead(house.stages, ahead)))
            assert integrity.digest(house, OPERATOR) == expected
            assert checkpoints.load_all(house, OPERATOR)[0].position == end


def test_a_file_of_nothing_but_line_ends_does_not_fill_the_memory(
    house: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "BATCH_RECORDS", 5_000)
    monkeypatch.setattr(ingest, "CHUNK_BYTES", 1 << 20)
    path = tmp_path / "blank.log"
    path.write_bytes(b"\n" * (1 << 19))  # as frames all at once more than the bound below
    tracemalloc.start()
    try:
        steps = list(Stream(house, path).read(InlineWork(house.stages)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(step.counts.dropped["blank"] for step in steps) == 1 << 19
    assert peak < 40 << 20


def test_the_day_of_a_partition_is_the_day_of_receipt(house: Installation, tmp_path: Path) -> None:
    list(Stream(house, log_of(tmp_path, 3)).read(InlineWork(house.stages)))
    assert [row.day for row in house.log.batches(OPERATOR)] == [date(2026, 11, 21)]


# Change of hands.


def test_a_reader_of_yesterday_cannot_store_its_batch_beside_the_one_of_today(
    house: Installation, tmp_path: Path, clock: SetClock
) -> None:
    """A batch has another name under another day: without a change of epoch both would be durable."""
    path = log_of(tmp_path, 8)
    slow, fast = Stream(house, path), Stream(house, path)
    yesterday = slow.read(Ahead(house.stages, 2))
    next(yesterday)  # one batch is committed, the next one waits to be
    clock.pass_time(days=1)
    list(fast.read(Ahead(house.stages, 2)))
    with pytest.raises(ConflictError):
        list(yesterday)
    assert stored(house) == counted(house) == 8
    assert len(list(house.log.batches(OPERATOR))) == 2


def test_who_takes_a_stream_over_goes_on_behind_what_is_durable(house: Installation, tmp_path: Path) -> None:
    reader = Stream(house, log_of(tmp_path, 20))
    next(reader.read(InlineWork(house.stages)))
    before = reader.checkpoint()
    taken = take_over(house, OPERATOR, before)
    assert (taken.epoch, taken.batch, taken.position) == (before.epoch + 1, before.batch, before.position)
    list(ingest_stream(house, OPERATOR, reader.collector, taken, work=InlineWork(house.stages)))
    assert stored(house) == counted(house) == 20
    assert {row.epoch for row in house.log.batches(OPERATOR)} == {before.epoch, taken.epoch}


def test_a_writer_that_was_replaced_can_make_nothing_count(house: Installation, tmp_path: Path) -> None:
    path = log_of(tmp_path, 40)
    frozen, fresh = Stream(house, path), Stream(house, path)
    reading = frozen.read(Ahead(house.stages, 4))
    next(reading)
    taken = take_over(house, OPERATOR, fresh.checkpoint())
    with pytest.raises(ConflictError):
        next(reading)
    assert counted(house) == stored(house) == 4
    list(ingest_stream(house, OPERATOR, fresh.collector, taken, work=InlineWork(house.stages)))
    assert counted(house) == stored(house) == 40


def test_a_durable_batch_of_the_one_who_was_replaced_is_rolled_forward_under_the_new_epoch(
    house: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Stream(house, log_of(tmp_path, 20))
    next(reader.read(InlineWork(house.stages)))
    before = reader.checkpoint()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", _fails)
        with pytest.raises(ConflictError):
            next(reader.read(InlineWork(house.stages)))
    taken = take_over(house, OPERATOR, before)
    assert (taken.epoch, taken.batch) == (before.epoch + 1, before.batch + 1)
    assert stored(house) == counted(house) == 8


def _fails(*_: object) -> None:
    raise ConflictError("the process stops here")
