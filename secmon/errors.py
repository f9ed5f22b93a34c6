"""Every exception secmon raises on purpose.

SecmonError
├── ConfigError                 settings are wrong; nothing was started
├── ContentError                a rule, classifier, playbook or framework file is wrong
├── ParseError                  one record breaks its own format
├── AccessError                 the asker may not do or see this
├── NotFoundError               no such object, or none within the asker's scope
├── ConflictError               the object was changed by somebody else meanwhile
├── QueryError                  a search cannot be read
└── StoreError                  the store refused the request
    ├── SearchStoppedError      a search ran out of time, or nobody waits for it; what it found is not all
    ├── StoreUnavailableError   it cannot be reached or written now; try again later
    │   └── SpoolFullError      nor is there room to put records by until it can
    └── PoisonError             it will never take some of the events; the others are waiting
"""

from collections.abc import Callable, Mapping
from typing import ClassVar


class SecmonError(Exception):
    """A failure somebody can act on.

    Its text reaches the console and our own logs, so it names places and fields, never a value out of a
    record: that may be a pupil's personal data. `problem` and `hint` are message templates, so that a surface
    can translate them before the values are filled in.

    Args:
        problem: what is wrong, on one line; may hold {named} places.
        where: "path:line", "path:record N" or "source:record N"; empty if there is no place.
        hint: what to do about it; empty if there is nothing to add.
        values: what fills the places of `problem` and `hint`; never a value from a record.
    """

    exit_status: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        hint: str = "",
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem, self.where, self.hint = problem, where, hint
        self.values: dict[str, object] = dict(values or {})

    def text(self, translate: Callable[[str], str] = str) -> str:
        """Return `PLACE: problem (remedy)`, both sentences passed through `translate` first."""
        advice = self.advice(translate)
        return self.statement(translate) + (f" ({advice})" if advice else "")

    def statement(self, translate: Callable[[str], str] = str) -> str:
        """Return `PLACE: problem`."""
        place = f"{self.where}: " if self.where else ""
        return place + _filled(translate(self.problem), self.values)

    def advice(self, translate: Callable[[str], str] = str) -> str:
        """Return the remedy, "" if there is none."""
        return _filled(translate(self.hint), self.values) if self.hint else ""

    def __str__(self) -> str:
        return self.text()


def _filled(template: str, values: Mapping[str, object]) -> str:
    return template.format_map(values) if values else template


class ConfigError(SecmonError):
    """The settings are wrong; nothing was started."""

    exit_status = 4


class ContentError(SecmonError):
    """A rule, classifier, playbook or framework file is wrong; the others go on without it."""

    exit_status = 4


class ParseError(SecmonError):
    """A record claims a format and breaks it; it goes to the dead letters."""

    exit_status = 5


class AccessError(SecmonError):
    """The asker may not do or see this."""


class NotFoundError(SecmonError):
    """No such object, or none within the asker's scope (the two are not told apart)."""


class ConflictError(SecmonError):
    """The object was changed by somebody else since it was read; read it again."""

    retryable = True


class QueryError(SecmonError):
    """A search cannot be read; `where` is "query:column"."""

    exit_status = 2


class StoreError(SecmonError):
    """The store refused the request."""


class SearchStoppedError(StoreError):
    """A search ran out of time, or nobody waits for its answer; what it found so far is not all there is."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached, locked or written now; the daemon waits and asks again."""

    exit_status = 4
    retryable = True


class SpoolFullError(StoreUnavailableError):
    """No room is left to put records by; sources wait, nothing is dropped."""


class PoisonError(StoreError):
    """The store will never take some events of a batch as they are; nothing of the batch counts.

    The ingest sets them aside as dead letters and commits the rest: poison never blocks what is behind it.

    Args:
        problem: as in `SecmonError`; likewise `where`, `hint` and `values`.
        event_ids: 32 hex digits each.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        hint: str = "",
        values: Mapping[str, object] | None = None,
        event_ids: tuple[str, ...] = (),
    ) -> None:
        super().__init__(problem, where=where, hint=hint, values=values)
        self.event_ids = event_ids
