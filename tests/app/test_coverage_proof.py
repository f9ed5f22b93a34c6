"""`coverage verify`: whatever is changed, left out, added or cut off in ledger, seals or batches is told."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from secmon.app.coverage_proof import export, verify, verify_export
from secmon.app.coverage_sheets import SEAL, SHEET
from secmon.app.coverage_writing import bring_forward
from secmon.app.installation import Installation
from secmon.app.retention import apply_retention
from secmon.errors import AccessError, SecmonError
from secmon.model.access import Access, Scope
from secmon.model.coverage import digest_of, root_of
from secmon.model.record import Body, Document, RecordQuery
from secmon.store.signing import FileSigner, verifies
from tests.app.coverages import JOB, NOON, Anchor, SetClock, covered_house, deliver, look

PUBLIC = FileSigner(b"s" * 32).public


@pytest.fixture
def anchor() -> Anchor:
    return Anchor()


@pytest.fixture
def house(backend: str, tmp_path: Path, clock: SetClock, anchor: Anchor) -> Iterator[Installation]:
    """Two days: sheets by the hour, one row that was written again, two seals, a tail that is not sealed."""
    with covered_house(tmp_path, clock, backend=backend, anchor_coverage=anchor) as opened:
        bring_forward(opened, JOB)
        deliver(opened, 1, NOON + timedelta(minutes=5), hits=1)
        look(opened, clock, hours=2, minutes=4)
        deliver(opened, 2, NOON + timedelta(minutes=6), hits=1)
        clock.pass_time(hours=36)
        bring_forward(opened, JOB)
        yield opened


def put(house: Installation, kind: str, number: int, body: Body) -> None:
    """Overwrite a document of the ledger, as somebody with the store's password could."""
    document = house.records.get(JOB, kind, f"{number:012d}")
    assert document is not None
    house.records.replace(JOB, replace(document, body=body))


def body_of(house: Installation, kind: str, number: int) -> Body:
    document = house.records.get(JOB, kind, f"{number:012d}")
    assert document is not None
    return deepcopy(document.body)


def numbers(house: Installation, kind: str) -> list[int]:
    found = house.records.find(JOB, RecordQuery(kind=kind, order="number", limit=500)).documents
    return [int(one.id) for one in found]


def test_a_ledger_that_nobody_touched_is_complete_up_to_what_is_closed(house: Installation, anchor: Anchor) -> None:
    found = verify(house, JOB, anchored=anchor.text)
    assert found["ok"], found
    assert (found["complete_until"], found["sealed_until"]) == ("2026-11-23T02:00:00.000Z", "2026-11-22")
    assert (found["seals"], found["batches"], found["public"]) == (2, 2, PUBLIC)


def test_a_changed_count_names_its_row_first(house: Installation) -> None:
    sheet = body_of(house, SHEET, 1)
    sheet["rows"][0]["hits"] = 0
    put(house, SHEET, 1, sheet)
    found = verify(house, JOB)
    assert (found["ok"], found["place"], found["problem"]) == (False, "row web 2026-11-21T12:00:00.000Z", "changed")


def test_a_row_whose_digest_was_computed_anew_shows_in_its_sheet(house: Installation) -> None:
    sheet = body_of(house, SHEET, 2)
    sheet["rows"][0]["state"] = "evaluated"
    sheet["rows"][0]["digest"] = digest_of(sheet["rows"][0])
    put(house, SHEET, 2, sheet)
    assert "sheet 2: changed" in verify(house, JOB)["problems"]


def test_a_sheet_whose_digest_was_computed_anew_shows_behind_it_and_in_its_seal(house: Installation) -> None:
    sheet = body_of(house, SHEET, 2)
    sheet["rows"][0]["unwatched_s"] = 7
    sheet["rows"][0]["digest"] = digest_of(sheet["rows"][0])
    sheet["digest"] = digest_of(sheet)
    put(house, SHEET, 2, sheet)
    found = verify(house, JOB)["problems"]
    assert "sheet 2: changed" in found
    assert "seal 1: changed" in found


