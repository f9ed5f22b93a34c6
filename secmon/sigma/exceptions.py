"""Documents that quiet alerts: exceptions, overrides of rules, maintenance windows.

- An exception is a Sigma filter (specification 2.1) with the block `custom: {secmon: …}` (`approval.py`). It says the
  same as a plain filter, "what does not meet the condition is left out", but it annotates hits instead of changing
  rules. Any other Sigma engine reads it as a plain filter.
- `override` and `maintenance` have no word in Sigma; they are documents of our own, beside `correlation` and `filter`.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from secmon.sigma.approval import Approval, moment_of, read_approval, zone_in
from secmon.sigma.compile import CompiledRule, RuleError, Settings, digest_of
from secmon.sigma.documents import YamlDocument
from secmon.sigma.filters import read_filter, references_in
from secmon.sigma.suppression import ANY_RULE, MAX_SPAN, Part, Suppression, SuppressionKind, Weekly
from secmon.sigma.tree import Node

MAX_ID = 256
MAX_ONE_OFF = timedelta(days=31)
_WINDOW_KEYS = ("rules", "from", "to", "weekly", "since", "until", "zone")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NOT_THERE = "it is missing, broken, unroutable, a correlation, or of another log source"


def read_exception(document: YamlDocument, settings: Settings, rules: Mapping[str, CompiledRule]) -> Suppression:
    """Read an exception.

    Args:
        document: a filter with the block.
        settings: what rules are compiled with.
        rules: the rules over single events, by id.

    Raises:
        RuleError: it is wrong, or finds no rule.
    """
    approval = read_approval(document, mandatory=("units", "expires"), optional=("assets", "starts", "zone"))
    found = read_filter(document, settings)
    chosen = [each for each in rules.values() if found.is_for(each)]
    _require(document, "filter", found.rules, chosen)
    parts: dict[int, tuple[Node, list[str]]] = {}
    for each in chosen:
        node = found.node_for(each)
        parts.setdefault(id(node), (node, []))[1].append(each.rule.id)
    made = tuple(Part(tuple(sorted(ids)), node) for node, ids in parts.values())
    return _suppression(document, "exception", approval, sorted(made, key=lambda part: part.rule_ids))


def read_disabled(document: YamlDocument, approval: Approval, rule_ids: Sequence[str]) -> Suppression:
    """Return what an override that disables rules for a time makes of their hits.

    Raises:
        RuleError: it has no id.
    """
    return _suppression(document, "disabled", approval, [Part(tuple(sorted(rule_ids)))])


def read_maintenance(document: YamlDocument, rules: Mapping[str, CompiledRule]) -> Suppression:
    """Read a maintenance window.

    Raises:
        RuleError: it is wrong, finds no rule, or has no end.
    """
    block = document.data["maintenance"]
    if not isinstance(block, dict):
        raise RuleError("`maintenance` is not a mapping", document.line_of("maintenance"))
    for key in block:
        if key not in _WINDOW_KEYS:
            line, hint = document.line_of("maintenance", key), "known: " + ", ".join(_WINDOW_KEYS)
            raise RuleError(f"unknown key {key} of a maintenance window", line, hint=hint)
    approval = read_approval(document, mandatory=("units",), optional=("assets",))
    references = references_in(document, "maintenance")
    chosen = [each for each in rules.values() if each.rule.id in references or each.reference in references]
    if references:
        _require(document, "maintenance", references, chosen)
    since, until, weekly = _Hours(document, block).read()
    part = Part(tuple(sorted(each.rule.id for each in chosen)) if references else ANY_RULE)
    return _suppression(document, "maintenance", approval, [part], span=(since, until), weekly=weekly)


def identity_of(document: YamlDocument) -> str:
    """Return the id of a document; one without is named after its name or title.

    Raises:
        RuleError: it has none of them, or is longer than an id can be.
    """
    data = document.data
    identity = data.get("id")
    if identity is None and (named := data.get("name") or data.get("title")):
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"secmon:{named}"))
    if not isinstance(identity, str) or not identity or len(identity) > MAX_ID:
        raise RuleError("it has no id", document.line_of("id"), hint="a UUID, such as uuidgen prints")
    return identity


def _suppression(
    document: YamlDocument,
    kind: SuppressionKind,
    approval: Approval,
    parts: Iterable[Part],
    *,
    span: tuple[datetime, datetime] | None = None,
    weekly: Weekly | None = None,
) -> Suppression:
    identity, made = identity_of(document), tuple(parts)
    since, until = span or (approval.since, approval.until)
    if since is None or until is None:
        raise RuleError("it has no end", document.line_of("custom", "secmon"), hint="give expires")
    name = str(document.data.get("title") or identity)
    said = (approval.units, approval.assets, approval.owner, approval.approver, approval.reason)
    return Suppression(
        id=identity,
        kind=kind,
        name=name,
        path=document.path,
        line=document.line,
        digest=digest_of(kind, identity, name, said, since, until, weekly, made),
        units=approval.units,
        assets=approval.assets,
        owner=approval.owner,
        approver=approval.approver,
        reason=approval.reason,
        since=since,
        until=until,
        weekly=weekly,
        parts=made,
    )


def _require(document: YamlDocument, kind: str, references: Iterable[str], chosen: Iterable[CompiledRule]) -> None:
    names = {name for each in chosen for name in (each.rule.id, each.reference)}
    missing = [reference for reference in references if reference not in names]
    line = document.line_of(kind, "rules")
    if missing:
        raise RuleError(f"it finds no rule {missing[0]}", line, hint=_NOT_THERE)
    if not names:
        raise RuleError("it finds no rule", line, hint=_NOT_THERE)


class _Hours:
    """Reads when a maintenance window is."""

    def __init__(self, document: YamlDocument, block: Mapping[str, Any]) -> None:
        self._document, self._block = document, block
        self._zone = zone_in(document, block, "maintenance")

    def read(self) -> tuple[datetime, datetime, Weekly | None]:
        """Return its first moment, the first one behind it, and the hours if it recurs."""
        keys = ("weekly", "from", "to", "since", "until") if "weekly" in self._block else ("from", "to")
        for key in keys:
            if self._block.get(key) in (None, "", []):
                hint = "from and to, or weekly with from, to, since and until"
                raise RuleError(f"maintenance.{key} is missing", self._line(key), hint=hint)
        return self._recurring() if "weekly" in self._block else self._once()

    def _once(self) -> tuple[datetime, datetime, None]:
        since, until = self._moment("from", ends=False), self._moment("to", ends=True)
        self._check(since, until, MAX_ONE_OFF, "to")
        return since, until, None

    def _recurring(self) -> tuple[datetime, datetime, Weekly]:
        since, until = self._moment("since", ends=False), self._moment("until", ends=True)
        self._check(since, until, MAX_SPAN, "until")
        names = self._block["weekly"]
        named = [names] if isinstance(names, str) else names
        if not isinstance(named, list) or not all(str(each).lower() in _DAYS for each in named):
            line, hint = self._line("weekly"), "known: " + ", ".join(_DAYS)
            raise RuleError("maintenance.weekly is not a list of days", line, hint=hint)
        days = tuple(sorted({_DAYS.index(str(each).lower()) for each in named}))
        return since, until, Weekly(days, self._minute("from"), self._minute("to"), self._zone)

    def _check(self, since: datetime, until: datetime, most: timedelta, key: str) -> None:
        if not since < until:
            raise RuleError("it ends before it begins", self._line(key))
        if until - since > most:
            hint = "31 days at most; 366 days for one that recurs weekly"
            raise RuleError("the maintenance window lasts too long", self._line(key), hint=hint)

    def _moment(self, key: str, *, ends: bool) -> datetime:
        try:
            return moment_of(self._block[key], self._zone, ends=ends)
        except (ValueError, OverflowError) as error:
            hint = "a day such as 2026-12-31, or a time such as 2026-12-31T18:00"
            raise RuleError(f"maintenance.{key} is no day or time", self._line(key), hint=hint) from error

    def _minute(self, key: str) -> int:
        hour, colon, minute = str(self._block[key]).partition(":")
        if colon and hour.isdecimal() and minute.isdecimal() and len(hour) <= 2 and len(minute) == 2:  # noqa: PLR2004
            found = int(hour) * 60 + int(minute)
            if int(minute) < 60 and found <= 24 * 60:  # noqa: PLR2004  minutes of an hour, hours of a day
                return found
        raise RuleError(f"maintenance.{key} is no time of day", self._line(key), hint="such as 22:00")

    def _line(self, key: str) -> int:
        return self._document.line_of("maintenance", key)
