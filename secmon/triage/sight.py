"""Alerts about the monitor's own sight: what it does not see, or sees wrongly, is an alert like any other.

Their facts come from the coverage ledger, not from events; so these rules have no condition, only a card. An alert is
again rule × group key × floored grouping window, so that every run, and every daemon, speaks of the same alert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from secmon.model.alert import Alert, AlertContent, AlertState, AlertStep, CloseReason, UnitShare
from secmon.model.event import Value, format_time
from secmon.model.hit import Level
from secmon.model.ids import alert_id, text_digest, window_start
from secmon.triage.card import RuleCard
from secmon.triage.content import MAX_SIGNATURES, MORE, Draft

KIND = "system"
"""`RuleCard.kind` of these rules."""
SOURCE = "secmon.source"
REASON = "secmon.reason"
RULE = "rule.id"
SUPPRESSION = "suppression.id"
UNTIL = "suppression.until"
_STANDING = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = 5
_DAY = timedelta(days=1)


def _card(identity: str, level: Level, names: tuple[str, str], reason: str, **more: object) -> RuleCard:
    name, title_zh = names
    digest = text_digest([identity, level.value, name, title_zh, reason])[:32]
    card = RuleCard(id=identity, digest=digest, kind=KIND, name=name, title_zh=title_zh, level=level, reason=reason)
    return replace(card, **more)  # type: ignore[arg-type]  # fields of the card


SILENT = _card(
    "a1962a99-2349-422e-a0a0-0b97b076c005",
    Level.MEDIUM,
    ("Log source went silent", "日志来源静默"),
    "来源 {secmon.source} 最近一次收到日志是 {secmon.received}，超过约定的 {secmon.limit}，没有新日志",
    controls=("L3-CES1-14",),
)
CLOCK_OFF = _card(
    "b54844a2-7b7b-477c-8c09-4304e7c7014e",
    Level.MEDIUM,
    ("Clock of a log source is off", "日志来源时钟不准"),
    "来源 {secmon.source} 的时钟{secmon.direction} {secmon.skew}，超过允许的 {secmon.limit}；日志先后与关联分析会出错",
    controls=("L3-CES1-13",),
    group_window=_DAY,
)
FIELD_NEVER_SENT = _card(
    "3f608af3-30c1-4c70-9280-f1cc78adc6c6",
    Level.LOW,
    ("Fields that rules need were never sent", "规则所需字段从未收到"),
    "来源 {secmon.source} 从未送来 {secmon.fields}，{count} 条规则因此永远不会命中：{secmon.rules}",
)
NEVER_FIRES = _card(
    "e69513ab-3c72-40d1-8573-d7310a951e57",
    Level.INFORMATIONAL,
    ("Rules that can never fire", "永远不会命中的规则"),
    "{count} 条规则永远不会命中（{secmon.why}）：{secmon.rules}",
)
KEYS_OVERFLOW = _card(
    "fe818911-1e8b-406e-8f88-6a721ecf6c32",
    Level.HIGH,
    ("Baseline has more groups than can be kept", "基线分析的分组过多"),
    "规则 {secmon.rule} 的分组超过上限，{count} 个分组没有计算",
    group_window=_DAY,
)
WINDOW_CUT = _card(
    "0b4f2a63-7a35-4d0e-9c8e-5b1f6f0c2d71",
    Level.HIGH,
    ("Correlation window held more events than are counted", "关联分析的时间窗过满"),
    "关联规则 {secmon.rule} 有 {count} 个时段的日志多于 {secmon.limit} 条，只计算了最近的；这些时段的告警计数是下限",
    group_window=_DAY,
)
EXCEPTION_ENDING = _card(
    "6a0d5c1e-93c7-4a42-8f6b-2a7de0b31f94",
    Level.LOW,
    ("Exception is about to expire", "例外即将到期"),
    "{secmon.kind}“{secmon.name}”（责任人 {secmon.owner}）将于 {secmon.until} 到期，到期后它标注的命中恢复告警",
)
EXCEPTION_ENDED = _card(
    "c2f7e8b4-1d56-4e0a-b9a3-84c61f5e7d20",
    Level.MEDIUM,
    ("Exception has expired", "例外已到期"),
    "{secmon.kind}“{secmon.name}”（责任人 {secmon.owner}）已于 {secmon.until} 到期，不再起作用：请续批或删去",
)
CARDS: Mapping[str, RuleCard] = {
    card.id: card
    for card in (
        SILENT,
        CLOCK_OFF,
        FIELD_NEVER_SENT,
        NEVER_FIRES,
        KEYS_OVERFLOW,
        WINDOW_CUT,
        EXCEPTION_ENDING,
        EXCEPTION_ENDED,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that the monitor does not see, as it is now.

    Args:
        card: its rule.
        group: the group key's values.
        first: when it began; for what is so as long as nothing is changed (`is_standing`), when it was noticed.
        last: until when it has been so.
        count: how often, or how many.
        captured: values of its reason sentence.
        signatures: what it is about; the same again is the same.
        unit: the unit whose viewers may see it, "" for the root only.
        is_standing: it has no beginning, and one alert for all time.
    """

    card: RuleCard
    group: Mapping[str, Value]
    first: datetime
    last: datetime
    count: int = 1
    captured: Mapping[str, Value] = field(default_factory=dict)
    signatures: tuple[str, ...] = ()
    unit: str = ""
    is_standing: bool = False

    @property
    def alert_id(self) -> str:
        """Id of its alert."""
        return alert_id(self.card.id, self.group, self.window_from)

    @property
    def window_from(self) -> datetime:
        """Start of its grouping window."""
        return _STANDING if self.is_standing else window_start(self.first, self.card.group_window)


