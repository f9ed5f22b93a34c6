"""Checks and digests of the store as a whole: `secmon store check` and `secmon store digest`."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from secmon.app import audit
from secmon.app.alerts import KIND as ALERT
from secmon.app.deadletters import KIND as DEADLETTER
from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.model.access import Access
from secmon.model.record import RecordQuery
from secmon.triage.sight import KIND as SIGHT

_PAGE = 500
# What hits alone decide about an alert; revisions and history tell how often somebody looked, not what happened.
_ALERT_FACTS = ("count", "first", "last", "level", "earliest", "signatures", "shares")


def digest(house: Installation, access: Access) -> dict[str, str]:
    """Return SHA-256 (hex) over the sorted sets of events, hits, findings and alerts.

    Without `event.ingested`, receive times, process ids and history: equal after any crash and on every store. An alert
    that late events withdrew is history too: had they come in time, it would never have been.
    """
    sha = hashlib.sha256()
    lines: list[bytes] = []
    for document in every(house.records, access, RecordQuery(kind=ALERT, limit=_PAGE)):
        if document.body.get("withdrawn"):
            continue
        if document.body["rule_kind"] == SIGHT:
            continue  # what the monitor did not see depends on when it was looking, not on what is stored
        content = document.body["content"]
        facts = {name: content.get(name) for name in _ALERT_FACTS}
        facts |= {"id": document.id, "state": document.body["state"]}
        lines.append(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))
    for line in sorted(lines):
        sha.update(line + b"\n")
    return {**house.log.digest(access), "alerts": sha.hexdigest()}


def check(house: Installation, access: Access, *, store: str, deep: bool = False, anchored: str = "") -> dict[str, Any]:
    """Return the object of `store check`; `ok` is False if anything is wrong."""
    problems = house.log.check(access, deep=deep) + house.records.check(access, deep=deep)
    problems += audit.verify(house, access, anchored=anchored)
    partitions = house.log.partitions(access)
    return {
        "store": store,
        "schema": house.schema,
        "events": sum(one.events for one in partitions),
        "hits": sum(one.hits for one in partitions),
        "findings": sum(one.findings for one in partitions),
        "alerts": house.records.count(access, RecordQuery(kind=ALERT)).get("", 0),
        "deadletters": house.records.count(access, RecordQuery(kind=DEADLETTER)).get("", 0),
        "partitions": len(partitions),
        "ok": not problems,
        **({"problems": problems} if problems else {}),
    }


def run_digest(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, str]:
    """Do `store digest`."""
    del args
    return digest(house, access)


def run_check(house: Installation, access: Access, args: Mapping[str, Any]) -> dict[str, Any]:
    """Do `store check`."""
    deep, anchored = bool(args.get("deep")), args.get("anchored") or ""
    return check(house, access, store=args["store"], deep=deep, anchored=anchored)
