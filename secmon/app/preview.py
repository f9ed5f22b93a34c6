"""What an exception, a disabled rule or a maintenance window would have done to stored history (影响预览).

Exact, not a sample: every stored hit of the time range is decided again, by the engine that annotates hits every day,
on the event as it is stored; correlations are evaluated with all hits and without those that would be covered, by the
code that evaluates them every day. Nothing is written.

What is proposed usually begins today, and history lies before: so exceptions, disabled rules and weekly windows are
tried as if they were in force over the whole range. A window of one night covers that night.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from secmon.app import alerts
from secmon.app.chains import HitReader, Touched
from secmon.app.installation import Installation
from secmon.errors import NotFoundError, SecmonError
from secmon.model.access import Access
from secmon.model.event import Event, format_time
from secmon.model.hit import Hit
from secmon.model.ids import window_start
from secmon.model.questions import HitQuery
from secmon.model.record import Body
from secmon.sigma.rule import CorrelationRule, Rule, RuleSet
from secmon.sigma.sliding import counted
from secmon.sigma.suppression import ANY_RULE, Suppression
from secmon.sigma.suppressor import Suppressor
from secmon.triage.correlated import Correlated, touched_range

MAX_COVERED = 500_000
"""Most hits that would be covered: they are held, so that correlations can be evaluated without them."""
_PAGE = 1_000
_HitKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is to be tried.

    Args:
        ruleset: the rules in force, and what suppresses hits already.
        suppressions: what is proposed.
        since: earliest event.
        until: the first event that is too late.
    """

    ruleset: RuleSet
    suppressions: tuple[Suppression, ...]
    since: datetime
    until: datetime


def proposal_of(ruleset: RuleSet, path: str, since: datetime, until: datetime) -> Proposal:
    """Return the proposal of one file among the files of a rule set, as if it had been in force over a time range.

    Raises:
        NotFoundError: nothing in it suppresses hits.
    """
    own = [one for one in ruleset.suppressions if one.path == path]
    if not own:
        hint = "an exception, a maintenance window, or an override with disabled: true"
        raise NotFoundError("nothing in the file suppresses hits", where=path, hint=hint)
    tried = [
        one if one.kind == "maintenance" and one.weekly is None else replace(one, since=since, until=until)
        for one in own
    ]
    others = tuple(one for one in ruleset.suppressions if one.path != path)
    return Proposal(ruleset=replace(ruleset, suppressions=others), suppressions=tuple(tried), since=since, until=until)


@dataclass(frozen=True, slots=True)
class _Remaining(HitReader):
    """Reads hits as if some of them were suppressed."""

    covered: frozenset[_HitKey] = frozenset()

    def stored(self, key: str, since: datetime, until: datetime) -> Iterator[Hit]:
        """Yield the stored hits of one key in order, without those that would be covered."""
        found = HitReader.stored(self, key, since, until)
        return (hit for hit in found if (hit.event_id, hit.rule_id) not in self.covered)


@dataclass(slots=True)
class _Change:
    """How many hits, or moments, an alert has now, and would have."""

    before: int = 0
    after: int = 0

    @property
    def kind(self) -> str:
        if not self.after:
            return "vanishes"
        if not self.before:
            return "appears"
        return "shrinks" if self.after < self.before else "grows"


