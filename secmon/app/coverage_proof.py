"""Proving the coverage ledger: from its own sheets and seals, and from the batches that are stored.

With the store at hand both are checked: the chain, the daily seals and their signatures, and every row against the
batches that it speaks of, as long as their partition is kept. From an exported file the same, without the batches.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson

from secmon.app.coverage_sheets import NOT_RUN_LIST, SEAL, SHEET, Head, documents, load_head
from secmon.app.installation import Installation
from secmon.app.retention import kept_days
from secmon.app.rulebook import RULESET
from secmon.errors import AccessError, SecmonError
from secmon.model.access import Access
from secmon.model.coverage import Delivered, Part, to_body, to_delivered, window_of
from secmon.model.coverage_chain import CHANGED, DELETED, INSERTED, ChainCheck, Verifies
from secmon.model.event import format_time
from secmon.model.record import Body

_Row = tuple[str, str]


def verify(house: Installation, access: Access, *, anchored: str = "", trusted: Iterable[str] = ()) -> dict[str, Any]:
    """Return the object of `coverage verify`: complete up to when, or what is the first thing wrong.

    Args:
        house: the installation.
        access: who asks; the root only.
        anchored: the head kept outside the store, "NUMBER DIGEST"; empty if there is none.
        trusted: further public keys (hex) whose seals count, besides that of this installation.

    Raises:
        AccessError: the asker sees a part of the tree only.
    """
    if not access.scope.is_root:
        raise AccessError("the whole ledger is checked at the root only")
    if house.signer is None:
        raise SecmonError("there is no key that sealed anything", hint="run secmon up")
    # Read before the sheets: what is written meanwhile makes the ledger longer, never shorter than its head.
    head = load_head(house, access) or Head()
    check = ChainCheck(house.signer.verifies, {house.signer.public, *trusted})
    _take(check, documents(house, access, SEAL), documents(house, access, SHEET))
    pending = sum(kind == SHEET for kind, _, _, _ in head.pending)
    if not pending:  # else the head stands before what it names, for a moment
        check.compare("coverage head", head.number, head.digest)
        check.compare_seal(head.seal.number, head.seal.digest)
    number, _, digest = anchored.strip().partition(" ")
    if anchored:
        check.compare("coverage.head", int(number[:18]) if number.isdecimal() and number.isascii() else 1, digest)
    check.finish()
    batches = _compare_batches(house, access, head, check)
    return result(check) | {"batches": batches, "public": house.signer.public}


def verify_export(
    path: str, lines: Iterable[bytes], verifies: Verifies, *, trusted: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the object of `coverage verify --file`: as `verify`, of what `coverage export` wrote.

    Args:
        path: the file, for messages.
        lines: its lines.
        verifies: checks a signature.
        trusted: public keys (hex) whose seals count; none takes each seal's own.

    Raises:
        SecmonError: it is no such file.
    """
    found: dict[str, list[Body]] = {SEAL: [], SHEET: []}
    for number, line in enumerate(lines, start=1):
        try:
            entry = orjson.loads(line)
            kind, body = str(entry["kind"]), dict(entry["body"])
        except (ValueError, TypeError, KeyError) as error:
            hint = "give a file that secmon coverage export wrote"
            raise SecmonError("not a line of an export", where=f"{path}:{number}", hint=hint) from error
        if kind in found:
            found[kind].append(body)
    check = ChainCheck(verifies, set(trusted))
    _take(check, found[SEAL], found[SHEET])
    check.finish()
    return result(check)


def export(house: Installation, access: Access) -> Iterator[Body]:
    """Yield everything that proves the ledger without the store: seals, sheets, rule sets, lists of idle rules."""
    sheets = list(documents(house, access, SHEET))
    for body in documents(house, access, SEAL):
        yield {"kind": SEAL, "body": body}
    for body in sheets:
        yield {"kind": SHEET, "body": body}
    rulesets = {digest for body in sheets for row in body["rows"] for digest in row["rulesets"]}
    named = ((RULESET, rulesets | {body["ruleset"] for body in sheets}), (NOT_RUN_LIST, {b["not_run"] for b in sheets}))
    for kind, ids in named:
        for identity in sorted(ids - {""}):
            document = house.records.get(access, kind, identity)
            if document is not None:
                yield {"kind": kind, "body": {"id": identity, **document.body}}


