"""Detection over files, without a store: records in, rows of hits out, correlations over the hits of the run.

`Station` works blocks of records and may run in any process; `Ledger` puts the rows of all blocks in the order of
their events. A row is printed as soon as nothing can come before it any more: from the first hit that counts
towards a correlation on, rows are held until the end, because a correlation may be satisfied at an earlier event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from secmon.model.event import Event, Frame, format_time
from secmon.model.hit import Hit, Level
from secmon.model.ids import event_id
from secmon.pipeline import Classifying, Lane, Matcher, parse_frames
from secmon.sigma.correlate import Moment, group_hits, moments, with_derived
from secmon.sigma.hits import make_hits
from secmon.sigma.rule import CorrelationRule, Rule, RuleSet
from secmon.sigma.suppressor import Suppressor

# A row names at most so many events of its window, the latest; `secmon.count` tells the number of all.
MAX_LISTED = 1000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands: its number in the run, its file ("" if not known) and record (0 likewise)."""

    order: int
    event_id: str
    timestamp: str
    path: str
    record: int


@dataclass(frozen=True, slots=True)
class Found:
    """One matched event of a block.

    Args:
        place: where it stands; `order` counts within the block.
        rule_ids: rules that make hits of their own, sorted.
        hits: hits that count towards correlations.
        suppressed: rule id → what suppresses its hit; such a hit is printed and counts for nothing.
    """

    place: Place
    rule_ids: tuple[str, ...]
    hits: tuple[Hit, ...]
    suppressed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Worked:
    """What became of a block of records.

    Args:
        events: number of its events.
        found: its matched events, in order.
        malformed: messages about its malformed records.
    """

    events: int
    found: tuple[Found, ...]
    malformed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Station:
    """Works blocks of records.

    Args:
        matcher: the engine, or the definition.
        ruleset: its rules.
        classifier: classifies and masks first, as ingest does; None leaves events as they are.
        now: what stamps without a year are read by.
        suppressor: says what suppresses hits; events of files are of no unit.
    """

    matcher: Matcher
    ruleset: RuleSet
    classifier: Classifying | None
    now: datetime
    suppressor: Suppressor | None = None

    def work(self, frames: Sequence[Frame], lane: Lane, prefix: bytes) -> Worked:
        """Parse records, and match their events."""
        parsed = parse_frames(frames, lane, now=self.now)
        events: list[Event] = []
        for event, frame, sub_index in parsed.events:
            event["event.id"] = event_id(prefix, frame.offset, sub_index).hex()
            events.append(event)
        if self.classifier is not None:
            events = [event for event, _ in self.classifier.classify_events(events)]
        found = []
        match = self.matcher.match
        for order, event in enumerate(events):
            rules = [rule for rule in match(event) if rule.generates or rule.keys]
            if rules:
                found.append(self._found(event, rules, order, parsed.events[order][1].number))
        return Worked(len(events), tuple(found), tuple(str(error) for _, _, error in parsed.malformed))

    def _found(self, event: Event, rules: Sequence[Rule], order: int, record: int) -> Found:
        hits, suppressed = hits_of(self.ruleset, self.suppressor, event, rules)
        stamp, path = str(event["@timestamp"]), str(event.get("log.file.path", ""))
        place = Place(order, str(event["event.id"]), stamp, path, record)
        return Found(place, tuple(rule.id for rule in rules if rule.generates), tuple(hits), suppressed)


def hits_of(
    ruleset: RuleSet, suppressor: Suppressor | None, event: Event, rules: Sequence[Rule]
) -> tuple[list[Hit], dict[str, str]]:
    """Return the hits that count towards correlations, and what suppresses the others."""
    if suppressor is None:
        counted = [rule for rule in rules if rule.keys]
        return (make_hits(ruleset, event, counted) if counted else []), {}
    hits = suppressor.annotated(event, make_hits(ruleset, event, rules))
    suppressed = {hit.rule_id: hit.suppressed_by for hit in hits if hit.suppressed_by is not None}
    keyed = {rule.id for rule in rules if rule.keys}
    return [hit for hit in hits if hit.rule_id in keyed and hit.suppressed_by is None], suppressed


