"""Counts and profiles: by aggregations where the index is certain, by reading the few events where it is not."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import gcd
from typing import Any, Final

from secmon.model.access import Scope
from secmon.model.event import Event, parse_time, to_micros, value_texts
from secmon.model.questions import EventQuery, HitQuery, Profile
from secmon.store.elasticsearch.asking import Question, hit_conditions, question
from secmon.store.elasticsearch.encode import event_of
from secmon.store.elasticsearch.fields import TIMESTAMP, indexed_as
from secmon.store.elasticsearch.snapshot import Snapshot, Source, Views
from secmon.store.matching import decision
from secmon.store.values import calendar_day, to_datetime

DAY_MS: Final = 86_400_000
_DAY_S: Final = 86_400
_DAY_MICROS: Final = DAY_MS * 1_000
_NARROW: Final = timedelta(days=3_700)
_ORDER: tuple[Source, ...] = ({"store.time": "asc"}, {"event.id": "asc"})


@dataclass(slots=True)
class _Sum:
    """A profile in the making; days are numbers from 1970-01-01 in the calendar asked for."""

    offset_micros: int = 0
    count: int = 0
    values: Counter[str] = field(default_factory=Counter)
    days: set[int] = field(default_factory=set)
    first: int | None = None
    last: int | None = None
    earliest: list[tuple[int, str]] = field(default_factory=list)

    def add_event(self, event: Event, by: str) -> None:
        time = to_micros(parse_time(str(event["@timestamp"])))
        self.count += 1
        self.days.add((time + self.offset_micros) // _DAY_MICROS)
        self.span(time)
        self.earliest.append((time, str(event["event.id"])))
        if by:
            self.values.update(value_texts(event[by]) if by in event else ("",))

    def span(self, time: int) -> None:
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)


def count(views: Views, scope: Scope, query: EventQuery, *, by: str) -> dict[str, int]:
    """Return counts of events by the text of one field; by="" gives {"": total}."""
    asked = _question(query, by)
    total = _Sum()
    for event in _to_read(views, scope, query, asked):
        total.add_event(event, by)
        total.earliest.clear()
    if not asked.reading:
        with views.take("events") as snapshot:
            _add_counts(snapshot, scope, asked, by, total)
    return dict(total.values) if by else {"": total.count}


def profile(views: Views, scope: Scope, query: EventQuery, *, by: str, utc_offset_s: int, ids: int) -> Profile:
    """Return the profile of the events in scope; see `ports.EventLog`."""
    asked = _question(query, by)
    total = _Sum(offset_micros=utc_offset_s * 1_000_000)
    for event in _to_read(views, scope, query, asked):
        total.add_event(event, by)
        if len(total.earliest) > ids:
            total.earliest.pop()  # they come in order
    if not asked.reading:
        with views.take("events") as snapshot:
            _add_days(snapshot, scope, asked, total, is_narrow=_is_narrow(query))
            if by:
                _add_values(snapshot, scope, asked, by, total)
            _add_span(snapshot, scope, asked, total, ids)
    return Profile(
        count=total.count,
        by=dict(total.values),
        days=frozenset(map(calendar_day, total.days)),
        first=None if total.first is None else to_datetime(total.first),
        last=None if total.last is None else to_datetime(total.last),
        event_ids=tuple(one for _, one in sorted(total.earliest)[:ids]),
    )


def count_suppressed(views: Views, scope: Scope, query: HitQuery, *, utc_offset_s: int) -> dict[tuple[str, date], int]:
    """Return how many suppressed hits there are, by what suppresses them and day; see `ports.EventLog`."""
    # The histogram of a composite knows no offset: its steps are as long as fits both the day and the offset.
    step = gcd(_DAY_S, utc_offset_s) * 1_000_000
    sources: list[Source] = [
        {"by": {"terms": {"field": "suppressed"}}},
        {"at": {"histogram": {"field": "at", "interval": step}}},
    ]
    counts: Counter[tuple[str, date]] = Counter()
    with views.take("hits") as snapshot:
        for bucket in snapshot.buckets(scope, hit_conditions(query), sources):
            day = (int(bucket["key"]["at"]) + utc_offset_s * 1_000_000) // _DAY_MICROS
            counts[bucket["key"]["by"], calendar_day(day)] += bucket["doc_count"]
    return dict(counts)


def _question(query: EventQuery, by: str) -> Question:
    asked = question(query)
    if by:
        asked.by(by)
    return asked


def _to_read(views: Views, scope: Scope, query: EventQuery, asked: Question) -> Iterator[Event]:
    """Yield, in order, the matching events that only reading decides."""
    if asked.is_certain:
        return
    conditions = asked.superset if asked.reading else asked.uncertain()
    yield from filter(decision(query), map(event_of, views.walk("events", scope, conditions, _ORDER)))


def _add_counts(snapshot: Snapshot, scope: Scope, asked: Question, by: str, total: _Sum) -> None:
    answer = snapshot.search(scope, asked.certain(), {"size": 0, "track_total_hits": True})
    total.count += answer["hits"]["total"]["value"]
    if by:
        _add_values(snapshot, scope, asked, by, total)


def _add_values(snapshot: Snapshot, scope: Scope, asked: Question, by: str, total: _Sum) -> None:
    sources = [{"value": {"terms": {"field": indexed_as(by), "missing_bucket": True}}}]
    for bucket in snapshot.buckets(scope, asked.certain(), sources):
        total.values[bucket["key"]["value"] or ""] += bucket["doc_count"]


def _is_narrow(query: EventQuery) -> bool:
    """Tell whether the days of a query are few enough for one answer."""
    return query.since is not None and query.until is not None and query.until - query.since <= _NARROW


def _add_days(snapshot: Snapshot, scope: Scope, asked: Question, total: _Sum, *, is_narrow: bool) -> None:
    """Add the days, and how many events there are: each has one time."""
    offset_s = total.offset_micros // 1_000_000
    histogram: Source = {"field": TIMESTAMP, "fixed_interval": "1d", "offset": f"{-offset_s}s"}
    if is_narrow:
        # Several times as fast as a composite aggregation, which any number of days would need.
        days: Source = {"date_histogram": {**histogram, "min_doc_count": 1}}
        answer = snapshot.search(scope, asked.certain(), {"size": 0, "aggs": {"days": days}})
        buckets = answer["aggregations"]["days"]["buckets"] if "aggregations" in answer else []
        counts = [(bucket["key"], bucket["doc_count"]) for bucket in buckets]
    else:
        sources = [{"day": {"date_histogram": histogram}}]
        counts = [(one["key"]["day"], one["doc_count"]) for one in snapshot.buckets(scope, asked.certain(), sources)]
    for start_ms, number in counts:
        total.days.add((start_ms + offset_s * 1_000) // DAY_MS)
        total.count += number


def _add_span(snapshot: Snapshot, scope: Scope, asked: Question, total: _Sum, ids: int) -> None:
    """Add first and last from sort values: aggregations count in doubles, too coarse for microseconds."""
    earliest = _edge(snapshot, scope, asked, "asc", max(ids, 1))
    for time, _ in (*earliest, *_edge(snapshot, scope, asked, "desc", 1)):
        total.span(time)
    total.earliest.extend(earliest)


def _edge(snapshot: Snapshot, scope: Scope, asked: Question, order: str, size: int) -> Iterable[tuple[int, str]]:
    sort = [{"store.time": order}, {"event.id": order}]
    answer = snapshot.search(scope, asked.certain(), {"size": size, "sort": sort, "_source": False})
    hits: list[dict[str, Any]] = answer["hits"]["hits"]
    return [(hit["sort"][0], hit["sort"][1]) for hit in hits]
