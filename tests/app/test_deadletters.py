"""Dead letters: kept sealed, replayed as their siblings were read, given up with a reason; always in the account."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from secmon.app import accounts, audit, deadletters, integrity
from secmon.app.imports import import_streams
from secmon.app.installation import Installation, Source
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.errors import NotFoundError, ParseError, SecmonError, StoreError
from secmon.model.access import Access
from secmon.model.batch import Batch, BatchRow
from secmon.model.event import parse_time
from secmon.model.questions import EventQuery
from secmon.model.record import Document, RecordQuery
from secmon.parse.registry import KINDS
from secmon.ports import EventLog
from tests.app.houses import NOON, OPERATOR, access_line


def import_lines(house: Installation, folder: Path, lines: list[str], *, source: str = "nginx.access") -> None:
    path = folder / "in.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogateescape")
    kind = house.sources[source].kind if source in house.sources else source
    collector = ImportCollector(source=source, kind=kind, files=[str(path)], clock=house.clock)
    import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    collector.close()


def letters(house: Installation) -> list[Document]:
    found = house.records.find(OPERATOR, RecordQuery(kind=deadletters.KIND, limit=1000)).documents
    return sorted(found, key=lambda document: int(document.body["number"]))


def mended(house: Installation, letter: Document, line: str, **more: object) -> None:
    """Let a letter hold a line that can be read: as if today's parser could read what yesterday's could not."""
    sealed = house.vault.seal(line.encode(), purpose=f"deadletter:{letter.id}").hex()
    house.records.replace(OPERATOR, replace(letter, body={**letter.body, "sealed": sealed, **more}))


def account(house: Installation, source: str = "nginx.access") -> dict[str, object]:
    row = accounts.row(accounts.account(house, OPERATOR, source))
    return {name: row[name] for name in ("received", "stored", "dead_lettered", "dropped")}


def test_a_replay_reads_in_the_zone_and_for_the_unit_of_the_import(house: Installation, tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=-5))
    source = Source(name="syslog", kind="syslog", zone=zone, unit="S-2")
    importing = replace(house, sources={"syslog": source})
    import_lines(importing, tmp_path, ["<34>not syslog at all \x01", "<999>1 broken"], source="syslog")
    letter = letters(house)[0]
    mended(house, letter, "<34>Nov 21 06:00:00 web1 sshd[1]: Connection closed")
    assert deadletters.replay(house, OPERATOR, ids=[letter.id]).stored == 1
    event = next(one for one in house.log.events(OPERATOR, EventQuery()) if one["event.id"] == letter.body["event_id"])
    assert parse_time(str(event["@timestamp"])) == datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
    assert event["log.file.path"] == str(tmp_path / "in.log")


@pytest.mark.parametrize("zone", [ZoneInfo("Asia/Shanghai"), UTC, timezone(timedelta(hours=5, minutes=30))])
def test_any_zone_survives_the_letter(house: Installation, tmp_path: Path, zone: timezone) -> None:
    source = Source(name="jwxt", kind="nginx.access", zone=zone, unit="S-2")
    import_lines(replace(house, sources={"jwxt": source}), tmp_path, ["nonsense"], source="jwxt")
    mended(house, letters(house)[0], access_line(NOON))
    assert deadletters.replay(house, OPERATOR).stored == 1
    assert next(house.log.events(OPERATOR, EventQuery()))["unit.id"] == "S-2"


def test_a_record_that_was_cut_stays_flagged_after_its_replay(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["x" * (1 << 20) + "end"])
    letter = letters(house)[0]
    assert letter.body["truncated"]
    mended(house, letter, access_line(NOON))
    deadletters.replay(house, OPERATOR)
    assert next(house.log.events(OPERATOR, EventQuery()))["log.flags"] == ["truncated"]


def test_a_record_that_turns_out_to_carry_nothing_is_dropped_for_that_reason(
    house: Installation, tmp_path: Path
) -> None:
    import_lines(house, tmp_path, ["nonsense"])
    mended(house, letters(house)[0], "")
    done = deadletters.replay(house, OPERATOR)
    assert (done.replayed, done.stored, done.still_malformed, done.dropped) == (1, 0, 0, 1)
    assert account(house) == {"received": 1, "stored": 0, "dead_lettered": 0, "dropped": {"blank": 1}}
    assert deadletters.replay(house, OPERATOR).replayed == 0


class Interrupted:
    """An event log that is cut off right after it made a batch durable."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        self._log.commit(access, batch)
        raise StoreError("killed")


