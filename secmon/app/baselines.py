"""Baselines over stored hits: what new ones change, and which windows have ended and are judged now.

Scheduled by the ledger; the state is one document with the mark up to which hits were taken, and the moments up to
which windows were judged. Every step can be done again: counts are counted again, verdicts and alerts are functions of
them. So after an outage, or in another daemon, the same comes out as if nothing had happened.

What was out of sight (`app.outages`, maintenance) is no count: it is compared with nothing, and nothing is missing in
it. Where sight changes, by a backlog that is read or a silence that lasts too long, what rests on it is judged again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from secmon.app.installation import Installation
from secmon.app.ledger import Window
from secmon.app.novelty import Novelty
from secmon.app.outages import Outages, joined, read
from secmon.app.tallies import Group, Recounted, Tallies, is_counted
from secmon.app.unusual import Unusual
from secmon.model.access import Access
from secmon.model.calendar import DAY, Span
from secmon.model.event import format_time, parse_time
from secmon.model.hit import Hit
from secmon.model.ids import window_start
from secmon.model.record import Body, Document
from secmon.sigma.correlate import group_hits
from secmon.sigma.deviation import Counts, State, Verdict, judge
from secmon.sigma.rule import Baseline, CorrelationRule
from secmon.sigma.suppression import Suppression
from secmon.sigma.suppressor import hiding

TASK, LENGTH = "baselines", timedelta(minutes=10)
MARK, STATUS = "baselines", "baseline"
_OUTAGE = 3 * LENGTH
_OURS = ""
"""Under which key is remembered when this process took hits last."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far the work is.

    Args:
        place: mark of `EventLog.hits_since` behind the hits that were taken.
        judged: windows whose delay has passed by then were judged for what is there (spike).
        settled: the same for what is missing (drop, flatline).
        seen: when this was written last.
        resumed: when the work began again after a pause.
        version: of the document.
        sight: what was known of the sources when windows were judged last (`Outages.body`); None if nothing was.
    """

    place: str
    judged: datetime
    settled: datetime
    seen: datetime
    resumed: datetime
    version: int = 0
    sight: Body | None = None

    def head(self, baseline: Baseline) -> datetime:
        """Return how far windows of a baseline were judged."""
        return self.settled if baseline.is_of_absence else self.judged


def run(house: Installation, access: Access, window: Window) -> Body:
    """Take the hits that are new, and judge what has ended by the end of a window of the ledger.

    Raises:
        ConflictError: another daemon did so at the same moment; ask again.
    """
    if not house.ruleset.baselines:
        return {"rules": 0}
    try:
        return _run(house, access, window)
    except BaseException:
        house.remembered.clear()  # what it says was taken may not have been
        raise


def _run(house: Installation, access: Access, window: Window) -> Body:
    progress = _resumed(house, _read(house, access, window))
    outages = read(house, access, progress.sight)
    work = _Work(house, access, outages)
    progress = work.take_new(progress)
    work.judge_seen(progress)
    work.judge_due(progress, window.until)
    is_settled = all(
        house.clock.now() >= progress.resumed + rule.baseline.delay
        for rule in house.ruleset.baselines
        if rule.baseline is not None and rule.baseline.is_of_absence
    )
    settled = max(progress.settled, window.until) if is_settled else progress.settled
    judged = max(progress.judged, window.until)
    done = _save(house, access, replace(progress, judged=judged, settled=settled, sight=outages.body()))
    house.remembered.put(_OURS, (done.seen, done.seen))
    return work.told()


def run_status(house: Installation, access: Access, args: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Do `rules baselines`."""
    del args
    return status(house, access)


def status(house: Installation, access: Access) -> list[dict[str, Any]]:
    """Return a row for each baseline in force: how many groups it follows, and how many of them learn still."""
    rows = []
    for rule in house.ruleset.baselines:
        if rule.baseline is None:
            continue
        document = house.records.get(access, STATUS, rule.id)
        body = document.body if document else {}
        row = {"rule.id": rule.id, "rule.name": rule.name, "rule.title_zh": rule.title_zh, "type": rule.baseline.type}
        counts = {name: body.get(name) for name in ("groups", "learning", "hidden", "overflow", "at")}
        rows.append(row | {name: value for name, value in counts.items() if value is not None})
    return rows


