"""Dead letters: records that could not become events, kept sealed until somebody decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from secmon.app import audit
from secmon.app.installation import Installation
from secmon.app.streams import lane_of
from secmon.errors import AccessError, NotFoundError, SecmonError
from secmon.model.access import Access, Role
from secmon.model.batch import Batch, Counts, DeadLetter
from secmon.model.event import Frame, format_time, parse_time
from secmon.model.ids import day_of_id
from secmon.model.record import Body, Document, RecordQuery
from secmon.pipeline import process

KIND = "deadletter"
WAITING, REPLAYED, DROPPED = "waiting", "replayed", "dropped"
_PAGE = 500


@dataclass(slots=True)
class Replay:
    """What a replay did, in records."""

    replayed: int = 0
    stored: int = 0
    still_malformed: int = 0


def keep(house: Installation, access: Access, letters: Sequence[DeadLetter]) -> None:
    """Store dead letters before the batch that counts them; one that is there already stays as it is."""
    house.records.create_all(access, [_document(house, letter) for letter in letters])


def _document(house: Installation, letter: DeadLetter) -> Document:
    body: Body = {
        "source": letter.source,
        "kind": letter.kind,
        "generation": letter.generation,
        "offset": letter.offset,
        "number": letter.number,
        "line": letter.line,
        "place": letter.place,
        "received": format_time(letter.received_at),
        "problem": letter.problem,
        "masked": letter.masked,
        "attempts": 1,
        "state": WAITING,
        "sealed": house.vault.seal(letter.raw, purpose=f"deadletter:{letter.id}").hex(),
    }
    keys = {"source": letter.source, "state": WAITING, "received": body["received"]}
    return Document(kind=KIND, id=letter.id, body=body, keys=keys)


def list_letters(
    house: Installation, access: Access, *, source: str = "", state: str = WAITING, limit: int = 100, cursor: str = ""
) -> tuple[list[dict[str, Any]], str]:
    """Return rows of dead letters, latest first, and the cursor of the next page."""
    equals = {"state": (state,)} if state else {}
    if source:
        equals["source"] = (source,)
    query = RecordQuery(kind=KIND, equals=equals, order="received", descending=True, limit=limit, after=cursor)
    page = house.records.find(access, query)
    return [row(document) for document in page.documents], page.cursor


def count_letters(house: Installation, access: Access, *, source: str = "") -> dict[str, int]:
    """Return counts of the dead letters in scope by state, of one source or of all."""
    equals = {"source": (source,)} if source else {}
    return house.records.count(access, RecordQuery(kind=KIND, equals=equals), by="state")


def row(document: Document) -> dict[str, Any]:
    """Return a dead letter as a listing shows it; its raw bytes stay sealed."""
    body = document.body
    shown: dict[str, Any] = {
        name: body[name] for name in ("source", "place", "received", "problem", "attempts", "masked", "state")
    }
    shown |= {name: body[name] for name in ("by", "reason", "at") if name in body}
    return {"deadletter.id": document.id, **shown}


def show(house: Installation, access: Access, letter_id: str) -> dict[str, Any]:
    """Return one dead letter.

    Raises:
        NotFoundError: it is not there.
    """
    return row(_get(house, access, letter_id))


def replay(house: Installation, access: Access, *, source: str = "", ids: Sequence[str] = ()) -> Replay:
    """Parse waiting dead letters again, with today's parsers and rules.

    A record that parses now is stored under the id it would have had, in its own partition.

    Raises:
        AccessError: the asker may not.
        NotFoundError: one of the ids is not there.
    """
    _require(access)
    done = Replay()
    documents = [_get(house, access, one) for one in ids] if ids else _waiting(house, access, source)
    for document in documents:
        if document.body["state"] != WAITING:
            continue
        done.replayed += 1
        if _replay_one(house, access, document):
            done.stored += 1
        else:
            done.still_malformed += 1
    details = {"replayed": done.replayed, "stored": done.stored}
    audit.append(house, access, "deadletter.replay", source or ",".join(ids[:20]) or "all", details)
    return done


def _replay_one(house: Installation, access: Access, document: Document) -> bool:
    body = document.body
    lane = lane_of(house, body["source"], body["kind"], body["generation"])
    raw = house.vault.open(bytes.fromhex(body["sealed"]), purpose=f"deadletter:{document.id}")
    frame = Frame(raw, body["offset"], body["number"], body["line"])
    prefix = bytes.fromhex(document.id)[:8]
    result = process([frame], lane, house.stages, prefix=prefix, received_at=parse_time(body["received"]))
    if result.dead_letters:
        problem = result.dead_letters[0].problem
        _save(house, access, document, {"attempts": body["attempts"] + 1, "problem": problem})
        return False
    batch = Batch(
        source=body["source"],
        generation=f"replay:{document.id}",
        number=1,
        epoch=1,
        day=day_of_id(document.id),
        retention=lane.kind.retention,
        offset_from=frame.offset,
        offset_to=frame.offset + len(raw),
        ruleset=house.ruleset.digest,
        received_at=parse_time(body["received"]),
        counts=replace(result.counts, received=0, stored=0),
        events=result.events,
        hits=result.hits,
        findings=result.findings,
    )
    house.log.commit(access, batch)
    # From here on it counts as stored: the state of the letter is the account.
    _save(house, access, document, {"attempts": body["attempts"] + 1, "state": REPLAYED, "sealed": ""})
    return True


def drop(house: Installation, access: Access, ids: Sequence[str], *, reason: str) -> int:
    """Give dead letters up; the row stays with who and why, the raw bytes go.

    Raises:
        AccessError: the asker may not.
        NotFoundError: one of the ids is not there.
        SecmonError: no reason is given.
    """
    _require(access)
    if not reason.strip():
        raise SecmonError("dropping dead letters needs a reason", hint="give --reason")
    dropped = 0
    for one in ids:
        document = _get(house, access, one)
        if document.body["state"] == WAITING:
            changes = {
                "state": DROPPED,
                "by": access.principal.id,
                "reason": reason.strip(),
                "at": format_time(house.clock.now()),
                "sealed": "",
            }
            _save(house, access, document, changes)
            dropped += 1
    audit.append(house, access, "deadletter.drop", ",".join(ids[:20]), {"dropped": dropped, "reason": reason.strip()})
    return dropped


def adjustments(house: Installation, access: Access, source: str) -> Counts:
    """Return how decisions on dead letters change a source's account.

    A replayed record moves from dead-lettered to stored, a dropped one to dropped(by_operator).
    """
    query = RecordQuery(kind=KIND, equals={"source": (source,)})
    counts = house.records.count(access, query, by="state")
    replayed, dropped = counts.get(REPLAYED, 0), counts.get(DROPPED, 0)
    return Counts(
        stored=replayed,
        dead_lettered=-(replayed + dropped),
        dropped={"by_operator": dropped} if dropped else {},
    )


def run_list(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `deadletters list`."""
    rows, cursor = list_letters(
        house,
        access,
        source=args.get("source") or "",
        state=args.get("state", WAITING),
        limit=int(args.get("limit") or 100),
        cursor=args.get("cursor") or "",
    )
    return {"deadletters": rows, "cursor": cursor}


