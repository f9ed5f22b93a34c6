"""What readers of threat intelligence share: the file in their hands, and single values as every format has them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from secmon.errors import ContentError
from secmon.model.indicator import Indicator, Kind, Tlp, indicator_value

MAX_BYTES = 64 << 20
MAX_INDICATORS = 500_000
MAX_PROBLEMS = 50
MAX_TEXT = 200
DEFAULT_CONFIDENCE = 50
MAX_CONFIDENCE = 100
_DAY_DIGITS = 8  # 20261122 is a day; as seconds it would be one of 1970, and the indicator long over


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One file, read.

    Args:
        path: the file.
        kind: "csv", "stix" or "misp".
        indicators: what it holds, in order.
        skipped: entries that are no indicators by their own word (context, revoked).
        problems: what could not be read, with its place; the first of them.
        omitted: how many more there are, and indicators beyond the most that are read.
    """

    path: str
    kind: str
    indicators: tuple[Indicator, ...] = ()
    skipped: int = 0
    problems: tuple[ContentError, ...] = ()
    omitted: int = 0

    @property
    def told(self) -> tuple[ContentError, ...]:
        """The problems, and how many more entries there are that do not count: nothing is left out in silence."""
        if not self.omitted:
            return self.problems
        hint = "too many indicators, or too many problems to be named: part the file"
        problem = "{count} more entries of the file are left out"
        return (*self.problems, ContentError(problem, where=self.path, hint=hint, values={"count": self.omitted}))


@dataclass(slots=True)
class Reading:
    """A file while it is read.

    Args:
        path: the file.
        written: when it was written: where an indicator names no time, it counts from then.
        ttl: how long an indicator counts that names no end.
    """

    path: str
    written: datetime
    ttl: timedelta
    indicators: list[Indicator] = field(default_factory=list)
    problems: list[ContentError] = field(default_factory=list)
    skipped: int = 0
    omitted: int = 0

    def refuse(self, problem: str, place: str, *, hint: str = "", **values: object) -> None:
        """Note a problem; no more than can be read."""
        if len(self.problems) < MAX_PROBLEMS:
            error = ContentError(problem, where=f"{self.path}:{place}", hint=hint, values=values)
            self.problems.append(error)
        else:
            self.omitted += 1

    def add(self, kind: Kind, text: str, place: str, **more: Any) -> None:
        """Add an indicator; `more` are fields of it as the file has them."""
        value = indicator_value(kind, text)
        if value is None:
            self.refuse("this is no value of the kind {kind}", place, kind=kind.value)
        elif len(self.indicators) >= MAX_INDICATORS:
            self.omitted += 1
        else:
            self.indicators.append(self._made(kind, value, more))

    def _made(self, kind: Kind, value: str, more: dict[str, Any]) -> Indicator:
        since, until = more.get("since"), more.get("until")
        if until is None:
            until = moved(more.get("stamp") or since or self.written, self.ttl)
        return Indicator(
            kind=kind,
            value=value,
            source=short(more.get("source")) or self.path.rpartition("/")[2],
            name=short(more.get("name")),
            confidence=confidence_of(more.get("confidence")),
            tlp=more.get("tlp", Tlp.UNMARKED),
            since=since,
            until=until,
        )

    def result(self, kind: str) -> Feed:
        """Return what was read."""
        return Feed(
            path=self.path,
            kind=kind,
            indicators=tuple(self.indicators),
            skipped=self.skipped,
            problems=tuple(self.problems),
            omitted=self.omitted,
        )


def short(value: object) -> str:
    """Return a text that people read: one line, not long; "" for anything else."""
    if not isinstance(value, str):
        return ""
    text = " ".join(value.encode("utf-8", "replace").decode().split())
    text = "".join(sign for sign in text if sign.isprintable())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def confidence_of(value: object) -> int:
    """Return a confidence of 0 to 100; 50 where none is told."""
    try:
        number = int(str(value))
    except ValueError:
        return DEFAULT_CONFIDENCE
    return min(max(number, 0), MAX_CONFIDENCE)


def time_of(value: object) -> datetime | None:
    """Return a time: RFC 3339, a day, or seconds since 1970; None if it is none."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        if text.isascii() and text.isdecimal() and len(text) > _DAY_DIGITS:
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def moved(moment: datetime, by: timedelta) -> datetime | None:
    """Return a moment moved by a span; None, for ever, where dates end."""
    try:
        return moment + by
    except OverflowError:
        return None


def objects_in(value: object) -> Iterator[dict[str, Any]]:
    """Yield the mappings in a list; nothing of anything else."""
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def restricted(feed: Feed, least: int) -> Feed:
    """Return a feed without the indicators of less confidence."""
    return replace(feed, indicators=tuple(each for each in feed.indicators if each.confidence >= least))
