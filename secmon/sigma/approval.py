"""The block `custom: {secmon: …}` of whatever quiets alerts: for whom, who answers, who agreed, why, how long.

Four eyes: who answers for an exception does not approve it. Nothing is for ever: it ends 366 days after it begins at
the latest, and one that says no beginning begins 366 days before its end.
"""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from secmon.model.zone import zone_of
from secmon.sigma.compile import RuleError
from secmon.sigma.documents import YamlDocument
from secmon.sigma.suppression import ANY_UNIT, MAX_SPAN

ANY = "any"
DEFAULT_ZONE = "Asia/Shanghai"
MAX_TEXT = 2_000
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The block; fields as in `Suppression`. `since` and `until` are None where it names no end."""

    owner: str
    approver: str
    reason: str
    units: tuple[str, ...] = ANY_UNIT
    assets: tuple[str, ...] = ()
    zone: str = DEFAULT_ZONE
    since: datetime | None = None
    until: datetime | None = None


def is_governed(document: YamlDocument) -> bool:
    """Tell whether a filter has the block: it is an exception then, and no filter that changes rules."""
    custom = document.data.get("custom")
    return isinstance(custom, dict) and "secmon" in custom


def read_approval(document: YamlDocument, *, mandatory: Collection[str], optional: Collection[str] = ()) -> Approval:
    """Read the block.

    Args:
        document: the whole document.
        mandatory: keys that have to be there, beside owner, approver and reason.
        optional: keys that may be there.

    Raises:
        RuleError: a key is missing, unknown or of the wrong kind, or the owner approved it themselves.
    """
    block = _Block(document)
    required = ("owner", "approver", "reason", *mandatory)
    for key in block.data:
        if key not in {*required, *optional}:
            hint = "known: " + ", ".join((*required, *optional))
            raise RuleError(f"unknown key custom.secmon.{key}", block.line(key), hint=hint)
    for key in required:
        if block.data.get(key) in (None, "", []):
            keys = ", ".join(required)
            raise RuleError(f"custom.secmon.{key} is missing", block.line(key), hint=f"mandatory: {keys}")
    owner, approver = block.text("owner"), block.text("approver")
    if _same_person(owner, approver):
        line, hint = block.line("approver"), "another person has to agree"
        raise RuleError("the owner has approved it themselves", line, hint=hint)
    zone = zone_in(document, block.data, "custom", "secmon")
    until = block.moment("expires", zone, ends=True) if "expires" in block.data else None
    return Approval(
        owner=owner,
        approver=approver,
        reason=block.text("reason"),
        units=block.names("units") if "units" in block.data else ANY_UNIT,
        assets=block.names("assets") if "assets" in block.data else (),
        zone=zone,
        since=_since(block, zone, until),
        until=until,
    )


def _since(block: "_Block", zone: str, until: datetime | None) -> datetime | None:
    if until is None:
        return None
    if "starts" not in block.data:
        return until - MAX_SPAN if until - _EARLIEST > MAX_SPAN else _EARLIEST
    since = block.moment("starts", zone, ends=False)
    if not since < until:
        raise RuleError("it ends before it begins", block.line("expires"))
    if until - since > MAX_SPAN:
        raise RuleError("it lasts longer than 366 days", block.line("expires"), hint="renew it when it ends")
    return since


@dataclass(frozen=True, slots=True)
class _Block:
    document: YamlDocument

    @property
    def data(self) -> Mapping[str, Any]:
        block = self.document.data.get("custom")
        found = block.get("secmon") if isinstance(block, dict) else None
        if not isinstance(found, dict):
            hint = "it says owner, approver and reason"
            raise RuleError("custom.secmon is missing", self.document.line_of("custom", "secmon"), hint=hint)
        return found

    def line(self, key: str) -> int:
        return self.document.line_of("custom", "secmon", key)

    def text(self, key: str) -> str:
        value = self.data[key]
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
            raise RuleError(f"custom.secmon.{key} is not a text", self.line(key))
        return value.strip()

    def names(self, key: str) -> tuple[str, ...]:
        """Return ids; the word `any` alone means no limit."""
        value = self.data[key]
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not values or not all(isinstance(each, str) and each for each in values):
            hint = "`any`, an id, or a list of ids"
            raise RuleError(f"custom.secmon.{key} is not a list of ids", self.line(key), hint=hint)
        if ANY in values and len(values) > 1:
            hint = "`any`, an id, or a list of ids"
            raise RuleError(f"custom.secmon.{key} names `any` and others", self.line(key), hint=hint)
        return () if values == [ANY] else tuple(dict.fromkeys(values))

    def moment(self, key: str, zone: str, *, ends: bool) -> datetime:
        try:
            return moment_of(self.data[key], zone, ends=ends)
        except (ValueError, OverflowError) as error:
            hint = "a day such as 2026-12-31, or a time such as 2026-12-31T18:00"
            raise RuleError(f"custom.secmon.{key} is no day or time", self.line(key), hint=hint) from error


def moment_of(value: object, zone: str, *, ends: bool) -> datetime:
    """Return the moment that a text means; a day that ends something counts whole.

    Raises:
        ValueError: it means none.
        OverflowError: it lies beyond the calendar.
    """
    text = str(value)
    if "T" in text or " " in text:
        moment = datetime.fromisoformat(text)
    else:
        moment = datetime.combine(date.fromisoformat(text) + timedelta(days=ends), time())
    return (moment.replace(tzinfo=zone_of(zone)) if moment.tzinfo is None else moment).astimezone(UTC)


def zone_in(document: YamlDocument, block: Mapping[str, Any], *path: str) -> str:
    """Return the zone that a block of a document names.

    Raises:
        RuleError: it names none that exists.
    """
    zone = block.get("zone", DEFAULT_ZONE)
    try:
        zone_of(str(zone))
    except ValueError as error:
        raise RuleError("the time zone is unknown", document.line_of(*path, "zone"), hint=str(error)) from error
    return str(zone)


def _same_person(one: str, other: str) -> bool:
    def plain(name: str) -> str:
        return "".join(unicodedata.normalize("NFKC", name).casefold().split())

    return plain(one) == plain(other)
