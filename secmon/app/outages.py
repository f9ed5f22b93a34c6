"""When sources were out of sight: stretches of event time, longer than one may be silent, of which it sent nothing.

Read from the coverage ledger, row by row, and so the same whoever reads it, and when. A row tells of an hour of receipt
the earliest and the latest `@timestamp`: what lies between was delivered. A backlog that is read after an outage closes
the gap that the outage left; what a source lost stays a gap. Nothing is known of sources that nobody configured: no
time was agreed for them.

What comes after the latest event is not known yet. A source that is still within its agreed silence gets `PATIENCE`:
what lies further back counts as seen, although nothing came, and so its silence can be told at a time at which it never
is silent. When it has been silent for too long, all of that silence is a gap.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from secmon.app import checkpoints
from secmon.app.coverage_sheets import SHEET, documents, load_head
from secmon.app.installation import Installation
from secmon.model.access import Access
from secmon.model.calendar import Span
from secmon.model.coverage import WINDOW, to_body
from secmon.model.event import format_time, parse_time
from secmon.model.hit import Hit
from secmon.model.ids import stream_name, stream_of_id
from secmon.model.record import Body
from secmon.triage.correlated import Stretches

MAX_BACKLOG = timedelta(days=8)
"""A row whose events lie further apart holds one with a wrong stamp: nothing is known of what lies between."""
PATIENCE = timedelta(hours=1)
"""How long one waits for a source to be heard again behind a moment."""
KEPT = timedelta(days=400)
"""How long ago something was delivered that is remembered: twice what baselines look back on."""
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Outages:
    """What is known of when sources delivered. Build it with `read`.

    Args:
        house: the installation.
        access: whose job it is; the ledger belongs to no unit.
        sheet: number of the last sheet of the ledger that was read.
        delivered: source → the times of which it delivered, joined where it may be silent in between.
        changed: source → times that were out of sight at the reading before, or are now, and not both.
    """

    house: Installation
    access: Access
    sheet: int = 0
    delivered: dict[str, Stretches] = field(default_factory=dict)
    changed: dict[str, list[Span]] = field(default_factory=dict)
    _now: datetime = field(init=False)
    _ends: dict[str, datetime] = field(default_factory=dict)
    _streams: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._now = self.house.clock.now()

    def gaps(self, sources: Mapping[str, datetime]) -> list[Span]:
        """Return when any of some sources was out of sight, in order and disjoint; the last gap may have no end.

        Args:
            sources: each with the moment from which on it matters.
        """
        return joined(
            Span(max(gap.start, since), gap.end)
            for source, since in sources.items()
            for gap in self._gaps_of(source)
            if gap.end > since
        )

    def _gaps_of(self, source: str) -> Iterator[Span]:
        stretches = list(self.delivered.get(source, ()))
        for (_, last), (first, _) in pairwise(stretches):
            yield Span(last, first)
        if stretches:
            yield Span(self._end(source, stretches[-1][1]), _END)

    def _end(self, source: str, last: datetime) -> datetime:
        """Return until when a source counts as seen that was heard last at some time."""
        is_agreed = self._now - last <= self._reach(source)
        return max(last, self._now - PATIENCE) if is_agreed else last

    def sources_of(self, hits: Iterable[Hit]) -> dict[str, datetime]:
        """Return the configured sources that some hits came from, each with the time of its earliest one."""
        earliest: dict[str, datetime] = {}
        for hit in hits:
            stream = stream_of_id(hit.event_id)
            earliest[stream] = min(earliest.get(stream, hit.at), hit.at)
        if not earliest.keys() <= self._streams.keys():
            for one in checkpoints.load_all(self.house, self.access):  # the ledger has not entered it yet
                self._streams[stream_name(one.source, one.generation)] = one.source
            self._streams |= dict.fromkeys(earliest.keys() - self._streams.keys(), "")
        found: dict[str, datetime] = {}
        for stream, at in earliest.items():
            source = self._streams[stream]
            if source in self.house.sources:
                found[source] = min(found.get(source, at), at)
        return found

    def body(self) -> Body:
        """Return what is to be kept, as JSON."""
        since = self._now - KEPT
        delivered = {
            source: [[format_time(first), format_time(last)] for first, last in stretches if last >= since]
            for source, stretches in sorted(self.delivered.items())
        }
        ends = {
            source: format_time(self._end(source, stretches[-1][1]))
            for source, stretches in ((name, list(found)) for name, found in sorted(self.delivered.items()))
        }
        return {"sheet": self.sheet, "delivered": delivered, "reach": self._reaches(), "ends": ends}

    # Reading.

    def _reach(self, source: str) -> timedelta:
        return self.house.sources[source].silent_after

    def _reaches(self) -> dict[str, float]:
        return {source: one.silent_after.total_seconds() for source, one in sorted(self.house.sources.items())}

    def _restore(self, kept: Mapping[str, Any]) -> None:
        """Take up what was kept, if it was for the same sources and the same agreed silences."""
        if kept["reach"] != self._reaches():
            return
        self.sheet = int(kept["sheet"])
        for source, spans in kept["delivered"].items():
            for first, last in spans:
                self._add(source, parse_time(first), parse_time(last))
            if spans:
                self._ends[source] = parse_time(kept["ends"][source])

    def _compare(self, before: Mapping[str, list[tuple[datetime, datetime]]]) -> None:
        """Tell what changed since the reading that was taken up."""
        for source, end in self._ends.items():
            now = list(self.delivered[source])
            first, last = sorted((end, self._end(source, now[-1][1])))
            spans = [*difference(now, before[source]), *([Span(first, last)] if first < last else ())]
            if spans:
                self.changed[source] = joined(spans)

    def _bring_forward(self) -> None:
        for sheet in documents(self.house, self.access, SHEET, first=self.sheet + 1):
            for row in sheet["rows"]:
                self._take(row["source"], row, parse_time(row["to"]))
            self.sheet = int(sheet["number"])
        head = load_head(self.house, self.access)
        for hour, sources in sorted(head.open.items()) if head else ():
            for source, one in sources.items():
                self._take(source, to_body(one), parse_time(hour) + WINDOW)

    def _take(self, source: str, row: Body, until: datetime) -> None:
        """Take a row, or what shall become one: what was received of a source before a moment."""
        for part in row["parts"]:
            self._streams[stream_name(source, part["generation"])] = source
        if source not in self.house.sources or not row["first_event"]:
            return
        first, last = parse_time(row["first_event"]), min(parse_time(row["last_event"]), until)
        if first <= last:
            self._add(source, first if last - first <= MAX_BACKLOG else last, last)

    def _add(self, source: str, first: datetime, last: datetime) -> None:
        if source not in self.delivered:
            self.delivered[source] = Stretches(self._reach(source))
        self.delivered[source].add(first, last)


def read(house: Installation, access: Access, kept: Mapping[str, Any] | None = None) -> Outages:
    """Return what the ledger tells of the configured sources.

    Args:
        house: the installation.
        access: whose job it is.
        kept: what was kept of an earlier reading (`Outages.body`): then only what came since is read, and `changed`
            tells the difference.
    """
    found = Outages(house, access)
    if kept:
        found._restore(kept)  # noqa: SLF001  its own constructor
    before = {source: list(stretches) for source, stretches in found.delivered.items()}
    found._bring_forward()  # noqa: SLF001  likewise
    found._compare(before)  # noqa: SLF001  likewise
    return found


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return some spans in order, those that touch as one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def difference(now: list[tuple[datetime, datetime]], before: list[tuple[datetime, datetime]]) -> list[Span]:
    """Return what lies in the stretches of now and in none of before, which these contain."""
    firsts = [first for first, _ in now]
    found = []
    edges: dict[int, datetime] = {}
    for first, last in before:
        inside = bisect_left(firsts, first + timedelta.resolution) - 1
        start = edges.get(inside, now[inside][0])
        if start < first:
            found.append(Span(start, first))
        edges[inside] = last
    found += [Span(edges.get(number, first), last) for number, (first, last) in enumerate(now)]
    return [span for span in found if span.start < span.end]
