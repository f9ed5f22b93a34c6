"""Alerts of baselines: what was found becomes an alert, and one that proves to be ordinary is withdrawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from secmon.app.alert_heads import Change, bring
from secmon.app.installation import Installation
from secmon.model.access import Access
from secmon.model.alert import Alert, AlertContent, UnitShare
from secmon.model.calendar import DAY_CLASS_ZH, HOURS_ZH, Slot, Span
from secmon.model.event import Value
from secmon.model.hit import Hit
from secmon.model.ids import alert_id
from secmon.sigma.deviation import Verdict
from secmon.sigma.rule import CorrelationRule
from secmon.triage.card import card_of
from secmon.triage.content import COUNT, Draft, of_rule
from secmon.triage.lifecycle import raised, updated, withdrawn

_SHOWN = 7


@dataclass(slots=True)
class Unusual:
    """Keeps the alerts of one rule.

    Args:
        house: the installation.
        access: who works.
        rule: the rule.
    """

    house: Installation
    access: Access
    rule: CorrelationRule
    new: int = 0
    revised: int = 0

    def of_windows(
        self,
        values: dict[str, Value],
        start: datetime,
        found: Sequence[Verdict],
        hits: Iterable[Hit],
        shares: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Keep the alert of a grouping window.

        Args:
            values: the group.
            start: start of the grouping window.
            found: all unusual windows in it, in order; empty if there are none.
            hits: what was counted in them, in any order.
            shares: units and assets of the group, for windows without any hit.
        """
        if not found:
            self._withdraw(values, start)
            return
        most = max(found, key=lambda verdict: (abs(verdict.deviation), verdict.window.start))
        captured = self._told(most)
        content = self._content(hits, found[0].window, found[-1].window, shares)
        content = replace(content, count=len(found), captured={**content.captured, **captured})
        self._fold(Draft(alert_id(self.rule.id, values, start), values, start, content))

    def of_values(self, values: dict[str, Value], start: datetime, count: int, hits: Sequence[Hit]) -> None:
        """Keep the alert of new values: `hits` are those that brought them, `count` the most within the timespan."""
        if not hits:
            self._withdraw(values, start)
            return
        content = of_rule(card_of(self.rule), hits).content
        told = {"secmon.actual": count, "secmon.window": self._when(content.first), COUNT: count}
        content = replace(content, level=self.rule.level, captured={**content.captured, **told})
        self._fold(Draft(alert_id(self.rule.id, values, start), values, start, content))

    def _content(
        self, hits: Iterable[Hit], first: Span, last: Span, shares: Mapping[str, tuple[str, ...]]
    ) -> AlertContent:
        walk = iter(hits)
        head = next(walk, None)
        end = last.end - timedelta(microseconds=1)
        if head is not None:
            content = of_rule(card_of(self.rule), _chained(head, walk)).content
        else:
            nothing = {
                unit: UnitShare(count=0, first=first.start, last=end, earliest=(), asset_ids=assets)
                for unit, assets in shares.items()
            }
            content = AlertContent(
                count=0, first=first.start, last=end, level=self.rule.level, earliest=(), shares=nothing
            )
        return replace(content, first=first.start, last=end, level=self.rule.level)

    def _told(self, verdict: Verdict) -> dict[str, Value]:
        compared = "、".join(f"{self._clock(at):%m-%d} {count}" for at, count in verdict.compared[:_SHOWN])
        window = f"{self._when(verdict.window.start)}–{self._clock(verdict.window.end):%H:%M}"
        return {
            "secmon.actual": verdict.actual,
            "secmon.expected": _short(verdict.expected),
            "secmon.deviation": _short(verdict.deviation),
            "secmon.window": f"{window}（{_class(verdict.slot)}）",
            "secmon.compared": f"{DAY_CLASS_ZH[verdict.slot.day]}同一时段：{compared}",
            "secmon.calendar": self.house.calendar.digest,
            COUNT: verdict.actual,
        }

    def _clock(self, at: datetime) -> datetime:
        return at.astimezone(self.house.calendar.zone)

    def _when(self, at: datetime) -> str:
        return f"{self._clock(at):%Y-%m-%d %H:%M}"

    def _withdraw(self, values: dict[str, Value], start: datetime) -> None:
        """Take an alert back, if there is one under this very rule: late events made ordinary what it told."""
        now, by = self.house.clock.now(), self.access.principal.id

        def after(before: Alert | None) -> Alert | None:
            if before is None or before.withdrawn or before.rule_digest != self.rule.digest:
                return before
            return withdrawn(before, tick=0, at=now, by=by)

        self._bring(alert_id(self.rule.id, values, start), after)

    def _fold(self, draft: Draft) -> None:
        """Raise the alert of a draft, or bring it up to date."""
        card, now, by = card_of(self.rule), self.house.clock.now(), self.access.principal.id
        names = self.house.class_names

        def after(before: Alert | None) -> Alert:
            if before is None:
                return raised(card, draft, tick=0, at=now, by=by, names=names)
            return updated(before, card, draft.content, tick=0, at=now, by=by, names=names)

        self._bring(draft.id, after)

    def _bring(self, identity: str, change: Change) -> None:
        before, after = bring(self.house, self.access, identity, change)
        if after is not before:
            self.new += before is None
            self.revised += before is not None


def _class(slot: Slot) -> str:
    key = f"，重要时期：{slot.key_period}" if slot.key_period else ""
    return f"{DAY_CLASS_ZH[slot.day]}，{HOURS_ZH[slot.hours]}{key}"


def _chained(head: Hit, rest: Iterable[Hit]) -> Iterable[Hit]:
    yield head
    yield from rest


def _short(number: float) -> int | float:
    """Return a number as people read it: one digit behind the point, and none where it is whole."""
    rounded = round(number, 1)
    return int(rounded) if rounded.is_integer() else rounded
