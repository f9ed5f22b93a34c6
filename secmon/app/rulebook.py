"""Rules as they were when they made hits: kept by content, so that no hit loses its rule (design rules 9 and 10).

Before a batch is committed under a rule set, the set and the cards of its rules are here. A hit names its rule's id
and digest; that finds the card, also after the rule was changed or taken away.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.model.access import Access, job_access
from secmon.model.event import format_time
from secmon.model.hit import Hit
from secmon.model.record import Body, Document, RecordQuery
from secmon.sigma.rule import CorrelationRule, Rule
from secmon.sigma.seen import name_of
from secmon.sigma.suppression import Suppression
from secmon.triage.card import RuleCard, bare_card, card_of

RULE, RULESET, SUPPRESSION = "rule", "ruleset", "suppression"
_PAGE = 500
KEEPER = job_access("rulebook")
"""Whose the rule book is: rules and exceptions belong to no unit."""


def keep(house: Installation, access: Access) -> None:
    """Keep the rule set in force: first its rules, then the set; done once a set.

    The set is the manifest of the coverage ledger: rule id → digest of the compiled rule, log source → ids of the
    rules over it, and correlation or baseline → ids of the rules that it rests on.
    """
    ruleset = house.ruleset
    if not ruleset.by_id or house.records.get(access, RULESET, ruleset.digest) is not None:
        return
    house.records.create_all(access, [_document(rule) for rule in ruleset.by_id.values()])
    house.records.create_all(access, [_suppression(one) for one in ruleset.suppressions])
    logsources: dict[str, list[str]] = {}
    for rule in ruleset.rules:
        logsources.setdefault(name_of(rule.logsource), []).append(rule.id)
    body = {
        "rules": {rule.id: rule.digest for rule in ruleset.by_id.values()},
        "names": {rule.id: rule.title_zh or rule.name for rule in ruleset.by_id.values()},
        "logsources": logsources,
        "correlations": {rule.id: sorted(rule.event_rule_ids) for rule in (*ruleset.correlations, *ruleset.baselines)},
        "suppressions": {one.id: one.digest for one in ruleset.suppressions},
    }
    house.records.create_all(access, [Document(kind=RULESET, id=ruleset.digest, body=body)])


def _document(rule: Rule | CorrelationRule) -> Document:
    card = card_of(rule)
    body = {"card": msgspec.to_builtins(card)}
    if isinstance(rule, CorrelationRule):
        body["correlation"] = msgspec.to_builtins(rule)
    return Document(kind=RULE, id=_id(rule.id, rule.digest), body=body, keys={"kind": card.kind, "rule": rule.id})


def _suppression(one: Suppression) -> Document:
    """Keep what an exception said, without its conditions: what it suppressed outlives it."""
    return Document(kind=SUPPRESSION, id=_id(one.id, one.digest), body=said(one), keys={"id": one.id})


def said(one: Suppression) -> Body:
    """Return what an exception, a disabled rule or a maintenance window says, as JSON; without its conditions."""
    row: Body = {
        "suppression.id": one.id,
        "suppression.kind": one.kind,
        "suppression.name": one.name,
        "suppression.digest": one.digest,
        "suppression.owner": one.owner,
        "suppression.approver": one.approver,
        "suppression.reason": one.reason,
        "suppression.since": format_time(one.since),
        "suppression.until": format_time(one.until),
        "unit.id": list(one.units),
        "asset.id": list(one.assets),
        "rule.id": list(one.rule_ids),
        "path": f"{one.path}:{one.line}",
    }
    if one.weekly is not None:
        row["suppression.weekly"] = msgspec.to_builtins(one.weekly)
    return row


def kept_suppressions(house: Installation, access: Access, manifest: Body) -> list[Body]:
    """Return what the exceptions and windows of a rule set said (`said`), by id."""
    found = (
        house.records.get(access, SUPPRESSION, _id(identity, digest))
        for identity, digest in sorted(manifest.get("suppressions", {}).items())
    )
    return [document.body for document in found if document is not None]


def _id(rule_id: str, digest: str) -> str:
    return f"{rule_id}:{digest}"


@dataclass(slots=True)
class Rulebook:
    """Looks rules up during one tick: those in force first, then those that are kept."""

    house: Installation
    access: Access
    _cards: dict[tuple[str, str], RuleCard] = field(default_factory=dict)

    def card(self, hit: Hit) -> RuleCard:
        """Return the card of the rule that made a hit; a bare one if nobody knows the rule."""
        key = (hit.rule_id, hit.rule_digest)
        if key not in self._cards:
            self._cards[key] = self._found(hit)
        return self._cards[key]

    def _found(self, hit: Hit) -> RuleCard:
        rule = self.house.ruleset.by_id.get(hit.rule_id)
        if rule is not None and rule.digest == hit.rule_digest:
            return card_of(rule)
        document = self.house.records.get(self.access, RULE, _id(hit.rule_id, hit.rule_digest))
        if document is not None:
            return msgspec.convert(document.body["card"], RuleCard)
        return card_of(rule) if rule is not None else bare_card(hit)

    def correlations(self, hits: Iterable[Hit]) -> Iterator[CorrelationRule]:
        """Yield the correlations that any of these hits may count towards.

        Those in force, and those that were taken away after the hits were made: their last windows are evaluated too.
        """
        yield from self.house.ruleset.correlations
        touched = {hit.rule_id for hit in hits if hit.keys}
        if touched:
            in_force = set(self.house.ruleset.by_id)
            for rule in self._retired():
                if rule.id not in in_force and touched & rule.event_rule_ids:
                    in_force.add(rule.id)
                    yield rule

    def _retired(self) -> Iterator[CorrelationRule]:
        query = RecordQuery(kind=RULE, equals={"kind": ("correlation",)}, limit=_PAGE)
        for document in every(self.house.records, self.access, query):
            if document.body["card"]["id"] not in self.house.ruleset.by_id:
                rule = msgspec.convert(document.body["correlation"], CorrelationRule)
                if rule.baseline is None:  # of one that was taken away nothing goes on
                    yield rule