@dataclass(slots=True)
class _Told:
    """What is to be shown of one rule."""

    groups: int | None = None
    learning: int | None = None
    hidden: int | None = None
    overflow: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Work:
    house: Installation
    access: Access
    outages: Outages
    alerts: dict[str, Unusual] = field(default_factory=dict)
    shown: dict[str, _Told] = field(default_factory=dict)

    def unusual(self, rule: CorrelationRule) -> Unusual:
        return self.alerts.setdefault(rule.id, Unusual(self.house, self.access, rule))

    def told(self) -> Body:
        """Keep what is shown of each rule; return what the ledger keeps."""
        for rule in self.house.ruleset.baselines:
            told = self.shown.get(rule.id)
            if told is not None:
                self._tell(rule, told)
        made = self.alerts.values()
        return {
            "rules": len(self.house.ruleset.baselines),
            "new": sum(each.new for each in made),
            "revised": sum(each.revised for each in made),
            "overflow": sum(len(told.overflow) for told in self.shown.values()),
        }

    def _tell(self, rule: CorrelationRule, told: _Told) -> None:
        document = self.house.records.get(self.access, STATUS, rule.id)
        body = dict(document.body) if document else {}
        more = {"groups": told.groups, "learning": told.learning, "hidden": told.hidden}
        more["overflow"] = len(told.overflow) or None
        new = body | {name: value for name, value in more.items() if value is not None}
        if new == body:
            return
        new["at"] = format_time(self.house.clock.now())
        if document is None:
            self.house.records.create(self.access, Document(kind=STATUS, id=rule.id, body=new))
        else:
            self.house.records.replace(self.access, replace(document, body=new))

    def take_new(self, progress: _Progress) -> _Progress:
        """Take all hits that were committed since the last time, page by page."""
        while True:
            with self.house.log.together(self.access):
                hits, place = self.house.log.hits_since(self.access, progress.place)
                if place == progress.place:
                    return progress
                self._take_all(hits, replace(progress, place=place))
            progress = _save(self.house, self.access, replace(progress, place=place))

    def _take_all(self, hits: Iterable[Hit], progress: _Progress) -> None:
        ours = [hit for hit in hits if hit.keys and is_counted(hit)]
        for rule in self.house.ruleset.baselines:
            if rule.baseline is not None:
                counted = (hit for hit in ours if rule.baseline.is_of_absence or hit.suppressed_by is None)
                for values, fresh in group_hits(rule, counted):
                    self._take(rule, rule.baseline, values, fresh, progress)

    def _take(
        self, rule: CorrelationRule, baseline: Baseline, values: Any, fresh: Sequence[Hit], progress: _Progress
    ) -> None:
        told = self.shown.setdefault(rule.id, _Told())
        if baseline.type == "new_value":
            novelty = Novelty(self.house, self.access, rule, baseline, progress.place, self.unusual(rule))
            novelty.take(values, fresh)
            if novelty.learning:
                told.learning = (told.learning or 0) + novelty.learning
            return
        tallies = Tallies(self.house, self.access, rule)
        recounted = tallies.recount(values, fresh, progress.place, self.outages.sources_of(fresh))
        if recounted.group is None:
            told.overflow.add(str(sorted(values.items())))
            return
        affected = self._affected(rule, baseline, recounted, progress.head(baseline))
        if affected:
            self._judge(rule, baseline, recounted.group, affected, progress)

    def _affected(self, rule: CorrelationRule, baseline: Baseline, changed: Recounted, head: datetime) -> list[Span]:
        """Return the windows, judged already, whose verdict may be another one now."""
        latest = head - baseline.delay
        found = self._resting_on(rule, baseline, changed.windows, latest)
        if changed.group is not None and changed.before is not None and changed.group.since < changed.before:
            until = min(latest, changed.before + baseline.lookback)
            every = self.house.calendar.windows(changed.group.since, until, rule.timespan)
            found |= {window.start: window for window in every}
        if changed.joined is not None and changed.joined < latest:
            every = self.house.calendar.windows(changed.joined, latest, rule.timespan)
            found |= {window.start: window for window in every}
        return [window for _, window in sorted(found.items())]

    def _resting_on(
        self, rule: CorrelationRule, baseline: Baseline, changed: Iterable[Span], latest: datetime
    ) -> dict[datetime, Span]:
        """Return the windows that ended until then and are compared with some windows, and these, by their start."""
        calendar, found = self.house.calendar, dict[datetime, Span]()
        for window in changed:
            day = calendar.day_of(window.start)
            for later in range(baseline.lookback.days + 1):
                other = calendar.same_time(window, rule.timespan, day + later * DAY)
                if other is not None and other.end <= latest:
                    found[other.start] = other
        return found

    def judge_seen(self, progress: _Progress) -> None:
        """Judge windows again that came into sight or fell out of it, and those that are compared with such."""
        for rule in self.house.ruleset.baselines if self.outages.changed else ():
            baseline = rule.baseline
            if baseline is None or baseline.type == "new_value":
                continue
            latest = progress.head(baseline) - baseline.delay
            by_source: dict[str, dict[datetime, Span]] = {}
            for source, changed in self.outages.changed.items():
                inside = (window for span in changed for window in self._meeting(rule, span, latest))
                by_source[source] = self._resting_on(rule, baseline, inside, latest)
            if not any(by_source.values()):
                continue
            for group in Tallies(self.house, self.access, rule).groups():
                found = {start: one for each in group.sources for start, one in by_source.get(each, {}).items()}
                windows = [window for start, window in sorted(found.items()) if start >= group.since]
                if windows:
                    self._judge(rule, baseline, group, windows, progress)

    def _meeting(self, rule: CorrelationRule, span: Span, latest: datetime) -> Iterator[Span]:
        """Yield the windows that ended until then and that a span meets."""
        last = self.house.calendar.window_of(span.end, rule.timespan)
        yield from self.house.calendar.windows(span.start, min(last.end, latest), rule.timespan)

    def judge_due(self, progress: _Progress, until: datetime) -> None:
        """Judge the windows that have ended, for every group that is known."""
        now = self.house.clock.now()
        for rule in self.house.ruleset.baselines:
            baseline = rule.baseline
            if baseline is None or baseline.type == "new_value":
                continue
            if baseline.is_of_absence and now < progress.resumed + baseline.delay:
                continue
            since = progress.head(baseline) - baseline.delay
            windows = list(self.house.calendar.windows(since, until - baseline.delay, rule.timespan))
            if windows:
                told = self.shown.setdefault(rule.id, _Told())
                told.groups, told.learning, told.hidden = 0, 0, 0
                for group in Tallies(self.house, self.access, rule).groups():
                    verdicts = self._judge(rule, baseline, group, windows, progress)
                    told.groups += 1
                    told.learning += any(each.state is State.LEARNING for each in verdicts)
                    told.hidden += any(each.state is State.HIDDEN for each in verdicts)

    def _judge(
        self, rule: CorrelationRule, baseline: Baseline, group: Group, windows: Sequence[Span], progress: _Progress
    ) -> list[Verdict]:
        """Judge windows of a group, and all others of the same alerts; keep these alerts."""
        calendar, width = self.house.calendar, rule.group_window
        starts = sorted({window_start(window.start, width) for window in windows})
        first, last = starts[0], starts[-1] + width
        tallies = Tallies(self.house, self.access, rule)
        around = Span(first - baseline.lookback - 2 * DAY, last + DAY)
        by_window = tallies.counts(group.key, around.start, around.end)
        counts = Counts(group.since, by_window, gaps(self.house, self.outages, rule, group, around))
        asked = {window.start for window in windows}
        latest = max(progress.head(baseline) - baseline.delay, *(window.end for window in windows))
        verdicts = []
        for start in starts:
            inside = calendar.windows(start, min(latest, start + width + DAY), rule.timespan)
            found = []
            for window in inside:
                if not start <= window.start < start + width:
                    continue
                verdict = judge(rule, baseline, calendar, counts, window)
                if verdict.state is State.FOUND:
                    found.append(verdict)
                if window.start in asked:
                    verdicts.append(verdict)
            hits = tallies.hits(group.key, [verdict.window for verdict in found], progress.place)
            self.unusual(rule).of_windows(group.values, start, found, hits, group.shares)
        return verdicts


