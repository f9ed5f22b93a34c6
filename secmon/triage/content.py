"""What stored hits say about an alert: a pure function of the set of hits, whatever their order of arrival."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from secmon.model.alert import MAX_SAMPLES, AlertContent
from secmon.model.event import Value
from secmon.model.hit import Hit, Level
from secmon.model.ids import alert_id, window_start
from secmon.sigma.correlate import Moment, members
from secmon.sigma.rule import CorrelationRule, Rule

MAX_SIGNATURES = 200
MORE = "…"


@dataclass(frozen=True, slots=True)
class Draft:
    """An alert as the hits have it, before it meets its stored head.

    Args:
        id: the alert's id.
        group: the group key's values.
        window_from: start of the grouping window.
        content: what the hits say.
    """

    id: str
    group: dict[str, Value]
    window_from: datetime
    content: AlertContent


def of_rule(rule: Rule, hits: Sequence[Hit]) -> Draft:
    """Return the alert of all hits that carry one alert id (at least one)."""
    ordered = sorted(hits, key=lambda hit: (hit.at, hit.event_id))
    first = ordered[0]
    content = AlertContent(
        count=len(ordered),
        first=first.at,
        last=ordered[-1].at,
        level=max((hit.level for hit in ordered), key=lambda level: level.rank),
        samples=tuple(hit.event_id for hit in ordered[:MAX_SAMPLES]),
        signatures=_signatures(hit.signature for hit in ordered),
        captured=dict(first.captured),
        unit_ids=_sorted(hit.unit_id for hit in ordered),
        asset_ids=_sorted(hit.asset_id for hit in ordered),
        counts_by_unit=dict(sorted(Counter(hit.unit_id or "" for hit in ordered).items())),
    )
    start = window_start(first.at, rule.group_window)
    return Draft(first.alert_id or "", dict(first.group), start, content)


def of_correlation(
    rule: CorrelationRule, group: dict[str, Value], moments: Sequence[Moment], hits: Sequence[Hit]
) -> list[Draft]:
    """Return one draft for each grouping window in which the condition was satisfied.

    Args:
        rule: the correlation.
        group: its group key's values.
        moments: when it was satisfied (`sigma.correlate.moments`), in order.
        hits: the hits it was evaluated over.
    """
    by_event = {hit.event_id: hit for hit in hits}
    windows: dict[datetime, list[Moment]] = {}
    for moment in moments:
        windows.setdefault(window_start(moment.at, rule.group_window), []).append(moment)
    return [
        Draft(alert_id(rule.id, group, start), group, start, _correlated(rule.level, found, by_event))
        for start, found in sorted(windows.items())
    ]


def _correlated(level: Level, moments: Sequence[Moment], by_event: dict[str, Hit]) -> AlertContent:
    ordered = [by_event[event] for event in members(moments)]
    satisfied = [by_event[moment.event_id] for moment in moments]
    captured = dict(ordered[0].captured) if ordered else {}
    captured["secmon.count"] = max(moment.count for moment in moments)
    return AlertContent(
        count=len(moments),
        first=moments[0].at,
        last=moments[-1].at,
        level=level,
        samples=tuple(hit.event_id for hit in ordered[:MAX_SAMPLES]),
        signatures=_signatures(hit.signature for hit in ordered),
        captured=captured,
        unit_ids=_sorted(hit.unit_id for hit in ordered),
        asset_ids=_sorted(hit.asset_id for hit in ordered),
        counts_by_unit=dict(sorted(Counter(hit.unit_id or "" for hit in satisfied).items())),
    )


def touched_range(hits: Sequence[Hit], timespan: timedelta, group_window: timedelta) -> tuple[datetime, datetime]:
    """Return the span of base hits that must be read again when these hits are new, half-open.

    A new hit can change every moment up to `timespan` after it, and an alert is the set of moments of a whole
    grouping window, each of which looks back over `timespan`.
    """
    earliest, latest = min(hit.at for hit in hits), max(hit.at for hit in hits)
    since = window_start(earliest, group_window) - timespan
    until = window_start(latest + timespan, group_window) + group_window
    return since, until


def _signatures(values: Iterable[str]) -> tuple[str, ...]:
    found = sorted(set(values) - {""})
    return (*found[:MAX_SIGNATURES], MORE) if len(found) > MAX_SIGNATURES else tuple(found)


def _sorted(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))