@dataclass(slots=True)
class _Preview:
    house: Installation
    access: Access
    proposal: Proposal
    suppressor: Suppressor
    examined: int = 0
    undecided: int = 0
    released: int = 0
    covered: list[Hit] = field(default_factory=list)
    by: Counter[str] = field(default_factory=Counter)
    changes: dict[str, tuple[str, _Change]] = field(default_factory=dict)

    # Hits.

    def decide(self) -> None:
        """Find the hits that would be covered.

        Raises:
            SecmonError: they are too many to be held.
        """
        query = self._query(self._rule_ids(), suppressed=False)
        for hit, event in self._with_events(self.house.log.hits(self.access, query)):
            self.examined += 1
            found = None if event is None else self.suppressor.covering(event, hit)
            self.undecided += event is None
            if found is None:
                continue
            self.by[found] += 1
            self.covered.append(hit)
            if len(self.covered) > MAX_COVERED:
                raise SecmonError(
                    "more than {most} hits would be covered",
                    hint="ask for a shorter time range with --since and --until",
                    values={"most": MAX_COVERED},
                )
        for one in self.proposal.suppressions:
            self._release(one.id)

    def _release(self, identity: str) -> None:
        """Count the hits that an earlier version of it covers, and this one does not any more."""
        query = HitQuery(since=self.proposal.since, until=self.proposal.until, suppressed_by=identity)
        for hit, event in self._with_events(self.house.log.hits(self.access, query)):
            self.released += event is not None and self.suppressor.covering(event, hit) is None

    def _rule_ids(self) -> tuple[str, ...]:
        """Return the rules that are asked about; empty for all."""
        every = [one.rule_ids for one in self.proposal.suppressions]
        return () if ANY_RULE in every else tuple(sorted({rule_id for ids in every for rule_id in ids}))

    def _query(self, rule_ids: tuple[str, ...], *, suppressed: bool) -> HitQuery:
        since, until = self.proposal.since, self.proposal.until
        return HitQuery(since=since, until=until, rule_ids=rule_ids, suppressed=suppressed)

    def _with_events(self, hits: Iterable[Hit]) -> Iterator[tuple[Hit, Event | None]]:
        """Yield hits with their events, None for one that is not kept any more."""
        left = iter(hits)
        while page := list(islice(left, _PAGE)):
            ids = list(dict.fromkeys(hit.event_id for hit in page))
            events = {str(event["event.id"]): event for event in self.house.log.events_by_id(self.access, ids)}
            for hit in page:
                yield hit, events.get(hit.event_id)

    # Alerts.

    def compare(self) -> None:
        """Find the alerts that would be others."""
        keys = frozenset((hit.event_id, hit.rule_id) for hit in self.covered)
        for alert_id, hits in self._by_alert().items():
            if (before := self._count_of(alert_id)) > 0:
                self.changes[alert_id] = (hits[0].rule_id, _Change(before, max(0, before - len(hits))))
        now = HitReader(self.house.log, self.access)
        then = _Remaining(self.house.log, self.access, covered=keys)
        for rule in self.proposal.ruleset.correlations:
            if rule.generates:
                for touched in now.touched(rule, self._touching(rule)):
                    self._correlate(rule, touched, now, then)

    def _by_alert(self) -> dict[str, list[Hit]]:
        found: dict[str, list[Hit]] = {}
        for hit in self.covered:
            if hit.alert_id is not None:
                found.setdefault(hit.alert_id, []).append(hit)
        return found

    def _count_of(self, alert_id: str) -> int:
        """Return how many hits an alert has now, with those outside the time range."""
        document = self.house.records.get(self.access, alerts.KIND, alert_id)
        if document is not None:
            return alerts.to_alert(document).content.count
        return sum(1 for _ in self.house.log.hits(self.access, HitQuery(alert_id=alert_id, suppressed=False)))

    def _touching(self, rule: CorrelationRule) -> Mapping[str, Sequence[Hit]]:
        """Return rule id → hits that make a correlation another one: covered ones; all of one that is disabled."""
        rules, hits = rule.event_rule_ids, self.covered
        if any(one.kind == "disabled" and rule.id in one.rule_ids for one in self.proposal.suppressions):
            hits = list(self.house.log.hits(self.access, self._query(tuple(sorted(rules)), suppressed=False)))
        found: dict[str, list[Hit]] = {}
        for hit in hits:
            if hit.rule_id in rules:
                found.setdefault(hit.rule_id, []).append(hit)
        return found

    def _correlate(self, rule: CorrelationRule, touched: Touched, now: HitReader, then: HitReader) -> None:
        before = self._moments(rule, touched, now, tried=False)
        after = self._moments(rule, touched, then, tried=True)
        for alert_id in before.keys() | after.keys():
            change = _Change(before.get(alert_id, 0), after.get(alert_id, 0))
            if change.before != change.after:
                self.changes[alert_id] = (rule.id, change)

    def _moments(self, rule: CorrelationRule, touched: Touched, reader: HitReader, *, tried: bool) -> dict[str, int]:
        """Return alert id → satisfied moments, of the grouping windows that are touched."""
        since, until = touched_range((touched.first, touched.last), rule.timespan, rule.group_window)
        ours = self.house.stages.suppressor

        def is_disabled(at: datetime) -> bool:
            if ours is not None and ours.disabling(rule.id, at) is not None:
                return True
            return tried and self.suppressor.disabling(rule.id, at) is not None

        begin = window_start(touched.first, rule.group_window)
        evaluation = Correlated(rule, touched.group, begin, is_disabled=is_disabled)
        stored = reader.hits(rule, reader.stored(touched.key, since, until))
        return {draft.id: draft.content.count for draft in evaluation.drafts(counted(rule, stored))}

    # Controls.

    def controls(self) -> list[Body]:
        """Return the controls that rules with covered hits, or disabled rules, serve, and what is left to each."""
        affected = {hit.rule_id for hit in self.covered}
        affected |= {
            rule_id for one in self.proposal.suppressions if one.kind == "disabled" for rule_id in one.rule_ids
        }
        serving: dict[str, list[Rule | CorrelationRule]] = {}
        for rule in self.proposal.ruleset.by_id.values():
            for control in rule.controls:
                serving.setdefault(control, []).append(rule)
        rows = []
        for control, rules in sorted(serving.items()):
            if any(not affected.isdisjoint(_events_of(rule)) or rule.id in affected for rule in rules):
                rows.append(self._control(control, rules))
        return rows

    def _control(self, control: str, rules: Sequence[Rule | CorrelationRule]) -> Body:
        single = tuple(sorted(set().union(*(_events_of(rule) for rule in rules))))
        before = sum(1 for _ in self.house.log.hits(self.access, self._query(single, suppressed=False)))
        after = before - sum(1 for hit in self.covered if hit.rule_id in single)
        left = [rule.id for rule in rules if not self._is_silenced(rule.id)]
        now, then = self._alerts_of({rule.id for rule in rules})
        state = "loses_every_rule" if not left else "loses_every_hit" if before and not after else "covered"
        if state == "covered" and now and not then:
            # What is left are hits of rules that only count towards others: nobody is told of them.
            state = "loses_every_alert"
        return {
            "control.id": control,
            "state": state,
            "rules": sorted(rule.id for rule in rules),
            "rules_left": sorted(left),
            "hits_before": before,
            "hits_after": after,
            **({"alerts_before": now, "alerts_after": then} if now else {}),
        }

    def _alerts_of(self, rules: AbstractSet[str]) -> tuple[int, int]:
        """Return how many alerts some rules have in the time range, and would have; (0, 0) if none would vanish."""
        kinds = {key: change.kind for key, (rule_id, change) in self.changes.items() if rule_id in rules}
        told = Counter(kinds.values())
        if not told["vanishes"]:
            return 0, 0
        others = 0
        for rule_id in sorted(rules):
            wanted = alerts.AlertFilter(rule=rule_id, since=self.proposal.since, until=self.proposal.until)
            found = alerts.every_alert(self.house, self.access, wanted)
            others += sum(one.id not in kinds and not one.withdrawn for one in found)
        lasting = others + told["shrinks"] + told["grows"]
        return lasting + told["vanishes"], lasting + told["appears"]

    def _is_silenced(self, rule_id: str) -> bool:
        """Tell whether a rule is disabled everywhere at some time of the range, by what is proposed or in force."""
        every = (*self.proposal.suppressions, *self.proposal.ruleset.suppressions)
        return any(one.kind == "disabled" and rule_id in one.rule_ids and self._is_everywhere(one) for one in every)

    def _is_everywhere(self, one: Suppression) -> bool:
        overlaps = one.since < self.proposal.until and self.proposal.since < one.until
        return overlaps and not one.units and not one.assets


