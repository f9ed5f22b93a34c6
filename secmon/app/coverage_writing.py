"""Writing the coverage ledger: commits are entered into their windows, windows that are over are closed, days sealed.

Everything that a tick decides stands in one compare-and-swap of the head: how far it read, what it entered, what is to
be written. So each batch is entered once, however many daemons try, and whenever one of them dies or was frozen. Read
is what was committed since the last tick, never more: the cost is that of the new batches, not of the stored ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from secmon.app import leases, rulebook
from secmon.app.coverage_hits import hits_by_rule
from secmon.app.coverage_sheets import (
    NOT_RUN_LIST,
    SHEET,
    Head,
    SourceHead,
    documents,
    failing_elsewhere,
    latest_row,
    load_head,
    save_head,
    seal_entry,
    sheet_entry,
    write_pending,
)
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.batch import BatchRow
from secmon.model.coverage import (
    WINDOW,
    CoverageState,
    Delivered,
    NotRun,
    row,
    seal,
    sheet,
    to_delivered,
    window_of,
)
from secmon.model.event import format_time, parse_time
from secmon.model.ids import text_digest, window_start
from secmon.model.record import Body, Document
from secmon.sigma.omitted import omitted
from secmon.sigma.rule import RuleSet

GRACE = timedelta(minutes=2)
"""How long after its end a window is closed: what was received in it is committed by then, or comes as a new row."""
WATCH_GAP = timedelta(minutes=5)
"""Longer without a tick, and nobody was looking."""
MAX_COMMITS = 20_000
"""Most batches entered in one go."""
MAX_SHEETS = 48
"""Most sheets written in one go; the rest follow at once."""
_ATTEMPTS = 20


def bring_forward(house: Installation, access: Access, *, failing: Iterable[str] = ()) -> int:
    """Enter everything that is committed, close every window that is over; return how many documents were written.

    Args:
        house: the installation.
        access: whose job it is.
        failing: sources that cannot be read now.

    Raises:
        ConflictError: others keep getting in between; the next call goes on.
    """
    conflicts = 0
    written = 0
    while True:
        try:
            done, count = _tick(house, access, tuple(failing))
            written += count
            if done:
                return written
        except ConflictError:
            conflicts += 1
            if conflicts == _ATTEMPTS:
                raise


def _tick(house: Installation, access: Access, failing: tuple[str, ...]) -> tuple[bool, int]:
    """Go one step; tell whether nothing is left to do for now, and how many documents were written."""
    head = load_head(house, access) or Head()
    if head.pending:
        return False, write_pending(house, access, head)
    now, due = house.clock.now(), _expected(house, access)
    elsewhere = failing_elsewhere(house, access, now - WATCH_GAP) if house.is_shared else set()
    _note(head, now, {*failing, *elsewhere}, due)
    late, at_end = _enter(house, access, head)
    if head.closed is None and at_end:
        head.closed = min([window_start(now, WINDOW), *map(parse_time, head.open)])
    desk = _Desk(house, access, head, now, due)
    if late:
        desk.write_late(late)
    done = at_end and desk.close()
    save_head(house, access, head)
    return done, write_pending(house, access, head)


def _note(head: Head, now: datetime, failing: set[str], expected: Iterable[str]) -> None:
    """Note that somebody is looking, at which sources, and which of them cannot be read."""
    first, last = head.watched[-1] if head.watched else (now, now)
    if head.watched and first <= now <= last + WATCH_GAP:
        # Also where the clock of who took over is a little behind: no time counts as watched twice.
        head.watched[-1] = (first, max(last, now))
    else:
        head.watched.append((now, now))
    for source in expected:
        head.sources.setdefault(source, SourceHead(since=now))
    if failing:
        hour = format_time(window_start(now, WINDOW))
        head.failing[hour] = sorted({*head.failing.get(hour, ()), *failing})


def _expected(house: Installation, access: Access) -> set[str]:
    """Return the sources that are to deliver: ours, and those of all daemons that share the store."""
    found = set(house.sources)
    if house.is_shared:
        # Also of one that died: that nobody reads its sources any more is what has to be told.
        found.update(*(one.sources for one in leases.peers(house, access) if one.state != "stopped"))
    return found


def _enter(house: Installation, access: Access, head: Head) -> tuple[list[tuple[BatchRow, Mapping[str, int]]], bool]:
    """Enter what was committed into the windows that are open; return the rest, and whether that is all there is."""
    found = list(islice(house.log.commits(access, after=head.mark), MAX_COMMITS))
    batches = [batch for batch, _ in found]
    late = []
    for batch, by_rule in zip(batches, hits_by_rule(house, access, head.mark, batches), strict=True):
        known = head.sources.setdefault(batch.source, SourceHead(since=batch.received_at))
        known.received = max(known.received or batch.received_at, batch.received_at)
        window = window_of(batch)
        if head.closed is not None and window < head.closed:
            late.append((batch, by_rule))
            continue
        sources = head.open.setdefault(format_time(window), {})
        sources[batch.source] = sources.get(batch.source, Delivered()).plus(batch, by_rule)
    if found:
        head.mark = found[-1][1]
    return late, len(found) < MAX_COMMITS


def waiting_rules(ruleset: RuleSet) -> list[dict[str, str]]:
    """Return the rules that are in order and are tried on nothing, as the ledger lists what does not run."""
    left_out = omitted(ruleset, is_installed=True, classifies=True)
    rules = [(ruleset.by_id[identity], why) for identity, why in sorted(left_out.items())]
    return [
        {"rule.id": one.id, "rule.name": one.name, "state": NotRun.WAITING.value, "reason": why.value, "path": one.path}
        for one, why in rules
    ]


@dataclass(slots=True)
class _Desk:
    """Writes sheets and seals into `Head.pending`; `due` are the sources that are to deliver."""

    house: Installation
    access: Access
    head: Head
    now: datetime
    due: set[str]

    def write_late(self, late: Iterable[tuple[BatchRow, Mapping[str, int]]]) -> None:
        """Write the rows again whose windows were closed before these batches were committed."""
        self._prepare()
        windows: dict[tuple[str, str], list[tuple[BatchRow, Mapping[str, int]]]] = {}
        for batch, by_rule in late:
            windows.setdefault((format_time(window_of(batch)), batch.source), []).append((batch, by_rule))
        self._write([self._again(hour, source, found) for (hour, source), found in sorted(windows.items())])

    def _again(self, hour: str, source: str, late: list[tuple[BatchRow, Mapping[str, int]]]) -> Body:
        since = parse_time(hour)
        previous = latest_row(self.house, self.access, source, hour)
        delivered = to_delivered(previous) if previous else Delivered()
        for batch, by_rule in late:
            delivered = delivered.plus(batch, by_rule)
        state = CoverageState.RE_EVALUATED if previous else CoverageState.EVALUATED
        unwatched = int(previous["unwatched_s"]) if previous else 0
        return row(
            source,
            (since, since + WINDOW),
            state,
            delivered,
            reason=NotRun.LATE_COMMIT,
            unwatched_s=min(unwatched, int(WINDOW.total_seconds())),
            previous=previous,
        )

    def close(self) -> bool:
        """Close windows that are over; tell whether all of them are closed."""
        until = window_start(self.now - GRACE, WINDOW)
        closed = self.head.closed
        if closed is None or closed >= until:
            return True
        self._prepare()
        while closed < until and len(self.head.pending) < MAX_SHEETS:
            end = self._end(closed, until)
            self._close(closed, end)
            if end.date() > closed.date():
                self._seal(closed)
            closed = end
        return closed >= until

    def _prepare(self) -> None:
        """See that correlations met everything that is entered, and that the rules in force are kept."""
        evaluate(self.house, self.access)
        rulebook.keep(self.house, self.access)

    def _end(self, start: datetime, until: datetime) -> datetime:
        """Return the end of the next sheet: an hour; more, within its day, if nobody looked and nothing came."""
        end = start + WINDOW
        while self._is_idle(start) and end < until and end.date() == start.date() and self._is_idle(end):
            end += WINDOW
        return end

    def _is_idle(self, start: datetime) -> bool:
        return format_time(start) not in self.head.open and not self._looked(start, start + WINDOW)

    def _looked(self, since: datetime, until: datetime) -> bool:
        return any(first < until and last >= since for first, last in self.head.watched)

    def _close(self, since: datetime, until: datetime) -> None:
        hour = format_time(since)
        came = self.head.open.pop(hour, {})
        failing = self.head.failing.pop(hour, [])
        sources = sorted({*came, *self.due})
        self.head.closed = until
        self._write([self._row(name, (since, until), came.get(name), failing) for name in sources])
        later = [span for span in self.head.watched if span[1] >= until]
        self.head.watched = later or self.head.watched[-1:]

    def _row(self, source: str, window: tuple[datetime, datetime], came: Delivered | None, failing: list[str]) -> Body:
        unwatched = self._unwatched_s(*window)
        reason = NotRun.FAILING.value if source in failing else ""
        if came is not None:
            return row(source, window, CoverageState.EVALUATED, came, reason=reason, unwatched_s=unwatched)
        if not self._looked(*window):
            reason = NotRun.DOWN.value
        state = CoverageState.NOT_RUN if reason else CoverageState.NO_DATA
        return row(source, window, state, Delivered(), reason=reason, unwatched_s=unwatched)

    def _unwatched_s(self, since: datetime, until: datetime) -> int:
        spans = [(max(first, since), min(last, until)) for first, last in self.head.watched]
        watched = sum(((last - first) for first, last in spans if last > first), timedelta())
        missing = until - since - watched
        return 0 if missing <= WATCH_GAP else int(missing.total_seconds())

    def _write(self, rows: list[Body]) -> None:
        closed = self.head.closed or self.now
        body = sheet(
            self.head.number + 1,
            self.head.digest,
            rows,
            at=self.now,
            closed=closed,
            ruleset=self.house.ruleset.digest,
            not_run=self._not_run(),
        )
        self.head.number, self.head.digest = body["number"], body["digest"]
        self.head.pending.append(sheet_entry(body))

    def _not_run(self) -> str:
        """Keep the list of rules that do not run, by content; return its name, "" if all run."""
        rules = [
            {"rule.id": one.rule_id, "rule.name": one.name, "state": one.state, "reason": one.problem, "path": one.path}
            for one in self.house.ruleset.problems
        ] + waiting_rules(self.house.ruleset)
        if not rules:
            return ""
        identity = text_digest([text for rule in rules for text in rule.values()])
        self.house.records.create_all(self.access, [Document(kind=NOT_RUN_LIST, id=identity, body={"rules": rules})])
        return identity

    def _seal(self, moment: datetime) -> None:
        """Seal the day that ends with the window just closed."""
        signer, last = self.house.signer, self.head.seal
        if signer is None:
            return
        stored = documents(self.house, self.access, SHEET, first=last.last + 1)
        waiting = [body for kind, _, body, _ in self.head.pending if kind == SHEET and body["number"] > last.last]
        body = seal(last.number + 1, last.digest, moment.date(), [*stored, *waiting], at=self.now, public=signer.public)
        body["signature"] = signer.sign(str(body["digest"]).encode())
        last.number, last.digest, last.last = body["number"], body["digest"], body["last"]
        self.head.pending.append(seal_entry(body))
