"""Questions as Elasticsearch queries. Scope is added here and nowhere else: `within` makes every query that is sent.

An index tells less than an event (`encode`): documents whose `store.scan` names a field are decided by reading. So a
question has three forms: `superset` finds all that may match, `sure` those of which the index alone is certain, and
`unsure` the others; a count adds what is counted in `sure` to what is read of `unsure`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from secmon.model.access import Scope
from secmon.model.event import to_micros
from secmon.model.questions import EventQuery, FindingQuery, HitQuery
from secmon.model.record import RecordQuery
from secmon.model.text import words
from secmon.store.elasticsearch.conditions import NOTHING, conditions, present_at, unindexed
from secmon.store.elasticsearch.encode import ANY_FIELD, is_event_id
from secmon.store.elasticsearch.fields import MAX_TEXT, earlier_place, indexed_as
from secmon.store.elasticsearch.words import words_query
from secmon.store.values import is_storable

Query = dict[str, Any]

SCOPE_FIELDS: Final = {"events": "unit.id", "hits": "unit", "findings": "unit", "records": "units"}
"""The field that names an object's units, by kind of object."""

_LAST_TEXT: Final = "\U0010ffff" * 8
_MAX_NAME: Final = 256
_MAX_BOUND: Final = 100
"""Longest end of a range over keys, in characters: Lucene makes an automaton of it, of 1,000 states at most."""
_MAX_TERM_BYTES: Final = 32_766
"""Longest term that Lucene stores; a question for a longer one it refuses, and nothing can be there."""


def within(scope: Scope, kind: str, conditions: Sequence[Query], *, without: Sequence[str] = ()) -> Query:
    """Return the query for objects of a kind that meet all conditions and are in scope.

    Args:
        scope: whose units; nothing of no unit is in sight of anybody but the root.
        kind: a key of `SCOPE_FIELDS`.
        conditions: what they meet.
        without: tokens of attempts that do not count.
    """
    filters = list(conditions)
    if scope.units is not None:
        # What is longer stands in no index, and Lucene refuses such terms.
        units = sorted(unit for unit in scope.units if len(unit) <= MAX_TEXT and is_storable(unit))
        filters.append({"terms": {SCOPE_FIELDS[kind]: units}} if units else NOTHING)
    query: Query = {"filter": filters}
    if without:
        query["must_not"] = [{"terms": {"store.batch" if kind == "events" else "batch": list(without)}}]
    return {"bool": query}


