"""Correlations of every kind over one small log, an obvious reading of what they find, and ways for it to arrive."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import strategies as st

from secmon.app import alerts, rulebook
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.model.alert import Alert, AlertContent
from secmon.model.event import Event, parse_time
from secmon.model.hit import Hit, Level
from secmon.model.ids import alert_id, window_start
from secmon.sigma.correlate import group_hits, members, moments, with_derived
from secmon.sigma.hits import make_hits
from secmon.sigma.rule import CorrelationRule
from secmon.triage.card import RuleCard
from secmon.triage.content import COUNT, of_rule
from tests.app.houses import NOON, OPERATOR
from tests.app.houses import house_on as on_store
from tests.app.interleaving import Stopped, stopping
from tests.contracts.builders import DAY, batch_of, event_at

_BASE = """
title: {title}
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3d{number:03}
name: {name}
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{http.response.status_code: {status}}}, condition: a}}
"""
_CORRELATION = """
title: {name}
name: {name}
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3c{number:03}
correlation:
  type: {type}
  rules: [{rules}]
  group-by: [{group}]
  timespan: 10m
{condition}
level: medium
custom: {{secmon: {{group_window: 15m}}}}
"""
# Name → type, rules, condition; the first word tells what it is.
KINDS: dict[str, tuple[str, str, str]] = {
    "event_count_gte": ("event_count", "refused", "condition: {gte: 3}"),
    "event_count_eq": ("event_count", "refused", "condition: {eq: 2}"),
    "event_count_lt": ("event_count", "refused", "condition: {lt: 3}"),
    "event_count_range": ("event_count", "refused, denied", "condition: {gt: 1, lte: 3}"),
    "event_count_neq": ("event_count", "allowed", "condition: {neq: 2}"),
    "value_count_gte": ("value_count", "refused, denied", "condition: {field: user.name, gte: 2}"),
    "value_count_lte": ("value_count", "refused", "condition: {field: user.name, lte: 1}"),
    "temporal_all": ("temporal", "refused, allowed", ""),
    "temporal_words": ("temporal", "refused, allowed, denied", "condition: refused and not (allowed or denied)"),
    "ordered": ("temporal_ordered", "refused, denied, allowed", ""),
    "ordered_part": ("temporal_ordered", "refused, denied, allowed", "condition: {gte: 2}"),
    "sum": ("value_sum", "refused, allowed", "condition: {field: http.response.bytes, gt: 5}"),
    "avg": ("value_avg", "refused, allowed", "condition: {field: http.response.bytes, gte: 2}"),
    "percentile": (
        "value_percentile",
        "refused, allowed",
        "condition: {field: http.response.bytes, gt: 2, percentile: 50}",
    ),
    "median": ("value_median", "refused, allowed", "condition: {field: http.response.bytes, lt: 2}"),
    "chain": ("temporal_ordered", "many, allowed", ""),
    "chain_of_few": ("temporal", "few, allowed", "condition: few and not allowed"),
    "chain_of_chain": ("event_count", "link, denied", "condition: {lt: 3}"),
}
# What only chains rest on: they make no alerts.
LINKS: dict[str, tuple[str, str, str]] = {
    "many": ("event_count", "refused", "condition: {gte: 2}"),
    "few": ("event_count", "refused", "condition: {lt: 3}"),
    "lowest": ("event_count", "allowed", "condition: {eq: 1}"),
    "link": ("temporal_ordered", "lowest, refused", ""),
}
_ALIASED = """
title: aliased
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3c900
correlation:
  type: temporal
  rules: [refused, allowed]
  aliases:
    who: {refused: user.name, allowed: user.id}
  group-by: [who]
  timespan: 10m
level: medium
custom: {secmon: {group_window: 15m}}
"""


def _rules() -> str:
    texts = [
        _BASE.format(title=name, name=name, number=number, status=status)
        for number, (name, status) in enumerate({"refused": 401, "denied": 403, "allowed": 200}.items())
    ]
    texts += [
        _CORRELATION.format(
            name=name,
            number=number,
            type=kind,
            rules=rules,
            group="host.name" if name.startswith("chain") else "source.ip",
            condition=f"  {condition}" if condition else "",
        )
        for number, (name, (kind, rules, condition)) in enumerate((KINDS | LINKS).items())
    ]
    return "---".join([*texts, _ALIASED])


RULES = _rules()
SIMPLE = "---".join(RULES.split("---")[:4])
"""The base rules and `event_count_gte` alone."""


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the log; no two of one log have the same second."""

    second: int
    address: int
    status: int
    user: str
    size: int | None


REQUESTS = st.lists(
    st.builds(
        Request,
        second=st.integers(0, 60).map(lambda minute: 60 * minute) | st.integers(0, 3600),
        address=st.integers(1, 2),
        status=st.sampled_from([401, 401, 403, 200]),
        user=st.sampled_from("ab"),
        size=st.none() | st.integers(-1, 5),
    ),
    min_size=2,
    max_size=14,
    unique_by=lambda one: one.second,
)