@dataclass(slots=True)
class Ledger:
    """Rows of a whole run, in order of events and then of rule id.

    Args:
        ruleset: the rules of the run.
        events: events so far.
        hits: rows so far.
        suppressor: says which moments of correlations are disabled.
        suppressed: rows so far that something suppresses; they are among the hits.
        highest: highest level of any row that nothing suppresses, None while there is none.
    """

    ruleset: RuleSet
    suppressor: Suppressor | None = None
    events: int = 0
    hits: int = 0
    suppressed: int = 0
    highest: Level | None = None
    _held: list[tuple[int, str, Row]] = field(default_factory=list)
    _base: list[Hit] = field(default_factory=list)
    _places: dict[str, Place] = field(default_factory=dict)

    def take(self, worked: Worked) -> Iterator[Row]:
        """Take the next block; yield the rows that can be printed now."""
        for found in worked.found:
            order = self.events + found.place.order
            self._base.extend(found.hits)
            if found.hits:
                self._places.setdefault(found.place.event_id, replace(found.place, order=order))
            for rule_id in found.rule_ids:
                row = self._event_row(self.ruleset.by_id[rule_id], found.place, found.suppressed.get(rule_id))
                if self._base:
                    self._held.append((order, rule_id, row))
                else:
                    yield row
        self.events += worked.events

    def close(self) -> Iterator[Row]:
        """Evaluate the correlations, and yield the rows that were held, theirs among them."""
        for correlation in self.ruleset.correlations:
            if not correlation.generates:
                continue
            for group, hits in group_hits(correlation, with_derived(correlation, self._base)):
                for moment in moments(correlation, hits):
                    place = self._places[moment.event_id]
                    row = self._correlation_row(correlation, group, moment, place)
                    self._held.append((place.order, correlation.id, row))
        self._held.sort(key=lambda entry: entry[:2])
        for _, _, row in self._held:
            yield row

    def _event_row(self, rule: Rule | CorrelationRule, place: Place, suppressed_by: str | None) -> Row:
        self.hits += 1
        if suppressed_by is not None:
            self.suppressed += 1
        elif self.highest is None or rule.level.rank > self.highest.rank:
            self.highest = rule.level
        row = event_row(rule, place)
        return row if suppressed_by is None else row | {"secmon.suppressed_by": suppressed_by}

    def _correlation_row(
        self, correlation: CorrelationRule, group: Mapping[str, Any], moment: Moment, place: Place
    ) -> Row:
        quiet = None if self.suppressor is None else self.suppressor.disabling(correlation.id, moment.at)
        return self._event_row(correlation, place, quiet) | correlation_parts(group, moment)


def event_row(rule: Rule | CorrelationRule, place: Place) -> Row:
    """Return a hit as `secmon detect` prints it (contracts); what is not known of its place is left out."""
    row: Row = {"@timestamp": place.timestamp} if place.timestamp else {}
    row |= {
        "event.id": place.event_id,
        "rule.id": rule.id,
        "rule.name": rule.name,
        "rule.level": rule.level.value,
        "rule.digest": rule.digest,
        "secmon.hit": "event",
    }
    if place.path:
        row["log.file.path"] = place.path
    return row | {"secmon.record": place.record} if place.record else row


def correlation_parts(group: Mapping[str, Any], moment: Moment) -> Row:
    """Return what the row of a correlation says beside that of its event."""
    return {
        "secmon.hit": "correlation",
        "secmon.events": list(moment.latest_ids(MAX_LISTED)),
        "secmon.group": dict(group),
        "secmon.window": {"from": format_time(moment.window_from), "to": format_time(moment.window_to)},
        "secmon.count": moment.count,
    }
