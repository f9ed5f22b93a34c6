"""Two daemons on one store: whatever the one does while the other is frozen, everything counts exactly once."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app import alerts, audit, checkpoints, deadletters, ingest, integrity, ledger, schedule
from secmon.app.coverage import CoverageFilter, windows
from secmon.app.coverage_proof import verify
from secmon.app.coverage_writing import bring_forward
from secmon.app.evaluate import evaluate, is_current
from secmon.app.imports import Imported, import_streams
from secmon.app.ingest import ingest_stream
from secmon.app.installation import Installation
from secmon.app.recovery import recover, take_over
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.errors import ConflictError
from secmon.model.batch import Counts
from secmon.model.questions import EventQuery
from secmon.model.record import RecordQuery
from secmon.store.signing import FileSigner
from tests.app.houses import NOON, OPERATOR, RULES, SHELL, SetClock, access_line, opened_house
from tests.app.interleaving import Stopped, every_point, frozen, stopping
from tests.app.ticking import commit, facts, refused, shells

SOURCE = "nginx.access"

Opened = Callable[[], AbstractContextManager[Installation]]


EXACTLY = RULES.replace("{gte: 3}", "{eq: 3}")
"""A correlation that more hits can make untrue: what a replaced evaluator says of it is less than what is known."""


@pytest.fixture
def fresh(tmp_path: Path) -> Opened:
    """Return what opens an empty installation, another one each time."""
    numbers = count()
    return lambda: opened_house(tmp_path / str(next(numbers)))


# Alerts.


def begun(house: Installation) -> None:
    """Some alerts are there, and a tick is due that revises one, raises one and completes a correlation."""
    commit(house, 1, [*shells(1, 3), *refused(50, [1, 2])])
    evaluate(house, OPERATOR)
    commit(house, 2, [*shells(10, 2), *shells(20, 2, minutes=90), *refused(60, [3, 4])])


def more(house: Installation) -> None:
    """The same alerts go on, and one is late."""
    commit(house, 3, [*shells(30, 4), *shells(40, 1, minutes=90.5), *refused(70, [5, 0.5, 20])])


def quiet(fresh: Opened) -> set[tuple[object, ...]]:
    with fresh() as house:
        begun(house)
        evaluate(house, OPERATOR)
        more(house)
        evaluate(house, OPERATOR)
        return facts(house)


@pytest.mark.parametrize("rules", [RULES, EXACTLY], ids=["at_least", "exactly"])
def test_an_evaluator_that_was_frozen_anywhere_counts_nothing_twice(tmp_path: Path, rules: str) -> None:
    numbers = count()

    def fresh() -> AbstractContextManager[Installation]:
        return opened_house(tmp_path / str(next(numbers)), rules=rules)

    expected = quiet(fresh)

    @contextmanager
    def due() -> Iterator[Installation]:
        with fresh() as house:
            begun(house)
            yield house

    def other(house: Installation) -> None:
        evaluate(house, OPERATOR)
        more(house)
        evaluate(house, OPERATOR)

    for at, house in every_point(due, lambda house: evaluate(house, OPERATOR), other):
        evaluate(house, OPERATOR)
        assert facts(house) == expected, f"frozen before call {at}"
        assert is_current(house, OPERATOR)
    assert at > 10  # the loop went through all of it


def test_an_evaluator_that_was_frozen_while_hits_arrive_takes_them_along_or_leaves_them(fresh: Opened) -> None:
    expected = quiet(fresh)

    @contextmanager
    def due() -> Iterator[Installation]:
        with fresh() as house:
            begun(house)
            yield house

    for at, house in every_point(due, lambda house: evaluate(house, OPERATOR), more):
        evaluate(house, OPERATOR)
        assert facts(house) == expected, f"frozen before call {at}"


@settings(max_examples=60)
@given(frozen_at=st.integers(1, 40), dies_at=st.integers(1, 40), dies_later=st.integers(1, 60))
def test_one_is_frozen_another_dies_and_a_third_goes_on(
    tmp_path_factory: pytest.TempPathFactory, frozen_at: int, dies_at: int, dies_later: int
) -> None:
    folder = tmp_path_factory.mktemp("house")

    def others() -> None:
        with suppress(Stopped):
            evaluate(stopping(house, dies_at), OPERATOR)
        more(house)
        with suppress(Stopped):
            evaluate(stopping(house, dies_later), OPERATOR)

    with opened_house(folder / "quiet") as house:
        begun(house)
        more(house)
        evaluate(house, OPERATOR)
        expected = facts(house)
    with opened_house(folder / "state") as house:
        begun(house)
        evaluate(frozen(house, frozen_at, others)[0], OPERATOR)
        if house.log.batch(OPERATOR, day=NOON.date(), retention="security", stream=_stream(house), number=3) is None:
            more(house)
        evaluate(house, OPERATOR)
        assert facts(house) == expected


def _stream(house: Installation) -> str:
    row = next(iter(house.log.batches(OPERATOR)))
    return f"{row.source}:{row.generation}"


def test_an_alert_that_an_evaluator_left_half_done_is_summed_up_by_the_next(fresh: Opened) -> None:
    expected = quiet(fresh)
    for at in range(1, 30):
        with fresh() as house:
            begun(house)
            with suppress(Stopped):
                evaluate(stopping(house, at), OPERATOR)
            more(house)
            evaluate(house, OPERATOR)
            assert facts(house) == expected, f"died before call {at}"


# Windows of scheduled work.


def test_a_window_has_one_row_whoever_does_it(tmp_path: Path) -> None:
    clock, numbers = SetClock(), count()

    @contextmanager
    def due() -> Iterator[Installation]:
        clock.moment = NOON
        with opened_house(tmp_path / str(next(numbers)), clock) as house:
            hourly(house)
            commit(house, 1, shells(1, 2))
            clock.pass_time(hours=2)
            yield house

    def hourly(house: Installation) -> int:
        return schedule.run_due(house, (schedule.Task("work", timedelta(hours=1), lambda *_: {}),))

    for at, house in every_point(due, hourly, hourly):
        rows = house.records.find(OPERATOR, RecordQuery(kind=ledger.KIND, equals={"task": ("work",)})).documents
        starts = sorted(row.body["from"] for row in rows)
        assert len(starts) == len(set(starts)) == 3, f"frozen before call {at}"
        assert all(row.version == 1 for row in rows)
        head = house.records.get(OPERATOR, "task", "work")
        assert head is not None
        assert head.body["done_until"] == max(row.body["to"] for row in rows)
        assert list(ledger.due(house, OPERATOR, "work", timedelta(hours=1))) == []


def test_a_batch_stands_in_one_row_of_the_coverage_ledger_whoever_enters_it(tmp_path: Path) -> None:
    clock, numbers = SetClock(), count()

    @contextmanager
    def due() -> Iterator[Installation]:
        clock.moment = NOON
        with opened_house(tmp_path / str(next(numbers)), clock) as opened:
            house = replace(opened, signer=FileSigner(b"s" * 32))
            bring_forward(house, OPERATOR)
            commit(house, 1, shells(1, 2))
            clock.pass_time(hours=13)
            yield house

    def enter(house: Installation) -> int:
        return bring_forward(house, OPERATOR)

    for at, house in every_point(due, enter, enter):
        found = verify(house, OPERATOR)
        assert (found["ok"], found["batches"], found["seals"]) == (True, 1, 1), f"frozen before call {at}"
        rows = [row for row in windows(house, OPERATOR, CoverageFilter()) if row["batches"]]
        assert [row["by_rule"] for row in rows] == [{SHELL: 2}], f"frozen before call {at}"


def test_a_partition_is_dropped_once_by_two(tmp_path: Path) -> None:
    clock, numbers = SetClock(), count()

    @contextmanager
    def due() -> Iterator[Installation]:
        clock.moment = NOON
        with opened_house(tmp_path / str(next(numbers)), clock) as house:
            commit(house, 1, shells(1, 2))
            clock.pass_time(days=200)
            yield house

    for at, house in every_point(due, schedule.run_due, schedule.run_due):
        assert house.log.partitions(OPERATOR) == [], f"frozen before call {at}"
        assert audit.verify(house, OPERATOR) == []


# Numbers.


def test_the_audit_chain_is_dense_with_two_writers(fresh: Opened) -> None:
    def two(house: Installation) -> None:
        audit.append(house, OPERATOR, "other", "a")
        audit.append(house, OPERATOR, "other", "b")

    def act(house: Installation) -> None:
        audit.append(house, OPERATOR, "mine", "1")
        audit.append(house, OPERATOR, "mine", "2")

    for at, house in every_point(fresh, act, two):
        entries = house.records.find(OPERATOR, RecordQuery(kind="audit", order="number")).documents
        assert [entry.body["number"] for entry in entries] == [1, 2, 3, 4], f"frozen before call {at}"
        assert sorted(entry.body["target"] for entry in entries) == ["1", "2", "a", "b"]
        assert audit.verify(house, OPERATOR) == []


# Streams.


class File:
    """One file as a stream of one source."""

    def __init__(self, folder: Path, records: int, *, malformed: bool = False) -> None:
        self.path = folder / "access.log"
        lines = [access_line(NOON + timedelta(seconds=n), f"/{n}") for n in range(records)]
        if malformed:
            lines[1] = "nonsense"
        self.path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def collector(self, house: Installation) -> ImportCollector:
        return ImportCollector(source=SOURCE, kind=SOURCE, files=[str(self.path)], clock=house.clock)

    def imported(self, house: Installation) -> Imported:
        return import_streams(house, OPERATOR, self.collector(house), work=InlineWork(house.stages))

    def read(self, house: Installation) -> None:
        """Take the stream over and read it to its end, as a daemon that has the lease of its source."""
        collector = self.collector(house)
        (stream,) = collector.streams(OPERATOR, checkpoints.load_all(house, OPERATOR, SOURCE))
        taken = take_over(house, OPERATOR, stream) if stream.version else stream
        for _ in ingest_stream(house, OPERATOR, collector, taken, work=InlineWork(house.stages)):
            pass


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BATCH_RECORDS", 3)


def judge(house: Installation, records: int, at: int, *, malformed: int = 0) -> None:
    """Every record is stored once, and every account says so."""
    assert house.log.count(OPERATOR, EventQuery()) == {"": records - malformed}, f"frozen before call {at}"
    counts = sum((one.counts for one in checkpoints.load_all(house, OPERATOR)), Counts())
    assert (counts.stored, counts.dead_lettered, counts.in_flight) == (records - malformed, malformed, 0)
    rows = list(house.log.batches(OPERATOR))
    assert sum(row.counts.received for row in rows) == records
    assert recover(house, OPERATOR) == 0
    assert house.log.check(OPERATOR, deep=True) == []


def test_a_reader_that_was_frozen_anywhere_makes_nothing_count(fresh: Opened, tmp_path: Path) -> None:
    file = File(tmp_path, 8, malformed=True)

    def act(house: Installation) -> None:
        with suppress(ConflictError):
            file.read(house)

    for at, house in every_point(fresh, act, file.read):
        file.read(house)
        judge(house, 8, at, malformed=1)


def test_a_reader_that_was_frozen_over_midnight_makes_nothing_count(tmp_path: Path) -> None:
    file, clock, numbers = File(tmp_path, 8), SetClock(), count()

    @contextmanager
    def opened() -> Iterator[Installation]:
        clock.moment = NOON
        with opened_house(tmp_path / str(next(numbers)), clock) as house:
            yield house

    def act(house: Installation) -> None:
        with suppress(ConflictError):
            file.read(house)

    def tomorrow(house: Installation) -> None:
        clock.pass_time(days=1)
        file.read(house)

    for at, house in every_point(opened, act, tomorrow):
        file.read(house)
        judge(house, 8, at)


def test_two_imports_of_one_file_at_once_store_each_record_once_and_count_it_in_both(
    fresh: Opened, tmp_path: Path
) -> None:
    file = File(tmp_path, 7, malformed=True)
    done: list[Imported] = []

    def act(house: Installation) -> None:
        done.append(file.imported(house))

    for at, house in every_point(fresh, act, act):
        one, other = done
        done.clear()
        assert (one.counts.received, other.counts.received) == (7, 7), f"frozen before call {at}"
        total = one.counts + other.counts
        assert (total.stored, total.dead_lettered, total.duplicate, total.in_flight) == (6, 1, 7, 0)
        assert house.log.count(OPERATOR, EventQuery()) == {"": 6}
        account = sum((each.counts for each in checkpoints.load_all(house, OPERATOR)), Counts())
        assert (account.received, account.stored, account.dead_lettered, account.duplicate) == (14, 6, 1, 7)
        assert integrity.check(house, OPERATOR, store="sqlite", deep=True)["ok"]


def test_a_dead_letter_that_two_replay_at_once_is_stored_once(tmp_path: Path) -> None:
    """Its sealed bytes are exchanged for a good record, as if today's parser could read them."""
    file, numbers = File(tmp_path, 4, malformed=True), count()
    done: list[deadletters.Replay] = []

    @contextmanager
    def opened() -> Iterator[Installation]:
        with opened_house(tmp_path / str(next(numbers))) as house:
            file.imported(house)
            (letter,) = house.records.find(OPERATOR, RecordQuery(kind=deadletters.KIND)).documents
            good = access_line(NOON, "/mended").encode()
            letter.body["sealed"] = house.vault.seal(good, purpose=f"deadletter:{letter.id}").hex()
            house.records.replace(OPERATOR, letter)
            yield house

    def act(house: Installation) -> None:
        done.append(deadletters.replay(house, OPERATOR))

    for at, house in every_point(opened, act, act):
        assert sum(one.stored for one in done) == 1, f"frozen before call {at}"
        done.clear()
        assert house.log.count(OPERATOR, EventQuery()) == {"": 4}
        assert deadletters.adjustments(house, OPERATOR, SOURCE) == Counts(stored=1, dead_lettered=-1, dropped={})
        assert integrity.check(house, OPERATOR, store="sqlite", deep=True)["ok"]


def test_an_alert_that_two_operators_take_at_once_is_taken_once(fresh: Opened) -> None:
    @contextmanager
    def opened() -> Iterator[Installation]:
        with fresh() as house:
            begun(house)
            evaluate(house, OPERATOR)
            yield house

    def act(house: Installation) -> None:
        alert = next(alerts.every_alert(house, OPERATOR, alerts.AlertFilter()))
        alerts.act_on_alert(house, OPERATOR, alert.id, "ack")

    for at, house in every_point(opened, act, act):
        alert = next(alerts.every_alert(house, OPERATOR, alerts.AlertFilter()))
        assert [step.action for step in alert.history].count("ack") == 1, f"frozen before call {at}"
