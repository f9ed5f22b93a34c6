"""Dead letters: records that could not become events, kept sealed until somebody decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from secmon.app import audit, rulebook
from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.app.poison import REFUSED
from secmon.app.streams import lane_of, source_of
from secmon.errors import AccessError, ConflictError, NotFoundError, PoisonError, SecmonError
from secmon.model.access import Access, Role
from secmon.model.batch import Batch, Counts, DeadLetter
from secmon.model.event import Frame, format_time, parse_time
from secmon.model.ids import day_of_id, partition_number
from secmon.model.record import Body, Document, RecordQuery
from secmon.model.zone import zone_of, zone_text
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane, Processed, process
from secmon.triage.lifecycle import MAX_NOTE

KIND = "deadletter"
WAITING, REPLAYED, DROPPED = "waiting", "replayed", "dropped"
_REPLAY = "replay:"
# What a decided letter counts as: stored, or dropped(reason).
STORED, BY_OPERATOR = "stored", "by_operator"
ALREADY_STORED = "already stored"
"""Why a letter is settled that counts nowhere: the batch that stored its record counted it."""
_PAGE = 50
_ATTEMPTS = 20
_MAX_NAMED = 20


@dataclass(slots=True)
class Replay:
    """What a replay did, in records.

    `dropped` are those that today's parsers know to carry nothing; `already_stored` are those that ingest stored and
    counted itself after all (`_stored_by_ingest`).
    """

    replayed: int = 0
    stored: int = 0
    still_malformed: int = 0
    dropped: int = 0
    already_stored: int = 0


def keep(house: Installation, access: Access, letters: Sequence[DeadLetter]) -> None:
    """Store dead letters before the batch that counts them; one that is there already stays as it is."""
    house.records.create_all(access, [_document(house, letter) for letter in letters])


def _document(house: Installation, letter: DeadLetter) -> Document:
    # What its siblings were read with: a replay must not read it in another zone or place it elsewhere.
    source = source_of(house, letter.source, letter.kind)
    identity = _without_day(letter.id)
    body: Body = {
        "source": letter.source,
        "kind": letter.kind,
        "generation": letter.generation,
        "offset": letter.offset,
        "number": letter.number,
        "line": letter.line,
        "place": letter.place,
        "received": format_time(letter.received_at),
        "zone": zone_text(source.zone),
        "unit": source.unit,
        "asset": source.asset,
        "path": letter.path,
        "truncated": letter.truncated,
        "problem": letter.problem,
        "masked": letter.masked,
        "attempts": 1,
        "state": WAITING,
        "event_id": letter.id,
        "sealed": house.vault.seal(letter.raw, purpose=f"deadletter:{identity}").hex(),
    }
    keys = {"source": letter.source, "state": WAITING, "received": body["received"], "outcome": ""}
    return Document(kind=KIND, id=identity, body=body, keys=keys)


def _without_day(event_id: str) -> str:
    """Return the id of a letter: its place in the stream, whatever the day.

    A batch that failed after its letters were kept is tried again, by then perhaps on the next partition day.
    """
    return "0000" + event_id[4:]


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
        NotFoundError: one of the ids is not there; nothing was replayed.
    """
    _require(access)
    done = Replay()
    letters = [_get(house, access, one) for one in dict.fromkeys(ids)] if ids else _waiting(house, access, source)
    try:
        for document in letters:
            if document.body["state"] == WAITING and _stored_by_ingest(house, access, document):
                done.replayed += 1
                done.already_stored += 1
                _settle(house, access, document, _already_stored(house, access))
            elif document.body["state"] == WAITING:
                _replay_one(house, access, document, done)
    finally:
        # Whatever was done before something failed is written down.
        details = {"replayed": done.replayed, "stored": done.stored}
        audit.append(house, access, "deadletter.replay", source or ",".join(ids[:_MAX_NAMED]) or "all", details)
    return done