def draft_of(fact: Fact, before: Alert | None) -> Draft:
    """Return the alert of a fact; what stands keeps its times as long as it is about the same."""
    first, last = fact.first, fact.last
    signatures = fact.signatures[:MAX_SIGNATURES] + ((MORE,) if len(fact.signatures) > MAX_SIGNATURES else ())
    if before is not None:
        old = before.content
        is_same = fact.is_standing and (old.signatures, old.count) == (signatures, fact.count)
        first, last = min(first, old.first), old.last if is_same else max(last, old.last)
    captured = {**fact.group, **fact.captured}
    share = UnitShare(count=fact.count, first=first, last=last, earliest=(), captured=captured)
    content = AlertContent(
        count=fact.count,
        first=first,
        last=last,
        level=fact.card.level,
        earliest=(),
        signatures=signatures,
        captured=captured,
        shares={fact.unit: share},
    )
    return Draft(fact.alert_id, dict(fact.group), fact.window_from, content)


def settled(alert: Alert, *, at: datetime, by: str, note: str) -> Alert:
    """Return an alert whose fact is no more: closed if nobody had it in hand, else with a note; once.

    Nobody judged it, so it is closed as 无法判定; whoever has it in hand decides.
    """
    last = alert.history[-1] if alert.history else None
    if alert.state is AlertState.CLOSED or (last is not None and last.action == "settle"):
        return alert
    closes = alert.state is AlertState.NEW
    step = AlertStep(
        at=at,
        by=by,
        action="settle",
        from_state=alert.state,
        to_state=AlertState.CLOSED if closes else alert.state,
        reason=CloseReason.UNKNOWN.value if closes else "",
        note=note,
        revision=alert.revision,
    )
    moved = replace(alert, history=(*alert.history, step))
    if not closes:
        return moved
    return replace(
        moved,
        state=AlertState.CLOSED,
        close_reason=CloseReason.UNKNOWN,
        closed_revision=alert.revision,
        closed_signatures=alert.content.signatures,
        closed_level=alert.content.level,
        continued_after_close=0,
    )


