"""Answers the questions of an assessment from the stores (`compliance.needs`)."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from secmon.app import alerts
from secmon.app.installation import Installation
from secmon.compliance.needs import NO_FACT, Fact, FactRequest
from secmon.model.access import Access
from secmon.model.alert import Alert, AlertState
from secmon.model.assessment import FactSource, Selection
from secmon.model.asset import Asset
from secmon.model.questions import EventQuery, FindingQuery, HitQuery, Profile
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
    alerts: dict[tuple[datetime | None, datetime | None], list[Alert]] = field(default_factory=dict)


def gather(house: Installation, access: Access, asset: Asset, requests: tuple[FactRequest, ...]) -> dict[str, Fact]:
    """Return the answer to each request by its id."""
    offset = house.clock.now().astimezone(house.zone).utcoffset() or timedelta()
    asking = _Asking(house, access, asset, offset)
    with house.log.together(access):
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
    """Count the hits of rules, and the satisfied moments of correlations, that are mapped to the controls."""
    rules = _rules_of(asking, asked.spec.controls)
    if not rules:
        return NO_FACT  # nobody looks: an absence of hits would say nothing
    tally = _Tally(asking.offset, {rule.id: 0 for rule in rules})
    single = tuple(rule.id for rule in rules if isinstance(rule, Rule))
    query = HitQuery(since=asked.since, until=asked.until, rule_ids=single, asset_id=asked.asset_id)
    for hit in asking.house.log.hits(asking.access, query) if single else ():
        tally.add(hit.rule_id, 1, hit.at, hit.at, (hit.event_id,))
    for alert in _alerts_in(asking, asked):
        if alert.rule_kind == "correlation" and alert.rule_id in tally.by:
            content = alert.content
            tally.add(alert.rule_id, content.count, content.first, content.last, content.samples)
    names = {rule.id: rule.title_zh or rule.name for rule in rules}
    return tally.fact(asking, names)


@dataclass(slots=True)
class _Tally:
    """Sums up what is found, thing by thing."""

    offset: timedelta
    by: dict[str, int]
    ids: dict[str, None] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, name: str, count: int, first: datetime, last: datetime, ids: tuple[str, ...]) -> None:
        self.by[name] = self.by.get(name, 0) + count
        self.first, self.last = min(self.first or first, first), max(self.last or last, last)
        self.days |= {(first + self.offset).date(), (last + self.offset).date()}
        for identity in ids[: MAX_IDS - len(self.ids)]:
            self.ids[identity] = None

    def fact(self, asking: _Asking, names: Mapping[str, str], sample: str | None = None) -> Fact:
        ids = tuple(self.ids)
        return Fact(
            count=sum(self.by.values()),
            by={names.get(name, name): count for name, count in sorted(self.by.items())},
            days=len(self.days),
            first=self.first,
            last=self.last,
            event_ids=ids,
            masked_sample=_sample(asking, ids) if sample is None else sample,
        )


def _alerts_in(asking: _Asking, asked: FactRequest) -> list[Alert]:
    """Return the alerts of the asset with activity in the period, without those that late events withdrew.

    Nearly every question about hits asks for them, and all of one report for the same period.
    """
    period = asked.since, asked.until
    if period not in asking.alerts:
        wanted = alerts.AlertFilter(asset=asked.asset_id, since=asked.since, until=asked.until, limit=1000)
        every = alerts.every_alert(asking.house, asking.access, wanted)
        asking.alerts[period] = [alert for alert in every if not alert.withdrawn]
    return asking.alerts[period]


def _alerts(asking: _Asking, asked: FactRequest) -> Fact:
    names = {rule.id: rule.title_zh or rule.name for rule in _rules_of(asking, asked.spec.controls)}
    if not names:
        return NO_FACT
    tally = _Tally(asking.offset, {})
    for alert in _alerts_in(asking, asked):
        reason = alert.close_reason.value if alert.close_reason else ""
        outcomes = {alert.state.value, reason, "" if alert.state is AlertState.CLOSED else _OPEN}
        if alert.rule_id in names and outcomes & set(asked.spec.outcomes):
            tally.add(alert.rule_id, 1, alert.content.first, alert.content.last, alert.content.samples)
    return tally.fact(asking, names)


def _findings(asking: _Asking, asked: FactRequest) -> Fact:
    tally = _Tally(asking.offset, {})
    sample = ""
    for data_class in asked.spec.classes or ("",):
        query = FindingQuery(since=asked.since, until=asked.until, data_class=data_class, asset_id=asked.asset_id)
        for one in asking.house.log.findings(asking.access, query):
            sample = sample or one.finding.masked
            tally.add(one.finding.data_class, 1, one.at, one.at, (one.event_id,))
    return tally.fact(asking, {}, sample)


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