@dataclass(slots=True)
class Question:
    """An `EventQuery` as conditions on the index.

    Args:
        superset: conditions that no matching event fails.
        sure: conditions that only matching events meet, together with none of `scanned`.
        scanned: fields whose values decide and that an index may not tell; `ANY_FIELD` among them if any is.
        elsewhere: where documents of earlier versions have fields whose values are wanted: these are read.
        reading: whether every candidate has to be read.
        doubtful: whether some condition leaves documents between `superset` and `sure`.
    """

    superset: list[Query] = field(default_factory=list)
    sure: list[Query] = field(default_factory=list)
    scanned: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    reading: bool = False
    doubtful: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether the index alone decides about every document."""
        return not (self.reading or self.scanned or self.doubtful)

    def both(self, condition: Query) -> None:
        """Add a condition that the index decides."""
        self.superset.append(condition)
        self.sure.append(condition)

    def by(self, name: str) -> None:
        """The values of this field are wanted too."""
        if indexed_as(name) is None:
            self.reading = True
            return
        self._scan(name)
        if earlier := earlier_place(name):
            self.elsewhere.add(earlier)

    def certain(self) -> list[Query]:
        """Return the conditions of events of which the index alone is certain; none of them is read."""
        if not self.scanned:
            return self.sure
        read = [self._in_scan(), *({"exists": {"field": place}} for place in sorted(self.elsewhere))]
        return [*self.sure, {"bool": {"must_not": read}}]

    def uncertain(self) -> list[Query]:
        """Return the conditions of the other candidates: they are read."""
        if not (self.scanned or self.doubtful):
            return [NOTHING]
        return [*self.superset, {"bool": {"must_not": [{"bool": {"filter": self.certain()}}]}}]

    def _in_scan(self) -> Query:
        return {"terms": {"store.scan": sorted(self.scanned)}}

    def _scan(self, name: str) -> None:
        self.scanned.add(name[:_MAX_NAME])

    def value(self, name: str, accepted: Sequence[str]) -> None:
        """A field has one of these texts."""
        texts = [text for text in accepted if is_storable(text)]
        place = indexed_as(name)
        if not texts or not is_storable(name):
            self.both(NOTHING)
        elif place is None:
            self.reading = True
        else:
            wanted = [text[: MAX_TEXT + 1] for text in texts]
            self._one_of(name, *({"terms": {where: wanted}} for where in (place, earlier_place(name)) if where))

    def present(self, name: str) -> None:
        """A field is there."""
        place = indexed_as(name)
        if not is_storable(name):
            self.both(NOTHING)
        elif place is None:
            self.reading = True
        else:
            self._one_of(name, present_at(place, earlier_place(name)))

    def _one_of(self, name: str, *conditions: Query) -> None:
        self._scan(name)
        scan = {"term": {"store.scan": name}}
        self.superset.append({"bool": {"should": [*conditions, scan], "minimum_should_match": 1}})
        self.sure.append({"bool": {"should": list(conditions), "minimum_should_match": 1}})


def question(query: EventQuery) -> Question:
    """Return the conditions of a query, without scope and order."""
    asked = Question()
    if span := _span("store.time", query.since, query.until):
        asked.both(span)
    for name, accepted in query.equals.items():
        asked.value(name, accepted)
    for name in query.present:
        asked.present(name)
    where = conditions(query.where)
    asked.superset.append(where.may)
    asked.sure.append(where.must)
    asked.doubtful = not where.exact
    asked.reading |= bool(unindexed(query.where))  # a field of `equals` may want it already
    if query.text:
        asked.reading = True
        phrase = words(query.text)
        asked.superset.append(words_query("store.words", phrase) if phrase else NOTHING)
    return asked


def scanned(query: EventQuery, fields: Sequence[str]) -> tuple[str, ...]:
    """Return what only reading answers; see `ports.EventLog.unindexed`."""
    named = [name for name in (*query.equals, *query.present) if is_storable(name) and indexed_as(name) is None]
    words_asked = ("",) if query.text else ()
    rest = (name for name in fields if indexed_as(name) is None)
    return tuple(dict.fromkeys((*named, *words_asked, *unindexed(query.where), *rest)))


def hit_conditions(query: HitQuery) -> list[Query]:
    """Return the conditions of a query over hits; a pack meets them if a hit in it may (`packs`)."""
    found = [_span("at", None, query.until)]
    if query.since is not None:
        ends: list[Query] = [_span(name, query.since, None) for name in ("at", "last")]
        found.append({"bool": {"should": ends, "minimum_should_match": 1}})
    if query.rule_ids:
        found.append(_terms("rule", query.rule_ids))
    if query.keys:
        found.append(_terms("keys", query.keys))
    named = {"alert": query.alert_id, "asset": query.asset_id, "suppressed": query.suppressed_by}
    found += [_terms(name, (value,)) for name, value in named.items() if value]
    if query.suppressed is not None:
        suppressed: Query = {"exists": {"field": "suppressed"}}
        found.append(suppressed if query.suppressed else {"bool": {"must_not": [suppressed]}})
    return [condition for condition in found if condition]


def finding_conditions(query: FindingQuery) -> list[Query]:
    """Return the conditions of a query over findings."""
    found = [_span("at", query.since, query.until)]
    for name, value in (("class", query.data_class), ("asset", query.asset_id)):
        if value:
            found.append(_terms(name, (value,)))
    if query.event_ids:
        found.append(_terms("event", [one for one in query.event_ids if is_event_id(one)]))
    return [condition for condition in found if condition]


def ids_condition(ids: Sequence[str]) -> Query:
    """Return the condition of documents by their ids."""
    return {"ids": {"values": list(ids)}}


def record_conditions(query: RecordQuery) -> list[Query]:
    """Return the conditions of a query over documents; the words of a text are those of candidates only."""
    found = [_terms("kind", (_cut(query.kind),))]
    for name, accepted in query.equals.items():
        found.append(_terms(f"keys.{name}", [_cut(text) for text in accepted]) if is_key(name) else NOTHING)
    for name, (low, high) in query.ranges.items():
        found.append(_range(name, low, high))
    if query.text:
        phrase = words(query.text)
        found.append(words_query("words", phrase) if phrase else NOTHING)
    return found


def is_key(name: str) -> bool:
    """Tell whether a name can be a key of a document."""
    return 0 < len(name) <= _MAX_NAME and is_storable(name) and "*" not in name and "\0" not in name


def _cut(text: str) -> str:
    """Return a text that compares with all that a key can hold as this one does: longer terms are refused by Lucene."""
    return text[: MAX_TEXT + 1]


def _range(name: str, low: str | None, high: str | None) -> Query:
    if not is_key(name) or not all(is_storable(text) for text in (low, high) if text is not None):
        return NOTHING
    if low is None and high is None:
        return {"exists": {"field": f"keys.{name}"}}
    # A keyed range wants both ends.
    upper = {"lte": _LAST_TEXT}
    if high is not None:
        upper = {"lt": high} if len(high) <= _MAX_BOUND else {"lte": high[:_MAX_BOUND] + _LAST_TEXT}
    return {"range": {f"keys.{name}": {"gte": (low or "")[:_MAX_BOUND], **upper}}}


def is_rough(query: RecordQuery) -> bool:
    """Tell whether `record_conditions` finds more than the ranges of a query ask for: reading decides then."""
    return any(len(end or "") > _MAX_BOUND for ends in query.ranges.values() for end in ends)


def in_ranges(keys: Mapping[str, str], query: RecordQuery) -> bool:
    """Tell whether the keys of a document lie in all ranges of a query."""
    return all(
        name in keys and (low or "") <= keys[name] and (high is None or keys[name] < high)
        for name, (low, high) in query.ranges.items()
    )


def _terms(name: str, accepted: Sequence[str]) -> Query:
    texts = [text for text in accepted if is_storable(text) and len(text.encode()) <= _MAX_TERM_BYTES]
    return {"terms": {name: texts}} if texts else NOTHING


def _span(name: str, since: datetime | None, until: datetime | None) -> Query:
    bounds = {"gte": since, "lt": until}
    given = {bound: to_micros(moment) for bound, moment in bounds.items() if moment is not None}
    return {"range": {name: given}} if given else {}


__all__ = [
    "ANY_FIELD", "NOTHING", "Question", "finding_conditions", "hit_conditions", "ids_condition", "is_key", "question",
    "record_conditions", "scanned", "within",
]  # fmt: skip
