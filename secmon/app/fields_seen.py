"""Which fields each source sent on each day, and which rules look for others in vain.

Kept before the batch is committed that brought a field first that day: so nothing that is stored was unseen, and next
to nothing is written while the same fields keep coming: of the number of events only that it has doubled.

What never came among few events may still come. So nothing is said of a log source before `MIN_EVENTS` of its events
came on `MIN_DAYS` days. Of an optional field that stands in one event of n, none is then missed for long: where it was
in none of 1,000 events, it stands, with 95 % confidence, in fewer than 3 of 1,000 (the rule of three: J. Hanley and
A. Lippman-Hand, If Nothing Goes Wrong, Is Everything All Right?, JAMA 249 (1983) 1743-1745).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.record import Body, Document, RecordQuery
from secmon.sigma.reach import wanted_fields
from secmon.sigma.rule import Rule
from secmon.sigma.seen import Seen, Shown, name_of

KIND = "fields_seen"
DAYS = 7
"""Days that are looked back on: what comes once a week has been seen."""
MAX_DAYS = 90
"""Days that are looked back on for a log source that takes longer to send `MIN_EVENTS`."""
MIN_DAYS = 2
"""Days on which a log source must have come before anything is said about what it does not send."""
MIN_EVENTS = 1_000
"""Events of a log source that must have come before that."""
_OURS = ("data.", "unit.", "asset.", "secmon.")
"""What this program adds to events where there is something to add; no source sends it."""
_ATTEMPTS = 20
_PAGE = 100
_NOTHING = Shown(frozenset(), 0)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a source sent of one log source.

    Args:
        fields: the fields that rules look at and that came.
        events: about how many events.
        days: on how many days.
    """

    fields: frozenset[str] = frozenset()
    events: int = 0
    days: int = 0

    @property
    def is_enough(self) -> bool:
        """Whether that is enough to say what it does not send."""
        return self.events >= MIN_EVENTS and self.days >= MIN_DAYS

    def plus(self, day: Shown) -> "Sent":
        """Return it with one day more."""
        return Sent(self.fields | day.fields, self.events + day.events, self.days + 1)


@dataclass(slots=True)
class _Noted:
    """What this process knows of one source and day: what is kept, and how many events there were."""

    day: date
    kept: dict[str, Shown]
    events: dict[str, int]

    def takes(self, found: Seen) -> bool:
        """Count what was found; tell whether it has to be kept."""
        for name, shown in found.items():
            self.events[name] = self.events.get(name, 0) + shown.events
        return any(self._is_news(name, shown) for name, shown in found.items())

    def _is_news(self, name: str, shown: Shown) -> bool:
        kept = self.kept.get(name)
        if kept is None or not shown.fields <= kept.fields:
            return True
        return kept.events < MIN_EVENTS and self.events[name] >= min(2 * kept.events, MIN_EVENTS)


def note(house: Installation, access: Access, source: str, day: date, found: Seen) -> None:
    """Keep what a source sends on a day, where it is news.

    Raises:
        ConflictError: others keep changing it.
    """
    known = house.noted.get(source)
    if known is None or known.day != day:
        kept = _shown(house.records.get(access, KIND, _id(source, day)))
        known = _Noted(day, kept, {name: shown.events for name, shown in kept.items()})
        house.noted[source] = known
    if known.takes(found):
        fresh = {
            name: Shown(known.kept.get(name, _NOTHING).fields | shown.fields, known.events[name])
            for name, shown in found.items()
        }
        known.kept = _keep(house, access, source, day, known.kept | fresh)


def _keep(house: Installation, access: Access, source: str, day: date, found: Mapping[str, Shown]) -> dict[str, Shown]:
    """Put what was found to what is kept; return all of it."""
    for _ in range(_ATTEMPTS):
        document = house.records.get(access, KIND, _id(source, day))
        known = _shown(document)
        merged = {name: _joined(known.get(name), found.get(name)) for name in sorted({*known, *found})}
        body: Body = {
            "fields": {name: sorted(shown.fields) for name, shown in merged.items()},
            "events": {name: shown.events for name, shown in merged.items()},
        }
        keys = {"source": source, "day": day.isoformat()}
        version = document.version if document else 0
        fresh = Document(kind=KIND, id=_id(source, day), body=body, keys=keys, version=version)
        try:
            if document is None:
                house.records.create(access, fresh)
            else:
                house.records.replace(access, fresh)
        except ConflictError:
            continue
        return merged
    raise ConflictError("the {kind} keeps changing", hint="try again", values={"kind": KIND})


def _joined(one: Shown | None, other: Shown | None) -> Shown:
    one, other = one or _NOTHING, other or _NOTHING
    return Shown(one.fields | other.fields, max(one.events, other.events))


def _id(source: str, day: date) -> str:
    return f"{source}:{day.isoformat()}"


def _shown(document: Document | None) -> dict[str, Shown]:
    if document is None:
        return {}
    events = document.body.get("events", {})  # what an earlier version kept has none
    return {name: Shown(frozenset(found), events.get(name, 0)) for name, found in document.body["fields"].items()}


def seen(house: Installation, access: Access, source: str) -> dict[str, Sent]:
    """Return log source → what a source sent of it on the last days; on more of them where it came seldom."""
    today = house.clock.now().date()
    ranges = {"day": ((today - timedelta(days=MAX_DAYS)).isoformat(), None)}
    query = RecordQuery(kind=KIND, equals={"source": (source,)}, ranges=ranges, limit=_PAGE)
    days = {str(one.keys["day"]): _shown(one) for one in every(house.records, access, query)}
    recent = (today - timedelta(days=DAYS)).isoformat()
    merged: dict[str, Sent] = {}
    for day, found in sorted(days.items(), reverse=True):
        for name, shown in found.items():
            sent = merged.get(name, Sent())
            if day >= recent or not sent.is_enough:
                merged[name] = sent.plus(shown)
    return merged


def blind_rules(house: Installation, access: Access) -> dict[str, list[tuple[Rule, tuple[str, ...]]]]:
    """Return source → rules that cannot hold for anything it sends, each with the fields that it never sent.

    Only rules of log sources of which it sent enough to say so: that it sends no other ones is told elsewhere.
    """
    found: dict[str, list[tuple[Rule, tuple[str, ...]]]] = {}
    for source in sorted(house.sources):
        sent = seen(house, access, source)
        for rule in house.ruleset.rules:
            known = sent.get(name_of(rule.logsource))
            missing = wanted_fields(rule.tree, known.fields) if known is not None and known.is_enough else ()
            if missing and not all(name.startswith(_OURS) for name in missing):
                found.setdefault(source, []).append((rule, missing))
    return found