def gaps(house: Installation, outages: Outages, rule: CorrelationRule, group: Group, within: Span) -> tuple[Span, ...]:
    """Return the times around windows of a group that were out of sight: outages of its sources, and maintenance."""

    def covered(one: Suppression) -> bool:
        units = frozenset().union(*({unit} | house.tree.subtree(unit) for unit in one.units))
        assets = {asset for some in group.shares.values() for asset in some}
        return (not one.units or not units.isdisjoint(group.shares)) and (
            not one.assets or not assets.isdisjoint(one.assets)
        )

    return tuple(joined([*outages.gaps(group.sources), *hiding(house.ruleset.suppressions, rule, covered, within)]))


def _read(house: Installation, access: Access, window: Window) -> _Progress:
    document = house.records.get(access, "mark", MARK)
    if document is None:
        now = house.clock.now()
        return _Progress("", window.since, window.since, now, now)
    body = document.body
    times = {name: parse_time(body[name]) for name in ("judged", "settled", "seen", "resumed")}
    return _Progress(place=str(body["mark"]), version=document.version, sight=body.get("sight"), **times)


def _resumed(house: Installation, progress: _Progress) -> _Progress:
    """Note that the work begins again after a pause: what is missing may only be waiting in its source."""
    ours = house.remembered.get(_OURS)
    if ours is None or ours[0] != progress.seen:
        house.remembered.clear()  # another daemon took hits meanwhile
    now = house.clock.now()
    return replace(progress, resumed=now) if now - progress.seen > _OUTAGE else progress


def _save(house: Installation, access: Access, progress: _Progress) -> _Progress:
    progress = replace(progress, seen=house.clock.now())
    times = {name: format_time(getattr(progress, name)) for name in ("judged", "settled", "seen", "resumed")}
    body: Body = {"mark": progress.place, **times}
    if progress.sight is not None:
        body["sight"] = progress.sight
    document = Document(kind="mark", id=MARK, body=body, version=progress.version)
    saved = house.records.replace(access, document) if progress.version else house.records.create(access, document)
    return replace(progress, version=saved.version)
