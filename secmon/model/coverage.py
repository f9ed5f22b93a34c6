"""The coverage ledger: what was read of each source in each hour of receipt, and under which rules (design rule 9).

A row says what the committed batches of one source in one window say, so anybody who has the batches can write it
again. Rows are never changed: a batch that is committed after its window was closed gives a further row, which names
the digest of the one before it. Rows stand in sheets, numbered without a gap, each bound to the one before it by
SHA-256; once a day a seal binds the sheets since the last one by a signed Merkle root, and names the seal before it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

import msgspec
import orjson

from secmon.model.batch import BatchRow, Counts
from secmon.model.event import format_time, parse_time
from secmon.model.ids import window_start
from secmon.model.merkle import merkle_root
from secmon.model.record import Body

WINDOW = timedelta(hours=1)
GENESIS = "0" * 64
EVERY = "*"
"""Stands for the source of a rule that meets no event of any source."""


class CoverageState(StrEnum):
    """What became of a window."""

    EVALUATED = "evaluated"
    """Everything that came met the rules."""
    NO_DATA = "no_data"
    """secmon was looking, nothing came."""
    NOT_RUN = "not_run"
    """Nobody was looking, or the source could not be read, or the rule does not run; the reason says which."""
    RE_EVALUATED = "re_evaluated"
    """More was committed after the window had been closed; `previous` is the row as it stood before."""


class NotRun(StrEnum):
    """Why nothing was evaluated."""

    DOWN = "down"
    """No daemon ran in the whole window."""
    FAILING = "failing"
    """The source could not be read."""
    BROKEN = "broken"
    """The rule is wrong in itself."""
    UNROUTABLE = "unroutable"
    """No source of ours has such a log."""
    WAITING = "waiting"
    """The rule compares with threat intelligence, and there is none."""
    DISABLED = "disabled"
    """An override disables the rule in the whole window: its hits raise nothing."""
    OVERFLOW = "overflow"
    """Of a correlation that was evaluated: windows held more than is counted, so that it counted too little."""
    LATE_COMMIT = "late_commit"
    """Of a row that was written again: batches came after the window was closed."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """Consecutive batches of one stream in one partition.

    Args:
        generation: the stream's generation.
        day: day of the partition.
        retention: retention class of the partition.
        first: number of the first batch.
        last: number of the last batch.
        offset_from: where the first begins.
        offset_to: where the last ends.
    """

    generation: str
    day: date
    retention: str
    first: int
    last: int
    offset_from: int
    offset_to: int

    def follows(self, other: "Part") -> bool:
        """Tell whether it goes on where another one ends."""
        place, its = (self.generation, self.day, self.retention), (other.generation, other.day, other.retention)
        return place == its and self.first == other.last + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What some batches of one source brought: the same whatever their order.

    Args:
        batches: how many.
        counts: the account of their records.
        hits: their hits.
        by_rule: hits by rule id, sorted.
        parts: which batches, sorted.
        rulesets: digests of the rule sets that their events met, sorted.
        rulesets_since: each of these digests → when the first batch under it was received; none in rows of versions
            that did not note it.
        first_event: earliest `@timestamp`.
        last_event: latest `@timestamp`.
        skew_ms: least and greatest lag, in milliseconds, from the latest `@timestamp` of a batch to its receipt;
            negative where the sender's clock is ahead. None if no batch had events.
    """

    batches: int = 0
    counts: Counts = field(default_factory=Counts)
    hits: int = 0
    by_rule: Mapping[str, int] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    rulesets: tuple[str, ...] = ()
    rulesets_since: Mapping[str, datetime] = field(default_factory=dict)
    first_event: datetime | None = None
    last_event: datetime | None = None
    skew_ms: tuple[int, int] | None = None

    def plus(self, batch: BatchRow, by_rule: Mapping[str, int] = MappingProxyType({})) -> "Delivered":
        """Return what a batch more makes of it."""
        part = Part(
            batch.generation, batch.day, batch.retention, batch.number, batch.number, batch.offset_from, batch.offset_to
        )
        firsts = [moment for moment in (self.first_event, batch.first_event) if moment]
        lasts = [moment for moment in (self.last_event, batch.last_event) if moment]
        return Delivered(
            batches=self.batches + 1,
            counts=self.counts + batch.counts,
            hits=self.hits + batch.hits,
            by_rule=_summed(self.by_rule, by_rule),
            parts=_joined((*self.parts, part)),
            rulesets=tuple(sorted({*self.rulesets, batch.ruleset})),
            rulesets_since=_earlier(self.rulesets_since, batch),
            first_event=min(firsts, default=None),
            last_event=max(lasts, default=None),
            skew_ms=_spread(self.skew_ms, batch),
        )


