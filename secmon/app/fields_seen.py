"""Which fields each source sent on each day, and which rules look for others in vain.

Kept before the batch is committed that brought a field first that day: so nothing that is stored was unseen, and
nothing is written while the same fields keep coming.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.record import Body, Document, RecordQuery
from secmon.sigma.reach import wanted_fields
from secmon.sigma.rule import Rule
from secmon.sigma.seen import name_of

KIND = "fields_seen"
DAYS = 7
"""Days that are looked back on: what comes once a week has been seen."""
MIN_DAYS = 2
"""Days on which a source must have delivered before anything is said about what it does not send."""
_OURS = ("data.", "unit.", "asset.", "secmon.")
"""What this program adds to events where there is something to add; no source sends it."""
_ATTEMPTS = 20
_PAGE = 100
Seen = Mapping[str, frozenset[str]]


def note(house: Installation, access: Access, source: str, day: date, found: Seen) -> Seen:
    """Keep what a source sends on a day; return all that is known of that day.

    Raises:
        ConflictError: others keep changing it.
    """
    identity = f"{source}:{day.isoformat()}"
    for _ in range(_ATTEMPTS):
        document = house.records.get(access, KIND, identity)
        known = _known(document)
        if _includes(known, found):
            return known
        merged = {name: known.get(name, frozenset()) | found.get(name, frozenset()) for name in {*known, *found}}
        body: Body = {"fields": {name: sorted(fields) for name, fields in sorted(merged.items())}}
        keys = {"source": source, "day": day.isoformat()}
        fresh = Document(kind=KIND, id=identity, body=body, keys=keys, version=document.version if document else 0)
        try:
            if document is None:
                house.records.create(access, fresh)
            else:
                house.records.replace(access, fresh)
        except ConflictError:
            continue
        return merged
    raise ConflictError("the {kind} keeps changing", hint="try again", values={"kind": KIND})


def _known(document: Document | None) -> dict[str, frozenset[str]]:
    fields = document.body["fields"] if document else {}
    return {name: frozenset(found) for name, found in fields.items()}


def _includes(known: Seen, found: Seen) -> bool:
    return all(fields <= known.get(name, frozenset()) and name in known for name, fields in found.items())


class Memory:
    """What a reader knows to be kept, so that it asks the store only when something is new.

    Args:
        house: the installation.
        access: whose job it is.
    """

    def __init__(self, house: Installation, access: Access) -> None:
        self._house, self._access = house, access
        self._known: dict[tuple[str, date], Seen] = {}

    def note(self, source: str, day: date, found: Seen) -> None:
        """Keep what a source sends on a day."""
        if not _includes(self._known.get((source, day), {}), found):
            self._known[(source, day)] = note(self._house, self._access, source, day, found)


def seen(house: Installation, access: Access, source: str) -> tuple[dict[str, frozenset[str]], int]:
    """Return log source → fields of the last days of a source, and on how many days it delivered."""
    since = house.clock.now().date() - timedelta(days=DAYS)
    ranges = {"day": (since.isoformat(), None)}
    query = RecordQuery(kind=KIND, equals={"source": (source,)}, ranges=ranges, limit=_PAGE)
    documents = list(every(house.records, access, query))
    merged: dict[str, frozenset[str]] = {}
    for document in documents:
        for name, fields in _known(document).items():
            merged[name] = merged.get(name, frozenset()) | fields
    return merged, len(documents)


def blind_rules(house: Installation, access: Access) -> dict[str, list[tuple[Rule, tuple[str, ...]]]]:
    """Return source → rules that cannot hold for anything it sends, each with the fields that it never sent.

    Only rules of log sources that it does send: that it sends no other ones is told elsewhere.
    """
    found: dict[str, list[tuple[Rule, tuple[str, ...]]]] = {}
    for source in sorted(house.sources):
        fields, days = seen(house, access, source)
        if days < MIN_DAYS:
            continue
        for rule in house.ruleset.rules:
            present = fields.get(name_of(rule.logsource))
            missing = () if present is None else wanted_fields(rule.tree, present)
            if missing and not all(name.startswith(_OURS) for name in missing):
                found.setdefault(source, []).append((rule, missing))
    return found
