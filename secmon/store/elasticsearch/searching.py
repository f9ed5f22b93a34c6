"""Walking and surveying events: the index where it decides, `_source` and the definition where it does not."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from secmon.errors import SearchStoppedError
from secmon.model.access import Scope
from secmon.model.event import Event, to_micros
from secmon.model.questions import EventQuery
from secmon.model.search import MAX_DISTINCT, Budget, Survey
from secmon.store.elasticsearch.asking import Question, question
from secmon.store.elasticsearch.encode import event_of
from secmon.store.elasticsearch.fields import TIMESTAMP, indexed_as
from secmon.store.elasticsearch.snapshot import Snapshot, Source, Views
from secmon.store.matching import decision
from secmon.store.surveying import Surveyor
from secmon.store.values import to_datetime

_MILLIS: Final = 1_000


def events(views: Views, scope: Scope, query: EventQuery, budget: Budget | None) -> Iterator[Event]:
    """Yield events in order; see `ports.EventLog`."""
    asked = question(query)
    walk = _walk(views, scope, query, asked, budget, conditions=asked.superset)
    return islice(walk, query.limit)


def _walk(
    views: Views, scope: Scope, query: EventQuery, asked: Question, budget: Budget | None, *, conditions: list[Source]
) -> Iterator[Event]:
    """Yield the matching events among those that meet the conditions, in order."""
    direction = "asc" if query.ascending else "desc"
    found = views.walk(
        "events",
        scope,
        conditions,
        ({"store.time": direction}, {"event.id": direction}),
        limit=query.limit if asked.is_certain else None,
        after=() if query.after is None else (to_micros(query.after[0]), query.after[1]),
        budget=budget,
    )
    decides = None if asked.is_certain else decision(query)
    for source in found:
        if budget is not None:
            budget.reached = to_datetime(source["store"]["time"])
            budget.read += asked.reading
        event = event_of(source)
        if decides is None or decides(event):
            yield event


def survey(
    views: Views, scope: Scope, query: EventQuery, surveyor: Surveyor, *, size: int, budget: Budget | None
) -> Survey:
    """Return the survey of the events in scope; see `ports.EventLog`."""
    asked = question(query)
    for name in surveyor.fields:
        asked.by(name)
    try:
        if not asked.is_certain:
            rest = asked.superset if asked.reading else asked.uncertain()
            for event in _walk(views, scope, query, asked, budget, conditions=rest):
                surveyor.add_event(event)
        if not asked.reading:
            with views.take("events", budget) as snapshot:
                _add_sums(snapshot, scope, asked, surveyor)
    except SearchStoppedError:
        return surveyor.survey(size, complete=False)
    return surveyor.survey(size, complete=True)


def _add_sums(snapshot: Snapshot, scope: Scope, asked: Question, surveyor: Surveyor) -> None:
    """Add what the index is certain of."""
    aggregations: Source = {}
    for number, name in enumerate(surveyor.fields):
        place = indexed_as(name)
        # As many from each shard as in all: then nothing is missing unless the server says so.
        aggregations[f"values{number}"] = {"terms": {"field": place, "size": MAX_DISTINCT, "shard_size": MAX_DISTINCT}}
        aggregations[f"absent{number}"] = {"missing": {"field": place}}
    body: Source = {"size": 0, "track_total_hits": True}
    answer = snapshot.search(scope, asked.certain(), body | ({"aggs": aggregations} if aggregations else {}))
    surveyor.count += answer["hits"]["total"]["value"]
    for number, name in enumerate(surveyor.fields if "aggregations" in answer else ()):
        values = answer["aggregations"][f"values{number}"]
        for bucket in values["buckets"]:
            surveyor.add_value(name, bucket["key"], bucket["doc_count"])
        surveyor.absent[name] += answer["aggregations"][f"absent{number}"]["doc_count"]
        if values["sum_other_doc_count"]:
            surveyor.inexact.add(name)
    if surveyor.interval:
        _add_intervals(snapshot, scope, asked, surveyor)


def _add_intervals(snapshot: Snapshot, scope: Scope, asked: Question, surveyor: Surveyor) -> None:
    """Add the histogram; `@timestamp` is in milliseconds there, and an interval in whole seconds."""
    histogram: Source = {
        "field": TIMESTAMP,
        "fixed_interval": f"{surveyor.interval // (_MILLIS * _MILLIS)}s",
        "offset": f"{-surveyor.offset // (_MILLIS * _MILLIS)}s",
    }
    for bucket in snapshot.buckets(scope, asked.certain(), [{"start": {"date_histogram": histogram}}]):
        surveyor.buckets[bucket["key"]["start"] * _MILLIS] += bucket["doc_count"]
