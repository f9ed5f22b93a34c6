"""One attempt at a tick: new hits folded into their alerts, touched correlation keys evaluated anew.

An alert says what the set of hits says. More hits of a single rule add to it. A correlation is evaluated over all hits
of its key that a new one can matter to, and its alert becomes what is found then: where late events take moments away
(a condition such as `lt`, `eq` or `not`, or a mean), the alert says less, and if nothing is left it is withdrawn and
stays as a record. What it said before is kept under its id and revision.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import chain

from secmon.app import alerts, retention, rulebook
from secmon.app.alert_heads import bring, in_between
from secmon.app.chains import HitReader, Touched, several
from secmon.app.installation import Installation
from secmon.app.paging import every
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.alert import Alert, AlertContent
from secmon.model.event import Value, format_time
from secmon.model.hit import Hit
from secmon.model.ids import alert_id, window_start
from secmon.model.questions import HitQuery
from secmon.model.record import Body, Document, RecordQuery
from secmon.sigma.rule import CorrelationRule
from secmon.sigma.sliding import counted, window_limit
from secmon.triage.card import RuleCard, card_of
from secmon.triage.content import Draft, merged, of_rule
from secmon.triage.correlated import Correlated, lookahead, lookback, touched_range
from secmon.triage.lifecycle import kept, raised, updated, withdrawn

OVERFLOW = "overflow"
OVERFLOW_SHOWN = timedelta(days=1)
"""For so long an overflow is shown as a state of the system."""
_PAGE = 500


@dataclass(slots=True)
class Evaluation:
    """What the ticks did."""

    hits: int = 0
    new: int = 0
    revised: int = 0
    withdrawn: int = 0


@dataclass(slots=True)
class Folding:
    """One attempt at a tick.

    Args:
        number: of the attempt.
        counted: number of the last attempt that counted.
        upto: the mark behind its hits.
        done: what to count in.
    """

    house: Installation
    access: Access
    number: int
    counted: int
    upto: str
    done: Evaluation
    _dropped: date | None = None
    _overflows: set[tuple[str, datetime]] = field(default_factory=set)

    def fold(self, hits: list[Hit]) -> None:
        """Fold new hits into their alerts; what is suppressed raises none and counts for none.

        Raises:
            ConflictError: a later attempt was here already.
        """
        hits = [hit for hit in hits if hit.suppressed_by is None]
        book = rulebook.Rulebook(self.house, self.access)
        self._dropped = retention.dropped_until(self.house, self.access)
        by_alert: dict[str, list[Hit]] = {}
        by_rule: dict[str, list[Hit]] = {}
        for hit in hits:
            if hit.alert_id:
                by_alert.setdefault(hit.alert_id, []).append(hit)
            if hit.keys:
                by_rule.setdefault(hit.rule_id, []).append(hit)
        for fresh in by_alert.values():
            card = book.card(fresh[-1])
            self._fold(card, of_rule(card, fresh), self._summed)
        reader = HitReader(self.house.log, self.access, self.upto, self._overflow)
        for rule in book.correlations(hits):
            if rule.generates and not rule.event_rule_ids.isdisjoint(by_rule):
                for some in several(reader.touched(rule, by_rule), rule):
                    ahead = reader.ahead(rule, [one for one in some if not self.house.standing.holds(rule, one.key)])
                    for touched in some:
                        self._correlate(rule, reader, touched, ahead.get(touched.key) if ahead else None)

    # Correlations.

    def _correlate(self, rule: CorrelationRule, reader: HitReader, touched: Touched, ahead: list[Hit] | None) -> None:
        """Bring the alerts of one key up to date with all hits that something new can matter to."""
        since, until = touched_range((touched.first, touched.last), rule.timespan, rule.group_window)
        # Moments before the first touched window would look back over hits that were not read.
        begin, before, stands = window_start(touched.first, rule.group_window), None, None
        found = self.house.standing.take(self.number, rule, touched.key, touched.first)
        if ahead is None:
            before, is_new = self._goes_on(rule, touched.group, touched.first)
            stands = found if before is not None or is_new else None
        if before is not None or stands is not None:
            since, begin = lookback(touched.first, rule.timespan), touched.first
        if stands is not None:
            since = lookahead(stands.held[-1].entry.at, timedelta.resolution)
        stored = reader.stored(touched.key, since, until) if ahead is None else _between(ahead, since, until)
        seen: set[datetime] = set()
        is_disabled = partial(self._is_disabled, rule)
        evaluation = Correlated(rule, touched.group, begin, before, is_disabled=is_disabled, sliding=stands)
        card = card_of(rule)
        for draft in evaluation.drafts(counted(rule, reader.hits(rule, _noted(stored, rule, seen)))):
            seen.discard(draft.window_from)
            self._fold(card, draft, self._correlated_under(rule))
        for start in evaluation.cut:
            self._overflow(rule, start)
        if ahead is None and rule.is_monotone and not rule.inner and evaluation.sliding is not None:
            self.house.standing.keep(self.number, rule, touched.key, evaluation.sliding)
        if before is None and stands is None and not (rule.is_monotone and not evaluation.cut):
            for start in sorted(seen):
                if start >= begin and not self._is_disabled(rule, start):
                    self._withdraw(rule, alert_id(rule.id, touched.group, start))

    def _is_disabled(self, rule: CorrelationRule, at: datetime) -> bool:
        suppressor = self.house.stages.suppressor
        return suppressor is not None and suppressor.disabling(rule.id, at) is not None

    def _goes_on(
        self, rule: CorrelationRule, group: dict[str, Value], first: datetime
    ) -> tuple[AlertContent | None, bool]:
        """Return what to go on from where all new hits are later than all that an alert has; and whether none is there.

        The ordinary course of a flood: what was counted stays, and only the last `timespan` before the new hits is
        needed again, not the whole grouping window with every tick. The windows behind it are evaluated as a whole.
        """
        start = window_start(first, rule.group_window)
        # What an inner correlation found may be earlier than what is new: then nothing of it can be gone on from.
        if not rule.is_monotone or rule.inner:
            return None, False
        alert = self._alert(alert_id(rule.id, group, start))
        if alert is None:
            return None, True
        if alert.rule_digest != rule.digest or alert.tick > self.counted:
            return None, False
        if alert.withdrawn or (alert.content.cut and rule.type != "event_count"):
            return None, False
        return (alert.content if alert.content.last < first else None), False

    def _alert(self, identity: str) -> Alert | None:
        document = self.house.records.get(self.access, alerts.KIND, identity)
        return alerts.to_alert(document) if document else None

    def _overflow(self, rule: CorrelationRule, at: datetime) -> None:
        """Write down, once a grouping window, that a window held more events than are counted."""
        start = window_start(at, rule.group_window)
        if (rule.id, start) in self._overflows:
            return
        self._overflows.add((rule.id, start))
        body = {
            "rule.id": rule.id,
            "rule.name": rule.name,
            "window.from": format_time(start),
            "limit": window_limit(rule),
            "at": format_time(self.house.clock.now()),
        }
        keys = {"rule": rule.id, "from": str(body["window.from"]), "at": str(body["at"])}
        with contextlib.suppress(ConflictError):  # it is known already
            document = Document(kind=OVERFLOW, id=f"{rule.id}:{body['window.from']}", body=body, keys=keys)
            self.house.records.create(self.access, document)

    # What the head of an alert becomes.

    def _summed(self, before: Alert, card: RuleCard, draft: Draft) -> AlertContent:
        """Return the content of a rule's alert with new hits."""
        if before.tick <= self.counted:
            return merged(before.content, draft.content)
        hits = self.house.log.hits(self.access, HitQuery(alert_id=before.id, upto=self.upto, suppressed=False))
        first = next(hits, None)
        if first is None:
            return before.content
        return kept(before.content, of_rule(card, chain([first], hits)).content)

    def _correlated_under(self, rule: CorrelationRule) -> Callable[[Alert, RuleCard, Draft], AlertContent]:
        def content(before: Alert, card: RuleCard, draft: Draft) -> AlertContent:
            del card
            if rule.digest != before.rule_digest or before.withdrawn:
                return draft.content
            # Events that are here can only add to it; what is missing was dropped by retention.
            only_adds = rule.is_monotone and not draft.content.cut
            return kept(before.content, draft.content) if only_adds or self._is_robbed(before) else draft.content

        return content

    def _is_robbed(self, alert: Alert) -> bool:
        """Whether retention may have dropped events of an alert: it says from then on no less than it said."""
        return self._dropped is not None and alert.history[0].at.date() <= self._dropped

    # Writing.

    def _fold(self, card: RuleCard, draft: Draft, content: Callable[[Alert, RuleCard, Draft], AlertContent]) -> None:
        """Raise the alert of a draft, or bring it up to date."""
        now, by, names = self.house.clock.now(), self.access.principal.id, self.house.class_names

        def after(before: Alert | None) -> Alert:
            self._require_last(before)
            if before is None:
                return raised(card, draft, tick=self.number, at=now, by=by, names=names)
            found = content(before, card, draft)
            return updated(before, card, found, tick=self.number, at=now, by=by, names=names)

        self._count(*bring(self.house, self.access, draft.id, after))

    def _withdraw(self, rule: CorrelationRule, identity: str) -> None:
        """Withdraw an alert none of whose moments is left, if there is one and nothing but late events is the cause."""
        now, by = self.house.clock.now(), self.access.principal.id

        def after(before: Alert | None) -> Alert | None:
            self._require_last(before)
            if before is None or before.withdrawn or before.rule_digest != rule.digest or self._is_robbed(before):
                return before
            return withdrawn(before, tick=self.number, at=now, by=by)

        self._count(*bring(self.house, self.access, identity, after))

    def _require_last(self, alert: Alert | None) -> None:
        """Give up where a later attempt was here already.

        Raises:
            ConflictError: it was.
        """
        if alert is not None and alert.tick > self.number:
            raise in_between()

    def _count(self, before: Alert | None, after: Alert | None) -> None:
        if after is None or after is before:
            return
        if before is None:
            self.done.new += 1
        elif after.withdrawn:
            self.done.withdrawn += 1
        else:
            self.done.revised += 1