def _summed(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


def _earlier(since: Mapping[str, datetime], batch: BatchRow) -> dict[str, datetime]:
    known = since.get(batch.ruleset, batch.received_at)
    return dict(sorted({**since, batch.ruleset: min(known, batch.received_at)}.items()))


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    joined: list[Part] = []
    for part in sorted(parts):
        if joined and part.follows(joined[-1]):
            joined[-1] = replace(joined[-1], last=part.last, offset_to=part.offset_to)
        else:
            joined.append(part)
    return tuple(joined)


def _spread(spread: tuple[int, int] | None, batch: BatchRow) -> tuple[int, int] | None:
    if batch.last_event is None:
        return spread
    lag = (batch.received_at - batch.last_event) // timedelta(milliseconds=1)
    return (lag, lag) if spread is None else (min(spread[0], lag), max(spread[1], lag))


def window_of(batch: BatchRow) -> datetime:
    """Return the start of the window that a batch belongs to."""
    return window_start(batch.received_at, WINDOW)


def to_body(value: Delivered) -> Body:
    """Return it as a JSON object."""
    body: Body = msgspec.to_builtins(value)
    return body


def to_delivered(body: Body) -> Delivered:
    """Return what a JSON object, or a row, holds."""
    return msgspec.convert(body, Delivered)


def row(
    source: str,
    window: tuple[datetime, datetime],
    state: CoverageState,
    delivered: Delivered,
    *,
    reason: str = "",
    unwatched_s: int = 0,
    previous: Body | None = None,
) -> Body:
    """Return a row with its digest.

    Args:
        source: the source's id.
        window: half-open.
        state: what became of it.
        delivered: what the batches say.
        reason: why it was not run, or written again.
        unwatched_s: for how much of it no daemon was looking.
        previous: the row that it goes on from.
    """
    body: Body = {
        "source": source,
        "from": format_time(window[0]),
        "to": format_time(window[1]),
        "state": state.value,
        "reason": reason,
        "revision": int(previous["revision"]) + 1 if previous else 1,
        "unwatched_s": unwatched_s,
        "previous": str(previous["digest"]) if previous else "",
        **to_body(delivered),
    }
    return body | {"digest": digest_of(body)}


def sheet(
    number: int, previous: str, rows: Iterable[Body], *, at: datetime, closed: datetime, ruleset: str, not_run: str
) -> Body:
    """Return a sheet with its digest.

    Args:
        number: one more than that of the sheet before it; the first is 1.
        previous: digest of the sheet before it, `GENESIS` for the first.
        rows: its rows.
        at: when it was written.
        closed: every window before this moment is closed.
        ruleset: digest of the rule set in force.
        not_run: digest of the list of rules that do not run (`not_run_list`).
    """
    body: Body = {
        "number": number,
        "previous": previous,
        "at": format_time(at),
        "closed": format_time(closed),
        "ruleset": ruleset,
        "not_run": not_run,
        "rows": list(rows),
    }
    return body | {"digest": digest_of(body)}


def seal(number: int, previous: str, day: date, sheets: Iterable[Body], *, at: datetime, public: str) -> Body:
    """Return a seal with its digest, to be signed.

    Args:
        number: one more than that of the seal before it.
        previous: digest of the seal before it, `GENESIS` for the first.
        day: the day (UTC) whose windows are closed with it.
        sheets: all sheets since the last seal, in order.
        at: when it was made.
        public: the public key that verifies it, hex.
    """
    found = list(sheets)
    body: Body = {
        "number": number,
        "previous": previous,
        "day": day.isoformat(),
        "first": found[0]["number"] if found else 0,
        "last": found[-1]["number"] if found else 0,
        "rows": sum(len(one["rows"]) for one in found),
        "root": root_of(found),
        "sheet": found[-1]["digest"] if found else "",
        "at": format_time(at),
        "public": public,
    }
    return body | {"digest": digest_of(body)}


def root_of(sheets: Iterable[Body]) -> str:
    """Return the Merkle root over the rows of some sheets; a sheet's own digest follows its rows."""
    leaves: list[bytes] = []
    for one in sheets:
        leaves += [str(each["digest"]).encode() for each in one["rows"]]
        leaves.append(str(one["digest"]).encode())
    return merkle_root(leaves)


def digest_of(body: Mapping[str, object]) -> str:
    """Return SHA-256 (64 hex) over the canonical JSON of a body without its digest and signature."""
    content = {key: value for key, value in body.items() if key not in {"digest", "signature"}}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def hours_of(body: Body) -> list[str]:
    """Return the starts of the hours that a row stands for: one, or several where nobody was looking."""
    since, until = parse_time(body["from"]), parse_time(body["to"])
    return [format_time(since + number * WINDOW) for number in range((until - since) // WINDOW)]