def _stored_by_ingest(house: Installation, access: Access, document: Document) -> bool:
    """Tell whether the record was stored, and counted, by the batch that was to count it as a dead letter.

    Letters are kept before their batch is committed. After a crash between the two the batch is worked again, perhaps
    by a newer parser that can read the record, and perhaps on a later partition day.
    """
    body, retention = document.body, KINDS[document.body["kind"]].retention
    first = day_of_id(body["event_id"])
    stream = f"{body['source']}:{_replay_generation(document)}"
    if house.log.batch(access, day=first, retention=retention, stream=stream, number=1) is not None:
        return False  # it was an earlier replay, cut off before it could settle the letter
    days = {one.day for one in house.log.partitions(access) if one.retention == retention and one.day >= first}
    place = _without_day(body["event_id"])[4:]
    return bool(house.log.digests(access, [f"{partition_number(day):04x}{place}" for day in sorted(days)]))


def _already_stored(house: Installation, access: Access) -> Body:
    now = format_time(house.clock.now())
    return {"state": REPLAYED, "by": access.principal.id, "at": now, "reason": ALREADY_STORED, "sealed": ""}


def _replay_generation(document: Document) -> str:
    return f"{_REPLAY}{document.id}"


def is_replay(generation: str) -> bool:
    """Tell whether a stream is that of one replayed record; its events have the ids that ingest would have given."""
    return generation.startswith(_REPLAY)


def _replay_one(house: Installation, access: Access, document: Document, done: Replay) -> None:
    body = document.body
    raw = house.vault.open(bytes.fromhex(body["sealed"]), purpose=f"deadletter:{document.id}")
    frame = Frame(raw, body["offset"], body["number"], body["line"], truncated=body["truncated"])
    prefix = bytes.fromhex(body["event_id"])[:8]
    received_at = parse_time(body["received"])
    result = process([frame], _lane(house, body), house.stages, prefix=prefix, received_at=received_at)
    changes: Body = {"attempts": body["attempts"] + 1}
    done.replayed += 1
    if result.dead_letters:
        done.still_malformed += 1
        _settle(house, access, document, changes | {"problem": result.dead_letters[0].problem})
    elif not result.events:
        done.dropped += 1
        outcome = next(iter(result.counts.dropped))
        changes |= {"by": access.principal.id, "at": format_time(house.clock.now()), "reason": outcome}
        _settle(house, access, document, changes | {"state": DROPPED, "sealed": ""}, outcome=outcome)
    elif not _stored(house, access, _batch(document, frame, result)):
        done.still_malformed += 1
        _settle(house, access, document, changes | {"problem": REFUSED})
    # From here on it counts as stored: the state of the letter is the account, and one of several replays settles it.
    elif _settle(house, access, document, changes | {"state": REPLAYED, "sealed": ""}, outcome=STORED):
        done.stored += 1
    else:
        done.already_stored += 1


def _stored(house: Installation, access: Access, batch: Batch) -> bool:
    """Store a replayed record; return False if the store can never take it.

    Raises:
        ConflictError: others keep replaying it.
    """
    rulebook.keep(house, access)
    for _ in range(_ATTEMPTS):
        try:
            house.log.commit(access, batch)
        except PoisonError:
            return False
        except ConflictError:
            continue  # replayed by somebody else at the same moment: one of the two attempts counts
        return True
    raise ConflictError("the dead letter keeps changing", hint="try again")


def _lane(house: Installation, body: Body) -> Lane:
    lane = lane_of(house, body["source"], body["kind"], body["generation"], body["path"])
    return replace(lane, zone=zone_of(body["zone"]), unit=body["unit"], asset=body["asset"])


def _batch(document: Document, frame: Frame, result: Processed) -> Batch:
    """Return the batch of one replayed record; its counts are in the letter's state, not here."""
    return Batch(
        source=document.body["source"],
        generation=_replay_generation(document),
        number=1,
        epoch=1,
        day=day_of_id(document.body["event_id"]),
        retention=KINDS[document.body["kind"]].retention,
        offset_from=frame.offset,
        offset_to=frame.offset + len(frame.raw),
        ruleset=result.ruleset,
        received_at=parse_time(document.body["received"]),
        counts=replace(result.counts, received=0, stored=0),
        events=result.events,
        hits=result.hits,
        findings=result.findings,
    )