def forged(house: Installation, *, key: bytes) -> None:
    """Write the whole ledger anew, without its hits: rows, sheets, seals and head."""
    signer, previous, sealed = FileSigner(key), "0" * 64, "0" * 64
    bodies: dict[int, Body] = {}
    anew = {"": ""}
    for number in numbers(house, SHEET):
        sheet = body_of(house, SHEET, number)
        for row in sheet["rows"]:
            told = row["digest"]
            row |= {"hits": 0, "by_rule": {}, "previous": anew[row["previous"]]}
            anew[told] = row["digest"] = digest_of(row)
        sheet["previous"] = previous
        previous = sheet["digest"] = digest_of(sheet)
        bodies[number] = sheet
        put(house, SHEET, number, sheet)
    for number in numbers(house, SEAL):
        seal = body_of(house, SEAL, number)
        bound = [bodies[one] for one in range(seal["first"], seal["last"] + 1)]
        seal |= {"previous": sealed, "root": root_of(bound), "sheet": bound[-1]["digest"], "public": signer.public}
        sealed = seal["digest"] = digest_of(seal)
        seal["signature"] = signer.sign(sealed.encode())
        put(house, SEAL, number, seal)
    head = house.records.get(JOB, "mark", "coverage")
    assert head is not None
    body = {**head.body, "digest": previous, "seal": {**head.body["seal"], "digest": sealed}}
    house.records.replace(JOB, replace(head, body=body))


def test_a_ledger_computed_anew_as_a_whole_shows_by_its_key(house: Installation) -> None:
    forged(house, key=b"x" * 32)
    found = verify(house, JOB)
    assert (found["place"], found["problem"]) == ("seal 1", "signature")


def test_even_with_the_stolen_key_it_shows_at_the_anchor_and_in_the_batches(
    house: Installation, anchor: Anchor
) -> None:
    kept = anchor.text
    forged(house, key=b"s" * 32)
    assert "batches web 2026-11-21T12:00:00.000Z: changed" in verify(house, JOB)["problems"]
    assert any(problem.startswith("sheet ") for problem in verify(house, JOB, anchored=kept)["problems"])


class Without:
    """Records from which somebody deleted documents."""

    def __init__(self, records: Any, gone: set[tuple[str, str]]) -> None:
        self._records, self._gone = records, gone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def find(self, access: Access, query: RecordQuery) -> Any:
        page = self._records.find(access, query)
        return replace(page, documents=tuple(d for d in page.documents if (d.kind, d.id) not in self._gone))


def lacking(house: Installation, kind: str, *chosen: int) -> Installation:
    gone = {(kind, f"{number:012d}") for number in chosen}
    return replace(house, records=Without(house.records, gone))


def test_a_deleted_sheet_is_missed(house: Installation) -> None:
    assert "sheet 2: deleted" in verify(lacking(house, SHEET, 2), JOB)["problems"]


def test_a_deleted_seal_is_missed(house: Installation) -> None:
    assert "seal 1: deleted" in verify(lacking(house, SEAL, 1), JOB)["problems"]


def test_a_cut_off_end_is_missed_by_the_head(house: Installation) -> None:
    last = numbers(house, SHEET)[-1]
    found = verify(lacking(house, SHEET, last), JOB)
    assert (found["place"], found["problem"]) == ("coverage head", "truncated")
    assert "seal 2: truncated" in verify(lacking(house, SEAL, 2), JOB)["problems"]


def test_an_end_that_was_cut_off_with_the_head_is_missed_by_the_anchor(house: Installation, anchor: Anchor) -> None:
    kept, last = anchor.text, numbers(house, SHEET)[-1]
    head = house.records.get(JOB, "mark", "coverage")
    assert head is not None
    body = {**head.body, "number": last - 1, "digest": body_of(house, SHEET, last - 1)["digest"]}
    house.records.replace(JOB, replace(head, body=body))
    cut = lacking(house, SHEET, last)
    assert "coverage.head: truncated" in verify(cut, JOB, anchored=kept)["problems"]


def test_an_inserted_sheet_is_told(house: Installation) -> None:
    sheet = body_of(house, SHEET, 2)
    document = Document(kind=SHEET, id="000000000002x", body=sheet, keys={"number": "000000000002"})
    house.records.create(JOB, document)
    assert "sheet 2: inserted" in verify(house, JOB)["problems"]


