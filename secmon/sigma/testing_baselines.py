"""Tests of baselines: a history, what follows it, and how long one waits.

    history:                       # what is usual: series of events, each with its `repeat`
      - events: [{"@timestamp": 2026-09-07T01:00:00Z, …}]
        repeat: {count: 20, step: 1d}
    events: []                     # what follows; may be nothing at all
    until: 2026-09-28T02:00:00Z    # windows that end by then are judged; default: the one of the last event
    calendar: {holidays: […]}      # as in the calendar file; default: every weekday is a school day

Windows are asked that end after the history and not after `until`; so are new values that come after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

from secmon.errors import ContentError
from secmon.model.calendar import Calendar
from secmon.model.calendar_file import read_calendar
from secmon.model.event import Event, parse_time
from secmon.model.hit import Hit
from secmon.sigma.correlate import group_hits
from secmon.sigma.deviation import State, counts_of, judge
from secmon.sigma.documents import YamlDocument
from secmon.sigma.novelty import news, satisfied
from secmon.sigma.rule import Baseline, CorrelationRule

# The time zone of China: what tests say of hours, they say by its clocks.
ZONE = timezone(timedelta(hours=8))
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Frame:
    """Over what time a baseline is asked in a test.

    Args:
        since: the end of the history.
        until: the end of the last window; None: of the one of the last event.
        calendar: of the case.
    """

    since: datetime = _EARLIEST
    until: datetime | None = None
    calendar: Calendar = field(default_factory=lambda: Calendar(zone=ZONE))


def read_frame(document: YamlDocument, index: int, history: Sequence[Event]) -> Frame:
    """Read what a case says of its time.

    Raises:
        ContentError: it is wrong.
    """
    case = document.data["cases"][index]

    def where(*path: str | int) -> str:
        return f"{document.path}:{document.line_of('cases', index, *path)}"

    calendar = Calendar(zone=ZONE)
    if "calendar" in case:
        calendar, errors = read_calendar(case["calendar"], lambda *path: where("calendar", *path), ZONE)
        if errors:
            raise errors[0]
    try:
        until = parse_time(str(case["until"])) if "until" in case else None
        since = max((parse_time(str(event["@timestamp"])) for event in history), default=_EARLIEST)
    except (ValueError, OverflowError) as error:
        hint = "such as 2026-09-07T00:01:09Z"
        raise ContentError("`@timestamp` is no time with an offset", where=where("until"), hint=hint) from error
    return Frame(since, until, calendar)


def count_unusual(rule: CorrelationRule, baseline: Baseline, hits: Sequence[Hit], frame: Frame) -> int:
    """Return how often a baseline speaks in the time that a case asks about."""
    return sum(_found(rule, baseline, group, frame) for _, group in group_hits(rule, hits))


def _found(rule: CorrelationRule, baseline: Baseline, hits: list[Hit], frame: Frame) -> int:
    calendar = frame.calendar
    if baseline.type == "new_value":
        moments = satisfied(rule, news(rule, baseline, calendar, hits))
        return sum(new.at > frame.since for new, _ in moments)
    counts = counts_of(rule, calendar, hits)
    if counts is None:
        return 0
    until = frame.until or calendar.window_of(max(hit.at for hit in hits), rule.timespan).end
    windows = calendar.windows(max(frame.since, counts.since), until, rule.timespan)
    return sum(judge(rule, baseline, calendar, counts, window).state is State.FOUND for window in windows)
