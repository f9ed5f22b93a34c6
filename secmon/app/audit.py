"""The audit chain: who did what, dense numbers, each entry bound to the one before it by SHA-256.

Every use case that changes something appends one entry. The head is also kept outside the store
(`Installation.anchor`), so that cutting off the end shows as well as changing, inserting or deleting.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.errors import ConflictError
from secmon.model.access import ROOT, Access
from secmon.model.event import format_time
from secmon.model.record import Body, Document, RecordQuery

CHAIN = "main"
GENESIS = "0" * 64
_ATTEMPTS = 20
_PAGE = 500
# Threads of the one writer wait for each other instead of racing for a number, and write the anchor in order; against
# other processes the store's compare-and-swap decides.
_appending = threading.Lock()


def append(
    house: Installation, access: Access, action: str, target: str, details: Mapping[str, object] | None = None
) -> str:
    """Append one entry and return its hash.

    Args:
        house: the installation.
        access: who acted.
        action: what was done, such as "alert.close".
        target: what it was done to: an id, never content of a record.
        details: further facts, free of personal data: numbers and words of ours, no text that somebody typed.

    Raises:
        ConflictError: other processes keep appending; nothing was appended.
    """
    # The chain belongs to no unit: whoever acts, it is written by the installation itself.
    access = Access(access.principal, ROOT)
    with _appending:
        return _append(house, access, action, target, details or {})


def _append(house: Installation, access: Access, action: str, target: str, details: Mapping[str, object]) -> str:
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
            "details": dict(details),
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
    """Return what is wrong with the chain, as "audit entry N: changed|inserted|deleted|truncated"; empty is good.

    An entry whose hash was computed anew after a change shows at the entry behind it, the last one at the head. An
    attacker who computes the whole chain anew shows at the anchor only.

    Args:
        house: the installation.
        access: who asks.
        anchored: the head kept outside, "NUMBER HASH"; empty if there is none.
    """
    # Read before the entries: what is appended meanwhile makes the chain longer, never shorter than its head.
    head = house.records.get(access, "audit_head", CHAIN)
    chain = _Verification()
    for entry in _entries(house, access):
        chain.take(entry)
    if head is not None:
        chain.compare(head.body.get("number"), head.body.get("hash"))
    if anchored:
        number, _, digest = anchored.strip().partition(" ")
        if not (number.isascii() and number.isdecimal() and digest):
            chain.problems["audit.head: not NUMBER HASH"] = None
        else:
            chain.compare(int(number[:18]), digest)
    return list(chain.problems)


def _entries(house: Installation, access: Access) -> Iterator[Body]:
    for document in every(house.records, access, RecordQuery(kind="audit", order="number", limit=_PAGE)):
        yield document.body


@dataclass(slots=True)
class _Verification:
    """What has been seen of a chain; a problem is told once."""

    number: int = 0
    previous: str | None = GENESIS
    hashes: dict[int, str] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)

    def take(self, entry: Body) -> None:
        number = entry.get("number")
        if not isinstance(number, int) or number <= self.number:
            self._wrong(number if isinstance(number, int) else self.number + 1, "inserted")
            return
        for missing in range(self.number + 1, number):
            self._wrong(missing, "deleted")
            self.previous = None  # nobody can tell what stood before this entry
        if entry.get("hash") != entry_hash(entry):
            self._wrong(number, "changed")
        elif self.previous is not None and entry.get("previous") != self.previous:
            self._wrong(max(number - 1, 1), "changed")
        self.number, self.previous = number, str(entry.get("hash"))
        self.hashes[number] = self.previous

    def compare(self, number: object, digest: object) -> None:
        """Compare with what was kept apart from the entries."""
        if not isinstance(number, int) or number > self.number:
            self._wrong(number, "truncated")
        elif number in self.hashes and self.hashes[number] != digest:
            self._wrong(number, "changed")

    def _wrong(self, number: object, how: str) -> None:
        self.problems[f"audit entry {number}: {how}"] = None


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
