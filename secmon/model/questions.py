"""What is asked of an `EventLog`: which events, hits and findings, and what they look like as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from secmon.model.query import EVERYTHING, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events.

    Args:
        since: earliest `@timestamp`, inclusive.
        until: latest `@timestamp`, exclusive.
        equals: field → accepted values, compared as text; a multi-valued field matches if any value does.
        present: fields that must be there.
        text: a phrase that must stand in any text of the event (`model.text`).
        where: what a person asked for (`model.query`), beside all that.
        after: (`@timestamp`, event id) of the event behind which to go on, in the order of the query.
        ascending: order by (`@timestamp`, event id).
        limit: most events to return; None for all.
    """

    since: datetime | None = None
    until: datetime | None = None
    equals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    present: tuple[str, ...] = ()
    text: str = ""
    where: Query = EVERYTHING
    after: tuple[datetime, str] | None = None
    ascending: bool = True
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HitQuery:
    """Which hits; fields as in `EventQuery`.

    Args:
        keys: the hit has one of them among its `Hit.keys`; empty for any.
        upto: a mark of `EventLog.hits_since`: only hits of batches that stand before it; "" for all.
        suppressed: only hits that something suppresses (True), or that nothing does (False); None for all.
        suppressed_by: only hits that this suppresses.
    """

    since: datetime | None = None
    until: datetime | None = None
    upto: str = ""
    rule_ids: tuple[str, ...] = ()
    alert_id: str = ""
    keys: tuple[str, ...] = ()
    asset_id: str = ""
    suppressed: bool | None = None
    suppressed_by: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingQuery:
    """Which findings; fields as in `EventQuery`."""

    since: datetime | None = None
    until: datetime | None = None
    data_class: str = ""
    asset_id: str = ""
    event_ids: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a set of events looks like without reading each of them.

    Args:
        count: how many.
        by: text of one field → how many ("" where absent); empty if no field was asked for.
        days: calendar days with at least one, in the time zone that was asked for.
        first: earliest `@timestamp`.
        last: latest `@timestamp`.
        event_ids: the earliest ones, by (`@timestamp`, id).
    """

    count: int = 0
    by: Mapping[str, int] = field(default_factory=dict)
    days: frozenset[date] = frozenset()
    first: datetime | None = None
    last: datetime | None = None
    event_ids: tuple[str, ...] = ()
