"""From stored hits to alerts: one tick of the scheduler.

The tick reads what was committed since the last one, finds which alerts and correlation keys that touches, reads
all hits of those, and folds what they say into the stored alerts. Its outcome is a pure function of the set of
stored hits: late, repeated or re-ordered ticks end with the same alerts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from secmon.app import alerts
from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import key_id, window_start
from secmon.model.record import Document
from secmon.ports import HitQuery
from secmon.sigma.correlate import group_hits, moments
from secmon.sigma.rule import CorrelationRule, Rule
from secmon.triage.content import Draft, of_correlation, of_rule, touched_range
from secmon.triage.lifecycle import raised, updated

MARK = "alerts"
_ATTEMPTS = 5


@dataclass(slots=True)
class Evaluation:
    """What a tick did."""

    hits: int = 0
    new: int = 0
    revised: int = 0


def evaluate(house: Installation, access: Access) -> Evaluation:
    """Bring alerts up to date with everything that is committed."""
    done = Evaluation()
    while True:
        document = house.records.get(access, "mark", MARK)
        mark = str(document.body["mark"]) if document else ""
        hits, after = house.log.hits_since(access, mark)
        if after == mark:
            return done
        done.hits += len(hits)
        for rule, draft in _drafts(house, access, hits):
            _fold(house, access, rule, draft, done)
        _move_mark(house, access, document, after)


def _drafts(house: Installation, access: Access, hits: list[Hit]) -> Iterator[tuple[Rule | CorrelationRule, Draft]]:
    touched = dict.fromkeys((hit.alert_id, hit.rule_id) for hit in hits if hit.alert_id)
    for alert_id, rule_id in touched:
        rule = house.ruleset.by_id.get(rule_id)
        if isinstance(rule, Rule) and alert_id:
            yield rule, of_rule(rule, list(house.log.hits(access, HitQuery(alert_id=alert_id))))
    for correlation in house.ruleset.correlations:
        for group, fresh in group_hits(correlation, hits):
            for draft in _correlated(house, access, correlation, group, fresh):
                yield correlation, draft


def _correlated(
    house: Installation, access: Access, correlation: CorrelationRule, group: dict[str, Value], fresh: list[Hit]
) -> list[Draft]:
    since, until = touched_range(fresh, correlation.timespan, correlation.group_window)
    query = HitQuery(key=key_id(correlation.id, group), since=since, until=until)
    hits = list(house.log.hits(access, query))
    from_window = window_start(min(hit.at for hit in fresh), correlation.group_window)
    # Moments before the first touched window would look back over hits that were not read.
    satisfied = [moment for moment in moments(correlation, hits) if moment.at >= from_window]
    return of_correlation(correlation, group, satisfied, hits) if satisfied else []


def _fold(house: Installation, access: Access, rule: Rule | CorrelationRule, draft: Draft, done: Evaluation) -> None:
    now = house.clock.now()
    for _ in range(_ATTEMPTS):
        document = house.records.get(access, alerts.KIND, draft.id)
        try:
            if document is None:
                alert = raised(rule, draft, at=now, by=access.principal.id, names=house.class_names)
                house.records.create(access, alerts.to_document(alert))
                done.new += 1
                return
            before = alerts.to_alert(document)
            after = updated(before, draft, at=now, by=access.principal.id)
            if after is not before:
                house.records.replace(access, alerts.to_document(after, document.version))
                done.revised += 1
        except ConflictError:
            continue  # an operator acted between reading and writing: fold into what they left
        return
    raise ConflictError("an alert keeps changing", hint="the next tick tries again")


def _move_mark(house: Installation, access: Access, document: Document | None, mark: str) -> None:
    body = {"mark": mark}
    if document is None:
        house.records.create(access, Document(kind="mark", id=MARK, body=body))
    else:
        house.records.replace(access, Document(kind="mark", id=MARK, body=body, version=document.version))