def silence(source: str, unit: str, since: datetime, *, now: datetime, shown: Mapping[str, Value]) -> Fact:
    """Return the fact of a source that has been silent since then; a moment more every day.

    Args:
        source: the source's id.
        unit: its unit.
        since: when its time was over.
        now: now.
        shown: `received` and `limit`, for people.
    """
    first = since
    days = max((now - first) // _DAY, 0)
    return Fact(
        card=SILENT,
        group={SOURCE: source},
        first=first,
        last=first + days * _DAY,
        count=days + 1,
        captured={f"secmon.{name}": value for name, value in shown.items()},
        unit=unit,
    )


def clock_off(source: str, unit: str, windows: Sequence[datetime], *, shown: Mapping[str, Value]) -> Fact:
    """Return the fact of a clock that was off in some windows of one day; `shown`: `direction`, `skew` and `limit`."""
    return Fact(
        card=CLOCK_OFF,
        group={SOURCE: source},
        first=windows[0],
        last=windows[-1],
        count=len(windows),
        captured={f"secmon.{name}": value for name, value in shown.items()},
        unit=unit,
    )


def never_sent(source: str, unit: str, rules: Mapping[str, str], fields: Sequence[str], *, now: datetime) -> Fact:
    """Return the fact of fields that a source never sent, with the rules (id → name) that need them."""
    return Fact(
        card=FIELD_NEVER_SENT,
        group={SOURCE: source},
        first=now,
        last=now,
        count=len(rules),
        captured={"secmon.fields": _few(sorted(fields)), "secmon.rules": _few(sorted(rules.values()))},
        signatures=tuple(sorted(text_digest([rule])[:16] for rule in rules)),
        unit=unit,
        is_standing=True,
    )


def never_fires(why: str, why_zh: str, rules: Mapping[str, str], *, now: datetime) -> Fact:
    """Return the fact of rules (id → name) that can never fire for one reason."""
    return Fact(
        card=NEVER_FIRES,
        group={REASON: why},
        first=now,
        last=now,
        count=len(rules),
        captured={"secmon.why": why_zh, "secmon.rules": _few(sorted(rules.values()))},
        signatures=tuple(sorted(text_digest([rule])[:16] for rule in rules)),
        is_standing=True,
    )


def keys_overflow(rule_id: str, name: str, keys: int, *, at: datetime) -> Fact:
    """Return the fact that a baseline had more groups than are kept; `keys` of them were not calculated."""
    return Fact(
        card=KEYS_OVERFLOW,
        group={RULE: rule_id},
        first=at,
        last=at,
        count=keys,
        captured={"secmon.rule": name},
        signatures=(text_digest([rule_id])[:16],),
    )


def window_cut(rule_id: str, name: str, windows: Sequence[datetime], *, limit: int) -> Fact:
    """Return the fact that a correlation counted only the latest events in some grouping windows of one day."""
    return Fact(
        card=WINDOW_CUT,
        group={RULE: rule_id},
        first=windows[0],
        last=windows[-1],
        count=len(windows),
        captured={"secmon.rule": name, "secmon.limit": limit},
        signatures=(text_digest([rule_id])[:16],),
    )


def exception_ends(identity: str, unit: str, until: datetime, *, now: datetime, shown: Mapping[str, Value]) -> Fact:
    """Return the fact of an exception that has expired, or is about to; another end is another fact.

    Args:
        identity: its id.
        unit: the unit it is for, "" where it is for several or any.
        until: its end.
        now: now.
        shown: `kind`, `name`, `owner` and `until`, for people.
    """
    group: dict[str, Value] = {SUPPRESSION: identity, UNTIL: format_time(until)}
    return Fact(
        card=EXCEPTION_ENDED if until <= now else EXCEPTION_ENDING,
        group=group,
        first=now,
        last=now,
        captured={f"secmon.{name}": value for name, value in shown.items()},
        signatures=(text_digest([identity, format_time(until)])[:16],),
        unit=unit,
        is_standing=True,
    )


def _few(names: Sequence[str]) -> str:
    shown = "、".join(names[:_NAMED])
    return f"{shown}等" if len(names) > _NAMED else shown