def drop(house: Installation, access: Access, ids: Sequence[str], *, reason: str) -> int:
    """Give dead letters up; the row stays with who and why, the raw bytes go.

    What ingest stored after all cannot be given up any more: its letter is settled as such.

    Raises:
        AccessError: the asker may not.
        NotFoundError: one of the ids is not there; nothing was dropped.
        SecmonError: no reason is given, or an endless one.
    """
    _require(access)
    reason = reason.strip()
    if not reason:
        raise SecmonError("dropping dead letters needs a reason", hint="give --reason")
    if len(reason) > MAX_NOTE:
        raise SecmonError("a note has at most {most} characters", values={"most": MAX_NOTE})
    changes = {
        "state": DROPPED,
        "by": access.principal.id,
        "reason": reason,
        "at": format_time(house.clock.now()),
        "sealed": "",
    }
    letters = [_get(house, access, one) for one in dict.fromkeys(ids)]
    dropped = 0
    try:
        for document in letters:
            if document.body["state"] == WAITING and _stored_by_ingest(house, access, document):
                _settle(house, access, document, _already_stored(house, access))
            else:
                dropped += _settle(house, access, document, changes, outcome=BY_OPERATOR)
    finally:
        # The reason stays in the rows: somebody typed it, and the chain holds no such text.
        audit.append(house, access, "deadletter.drop", ",".join(ids[:_MAX_NAMED]), {"dropped": dropped})
    return dropped


def _settle(house: Installation, access: Access, document: Document, changes: Body, *, outcome: str = "") -> bool:
    """Write a decision about a waiting letter; tell whether it was taken.

    Of two decisions at the same time the first one stands, except that what is in the store counts as stored.
    """
    for _ in range(_ATTEMPTS):
        state = document.body["state"]
        if state == REPLAYED or (state == DROPPED and outcome != STORED):
            return False
        body = {**document.body, **changes}
        keys = {**document.keys, "state": body["state"], "outcome": outcome}
        try:
            house.records.replace(access, replace(document, body=body, keys=keys))
        except ConflictError:
            document = _get(house, access, document.id)
            continue
        return True
    raise ConflictError("the dead letter keeps changing", hint="try again")


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
    told = {"replayed": done.replayed, "stored": done.stored, "still_malformed": done.still_malformed}
    return told | ({"already_stored": done.already_stored} if done.already_stored else {})


def run_drop(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, int]:
    """Do `deadletters drop`."""
    return {"dropped": drop(house, access, args["ids"], reason=args.get("reason") or "")}


def adjustments(house: Installation, access: Access, source: str) -> Counts:
    """Return how decisions on dead letters change a source's account.

    A replayed record moves from dead-lettered to stored, or to dropped(header) where it turned out to carry nothing;
    one that was given up moves to dropped(by_operator).
    """
    query = RecordQuery(kind=KIND, equals={"source": (source,)})
    counts = house.records.count(access, query, by="outcome")
    counts.pop("", None)  # nothing decided
    stored = counts.pop(STORED, 0)
    return Counts(stored=stored, dead_lettered=-(stored + sum(counts.values())), dropped=counts)


def _waiting(house: Installation, access: Access, source: str) -> Iterator[Document]:
    """Return waiting letters, a page at a time: each may hold a megabyte, and there may be very many."""
    equals = {"state": (WAITING,)} | ({"source": (source,)} if source else {})
    return every(house.records, access, RecordQuery(kind=KIND, equals=equals, limit=_PAGE))


def _get(house: Installation, access: Access, letter_id: str) -> Document:
    document = house.records.get(access, KIND, letter_id)
    if document is None:
        raise NotFoundError("no such dead letter", hint="secmon deadletters list shows them")
    return document


def _require(access: Access) -> None:
    if not access.may(Role.OPERATOR, Role.SYSTEM_ADMIN):
        raise AccessError("dead letters need the role operator or system_admin")
