"""Settings after they were read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """One `[[sources]]` table."""

    name: str
    kind: str
    paths: tuple[str, ...] = ()
    zone: ZoneInfo | None = None
    asset: str = ""
    unit: str = ""
    silent_after: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked.

    Args:
        values: dotted key → value.
        origins: dotted key → "default", "file:line", "env" or "flag".
        sources: the sources, in order.
        mask: class → policy.
        shown: dotted key → the value as `config show` prints it.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    sources: tuple[SourceSettings, ...] = ()
    mask: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, object] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def state(self) -> Path:
        """The state folder."""
        path: Path = self.values["secmon.state"]
        return path