def result(check: ChainCheck) -> dict[str, Any]:
    """Return what a check found as JSON."""
    problems = list(check.problems)
    found: dict[str, Any] = {
        "ok": not problems,
        "complete_until": check.closed,
        "sealed_until": check.sealed,
        "rows": check.rows,
        "sheets": check.sheets,
        "seals": check.seals,
        "head": check.digest,
    }
    if problems:
        found |= {"place": problems[0].place, "problem": problems[0].how, "problems": list(map(str, problems))}
    return found


def _take(check: ChainCheck, seals: Iterable[Body], sheets: Iterable[Body]) -> None:
    for take, bodies in ((check.take_seal, seals), (check.take_sheet, sheets)):
        for position, body in enumerate(bodies, start=1):
            try:
                take(body)
            except (KeyError, TypeError, ValueError):  # keys or values are not what we wrote
                what = "seal" if take == check.take_seal else "sheet"
                check.wrong(f"{what} {position}", CHANGED)


def _compare_batches(house: Installation, access: Access, head: Head, check: ChainCheck) -> int:
    """Compare every row with the batches that are stored; return how many batches there were."""
    kept = {(one.day, one.retention) for one in house.log.partitions(access)}
    expected: defaultdict[_Row, Delivered] = defaultdict(Delivered)
    count = 0
    for batch, _ in house.log.commits(access, upto=head.mark) if head.mark else ():
        hour = format_time(window_of(batch))
        if head.closed is not None and window_of(batch) < head.closed:
            expected[(hour, batch.source)] = expected[(hour, batch.source)].plus(batch)
            count += 1
    waiting = _waiting(head)
    for key in sorted({*expected, *check.latest} - waiting):
        row = check.latest.get(key)
        how = DELETED if row is None else _difference(house, row, expected.get(key, Delivered()), kept)
        if how:
            check.wrong(f"batches {key[1]} {key[0]}", how)
    return count


def _waiting(head: Head) -> set[_Row]:
    """Return the rows that are decided and not written yet."""
    rows = [row for kind, _, body, _ in head.pending if kind == SHEET for row in body["rows"]]
    return {(row["from"], row["source"]) for row in rows}


def _difference(house: Installation, row: Body, stored: Delivered, kept: set[tuple[Any, str]]) -> str:
    """Return how a row and the stored batches differ; "" if they agree, as far as partitions are kept."""
    told = to_delivered(row)
    if any(_is_missing(house, part, kept) for part in told.parts):
        return DELETED
    known = tuple(part for part in told.parts if (part.day, part.retention) in kept)
    if known != stored.parts:
        batches = sum(part.last - part.first + 1 for part in known)
        return INSERTED if stored.batches > batches else CHANGED
    if len(known) < len(told.parts):
        return ""  # the rest of its batches went with their partition, as retention wants it
    if told.rulesets_since.keys() != set(told.rulesets):  # of a version that did not note it
        told, stored = replace(told, rulesets_since={}), replace(stored, rulesets_since={})
    return "" if _facts(told) == _facts(stored) else CHANGED


def _is_missing(house: Installation, part: Part, kept: set[tuple[Any, str]]) -> bool:
    """Tell whether a partition is gone that retention does not let go yet."""
    if (part.day, part.retention) in kept:
        return False
    return part.day >= house.clock.now().date() - timedelta(days=kept_days(house, part.retention))


def _facts(delivered: Delivered) -> Body:
    return to_body(replace(delivered, by_rule={}))


def run_verify(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `coverage verify`."""
    return verify(house, access, anchored=args.get("anchored") or "", trusted=args.get("trusted") or ())


def run_export(house: Installation, access: Access, args: Mapping[str, Any]) -> list[Body]:
    """Do `coverage export`."""
    del args
    return list(export(house, access))
