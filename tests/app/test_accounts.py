"""The account of a source: always balanced, whatever is imported, replayed, dropped or cut off; and its state."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from secmon.app import accounts, deadletters
from secmon.app.accounts import Live, account
from secmon.app.imports import import_streams
from secmon.app.installation import Installation, Source
from secmon.app.recovery import recover
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.errors import NotFoundError, StoreError
from secmon.model.access import Access, job_access
from secmon.model.batch import Batch, BatchRow
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.model.questions import EventQuery
from secmon.model.record import Document, RecordQuery
from secmon.parse.registry import KINDS
from secmon.ports import EventLog, Records
from tests.app.houses import NOON, OPERATOR, SetClock, access_line, opened_house

SOURCE = "nginx.access"


class FailingLog:
    """An event log whose n-th commit from now fails: before it is durable, or right after."""

    def __init__(self, log: EventLog, after: int, *, durable: bool) -> None:
        self._log, self._left, self._durable = log, after, durable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        if self._left == 0:
            if self._durable:
                self._log.commit(access, batch)
            raise StoreError("killed")
        self._left -= 1
        return self._log.commit(access, batch)


class FailingRecords:
    """Records whose n-th write from now fails."""

    def __init__(self, records: Records, after: int) -> None:
        self._records, self._left = records, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def _pass(self) -> None:
        if self._left == 0:
            raise StoreError("killed")
        self._left -= 1

    def create(self, access: Access, document: Document) -> Document:
        self._pass()
        return self._records.create(access, document)

    def create_all(self, access: Access, documents: Any) -> int:
        self._pass()
        return self._records.create_all(access, documents)

    def replace(self, access: Access, document: Document) -> Document:
        self._pass()
        return self._records.replace(access, document)


@contextmanager
def better_parser(answer: str) -> Iterator[None]:
    """As if a later version could read what is nonsense today: as an event, or as a header."""
    kind = KINDS[SOURCE]

    def parse(record: Record, context: ParseContext) -> list[Event] | Dropped:
        if not record.text.startswith("nonsense"):
            return kind.parse(record, context)
        return Dropped("header") if answer == "header" else kind.parse(Record(access_line(NOON), record.where), context)

    KINDS[SOURCE] = kind if answer == "nonsense" else replace(kind, parse=parse)
    try:
        yield
    finally:
        KINDS[SOURCE] = kind


LINES = st.lists(st.sampled_from(["good", "good", "good", "", "nonsense"]), min_size=1, max_size=30)


class Accounting(RuleBasedStateMachine):
    """Import, grow, import again, replay, drop, die anywhere and recover."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.clock = SetClock()
        self.house = self.stack.enter_context(opened_house(self.folder / "state", self.clock))
        self.files: list[list[str]] = []
        self.made = 0

    def teardown(self) -> None:
        self.stack.close()

    @initialize()
    def first(self) -> None:
        self.new_file(["good", "nonsense", ""])

    def lines_of(self, kinds: list[str]) -> list[str]:
        lines = []
        for kind in kinds:
            self.made += 1
            at = NOON + timedelta(seconds=self.made)
            lines.append({"good": access_line(at, f"/{self.made}"), "nonsense": f"nonsense {self.made}"}.get(kind, ""))
        return lines

    def take_in(self, house: Installation, number: int) -> dict[str, Any]:
        path = self.folder / f"{number}.log"
        path.write_text("".join(f"{line}\n" for line in self.files[number]), encoding="utf-8")
        collector = ImportCollector(source=SOURCE, kind=SOURCE, files=[str(path)], clock=house.clock)
        try:
            return import_streams(house, OPERATOR, collector, work=InlineWork(house.stages)).row()
        finally:
            collector.close()

    @rule(kinds=LINES)
    def new_file(self, kinds: list[str]) -> None:
        self.files.append([access_line(NOON, f"/file/{len(self.files)}"), *self.lines_of(kinds)])
        row = self.take_in(self.house, len(self.files) - 1)
        assert row["received"] == len(self.files[-1])

    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.files) - 1))
        row = self.take_in(self.house, number)
        assert row["received"] == len(self.files[number])

    @rule(data=st.data(), kinds=LINES)
    def grow(self, data: st.DataObject, kinds: list[str]) -> None:
        number = data.draw(st.integers(0, len(self.files) - 1))
        self.files[number] += self.lines_of(kinds)
        self.take_in(self.house, number)

    @rule(data=st.data(), kinds=LINES, after=st.integers(0, 2), how=st.sampled_from(["before", "durable", "records"]))
    def die_and_recover(self, data: st.DataObject, kinds: list[str], after: int, how: str) -> None:
        number = data.draw(st.integers(0, len(self.files) - 1))
        self.files[number] += self.lines_of(kinds)
        dying = (
            replace(self.house, records=FailingRecords(self.house.records, after))
            if how == "records"
            else replace(self.house, log=FailingLog(self.house.log, after, durable=how == "durable"))
        )
        try:
            self.take_in(dying, number)
        except StoreError:
            self.balanced()
        recover(self.house, job_access("recovery"))
        self.take_in(self.house, number)

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.clock.pass_time(hours=hours)

    def waiting(self) -> list[Document]:
        query = RecordQuery(kind=deadletters.KIND, equals={"state": ("waiting",)}, limit=1000)
        return list(self.house.records.find(OPERATOR, query).documents)

    @precondition(lambda self: bool(self.waiting()))
    @rule(data=st.data(), answer=st.sampled_from(["event", "header", "nonsense"]))
    def replay_one(self, data: st.DataObject, answer: str) -> None:
        letter = data.draw(st.sampled_from([one.id for one in self.waiting()]))
        with better_parser(answer):
            deadletters.replay(self.house, OPERATOR, ids=[letter])

    @precondition(lambda self: bool(self.waiting()))
    @rule(data=st.data())
    def drop_one(self, data: st.DataObject) -> None:
        letter = data.draw(st.sampled_from([one.id for one in self.waiting()]))
        deadletters.drop(self.house, OPERATOR, [letter], reason="given up")

    @invariant()
    def balanced(self) -> None:
        found = account(self.house, OPERATOR, SOURCE) if self.files else None
        if found is None:
            return
        row = accounts.row(found)
        settled = row["stored"] + row["duplicate"] + row["dead_lettered"] + sum(row["dropped"].values())
        assert row["received"] == settled + row["in_flight"]
        assert row["in_flight"] == 0
        assert min(row["stored"], row["duplicate"], row["dead_lettered"], *row["dropped"].values(), 0) == 0

    @invariant()
    def every_record_is_somewhere(self) -> None:
        """What was fed stands in the store, in the letters or among the dropped, each record once."""
        if not self.files:
            return
        counts = account(self.house, OPERATOR, SOURCE).counts
        fed = sum(map(len, self.files))
        assert counts.stored + counts.dead_lettered + sum(counts.dropped.values()) == fed
        assert self.house.log.count(OPERATOR, EventQuery())[""] == counts.stored
        states = Counter(deadletters.count_letters(self.house, OPERATOR, source=SOURCE))
        assert states["waiting"] == counts.dead_lettered


