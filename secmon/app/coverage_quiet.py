"""What was quiet while a window was evaluated: exceptions, disabled rules and maintenance windows, per rule.

A rule set is kept with everything that suppressed hits under it; so a window of last year still says with which
exceptions it was evaluated, though none of them is in force any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from secmon.app import rulebook
from secmon.app.installation import Installation
from secmon.model.access import Access
from secmon.model.coverage import NotRun
from secmon.model.event import parse_time
from secmon.model.record import Body
from secmon.model.zone import zone_of
from secmon.sigma.suppression import Weekly

Span = tuple[datetime, datetime]
"""First and last moment, both included."""


def span_of(row: Body) -> Span:
    """Return the time of a ledger row that suppressions are compared with: that of its events, else its window."""
    first, last = row["first_event"], row["last_event"]
    return parse_time(first or row["from"]), parse_time(last or row["to"])


@dataclass(slots=True)
class Quiet:
    """Says what suppressed hits of rules; each rule set is looked up once.

    Args:
        house: the installation.
        access: who asks.
    """

    house: Installation
    access: Access
    _kept: dict[str, list[Body]] = field(default_factory=dict)
    _lasting: dict[tuple[str, str, Span], list[Body]] = field(default_factory=dict)

    def during(self, digest: str, manifest: Body, row: Body) -> list[Body]:
        """Return what could suppress hits of a source under a rule set, in the time of a ledger row.

        Args:
            digest: of the rule set.
            manifest: the rule set as it is kept.
            row: the ledger's row.
        """
        key = (digest, str(row["source"]), span_of(row))
        if key not in self._lasting:
            if digest not in self._kept:
                self._kept[digest] = rulebook.kept_suppressions(self.house, self.access, manifest)
            self._lasting[key] = [
                one for one in self._kept[digest] if _meets(one, key[2]) and self._is_of(one, row["source"])
            ]
        return self._lasting[key]

    def _is_of(self, one: Body, source: str) -> bool:
        """Tell whether events of a source can be of the units of a suppression; of an unknown one they may be."""
        configured = self.house.sources.get(source)
        if not one["unit.id"] or configured is None:
            return True
        asset = self.house.register.assets.get(configured.asset)
        unit = configured.unit or (asset.unit if asset else "")
        subtree = self.house.tree.subtree
        return not unit or any(({unit} | subtree(unit)) & ({each} | subtree(each)) for each in one["unit.id"])


def for_rule(found: Sequence[Body], rule_id: str) -> list[Body]:
    """Return those of some suppressions that are for a rule."""
    return [one for one in found if not one["rule.id"] or rule_id in one["rule.id"]]


def disabled_reason(found: Sequence[Body], row: Body) -> str:
    """Return why a rule counts as not run in the whole time of a row: "disabled: OWNER, UNTIL"; "" if it ran."""
    first, last = span_of(row)
    for one in found:
        everywhere = one["suppression.kind"] == "disabled" and not one["unit.id"] and not one["asset.id"]
        if everywhere and _begins(one) <= first and last < _ends(one):
            return f"{NotRun.DISABLED.value}: {one['suppression.owner']}, {one['suppression.until']}"
    return ""


def _meets(one: Body, span: Span) -> bool:
    first, last = span
    if last < _begins(one) or first >= _ends(one):
        return False
    said: Any = one.get("suppression.weekly")
    if said is None:
        return True
    weekly = msgspec.convert(said, Weekly)
    zone = zone_of(weekly.zone)
    return zone is None or weekly.meets(first.astimezone(zone), last.astimezone(zone))


def _begins(one: Body) -> datetime:
    return parse_time(one["suppression.since"])


def _ends(one: Body) -> datetime:
    return parse_time(one["suppression.until"])
