"""Answers the questions of an assessment from the stores (`compliance.needs`)."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from secmon.app import alerts
from secmon.app.installation import Installation
from secmon.compliance.needs import NO_FACT, Fact, FactRequest
from secmon.model.access import Access
from secmon.model.alert import AlertState
from secmon.model.assessment import FactSource, Selection
from secmon.model.asset import Asset
from secmon.ports import EventQuery, FindingQuery, HitQuery, Profile
from secmon.sigma.rule import CorrelationRule, Rule

MAX_IDS = 20
MAX_SAMPLE = 300
_OPEN = "open"


@dataclass(frozen=True, slots=True)
class _Asking:
    house: Installation
    access: Access
    asset: Asset
    offset: timedelta


def gather(house: Installation, access: Access, asset: Asset, requests: tuple[FactRequest, ...]) -> dict[str, Fact]:
    """Return the answer to each request by its id."""
    offset = house.clock.now().astimezone(house.zone).utcoffset() or timedelta()
    asking = _Asking(house, access, asset, offset)
    return {one.id: _ANSWERS[one.spec.source](asking, one) for one in requests}


def _events(asking: _Asking, asked: FactRequest) -> Fact:
    profiles = [
        asking.house.log.profile(
            asking.access,
            _query(asked, one),
            by=asked.spec.by,
            utc_offset_s=int(asking.offset.total_seconds()),
            ids=MAX_IDS,
        )
        for one in asked.spec.any_of
    ]
    return _fact(asking, profiles)


def _query(asked: FactRequest, selection: Selection) -> EventQuery:
    return EventQuery(
        since=asked.since,
        until=asked.until,
        equals={**selection.equals, "asset.id": (asked.asset_id,)},
        present=selection.present,
        text=selection.text,
    )


def _fact(asking: _Asking, profiles: list[Profile]) -> Fact:
    by: Counter[str] = Counter()
    for profile in profiles:
        by.update(profile.by)
    days: frozenset[date] = frozenset().union(*(profile.days for profile in profiles))
    ids = tuple(identity for profile in profiles for identity in profile.event_ids)[:MAX_IDS]
    return Fact(
        count=sum(profile.count for profile in profiles),
        by=dict(sorted(by.items())),
        days=len(days),
        first=min((profile.first for profile in profiles if profile.first), default=None),
        last=max((profile.last for profile in profiles if profile.last), default=None),
        event_ids=ids,
        masked_sample=_sample(asking, ids),
    )


def _sample(asking: _Asking, ids: tuple[str, ...]) -> str:
    """Return the first event's text as it is stored: masked."""
    found = asking.house.log.events_by_id(asking.access, ids[:1])
    if not found:
        return ""
    return str(found[0].get("event.original") or found[0].get("message") or "")[:MAX_SAMPLE]


def _rules_of(asking: _Asking, controls: tuple[str, ...]) -> list[Rule | CorrelationRule]:
    ruleset = asking.house.ruleset
    every: list[Rule | CorrelationRule] = [*ruleset.rules, *ruleset.correlations]
    return [rule for rule in every if set(rule.controls) & set(controls)]


def _hits(asking: _Asking, asked: FactRequest) -> Fact:
    rules = [rule for rule in _rules_of(asking, asked.spec.controls) if isinstance(rule, Rule)]
    if not rules:
        return NO_FACT  # nobody looks: an absence of hits would say nothing
    by = dict.fromkeys((rule.id for rule in rules), 0)
    query = HitQuery(since=asked.since, until=asked.until, rule_ids=tuple(by), asset_id=asked.asset_id)
    ids: list[str] = []
    days: set[date] = set()
    first: datetime | None = None
    last: datetime | None = None
    for hit in asking.house.log.hits(asking.access, query):
        by[hit.rule_id] += 1
        first, last = first or hit.at, hit.at
        days.add((hit.at + asking.offset).date())
        if len(ids) < MAX_IDS and hit.event_id not in ids:
            ids.append(hit.event_id)
    names = {rule.id: rule.title_zh or rule.name for rule in rules}
    return Fact(
        count=sum(by.values()),
        by={names[rule_id]: count for rule_id, count in by.items()},
        days=len(days),
        first=first,
        last=last,
        event_ids=tuple(ids),
        masked_sample=_sample(asking, tuple(ids)),
    )


def _alerts(asking: _Asking, asked: FactRequest) -> Fact:
    rules = {rule.id for rule in _rules_of(asking, asked.spec.controls)}
    if not rules:
        return NO_FACT
    wanted = alerts.AlertFilter(asset=asked.asset_id, since=asked.since, until=asked.until, limit=1000)
    count = 0
    ids: list[str] = []
    by: Counter[str] = Counter()
    first: datetime | None = None
    last: datetime | None = None
    for alert in alerts.every_alert(asking.house, asking.access, wanted):
        is_open = alert.state is not AlertState.CLOSED
        outcomes = {alert.state.value, alert.close_reason.value if alert.close_reason else ""}
        if alert.rule_id not in rules or not (outcomes | ({_OPEN} if is_open else set())) & set(asked.spec.outcomes):
            continue
        count += 1
        by[alert.rule_title_zh or alert.rule_name] += 1
        first = min(first or alert.content.first, alert.content.first)
        last = max(last or alert.content.last, alert.content.last)
        ids.extend(alert.content.samples[: MAX_IDS - len(ids)])
    return Fact(count=count, by=dict(sorted(by.items())), first=first, last=last, event_ids=tuple(ids))


def _findings(asking: _Asking, asked: FactRequest) -> Fact:
    counts: Counter[str] = Counter()
    ids: dict[str, None] = {}
    days: set[date] = set()
    first: datetime | None = None
    last: datetime | None = None
    sample = ""
    for data_class in asked.spec.classes or ("",):
        query = FindingQuery(since=asked.since, until=asked.until, data_class=data_class, asset_id=asked.asset_id)
        for one in asking.house.log.findings(asking.access, query):
            counts[one.finding.data_class] += 1
            first = min(first or one.at, one.at)
            last = max(last or one.at, one.at)
            days.add((one.at + asking.offset).date())
            sample = sample or one.finding.masked
            if len(ids) < MAX_IDS:
                ids[one.event_id] = None
    return Fact(
        count=sum(counts.values()),
        by=dict(sorted(counts.items())),
        days=len(days),
        first=first,
        last=last,
        event_ids=tuple(ids),
        masked_sample=sample,
    )


def _register(asking: _Asking, asked: FactRequest) -> Fact:
    value = getattr(asking.asset, asked.spec.name, None)
    values = tuple(map(str, value)) if isinstance(value, tuple) else ((str(value),) if value else ())
    return Fact(count=len(values), values=values) if values else NO_FACT


def _setting(asking: _Asking, asked: FactRequest) -> Fact:
    settings: Mapping[str, object] = {
        "retention_days": asking.house.retention_days,
        "store.retention_days": asking.house.retention_days,
    }
    value = settings.get(asked.spec.name)
    return Fact(count=1, values=(str(value),)) if value is not None else NO_FACT


def _answer(asking: _Asking, asked: FactRequest) -> Fact:
    del asking, asked
    return NO_FACT  # nobody has filled anything in: 未核查


_ANSWERS: dict[FactSource, Callable[[_Asking, FactRequest], Fact]] = {
    FactSource.EVENTS: _events,
    FactSource.HITS: _hits,
    FactSource.ALERTS: _alerts,
    FactSource.FINDINGS: _findings,
    FactSource.REGISTER: _register,
    FactSource.SETTING: _setting,
    FactSource.ANSWER: _answer,
}