def test_a_replay_that_died_after_the_commit_counts_once(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["nonsense"])
    mended(house, letters(house)[0], access_line(NOON))
    with pytest.raises(StoreError):
        deadletters.replay(replace(house, log=Interrupted(house.log)), OPERATOR)  # type: ignore[arg-type]  # commit only
    assert account(house) == {"received": 1, "stored": 0, "dead_lettered": 1, "dropped": {}}
    assert deadletters.replay(house, OPERATOR).stored == 1
    assert account(house) == {"received": 1, "stored": 1, "dead_lettered": 0, "dropped": {}}
    assert house.log.count(OPERATOR, EventQuery()) == {"": 1}


class CutOff(Interrupted):
    """An event log that is cut off before it makes anything durable."""

    def commit(self, access: Access, batch: Batch) -> BatchRow:
        del access, batch
        raise StoreError("killed")


def stored_after_a_crash(house: Installation, folder: Path, *, days: int) -> Document:
    """Keep a letter, die before the batch, come back so many days later with a parser that reads the record."""
    line = access_line(NOON).replace("GET", "NONSENSE")
    strange = replace(KINDS["nginx.access"], parse=lambda *_: (_ for _ in ()).throw(ParseError("not understood yet")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, "nginx.access", strange)
        with pytest.raises(StoreError):
            import_lines(replace(house, log=CutOff(house.log)), folder, [line])  # type: ignore[arg-type]  # commit only
    house.clock.pass_time(days=days)  # type: ignore[attr-defined]  # a clock that tests set
    import_lines(house, folder, [line])
    (letter,) = letters(house)
    assert letter.body["state"] == "waiting"
    assert account(house) == {"received": 1, "stored": 1, "dead_lettered": 0, "dropped": {}}
    return letter


@pytest.mark.parametrize("days", [0, 1])
def test_a_letter_whose_record_was_stored_after_a_crash_counts_once(
    house: Installation, tmp_path: Path, days: int
) -> None:
    stored_after_a_crash(house, tmp_path, days=days)
    digest = integrity.digest(house, OPERATOR)
    done = deadletters.replay(house, OPERATOR)
    assert (done.replayed, done.stored, done.already_stored) == (1, 0, 1)
    assert account(house) == {"received": 1, "stored": 1, "dead_lettered": 0, "dropped": {}}
    assert integrity.digest(house, OPERATOR) == digest
    settled = letters(house)[0].body
    assert (settled["state"], settled["reason"], settled["sealed"]) == ("replayed", "already stored", "")
    assert deadletters.replay(house, OPERATOR).replayed == 0


def test_what_was_stored_after_a_crash_cannot_be_given_up(house: Installation, tmp_path: Path) -> None:
    letter = stored_after_a_crash(house, tmp_path, days=0)
    assert deadletters.drop(house, OPERATOR, [letter.id], reason="r") == 0
    assert account(house) == {"received": 1, "stored": 1, "dead_lettered": 0, "dropped": {}}
    assert letters(house)[0].body["reason"] == "already stored"


def test_a_replay_that_failed_half_way_is_written_down_as_far_as_it_came(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["nonsense", "more of it"])
    first, second = sorted(letters(house), key=lambda document: document.id)
    mended(house, first, access_line(NOON))
    house.records.replace(OPERATOR, replace(second, body={**second.body, "sealed": "00"}))  # damaged
    with pytest.raises(StoreError):
        deadletters.replay(house, OPERATOR, ids=[first.id, second.id])
    entry = house.records.find(OPERATOR, RecordQuery(kind="audit", order="number", descending=True)).documents[0]
    assert (entry.body["action"], entry.body["details"]) == ("deadletter.replay", {"replayed": 1, "stored": 1})


def test_an_unknown_id_stops_before_anything_is_done(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["nonsense"])
    known = letters(house)[0].id
    for act in (
        lambda ids: deadletters.drop(house, OPERATOR, ids, reason="r"),
        lambda ids: deadletters.replay(house, OPERATOR, ids=ids),
    ):
        with pytest.raises(NotFoundError):
            act([known, "0" * 32])
    assert letters(house)[0].body["attempts"] == 1
    assert letters(house)[0].body["state"] == "waiting"


def test_the_same_id_twice_is_one(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["nonsense"])
    known = letters(house)[0].id
    assert deadletters.replay(house, OPERATOR, ids=[known, known]).replayed == 1
    assert deadletters.drop(house, OPERATOR, [known, known], reason="r") == 1
    assert deadletters.drop(house, OPERATOR, [known], reason="r") == 0


def test_of_two_decisions_the_first_stands_but_the_store_has_the_last_word(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["nonsense"])
    mended(house, letters(house)[0], access_line(NOON))

    class DropsMeanwhile(Interrupted):
        def commit(self, access: Access, batch: Batch) -> BatchRow:
            deadletters.drop(house, access, [letters(house)[0].id], reason="at the same time")
            return self._log.commit(access, batch)

    deadletters.replay(replace(house, log=DropsMeanwhile(house.log)), OPERATOR)  # type: ignore[arg-type]  # commit only
    assert account(house) == {"received": 1, "stored": 1, "dead_lettered": 0, "dropped": {}}


def test_what_somebody_typed_stands_in_the_row_and_not_in_the_chain(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["nonsense"])
    deadletters.drop(house, OPERATOR, [letters(house)[0].id], reason="王小明 13800138000")
    chain = house.records.find(OPERATOR, RecordQuery(kind="audit")).documents
    assert not any("13800138000" in str(one.body) for one in chain)
    assert letters(house)[0].body["reason"] == "王小明 13800138000"
    assert audit.verify(house, OPERATOR) == []


def test_an_endless_reason_is_refused(house: Installation) -> None:
    with pytest.raises(SecmonError, match="a note has at most"):
        deadletters.drop(house, OPERATOR, [], reason="x" * 100_000)


def test_the_raw_bytes_go_with_the_decision(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, ["nonsense", "more"])
    first, second = letters(house)
    mended(house, first, access_line(NOON))
    deadletters.replay(house, OPERATOR, ids=[first.id])
    deadletters.drop(house, OPERATOR, [second.id], reason="r")
    assert [one.body["sealed"] for one in letters(house)] == ["", ""]


def test_a_replayed_record_is_a_duplicate_when_its_file_comes_again(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, [access_line(NOON), "nonsense"])
    digest = integrity.digest(house, OPERATOR)
    deadletters.replay(house, OPERATOR)
    import_lines(house, tmp_path, [access_line(NOON), "nonsense"])
    assert integrity.digest(house, OPERATOR) == digest
    assert account(house) == {"received": 4, "stored": 1, "dead_lettered": 1, "dropped": {}}


def test_more_letters_than_a_page_are_all_replayed(house: Installation, tmp_path: Path) -> None:
    import_lines(house, tmp_path, [f"nonsense {n}" for n in range(130)])
    for letter in letters(house)[::2]:
        mended(house, letter, access_line(NOON))
    done = deadletters.replay(house, OPERATOR, source="nginx.access")
    assert (done.replayed, done.stored, done.still_malformed) == (130, 65, 65)
    assert account(house) == {"received": 130, "stored": 65, "dead_lettered": 65, "dropped": {}}