def _events_of(rule: Rule | CorrelationRule) -> frozenset[str]:
    return rule.event_rule_ids if isinstance(rule, CorrelationRule) else frozenset({rule.id})


def preview(house: Installation, access: Access, proposal: Proposal) -> Body:
    """Return what a proposal would have done.

    Raises:
        SecmonError: it would cover more hits than can be held.
    """
    found = _Preview(house, access, proposal, Suppressor(proposal.suppressions, house.tree.subtree))
    with house.log.together(access):  # what it compares is of one moment, and asked for alert by alert
        found.decide()
        found.compare()
    kinds = Counter(change.kind for _, change in found.changes.values())
    return {
        "from": format_time(proposal.since),
        "to": format_time(proposal.until),
        "suppressions": [
            {
                "suppression.id": one.id,
                "suppression.kind": one.kind,
                "suppression.name": one.name,
                "rules": len(one.rule_ids) or len(proposal.ruleset.rules),
                "hits": found.by[one.id],
            }
            for one in proposal.suppressions
        ],
        "hits": {
            "examined": found.examined,
            "covered": len(found.covered),
            "undecided": found.undecided,
            "released": found.released,
        },
        "alerts": {kind: kinds[kind] for kind in ("vanishes", "shrinks", "appears", "grows")},
        "alert_rows": list(_alert_rows(house, access, proposal.ruleset, found.changes)),
        "controls": found.controls(),
    }


def _alert_rows(
    house: Installation, access: Access, ruleset: RuleSet, changes: Mapping[str, tuple[str, _Change]]
) -> Iterator[Body]:
    for alert_id, (rule_id, change) in sorted(changes.items(), key=lambda pair: (pair[1][1].kind, pair[0])):
        rule = ruleset.by_id.get(rule_id)
        row: Body = {
            "alert.id": alert_id,
            "rule.id": rule_id,
            "rule.name": rule.name if rule else rule_id,
            **({"rule.title_zh": rule.title_zh} if rule and rule.title_zh else {}),
            "change": change.kind,
            "before": change.before,
            "after": change.after,
        }
        document = house.records.get(access, alerts.KIND, alert_id)
        if document is not None:
            alert = alerts.to_alert(document)
            row |= {"alert.state": alert.state.value, "rule.level": alert.content.level.value}
            if alert.reason:
                row["alert.reason"] = alert.reason
        yield row
