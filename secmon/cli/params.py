"""Types of command-line values that several commands take: refused with exit status 2 before anything is read."""

from datetime import UTC, datetime, tzinfo
from typing import Any

import click

from secmon.model.event import parse_time
from secmon.model.hit import Level
from secmon.model.zone import zone_of

AUTO = "auto"
LEVELS = click.Choice([level.value for level in Level])
"""The levels of rules, hits and alerts."""


class ZoneType(click.ParamType[tzinfo]):
    """A time zone: an IANA name such as Asia/Shanghai, or an offset such as +08:00."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """Return the zone."""
        if isinstance(value, tzinfo):
            return value
        try:
            return zone_of(value)
        except ValueError as error:
            self.fail(f"{value!r} is {error}", param, ctx)


class TimeType(click.ParamType[datetime]):
    """An RFC 3339 time with its offset, such as 2026-09-07T08:00:00+08:00; it becomes aware UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write it as 2026-09-07T08:00:00+08:00", param, ctx)


class MomentType(click.ParamType[str]):
    """A time as people write it: "24h" or "7d" ago, a day, a time of the installation's zone, RFC 3339, or "all".

    It stays the text: what it means depends on the settings' zone (`app.search.time_from`).
    """

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        from secmon.app.search import time_from  # noqa: PLC0415  lazily: --help must stay fast
        from secmon.errors import QueryError  # noqa: PLC0415

        try:
            time_from(value, datetime.max.replace(tzinfo=UTC), UTC)
        except QueryError:
            self.fail(f"{value!r} is no time; write 24h, 7d, 2026-09-07 or 2026-09-07T08:00+08:00", param, ctx)
        return str(value)


class KindType(click.ParamType[str]):
    """The name of a kind of source.

    Args:
        auto: whether "auto" is taken too.
        native: whether "native" is taken too.
    """

    name = "kind"

    def __init__(self, *, auto: bool = False, native: bool = False) -> None:
        self._auto, self._native = auto, native

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        from secmon.parse.registry import KINDS, READ_ONCE  # noqa: PLC0415  lazily: --help must stay fast

        names = [*([AUTO] if self._auto else []), *(READ_ONCE if self._native else KINDS)]
        if value not in names:
            self.fail(f"{value!r} is no kind; take one of {', '.join(names)}", param, ctx)
        return str(value)