def events_of(log: Sequence[Request], *, source: str = "web", day: date = DAY, first: int = 1) -> list[Event]:
    """Return the events of a log, numbered in its order."""
    made = []
    for number, one in enumerate(log, start=first):
        more: dict[str, Any] = {} if one.size is None else {"http.response.bytes": one.size}
        event = event_at(
            number,
            NOON + timedelta(seconds=one.second),
            source=source,
            day=day,
            source_ip=f"192.0.2.{one.address}",
            host_name=f"web{one.second % 2}",
            user_name=one.user,
            user_id=one.user,
            unit_id=f"S-{one.address}",
        )
        more |= {"event.category": ["web"], "event.kind": "event", "http.response.status_code": one.status}
        made.append(event | more)
    return made


def hits_of(house: Installation, events: Sequence[Event]) -> list[Hit]:
    """Return what the rules of a house find."""
    engine = house.stages.engine
    assert engine is not None
    return [hit for event in events for hit in make_hits(house.ruleset, event, engine.match(event))]


def commit(house: Installation, number: int, events: Sequence[Event], *, source: str = "web", day: date = DAY) -> None:
    """Commit events with their hits as one batch."""
    rulebook.keep(house, OPERATOR)
    batch = batch_of(events, number=number, hits=hits_of(house, events), source=source, day=day)
    house.log.commit(OPERATOR, batch)


Facts = dict[tuple[str, str], dict[str, object]]


def said(content: AlertContent) -> dict[str, object]:
    """Return what of a content is compared, without ids: they hold the day on which an event came."""
    return {
        "count": content.count,
        "first": content.first,
        "last": content.last,
        "samples": [sample.at for sample in content.earliest],
        "measured": content.captured[COUNT],
        "shares": {unit: (share.count, share.first, share.last) for unit, share in content.shares.items()},
    }


def found(house: Installation) -> Facts:
    """Return (rule, alert id) → what the alerts of correlations say, without those that were withdrawn."""
    every = alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
    return {(one.rule_name, one.id): said(one.content) for one in every if not one.withdrawn}


def expected(house: Installation, events: Sequence[Event]) -> Facts:
    """Return the same out of all hits at once: no store, no window that is read, no tick."""
    hits = hits_of(house, events)
    facts: Facts = {}
    for rule in house.ruleset.correlations:
        if rule.generates:
            for group, some in group_hits(rule, with_derived(rule, hits)):
                for start, content in _contents(rule, some).items():
                    facts[rule.name, alert_id(rule.id, group, start)] = said(content)
    return facts


def _contents(rule: CorrelationRule, hits: Sequence[Hit]) -> dict[datetime, AlertContent]:
    every = moments(rule, hits)
    contents = {}
    for start in {window_start(moment.at, rule.group_window) for moment in every}:
        mine = [moment for moment in every if window_start(moment.at, rule.group_window) == start]
        by_event = {hit.event_id: hit for hit in hits}
        card = RuleCard(id=rule.id, digest="", kind="correlation", name="", level=Level.LOW)
        content = of_rule(card, [by_event[event] for event in members(mine)]).content
        contents[start] = replace(
            content,
            count=len(mine),
            first=mine[0].at,
            last=mine[-1].at,
            captured={COUNT: max(moment.count for moment in mine)},
        )
    return contents


def every_alert(house: Installation) -> list[Alert]:
    """Return all alerts, those that were withdrawn too."""
    return list(alerts.every_alert(house, OPERATOR, alerts.AlertFilter()))


# How a log arrives.


house_on = partial(on_store, rules=RULES)


TICKS = ("none", "one", "doubled", "killed", "restarted")


@dataclass(frozen=True, slots=True)
class Arrival:
    """In which order a log comes, in which batches, and what happens behind each of them.

    Args:
        seed: of the order.
        ticks: what happens behind each batch.
        deaths: before which call to the store a killed tick dies.
    """

    seed: int
    ticks: tuple[str, ...]
    deaths: tuple[int, ...]


ARRIVALS = st.builds(
    Arrival,
    seed=st.integers(0, 999),
    ticks=st.lists(st.sampled_from(TICKS), min_size=1, max_size=5).map(tuple[str, ...]),
    deaths=st.lists(st.integers(1, 60), min_size=5, max_size=5).map(tuple[int, ...]),
)


def arrived(
    opened: Callable[[], AbstractContextManager[Installation]], events: Sequence[Event], arrival: Arrival
) -> Facts:
    """Let events come as told, bring alerts up to date at last, and return what was found."""
    dice = random.Random(arrival.seed)  # noqa: S311  an order, not a secret
    shuffled = dice.sample(events, len(events))
    parts = len(arrival.ticks)
    number = 0
    while number < parts:
        with opened() as house:
            while number < parts:
                commit(house, number + 1, shuffled[number::parts])
                tick(house, arrival.ticks[number], arrival.deaths[number])
                number += 1
                if arrival.ticks[number - 1] == "restarted":
                    break
    with opened() as house:
        evaluate(house, OPERATOR)
        return found(house)


def tick(house: Installation, how: str, death: int) -> None:
    """Do a tick, none, two, or one that dies before a call to the store."""
    if how == "killed":
        try:
            evaluate(stopping(house, death), OPERATOR)
        except Stopped:
            return
    for _ in range({"none": 0, "doubled": 2}.get(how, 1)):
        evaluate(house, OPERATOR)


def time_of(event: Event) -> datetime:
    """Return the time of an event."""
    return parse_time(str(event["@timestamp"]))
