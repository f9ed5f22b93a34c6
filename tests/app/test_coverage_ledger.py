"""The coverage ledger as it is written: every batch in one row, once, whoever writes and whenever they die."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app.coverage import CoverageFilter, windows
from secmon.app.coverage_proof import _difference, verify
from secmon.app.coverage_sheets import SEAL, SHEET, documents, load_head, note_failing, save_head
from secmon.app.coverage_writing import GRACE, bring_forward
from secmon.app.installation import Installation
from secmon.errors import ConflictError, StoreUnavailableError
from secmon.model.access import Access
from secmon.model.coverage import Delivered, to_delivered, window_of
from secmon.model.event import format_time
from secmon.model.record import Body, Document
from secmon.ports import Records
from tests.app.coverages import HOUR, JOB, NOON, SHELL, SetClock, covered_house, deliver, look
from tests.contracts.builders import batch_of, event_at, hit_on


@pytest.fixture
def house(backend: str, tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with covered_house(tmp_path, clock, backend=backend) as opened:
        bring_forward(opened, JOB)
        yield opened


def row_of(house: Installation, hour: int, source: str = "web") -> Body:
    start = NOON + hour * HOUR
    wanted = CoverageFilter(source=source, since=start, until=start + HOUR)
    (found,) = windows(house, JOB, wanted)
    return found


def is_whole(house: Installation) -> bool:
    found = verify(house, JOB)
    assert found["ok"], found
    return True


def test_a_row_says_what_the_batches_of_its_window_say(house: Installation, clock: SetClock) -> None:
    deliver(house, 1, NOON + timedelta(minutes=5), hits=1)
    deliver(house, 2, NOON + timedelta(minutes=50), hits=2, events=3)
    deliver(house, 3, NOON + timedelta(minutes=70))
    look(house, clock, hours=1, minutes=3)
    row = row_of(house, 0)
    assert (row["state"], row["batches"], row["counts"]["events"], row["hits"]) == ("evaluated", 2, 5, 3)
    assert row["by_rule"] == {SHELL: 3}
    assert [(part["first"], part["last"], part["offset_from"], part["offset_to"]) for part in row["parts"]] == [
        (1, 2, 0, 200_000)
    ]
    assert row["rulesets"] == ["f" * 64]
    assert row["unwatched_s"] == 0
    assert is_whole(house)


def test_a_row_tells_since_when_each_rule_set_was_met(house: Installation, clock: SetClock) -> None:
    old, new = "a" * 32, "b" * 32
    for number, minutes, digest in ((1, 5, old), (2, 20, new), (3, 40, new)):
        deliver(house, number, NOON + timedelta(minutes=minutes), ruleset=digest)
    look(house, clock, hours=1, minutes=3)
    row = row_of(house, 0)
    assert row["rulesets"] == [old, new]
    assert row["rulesets_since"] == {old: "2026-11-21T12:05:00Z", new: "2026-11-21T12:20:00Z"}
    assert is_whole(house)


def test_a_row_of_a_version_that_noted_no_such_times_is_no_change(house: Installation, clock: SetClock) -> None:
    deliver(house, 1, NOON + timedelta(minutes=5))
    look(house, clock, hours=1, minutes=3)
    row = row_of(house, 0)
    before = {name: value for name, value in row.items() if name != "rulesets_since"}
    stored = to_delivered(row)
    kept = {(part.day, part.retention) for part in stored.parts}
    assert _difference(house, before, stored, kept) == ""
    assert _difference(house, before, replace(stored, rulesets=("c" * 32,)), kept) == "changed"


def test_a_window_in_which_nothing_came_says_so(house: Installation, clock: SetClock) -> None:
    look(house, clock, hours=1, minutes=3)
    assert (row_of(house, 0)["state"], row_of(house, 0)["reason"]) == ("no_data", "")


def test_a_window_in_which_nobody_was_looking_is_no_window_without_data(house: Installation, clock: SetClock) -> None:
    look(house, clock, minutes=10)
    clock.pass_time(hours=30)
    bring_forward(house, JOB)
    assert (row_of(house, 0)["state"], row_of(house, 0)["unwatched_s"]) == ("no_data", 50 * 60)
    for hour in (1, 11, 12, 29):
        assert (row_of(house, hour)["state"], row_of(house, hour)["reason"]) == ("not_run", "down")
    sheets = list(documents(house, JOB, SHEET))
    assert len(sheets) <= 4  # one for the hour that somebody saw the beginning of, one a day for the rest
    assert is_whole(house)


def test_no_time_counts_as_watched_twice_though_clocks_differ(house: Installation, clock: SetClock) -> None:
    look(house, clock, minutes=28)
    for _ in range(6):  # two daemons take turns, the clock of one is ten seconds behind
        clock.moment -= timedelta(seconds=10)
        bring_forward(house, JOB)
        clock.moment += timedelta(seconds=10)
        bring_forward(house, JOB)
    clock.pass_time(hours=1)
    bring_forward(house, JOB)
    assert row_of(house, 0)["unwatched_s"] == 32 * 60
    head = load_head(house, JOB)
    assert head is not None
    assert len(head.watched) == 1


def test_a_source_that_cannot_be_read_is_not_a_source_that_sent_nothing(house: Installation, clock: SetClock) -> None:
    clock.pass_time(minutes=4)
    bring_forward(house, JOB, failing=["web"])
    look(house, clock, hours=1)
    assert (row_of(house, 0)["state"], row_of(house, 0)["reason"]) == ("not_run", "failing")


def test_another_daemon_tells_what_it_cannot_read(house: Installation, clock: SetClock) -> None:
    shared = replace(house, is_shared=True)
    look(shared, clock, minutes=10)
    note_failing(shared, JOB, "another", ["web"])
    look(shared, clock, hours=2)
    assert [(row_of(house, hour)["state"], row_of(house, hour)["reason"]) for hour in (0, 1)] == [
        ("not_run", "failing"),
        ("no_data", ""),
    ]


def test_a_window_is_closed_only_when_what_was_received_in_it_is_committed(
    house: Installation, clock: SetClock
) -> None:
    clock.pass_time(hours=1)
    clock.moment += GRACE - timedelta(seconds=1)
    bring_forward(house, JOB)
    deliver(house, 1, NOON + timedelta(minutes=59))
    clock.moment += timedelta(seconds=1)
    bring_forward(house, JOB)
    assert (row_of(house, 0)["state"], row_of(house, 0)["batches"]) == ("evaluated", 1)


def test_a_later_commit_gives_a_further_row_that_names_the_one_before(house: Installation, clock: SetClock) -> None:
    deliver(house, 1, NOON + timedelta(minutes=5), hits=1)
    look(house, clock, hours=2, minutes=3)
    before = row_of(house, 0)
    deliver(house, 2, NOON + timedelta(minutes=6), hits=1)
    bring_forward(house, JOB)
    after = row_of(house, 0)
    assert (after["state"], after["reason"], after["revision"]) == ("re_evaluated", "late_commit", 2)
    assert after["previous"] == before["digest"]
    assert (after["batches"], after["by_rule"]) == (2, {SHELL: 2})
    assert any(before in sheet["rows"] for sheet in documents(house, JOB, SHEET))  # nothing is overwritten
    assert is_whole(house)


def test_a_later_commit_into_a_span_that_nobody_saw_gives_a_row_for_its_hour(
    house: Installation, clock: SetClock
) -> None:
    clock.pass_time(hours=9)
    bring_forward(house, JOB)
    deliver(house, 1, NOON + 5 * HOUR)
    bring_forward(house, JOB)
    assert [row_of(house, hour)["state"] for hour in (4, 5, 6)] == ["not_run", "re_evaluated", "not_run"]
    assert is_whole(house)


def test_hits_of_a_replayed_record_count_once_though_it_lies_inside_another_batch(
    house: Installation, clock: SetClock
) -> None:
    at = NOON + timedelta(minutes=5)
    deliver(house, 1, at, hits=2, events=3)
    letter = event_at(50, at)
    replayed = batch_of([letter], hits=[hit_on(letter, rule=SHELL)], received_at=at)
    house.log.commit(JOB, replace(replayed, generation="replay:50", offset_from=50, offset_to=60))
    look(house, clock, hours=1, minutes=3)
    assert (row_of(house, 0)["hits"], row_of(house, 0)["by_rule"]) == (3, {SHELL: 3})
    assert is_whole(house)


def test_sources_that_nobody_configured_stand_in_the_windows_they_delivered_in(
    house: Installation, clock: SetClock
) -> None:
    deliver(house, 1, NOON + timedelta(minutes=5), source="import")
    look(house, clock, hours=2, minutes=3)
    assert row_of(house, 0, "import")["state"] == "evaluated"
    assert windows(house, JOB, CoverageFilter(source="import", since=NOON + HOUR, until=NOON + 2 * HOUR)) == []


def test_what_was_stored_before_the_ledger_began_is_entered(backend: str, tmp_path: Path, clock: SetClock) -> None:
    with covered_house(tmp_path, clock, backend=backend) as house:
        deliver(house, 1, NOON - 30 * HOUR)
        bring_forward(house, JOB)
        assert row_of(house, -30)["state"] == "evaluated"
        assert row_of(house, -29)["reason"] == "down"
        assert is_whole(house)


def test_each_day_is_sealed_once_and_names_the_seal_before_it(house: Installation, clock: SetClock) -> None:
    deliver(house, 1, NOON + timedelta(minutes=5))
    clock.pass_time(hours=61)
    for _ in range(3):
        bring_forward(house, JOB)
    first, second, third = documents(house, JOB, SEAL)
    assert [one["day"] for one in (first, second, third)] == ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert second["previous"] == first["digest"]
    assert second["first"] == first["last"] + 1
    assert is_whole(house)
    assert house.signer is not None
    assert house.signer.verifies(first["digest"].encode(), first["signature"], house.signer.public)


def test_the_head_is_anchored_outside_the_store(house: Installation, clock: SetClock) -> None:
    kept: list[str] = []
    look(replace(house, anchor_coverage=kept.append), clock, hours=1, minutes=3)
    head = load_head(house, JOB)
    assert head is not None
    assert kept[-1] == f"{head.number} {head.digest}\n"


def test_going_on_after_a_restart_is_going_on(backend: str, tmp_path: Path, clock: SetClock) -> None:
    for turn in range(4):
        with covered_house(tmp_path, clock, backend=backend) as house:
            deliver(house, turn + 1, clock.moment + timedelta(minutes=1))
            look(house, clock, minutes=40)
    with covered_house(tmp_path, clock, backend=backend) as house:
        assert sum(row_of(house, hour)["batches"] for hour in (0, 1)) == 3
        assert is_whole(house)


class Failing:
    """Records that fail from the n-th write on, once; everything before has happened."""

    def __init__(self, records: Records, after: int) -> None:
        self._records, self.left = records, after

    def __getattr__(self, name: str) -> object:
        return getattr(self._records, name)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise StoreUnavailableError("the disk is full")

    def replace(self, access: Access, document: Document) -> Document:
        self._count()
        return self._records.replace(access, document)

    def create_all(self, access: Access, documents: list[Document]) -> int:
        self._count()
        return self._records.create_all(access, documents)


@pytest.mark.parametrize("after", range(1, 14))
def test_whenever_a_tick_dies_every_batch_stands_in_one_row(tmp_path: Path, clock: SetClock, after: int) -> None:
    with covered_house(tmp_path, clock) as house:
        bring_forward(house, JOB)
        deliver(house, 1, NOON + timedelta(minutes=5), hits=1)
        look(house, clock, hours=1, minutes=3)
        deliver(house, 2, NOON + timedelta(minutes=6), hits=2)
        deliver(house, 3, NOON + timedelta(minutes=66), hits=1)
        clock.pass_time(hours=30)
        dying = replace(house, records=Failing(house.records, after))  # type: ignore[arg-type]  # the rest by name
        for _ in range(3):
            try:
                bring_forward(dying, JOB)
            except StoreUnavailableError:
                continue
        bring_forward(house, JOB)
        assert (row_of(house, 0)["by_rule"], row_of(house, 1)["by_rule"]) == ({SHELL: 3}, {SHELL: 1})
        assert is_whole(house)


class Interleaved:
    """Records in which another daemon goes on right before each of our swaps."""

    def __init__(self, records: Records, other: Installation, times: int) -> None:
        self._records, self._other, self._times = records, other, times

    def __getattr__(self, name: str) -> object:
        return getattr(self._records, name)

    def replace(self, access: Access, document: Document) -> Document:
        if document.id == "coverage" and self._times:
            self._times -= 1
            bring_forward(self._other, JOB)
        return self._records.replace(access, document)


def test_two_daemons_at_once_write_one_ledger(house: Installation, clock: SetClock) -> None:
    for number in range(1, 5):
        deliver(house, number, clock.moment + timedelta(minutes=1), hits=1)
        clock.pass_time(minutes=50)
        one = replace(house, records=Interleaved(house.records, house, 2))  # type: ignore[arg-type]  # the rest by name
        bring_forward(one, JOB)
    clock.pass_time(hours=2)
    bring_forward(house, JOB)
    rows = windows(house, JOB, CoverageFilter(since=NOON, until=clock.moment))
    assert sum(row["batches"] for row in rows) == 4
    assert is_whole(house)


def test_a_daemon_that_was_frozen_in_a_tick_writes_nothing_when_it_wakes(house: Installation, clock: SetClock) -> None:
    deliver(house, 1, NOON + timedelta(minutes=5))
    look(house, clock, hours=2)
    stale = load_head(house, JOB)
    assert stale is not None
    look(house, clock, hours=2)
    sheets = list(documents(house, JOB, SHEET))
    with pytest.raises(ConflictError):
        save_head(house, JOB, stale)
    assert list(documents(house, JOB, SHEET)) == sheets


@settings(max_examples=20, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 300), st.sampled_from(["web", "cas"]), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_the_order_of_commits_and_ticks_rows_are_what_the_batches_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, str, bool]]
) -> None:
    clock = SetClock(NOON)
    with covered_house(tmp_path_factory.mktemp("coverage"), clock, sources=("web", "cas")) as house:
        numbers = {"web": 0, "cas": 0}
        for passed, late, source, ticks in steps:
            clock.pass_time(minutes=passed)
            numbers[source] += 1
            deliver(house, numbers[source], clock.moment - timedelta(minutes=late), source=source, hits=1)
            if ticks:
                bring_forward(house, JOB)
        clock.pass_time(hours=30)
        bring_forward(house, JOB)
        expected: dict[tuple[str, str], Delivered] = {}
        for batch, _ in house.log.commits(JOB):
            key = (format_time(window_of(batch)), batch.source)
            expected[key] = expected.get(key, Delivered()).plus(batch, {SHELL: 1})
        head = load_head(house, JOB)
        assert head is not None
        found = windows(house, JOB, CoverageFilter(since=NOON - 10 * HOUR, until=head.closed))
        told = {(row["from"], row["source"]): to_delivered(row) for row in found if row["batches"]}
        assert told == expected
        assert is_whole(house)