def run_show(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `deadletters show`."""
    return show(house, access, args["id"])


def run_replay(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, int]:
    """Do `deadletters replay`."""
    done = replay(house, access, source=args.get("source") or "", ids=args.get("ids") or ())
    return {"replayed": done.replayed, "stored": done.stored, "still_malformed": done.still_malformed}


def run_drop(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, int]:
    """Do `deadletters drop`."""
    return {"dropped": drop(house, access, args["ids"], reason=args.get("reason") or "")}


def _waiting(house: Installation, access: Access, source: str) -> list[Document]:
    equals = {"state": (WAITING,)} | ({"source": (source,)} if source else {})
    found: list[Document] = []
    cursor = ""
    while True:
        page = house.records.find(access, RecordQuery(kind=KIND, equals=equals, limit=_PAGE, after=cursor))
        found.extend(page.documents)
        cursor = page.cursor
        if not cursor:
            return found


def _save(house: Installation, access: Access, document: Document, changes: dict[str, Any]) -> None:
    body = {**document.body, **changes}
    keys = {**document.keys, "state": body["state"]}
    house.records.replace(access, Document(kind=KIND, id=document.id, body=body, keys=keys, version=document.version))


def _get(house: Installation, access: Access, letter_id: str) -> Document:
    document = house.records.get(access, KIND, letter_id)
    if document is None:
        raise NotFoundError("no such dead letter", hint="secmon deadletters list shows them")
    return document


def _require(access: Access) -> None:
    if not access.may(Role.OPERATOR, Role.SYSTEM_ADMIN):
        raise AccessError("dead letters need the role operator or system_admin")