TestAccounting = Accounting.TestCase
TestAccounting.settings = settings(max_examples=6, stateful_step_count=10, deadline=None)


# States.


def house_with(house: Installation, **more: Any) -> Installation:
    source = Source(name="jwxt", kind=SOURCE, zone=house.zone, silent_after=timedelta(hours=1), **more)
    return replace(house, sources={"jwxt": source})


def feed(house: Installation, folder: Path, source: str, lines: int = 2) -> None:
    path = folder / "fed.log"
    path.write_text("".join(f"{access_line(NOON)}\n" for _ in range(lines)), encoding="utf-8")
    collector = ImportCollector(source=source, kind=SOURCE, files=[str(path)], clock=house.clock)
    import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    collector.close()


def test_states_of_a_configured_source(tmp_path: Path) -> None:
    clock = SetClock()
    with opened_house(tmp_path / "state", clock) as plain:
        house = house_with(plain)
        assert account(house, OPERATOR, "jwxt").state == "silent"
        feed(house, tmp_path, "jwxt")
        assert account(house, OPERATOR, "jwxt").state == "ok"
        clock.pass_time(hours=1)
        assert account(house, OPERATOR, "jwxt").state == "ok"
        clock.pass_time(seconds=1)
        assert account(house, OPERATOR, "jwxt").state == "silent"
        failing = accounts.accounts(house, OPERATOR, {"jwxt": Live(problems=("in.log: cannot be read",))})
        assert [(one.state, one.problems) for one in failing] == [("failing", ("in.log: cannot be read",))]
        assert account(plain, OPERATOR, "jwxt").state == "paused"  # configured no more


def test_a_one_off_import_owes_nothing(tmp_path: Path) -> None:
    clock = SetClock()
    with opened_house(tmp_path / "state", clock) as house:
        feed(house, tmp_path, SOURCE)
        clock.pass_time(days=30)
        assert account(house, OPERATOR, SOURCE).state == "ok"


def test_a_source_nobody_knows_is_not_found(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state") as house, pytest.raises(NotFoundError):
        account(house, OPERATOR, "nobody")


def test_what_is_in_flight_is_received_and_not_settled(tmp_path: Path) -> None:
    with opened_house(tmp_path / "state") as plain:
        house = house_with(plain)
        feed(house, tmp_path, "jwxt", 3)
        row = accounts.row(accounts.accounts(house, OPERATOR, {"jwxt": Live(in_flight=4)})[0])
        assert (row["received"], row["stored"], row["in_flight"]) == (7, 3, 4)


def test_the_last_receipt_is_the_latest_of_all_streams(tmp_path: Path) -> None:
    clock = SetClock(NOON + timedelta(milliseconds=5))
    with opened_house(tmp_path / "state", clock) as house:
        feed(house, tmp_path, SOURCE, 1)
        clock.pass_time(microseconds=1)
        (tmp_path / "other.log").write_text(f"{access_line(NOON, '/other')}\n", encoding="utf-8")
        collector = ImportCollector(source=SOURCE, kind=SOURCE, files=[str(tmp_path / "other.log")], clock=house.clock)
        import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
        collector.close()
        assert account(house, OPERATOR, SOURCE).last_received == clock.moment
