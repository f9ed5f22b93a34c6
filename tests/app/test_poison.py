"""Events that the store can never take: set aside with their raw bytes, counted exactly, and the stream goes on."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app import checkpoints, deadletters, ingest, integrity
from secmon.app.imports import Imported, import_streams
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.errors import PoisonError
from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow
from secmon.model.questions import EventQuery, HitQuery
from secmon.ports import EventLog
from tests.app.houses import NOON, OPERATOR, access_line, opened_house

SOURCE = "nginx.access"


class Refuses:
    """A store that can never take events with a certain text, and names at most a few of them at a time."""

    def __init__(self, log: EventLog, text: bytes, *, names: int = 100) -> None:
        self._log, self._text, self._names = log, text, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        refused = [event.id.hex() for event in batch.events if self._text in event.body]
        if refused:
            raise PoisonError("refused", event_ids=tuple(refused[: self._names]))
        return self._log.commit(access, batch)


def line(number: int, path: str) -> str:
    return access_line(NOON + timedelta(seconds=number), path)


def imported(house: Installation, path: Path, lines: list[str]) -> Imported:
    path.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")
    collector = ImportCollector(source=SOURCE, kind=SOURCE, files=[str(path)], clock=house.clock)
    return import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))


def waiting(house: Installation) -> list[dict[str, Any]]:
    return deadletters.list_letters(house, OPERATOR)[0]


def test_one_event_that_is_refused_does_not_stop_the_others(house: Installation, tmp_path: Path) -> None:
    picky = replace(house, log=Refuses(house.log, b"poison"))
    done = imported(
        picky, tmp_path / "a.log", [line(1, "/a"), line(2, "/poison/shell?mobile=13800138000"), line(3, "/b")]
    )
    assert (done.counts.received, done.counts.stored, done.counts.dead_lettered) == (3, 2, 1)
    assert done.counts.in_flight == 0
    assert done.hits == 0
    (letter,) = waiting(house)
    assert letter["problem"] == "the store refused it"
    assert letter["place"] == f"{SOURCE}:record 2"
    assert "/poison/shell" in letter["masked"]
    assert "13800138000" not in letter["masked"]
    assert house.log.count(OPERATOR, EventQuery()) == {"": 2}
    assert list(house.log.hits(OPERATOR, HitQuery())) == []
    (checkpoint,) = checkpoints.load_all(house, OPERATOR)
    assert (checkpoint.counts, checkpoint.counts.events) == (done.counts, 2)


def test_what_was_refused_can_be_replayed_when_the_store_takes_it(house: Installation, tmp_path: Path) -> None:
    lines = [line(1, "/a"), line(2, "/poison/shell"), line(3, "/b")]
    with opened_house(tmp_path / "other") as other:
        imported(other, tmp_path / "b.log", lines)
        expected = other.log.digest(OPERATOR)
    picky = replace(house, log=Refuses(house.log, b"poison"))
    imported(picky, tmp_path / "a.log", lines)
    again = deadletters.replay(picky, OPERATOR)
    assert (again.replayed, again.stored, again.still_malformed) == (1, 0, 1)
    assert waiting(house)[0]["attempts"] == 2
    mended = deadletters.replay(house, OPERATOR)
    assert (mended.replayed, mended.stored, mended.still_malformed) == (1, 1, 0)
    paths = [str(event["url.path"]) for event in house.log.events(OPERATOR, EventQuery())]
    assert paths == ["/a", "/poison/shell", "/b"]
    assert {name: house.log.digest(OPERATOR)[name] for name in ("hits", "findings")} == {
        name: expected[name] for name in ("hits", "findings")
    }


def test_an_answer_that_names_no_event_of_the_batch_is_told_and_not_tried_for_ever(
    house: Installation, tmp_path: Path
) -> None:
    picky = replace(house, log=Refuses(house.log, b"poison", names=0))
    with pytest.raises(PoisonError):
        imported(picky, tmp_path / "a.log", [line(1, "/poison")])
    assert house.log.count(OPERATOR, EventQuery()) == {"": 0}


def test_a_second_import_knows_refused_records_as_duplicates(house: Installation, tmp_path: Path) -> None:
    picky = replace(house, log=Refuses(house.log, b"poison"))
    lines = [line(1, "/a"), line(2, "/poison")]
    imported(picky, tmp_path / "a.log", lines)
    again = imported(picky, tmp_path / "a.log", lines)
    assert (again.counts.received, again.counts.duplicate) == (2, 2)
    assert len(waiting(house)) == 1


@settings(max_examples=20)
@given(poison=st.lists(st.booleans(), min_size=1, max_size=24), names=st.integers(1, 5), batch=st.integers(1, 9))
def test_whatever_is_refused_every_record_is_stored_or_a_dead_letter(
    tmp_path_factory: pytest.TempPathFactory, poison: list[bool], names: int, batch: int
) -> None:
    folder = tmp_path_factory.mktemp("house")
    lines = [line(n, f"/{'poison' if bad else 'fine'}/{n}/shell") for n, bad in enumerate(poison)]
    with pytest.MonkeyPatch.context() as patch, opened_house(folder / "state") as house:
        patch.setattr(ingest, "BATCH_RECORDS", batch)
        done = imported(replace(house, log=Refuses(house.log, b"poison", names=names)), folder / "a.log", lines)
        counts = done.counts
        assert (counts.stored, counts.dead_lettered) == (poison.count(False), poison.count(True))
        assert counts.received == len(poison)
        assert len(waiting(house)) == poison.count(True)
        assert done.hits == counts.events == poison.count(False)
        assert integrity.check(house, OPERATOR, store="sqlite", deep=True)["ok"]