def test_an_inserted_row_is_told(house: Installation) -> None:
    sheet = body_of(house, SHEET, 2)
    sheet["rows"].append(dict(sheet["rows"][0]))
    put(house, SHEET, 2, sheet)
    assert verify(house, JOB)["problem"] == "inserted"


def test_a_batch_that_no_row_speaks_of_is_told(house: Installation) -> None:
    deliver(house, 3, NOON + timedelta(minutes=7))
    head = house.records.get(JOB, "mark", "coverage")
    assert head is not None
    (*_, (_, mark)) = house.log.commits(JOB)
    house.records.replace(JOB, replace(head, body={**head.body, "mark": mark}))  # as if it had been entered
    assert verify(house, JOB)["problems"] == ["batches web 2026-11-21T12:00:00.000Z: inserted"]


def test_a_batch_that_is_gone_before_its_time_is_told(house: Installation) -> None:
    house.log.drop_partition(JOB, NOON.date(), "security")
    found = verify(house, JOB)
    assert (found["place"], found["problem"]) == ("batches web 2026-11-21T12:00:00.000Z", "deleted")


def test_batches_that_retention_dropped_are_not_missed(house: Installation, clock: SetClock) -> None:
    clock.pass_time(days=200)
    assert apply_retention(house, JOB)
    assert verify(house, JOB)["ok"]


def test_a_commit_that_waits_to_be_entered_is_no_fault(house: Installation) -> None:
    deliver(house, 3, NOON + timedelta(minutes=7))
    assert verify(house, JOB)["ok"]


def test_the_whole_ledger_is_for_the_root_only(house: Installation) -> None:
    with pytest.raises(AccessError):
        verify(house, Access(JOB.principal, Scope(frozenset({"S-1"}))))


# Offline: what an auditor takes home.


def exported(house: Installation) -> list[dict[str, Any]]:
    return [orjson.loads(orjson.dumps(entry)) for entry in export(house, JOB)]


def checked(entries: list[dict[str, Any]], *keys: str) -> dict[str, Any]:
    return verify_export("x.jsonl", [orjson.dumps(entry) for entry in entries], verifies, trusted=keys or (PUBLIC,))


def test_an_export_is_verified_without_the_store(house: Installation) -> None:
    found = checked(exported(house))
    assert (found["ok"], found["sealed_until"]) == (True, "2026-11-22")


def test_an_export_sealed_with_another_key_is_not_ours(house: Installation) -> None:
    assert checked(exported(house), "ab" * 32)["problem"] == "signature"


Tamper = Callable[[list[dict[str, Any]]], Any]
TAMPERED: dict[str, Tamper] = {
    "a sheet left out": lambda entries: entries.pop(next(n for n, e in enumerate(entries) if e["kind"] == SHEET)),
    "a sealed end cut off": lambda entries: entries.__delitem__(slice(2, None)),
    "a seal left out": lambda entries: entries.pop(0),
    "a row changed": lambda entries: entries[2]["body"]["rows"][0].update(state="no_data"),
    "a key of a sheet taken away": lambda entries: entries[2]["body"].pop("rows"),
    "a number that is none": lambda entries: entries[3]["body"].update(number="many"),
    "a signature changed": lambda entries: entries[0]["body"].update(signature="00" * 64),
    "a seal moved to another day": lambda entries: entries[0]["body"].update(day="2026-11-20"),
}


@pytest.mark.parametrize("name", sorted(TAMPERED))
def test_whatever_was_done_to_an_export_is_told(house: Installation, name: str) -> None:
    entries = exported(house)
    TAMPERED[name](entries)
    assert not checked(entries)["ok"]


@pytest.mark.parametrize("line", [b"{}", b"[]", b"\xff", b'{"kind":"coverage"}', b"null"])
def test_what_is_no_export_is_refused(line: bytes) -> None:
    with pytest.raises(SecmonError, match=r"^x\.jsonl:1: "):
        verify_export("x.jsonl", [line], verifies)
