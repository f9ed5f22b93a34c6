"""What the ports mean, over plain lists: the slow, obvious twin of every store."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from secmon.model.access import Scope
from secmon.model.event import Event, Value
from secmon.model.questions import EventQuery, Profile
from secmon.model.record import Document, RecordQuery
from secmon.model.text import has_phrase, words
from tests.contracts.builders import event_at

UNITS = ("unit-a", "unit-b", "unit-c")


def time_of(event: Event) -> datetime:
    return datetime.fromisoformat(str(event["@timestamp"]))


def texts(value: Value) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def wanted(event: Event, query: EventQuery, scope: Scope) -> bool:
    at = time_of(event)
    unit = event.get("unit.id")
    return (
        (query.since is None or query.since <= at)
        and (query.until is None or at < query.until)
        and scope.sees(None if unit is None else str(unit))
        and all(name in event for name in query.present)
        and all(name in event and set(texts(event[name])) & set(values) for name, values in query.equals.items())
        and (not query.text or any(_says(text, query.text) for value in event.values() for text in _strings(value)))
    )


def _strings(value: Value) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _says(text: str, phrase: str) -> bool:
    return bool(words(phrase)) and has_phrase(text, words(phrase))


def found(events: Iterable[Event], query: EventQuery, scope: Scope) -> list[Event]:
    matching = [event for event in events if wanted(event, query, scope)]
    matching.sort(key=lambda event: (time_of(event), str(event["event.id"])), reverse=not query.ascending)
    return matching[: query.limit]


def counted(events: Iterable[Event], query: EventQuery, scope: Scope, by: str) -> dict[str, int]:
    counts: dict[str, int] = {} if by else {"": 0}
    for event in events:
        if wanted(event, query, scope):
            for text in texts(event[by]) if by in event else [""]:
                counts[text] = counts.get(text, 0) + 1
    return counts


def profiled(events: Iterable[Event], query: EventQuery, scope: Scope, by: str, *, utc_offset_s: int) -> Profile:
    everything = EventQuery(
        since=query.since, until=query.until, equals=query.equals, present=query.present, text=query.text
    )
    matching = found(events, everything, scope)
    times = [time_of(event) for event in matching]
    return Profile(
        count=len(matching),
        by=counted(events, everything, scope, by) if by else {},
        days=frozenset((at + timedelta(seconds=utc_offset_s)).date() for at in times),
        first=min(times, default=None),
        last=max(times, default=None),
        event_ids=tuple(str(event["event.id"]) for event in matching[:3]),
    )


def listed(documents: Iterable[Document], query: RecordQuery, scope: Scope) -> list[Document]:
    """Return all matching documents in the query's order, without paging."""
    matching = [document for document in documents if _fits(document, query, scope)]
    matching.sort(key=lambda document: document.id, reverse=query.descending)
    if not query.order:
        return matching
    having = [document for document in matching if query.order in document.keys]
    having.sort(key=lambda document: (document.keys[query.order], document.id), reverse=query.descending)
    return having + [document for document in matching if query.order not in document.keys]


def _fits(document: Document, query: RecordQuery, scope: Scope) -> bool:
    keys = document.keys
    return (
        document.kind == query.kind
        and (scope.units is None or not scope.units.isdisjoint(document.unit_ids))
        and all(name in keys and keys[name] in values for name, values in query.equals.items())
        and all(
            name in keys and (low is None or low <= keys[name]) and (high is None or keys[name] < high)
            for name, (low, high) in query.ranges.items()
        )
        and (not query.text or any(_says(text, query.text) for text in _all_texts(document.body)))
    )


def _all_texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    children: Sequence[object] = ()
    if isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    return [text for child in children for text in _all_texts(child)]


# Few values, so that they meet; among them what breaks careless stores.
_NAMES = st.sampled_from(["mori", "Mori", "王小明", "a\0b", "\U0001f393 学籍", "", "null", "O'Brien", "%", "42"])
_PHRASES = st.sampled_from(["导出 学籍表", "bulk export of students", "EXPORT", "\u212aelvin", "学\0籍", "-- ; '"])
MOMENTS = st.sampled_from(
    [
        datetime.fromisoformat(text)
        for text in (
            "1970-01-01T00:00:00+00:00",
            "2026-11-21T11:59:59.999999+00:00",
            "2026-11-21T12:00:00+00:00",
            "2026-11-21T12:00:00.000001+00:00",
            "2099-12-31T23:59:59.999+00:00",
        )
    ]
)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "user_name": _NAMES | st.lists(_NAMES, min_size=1, max_size=3).map(list[str]),
        "event_action": st.sampled_from(["GET", "POST"]),
        "unit_id": st.sampled_from(UNITS),
        "asset_id": st.sampled_from(["jwxt", "portal"]),
        "http_version": st.sampled_from([1, 2, True]),
        "message": _PHRASES,
        "event_type": st.lists(_PHRASES, min_size=1, max_size=2).map(list[str]),
    },
)
ACCESS_UNITS = st.none() | st.frozensets(st.sampled_from((*UNITS, "elsewhere", "\ud800")), max_size=3)


@st.composite
def event_lists(draw: st.DrawFn, max_size: int = 25) -> list[Event]:
    """Draw events with different ids and few different values and times."""
    drawn: list[tuple[datetime, dict[str, Any]]] = draw(st.lists(st.tuples(MOMENTS, _FIELDS), max_size=max_size))
    return [event_at(number * 7, at, **fields) for number, (at, fields) in enumerate(drawn)]


@st.composite
def event_queries(draw: st.DrawFn) -> EventQuery:
    """Draw a query that has a chance to find something."""
    name, action = st.tuples(_NAMES) | st.tuples(_NAMES, _NAMES), st.tuples(st.sampled_from(["GET", "POST", "PUT"]))
    return EventQuery(
        since=draw(st.none() | MOMENTS),
        until=draw(st.none() | MOMENTS),
        equals=draw(
            st.fixed_dictionaries(
                {}, optional={"user.name": name, "event.action": action, "http.version": st.just(("1", "True"))}
            )
        ),
        present=draw(st.sampled_from([(), ("asset.id",), ("message",), ("asset.id", "message")])),
        text=draw(
            st.sampled_from(["", "", "学籍", "export of", "export", "\u212aelvin", "kelvin", "学 籍", "...", "\ud800"])
        ),
        ascending=draw(st.booleans()),
        limit=draw(st.none() | st.integers(0, 10)),
    )
