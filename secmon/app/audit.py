"""The audit chain: who did what, dense numbers, each entry bound to the one before it by SHA-256.

Every use case that changes something appends one entry. The head is also kept outside the store
(`Installation.anchor`), so that cutting off the end shows as well as changing, inserting or deleting.
"""

import hashlib
from collections.abc import Mapping

import orjson

from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import ROOT, Access
from secmon.model.event import format_time
from secmon.model.record import Body, Document, RecordQuery

CHAIN = "main"
GENESIS = "0" * 64
_ATTEMPTS = 20


def append(
    house: Installation, access: Access, action: str, target: str, details: Mapping[str, object] | None = None
) -> str:
    """Append one entry and return its hash.

    Args:
        house: the installation.
        access: who acted.
        action: what was done, such as "alert.close".
        target: what it was done to: an id, never content of a record.
        details: further facts, free of personal data.
    """
    # The chain belongs to no unit: whoever acts, it is written by the installation itself.
    access = Access(access.principal, ROOT)
    for _ in range(_ATTEMPTS):
        head = house.records.get(access, "audit_head", CHAIN)
        number = int(head.body["number"]) + 1 if head else 1
        previous = str(head.body["hash"]) if head else GENESIS
        entry: Body = {
            "number": number,
            "at": format_time(house.clock.now()),
            "by": access.principal.id,
            "action": action,
            "target": target,
            "details": dict(details or {}),
            "previous": previous,
        }
        entry["hash"] = entry_hash(entry)
        try:
            house.records.create(access, _document(number, entry))
        except ConflictError:
            # A writer stopped between its entry and the head: its entry stands, bring the head up to it.
            _advance_head(house, access, head, number)
            continue
        _set_head(house, access, head, entry)
        house.anchor(f"{number} {entry['hash']}\n")
        return str(entry["hash"])
    raise ConflictError("the audit chain is busy", hint="try again")


def entry_hash(entry: Mapping[str, object]) -> str:
    """Return SHA-256 (64 hex) over the canonical JSON of an entry without its own hash."""
    content = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def verify(house: Installation, access: Access, *, anchored: str = "") -> list[str]:
    """Return what is wrong with the chain; empty is good.

    Args:
        house: the installation.
        access: who asks.
        anchored: the head kept outside, "NUMBER HASH"; empty if there is none.
    """
    problems: list[str] = []
    previous, number, seen = GENESIS, 0, {}
    cursor = ""
    while True:
        page = house.records.find(access, RecordQuery(kind="audit", order="number", limit=500, after=cursor))
        for document in page.documents:
            number += 1
            entry = document.body
            if entry["number"] != number:
                problems.append(f"entry {number}: missing")
                number = int(entry["number"])
            elif entry["previous"] != previous or entry["hash"] != entry_hash(entry):
                problems.append(f"entry {number}: changed")
            previous = str(entry["hash"])
            seen[number] = previous
        cursor = page.cursor
        if not cursor:
            break
    if anchored:
        text, _, digest = anchored.strip().partition(" ")
        if seen.get(int(text)) != digest:
            problems.append(f"entry {text}: not the one that was anchored outside (truncated or replaced)")
    return problems


def _document(number: int, entry: Body) -> Document:
    return Document(
        kind="audit",
        id=f"{CHAIN}-{number:012d}",
        body=entry,
        keys={"number": f"{number:012d}", "at": entry["at"], "by": entry["by"], "action": entry["action"]},
    )


def _advance_head(house: Installation, access: Access, head: Document | None, number: int) -> None:
    entry = house.records.get(access, "audit", f"{CHAIN}-{number:012d}")
    if entry is not None:
        _set_head(house, access, head, entry.body)


def _set_head(house: Installation, access: Access, head: Document | None, entry: Body) -> None:
    body = {"number": entry["number"], "hash": entry["hash"]}
    try:
        if head is None:
            house.records.create(access, Document(kind="audit_head", id=CHAIN, body=body))
        else:
            house.records.replace(access, Document(kind="audit_head", id=CHAIN, body=body, version=head.version))
    except ConflictError:
        return  # somebody else advanced it meanwhile; the entry itself stands
