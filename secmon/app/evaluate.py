"""From stored hits to alerts: one tick of the scheduler.

A tick reads the hits that were committed since the last one and folds them into the alerts they belong to; for the
correlation keys that they touch it reads all hits of the window again. Its outcome is a pure function of the set of
stored hits: late, repeated or re-ordered ticks end with the same alerts.

Every attempt at a tick has a number of its own, taken by compare-and-swap before anything is folded, and an alert
remembers the last one it was folded into. The attempt that moves the mark is the one that counts. An alert that carries
the number of an attempt behind the last one that counted was touched by one that died, or by a daemon that was frozen:
it is summed up anew from all hits up to the mark. An attempt that meets a higher number than its own was replaced and
ends at once. So a daemon that wakes in the middle of a tick, however late, counts nothing twice and overwrites nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from secmon.app import alerts, rulebook
from secmon.app.chains import HitReader, Touched
from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.alert import Alert, AlertContent
from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, window_start
from secmon.model.questions import HitQuery
from secmon.model.record import Document
from secmon.sigma.correlate import moments
from secmon.sigma.rule import CorrelationRule
from secmon.triage.card import RuleCard, card_of
from secmon.triage.content import Draft, lookback, merged, of_correlation, of_rule, touched_range
from secmon.triage.lifecycle import kept, raised, updated

MARK = "alerts"
_ATTEMPTS = 20


@dataclass(slots=True)
class Evaluation:
    """What the ticks did."""

    hits: int = 0
    new: int = 0
    revised: int = 0


def evaluate(house: Installation, access: Access) -> Evaluation:
    """Bring alerts up to date with everything that is committed, whoever else does so at the same moment.

    Raises:
        ConflictError: others keep getting in between; the next call goes on.
    """
    done = Evaluation()
    conflicts = 0
    while True:
        try:
            if not _tick(house, access, done):
                return done
        except ConflictError:
            conflicts += 1
            if conflicts == _ATTEMPTS:
                raise
        else:
            conflicts = 0


def is_current(house: Installation, access: Access) -> bool:
    """Tell whether alerts are up to date with everything that is committed now."""
    mark = _read_mark(house, access)
    return house.log.hits_since(access, mark.place, limit=1)[1] == mark.place


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far hits are folded into alerts.

    Args:
        place: the mark of `EventLog.hits_since` behind them.
        begun: number of the last attempt at a tick.
        done: number of the attempt that moved the mark here.
        version: of its document; 0 if there is none.
    """

    place: str = ""
    begun: int = 0
    done: int = 0
    version: int = 0


def _tick(house: Installation, access: Access, done: Evaluation) -> bool:
    """Fold what was committed since the last tick; tell whether there was anything.

    Raises:
        ConflictError: another attempt began, or ended, meanwhile.
    """
    mark = _read_mark(house, access)
    hits, place = house.log.hits_since(access, mark.place)
    if place == mark.place:
        return False
    if hits:
        mark = _save_mark(house, access, replace(mark, begun=mark.begun + 1))
        _Tick(house, access, mark, place, done).fold(hits)
        done.hits += len(hits)
    _save_mark(house, access, replace(mark, place=place, done=mark.begun))
    return True


def _read_mark(house: Installation, access: Access) -> _Mark:
    document = house.records.get(access, "mark", MARK)
    if document is None:
        return _Mark()
    body = document.body
    begun = int(body["tick"])
    return _Mark(str(body["mark"]), begun, int(body.get("done", begun)), document.version)


def _save_mark(house: Installation, access: Access, mark: _Mark) -> _Mark:
    body = {"mark": mark.place, "tick": mark.begun, "done": mark.done}
    document = Document(kind="mark", id=MARK, body=body, version=mark.version)
    saved = house.records.replace(access, document) if mark.version else house.records.create(access, document)
    return replace(mark, version=saved.version)


