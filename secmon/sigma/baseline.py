"""The block `custom: {secmon: {baseline: …}}` of a correlation: what is unusual for this group, at this time.

Sigma has no word for it; docs/baselines.md is the specification of the block. The correlation that it stands in is
plain Sigma, and tells what is counted and the least (or most) that matters; the block tells what it is compared with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from secmon.model.calendar import DAY_CLASSES, HOURS
from secmon.sigma.compile import RuleError
from secmon.sigma.documents import YamlDocument
from secmon.sigma.rule import Baseline, BaselineType, CorrelationType, Threshold
from secmon.sigma.tree import Operator

DAY = timedelta(days=1)
MIN_WINDOW, MAX_LOOKBACK, MAX_DELAY = timedelta(minutes=10), timedelta(days=180), timedelta(days=2)
MAX_FACTOR = 1000
MAX_COMPARABLE = 180
_TYPES: Mapping[str, BaselineType] = {
    "new_value": "new_value",
    "spike": "spike",
    "drop": "drop",
    "flatline": "flatline",
}
_KEYS = ("type", "lookback", "learning", "comparable", "factor", "deviations", "delay", "days", "hours", "calendar")
_OF_COUNTS = frozenset({"comparable", "factor", "deviations", "delay", "calendar"})
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COUNTED = frozenset({"event_count", "value_count"})


def read_baseline(document: YamlDocument, correlation: CorrelationType) -> Baseline | None:
    """Read the block of a correlation of some type; None if there is none.

    Raises:
        RuleError: it is wrong, with the line.
    """
    custom = document.data.get("custom")
    block = custom.get("secmon") if isinstance(custom, dict) else None
    if not isinstance(block, dict) or "baseline" not in block:
        return None
    reader = _Reader(document, block["baseline"])
    if correlation not in _COUNTED:
        problem, hint = f"a baseline does not fit a {correlation} correlation", "use event_count or value_count"
        raise RuleError(problem, document.line_of("correlation", "type"), hint=hint)
    kind = _TYPES.get(str(reader.block.get("type")))
    if kind is None:
        raise RuleError("the baseline has no known type", reader.line("type"), hint="known: " + ", ".join(_TYPES))
    if kind == "new_value" and (strange := sorted(_OF_COUNTS & set(reader.block))):
        raise RuleError(f"a new_value baseline has no {strange[0]}", reader.line(strange[0]))
    lookback = reader.span("lookback", 28 * DAY)
    learning = reader.span("learning", min(7 * DAY, lookback))
    if not timedelta() < lookback <= MAX_LOOKBACK:
        raise RuleError("the look-back of a baseline is at most 180d", reader.line("lookback"))
    if learning > lookback:
        raise RuleError("a baseline learns no longer than it looks back", reader.line("learning"))
    delay = reader.span("delay", timedelta(minutes=15))
    if delay > MAX_DELAY:
        raise RuleError("the delay of a baseline is at most 2d", reader.line("delay"))
    return Baseline(
        type=kind,
        lookback=lookback,
        learning=learning,
        comparable=int(reader.number("comparable", 5, MAX_COMPARABLE)),
        factor=reader.number("factor", 2.0, MAX_FACTOR),
        deviations=reader.number("deviations", 3.5, MAX_FACTOR),
        delay=delay,
        days=reader.words("days", DAY_CLASSES),
        hours=reader.words("hours", HOURS),
        calendar=reader.flag("calendar", default=True),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    document: YamlDocument
    block: Any

    def __post_init__(self) -> None:
        if not isinstance(self.block, dict):
            raise RuleError("the baseline is not a mapping", self.line(), hint="known: " + ", ".join(_KEYS))
        for key in self.block:
            if key not in _KEYS:
                raise RuleError(f"unknown key {key} of the baseline", self.line(key), hint="known: " + ", ".join(_KEYS))

    def line(self, key: str = "") -> int:
        path = ("custom", "secmon", "baseline", key) if key else ("custom", "secmon", "baseline")
        return self.document.line_of(*path)

    def span(self, key: str, default: timedelta) -> timedelta:
        if key not in self.block:
            return default
        found = _SPAN.fullmatch(str(self.block[key]))
        if found is None:
            raise RuleError(
                f"{key} of the baseline is not a span of time", self.line(key), hint="such as 30m, 1h or 2d"
            )
        return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])

    def number(self, key: str, default: float, most: float) -> float:
        value = self.block.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= most:
            raise RuleError(f"{key} of the baseline is not a number from 1 to {most}", self.line(key))
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.block.get(key, default)
        if not isinstance(value, bool):
            raise RuleError(f"{key} of the baseline is not true or false", self.line(key))
        return value

    def words(self, key: str, known: Mapping[str, object]) -> tuple[str, ...]:
        value = self.block.get(key, [])
        named = value if isinstance(value, list) else [value]
        for word in named:
            if not isinstance(word, str) or word not in known:
                raise RuleError(
                    f"{key} of the baseline names what is not known", self.line(key), hint="known: " + ", ".join(known)
                )
        return tuple(sorted(set(named)))


def check_fit(
    document: YamlDocument, baseline: Baseline, kind: CorrelationType, threshold: Threshold, timespan: timedelta
) -> None:
    """Refuse a baseline that does not fit the correlation it stands in.

    Raises:
        RuleError: it does not, with the line.
    """
    line = document.line_of("correlation", "condition")
    if baseline.type == "new_value":
        if kind != "value_count" or not threshold.is_monotone:
            raise RuleError("a new_value baseline needs value_count with gt or gte", line, hint="such as {gte: 1}")
        if timespan > baseline.lookback:
            line = document.line_of("correlation", "timespan")
            raise RuleError("the timespan is longer than the look-back of the baseline", line)
        return
    if timespan < MIN_WINDOW or DAY % timespan:
        line, hint = (
            document.line_of("correlation", "timespan"),
            "10m, 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d",
        )
        raise RuleError("the timespan of a baseline divides a day", line, hint=hint)
    if baseline.lookback.days < baseline.comparable:
        line = document.line_of("custom", "secmon", "baseline", "lookback")
        raise RuleError("the look-back of a baseline has fewer days than it compares", line)
    if baseline.type == "spike" and not threshold.is_monotone:
        raise RuleError("a spike baseline needs the condition gt or gte", line, hint="the least count that matters")
    falls = threshold.operator in {Operator.LT, Operator.LTE} and threshold.also is None
    if baseline.type != "spike" and not falls:
        raise RuleError(f"a {baseline.type} baseline needs the condition lt or lte", line)