def overflows(house: Installation, access: Access, since: datetime) -> list[str]:
    """Return the names of the correlations of which a window held more than is counted, told since a moment."""
    return sorted({str(body["rule.name"]) for body in overflowed(house, access, told=(since, None))})


def overflowed(
    house: Installation,
    access: Access,
    *,
    rule: str = "",
    told: tuple[datetime, datetime | None] | None = None,
    windows: tuple[datetime, datetime] | None = None,
) -> Iterator[Body]:
    """Yield what is written of windows that held more than is counted, in the order in which it was told.

    Args:
        house: the installation.
        access: who asks.
        rule: id of a correlation; "" for all.
        told: when it was noticed, half-open; None at its end for no end.
        windows: where the windows begin, half-open.
    """
    ranges: dict[str, tuple[str | None, str | None]] = {}
    if told is not None:
        ranges["at"] = (format_time(told[0]), format_time(told[1]) if told[1] else None)
    if windows is not None:
        ranges["from"] = (format_time(windows[0]), format_time(windows[1]))
    equals = {"rule": (rule,)} if rule else {}
    query = RecordQuery(kind=OVERFLOW, equals=equals, ranges=ranges, order="at", limit=_PAGE)
    yield from (document.body for document in every(house.records, access, query))


def _between(hits: Iterable[Hit], since: datetime, until: datetime) -> Iterable[Hit]:
    return (hit for hit in hits if since <= hit.at < until)


def _noted(hits: Iterable[Hit], rule: CorrelationRule, seen: set[datetime]) -> Iterable[Hit]:
    """Yield hits; put the grouping windows in which they lie into `seen`: no other can ever have had a moment."""
    end: datetime | None = None
    for hit in hits:
        if end is None or hit.at >= end:  # they are in order
            start = window_start(hit.at, rule.group_window)
            end = lookahead(start, rule.group_window)
            seen.add(start)
        yield hit