@dataclass(slots=True)
class _Tick:
    """One attempt at a tick.

    Args:
        mark: where it begins, and its number (`begun`).
        upto: the mark behind its hits.
        done: what to count in.
    """

    house: Installation
    access: Access
    mark: _Mark
    upto: str
    done: Evaluation

    @property
    def number(self) -> int:
        """Number of the attempt."""
        return self.mark.begun

    def fold(self, hits: list[Hit]) -> None:
        """Fold new hits into their alerts; what is suppressed raises none and counts for none."""
        hits = [hit for hit in hits if hit.suppressed_by is None]
        book = rulebook.Rulebook(self.house, self.access)
        by_alert: dict[str, list[Hit]] = {}
        for hit in hits:
            if hit.alert_id:
                by_alert.setdefault(hit.alert_id, []).append(hit)
        for fresh in by_alert.values():
            card = book.card(fresh[-1])
            self._fold(card, of_rule(card, fresh), None)
        reader = HitReader(self.house.log, self.access, self.upto)
        for correlation in book.correlations(hits):
            for touched in reader.touched(correlation, hits) if correlation.generates else ():
                for draft in self._correlated(correlation, reader, touched):
                    self._fold(card_of(correlation), draft, correlation)

    def _correlated(self, correlation: CorrelationRule, reader: HitReader, touched: Touched) -> list[Draft]:
        group, first, last = touched
        since, until = touched_range((first, last), correlation.timespan, correlation.group_window)
        # Moments before the first touched window would look back over hits that were not read.
        begin = window_start(first, correlation.group_window)
        before = self._goes_on(correlation, group, first, until)
        if before is not None:
            since, begin = lookback(first, correlation.timespan), first
        hits = reader.hits(correlation, group, since, until)
        satisfied = [moment for moment in moments(correlation, hits) if moment.at >= begin]
        return of_correlation(correlation, group, satisfied, hits, before=before)

    def _goes_on(
        self, correlation: CorrelationRule, group: dict[str, Value], first: datetime, until: datetime
    ) -> AlertContent | None:
        """Return what to go on from where all new hits are later than all that an alert has; else None.

        The ordinary course of a flood: what was counted stays, and only the last `timespan` before the new hits is
        read again, not the whole window with every tick.
        """
        start = window_start(first, correlation.group_window)
        later = start + correlation.group_window
        # What an inner correlation found may be earlier than what is new: then nothing of it can be gone on from.
        if not correlation.is_monotone or correlation.inner or until > later + correlation.group_window:
            return None
        if until > later and self._alert(alert_id(correlation.id, group, later)) is not None:
            return None
        alert = self._alert(alert_id(correlation.id, group, start))
        if alert is None or alert.rule_digest != correlation.digest or alert.tick > self.mark.done:
            return None
        return alert.content if alert.content.last < first else None

    def _alert(self, identity: str) -> Alert | None:
        document = self.house.records.get(self.access, alerts.KIND, identity)
        return alerts.to_alert(document) if document else None

    def _fold(self, card: RuleCard, draft: Draft, correlation: CorrelationRule | None) -> None:
        """Raise the alert of a draft, or bring it up to date; an operator who acts meanwhile is not overrun.

        Raises:
            ConflictError: a later attempt was here already.
        """
        now, by, names = self.house.clock.now(), self.access.principal.id, self.house.class_names
        for _ in range(_ATTEMPTS):
            document = self.house.records.get(self.access, alerts.KIND, draft.id)
            try:
                if document is None:
                    alert = raised(card, draft, tick=self.number, at=now, by=by, names=names)
                    self.house.records.create(self.access, alerts.to_document(alert))
                    self.done.new += 1
                    return
                before = alerts.to_alert(document)
                if before.tick > self.number:
                    break
                content = self._content(before, card, draft, correlation)
                after = updated(before, card, content, tick=self.number, at=now, by=by, names=names)
                if after is not before:
                    self.house.records.replace(self.access, alerts.to_document(after, document.version))
                    self.done.revised += 1
            except ConflictError:
                continue  # an operator acted between reading and writing: fold into what they left
            return
        raise ConflictError("others change the alerts at the same moment", hint="the next tick tries again")

    def _content(
        self, before: Alert, card: RuleCard, draft: Draft, correlation: CorrelationRule | None
    ) -> AlertContent:
        if correlation is None:
            return self._summed(before, card, draft)
        if correlation.digest == before.rule_digest and correlation.is_monotone:
            return kept(before.content, draft.content)
        return draft.content

    def _summed(self, before: Alert, card: RuleCard, draft: Draft) -> AlertContent:
        if before.tick <= self.mark.done:
            return merged(before.content, draft.content)
        hits = self.house.log.hits(self.access, HitQuery(alert_id=before.id, upto=self.upto, suppressed=False))
        first = next(hits, None)
        if first is None:
            return before.content
        return kept(before.content, of_rule(card, chain([first], hits)).content)
