"""Raising alerts about the monitor's own sight, and settling them when what they tell is no more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from secmon.app import alerts, audit, baselines, tuning
from secmon.app.alert_heads import bring
from secmon.app.coverage_sheets import Head, latest_rows, load_head
from secmon.app.fields_seen import blind_rules
from secmon.app.folding import OVERFLOW_SHOWN, overflowed
from secmon.app.installation import Installation, Source
from secmon.app.paging import every
from secmon.app.reached import kinds_here, without_source
from secmon.errors import ConflictError
from secmon.model.access import Access
from secmon.model.alert import Alert, AlertState
from secmon.model.coverage import WINDOW
from secmon.model.event import parse_time
from secmon.model.ids import window_start
from secmon.model.record import Body, RecordQuery
from secmon.triage.lifecycle import raised, updated
from secmon.triage.sight import (
    CARDS,
    CLOCK_OFF,
    EXCEPTION_ENDED,
    EXCEPTION_ENDING,
    FIELD_NEVER_SENT,
    KEYS_OVERFLOW,
    NEVER_FIRES,
    SILENT,
    SOURCE,
    WINDOW_CUT,
    Fact,
    clock_off,
    draft_of,
    exception_ends,
    keys_overflow,
    never_fires,
    never_sent,
    settled,
    silence,
    window_cut,
)

_PAGE = 200
_DAY = timedelta(days=1)
_MOMENT = timedelta(seconds=1)
"""What ends at midnight is shown as ending with the day before."""
_FEW_BATCHES = 3
"""So many batches of an hour have to agree before a clock counts as slow: a backlog is read in one or two."""


def watch(house: Installation, access: Access, *, thoroughly: bool = True) -> int:
    """Bring the alerts about our own sight up to date; return how many changed.

    Args:
        house: the installation.
        access: whose job it is.
        thoroughly: look at everything; else only for what cannot wait for an hour: silent sources, and windows that
            held more than is counted.

    Raises:
        ConflictError: others keep changing them.
    """
    head = load_head(house, access)
    if head is None:
        return 0
    look = _Look(house, access, head, house.clock.now())
    facts = [*look.silent(), *look.cut()]
    if thoroughly:
        facts += [*look.clocks(), *look.blind(), *look.idle(), *look.crowded(), *look.ending()]
    changed = sum(report(house, access, fact) for fact in facts)
    return changed + _settle(look, {fact.alert_id for fact in facts}, thoroughly=thoroughly)


def report(house: Installation, access: Access, fact: Fact) -> bool:
    """Raise the alert of a fact, or bring it up to date; tell whether it changed.

    Raises:
        ConflictError: others keep changing it.
    """
    now, by, names = house.clock.now(), access.principal.id, house.class_names

    def after(before: Alert | None) -> Alert:
        draft = draft_of(fact, before)
        if before is None:
            return raised(fact.card, draft, tick=0, at=now, by=by, names=names)
        return updated(before, fact.card, draft.content, tick=0, at=now, by=by, names=names)

    old, new = bring(house, access, fact.alert_id, after)
    return new is not old


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at everything that may be out of sight."""

    house: Installation
    access: Access
    head: Head
    now: datetime

    def silent(self) -> Iterator[Fact]:
        """Yield sources from which nothing came for longer than agreed, while we were looking."""
        since = self.head.watched[-1][0] if self.head.watched else self.now
        for name, source in sorted(self.house.sources.items()):
            known = self.head.sources.get(name)
            if known is None:
                continue
            last = known.received or known.since
            # After a start there is a backlog to be read first: nobody is silent before they had their time again.
            if self.now - max(last, since) > source.silent_after:
                shown = {"received": self._shown(known.received), "limit": _span(source.silent_after)}
                yield silence(name, self._unit(source), last + source.silent_after, now=self.now, shown=shown)

    def clocks(self) -> Iterator[Fact]:
        """Yield sources whose clock was off in the last closed hour, with all hours of that day in which it was."""
        closed = self.head.closed
        if closed is None:
            return
        last = closed - WINDOW
        found: dict[str, list[Body]] = {}
        rows = latest_rows(self.house, self.access, window_start(last, _DAY), closed)
        for (_, source), (row, _) in sorted(rows.items(), key=lambda entry: entry[0]):
            if source in self.house.sources and self._skew(row):
                found.setdefault(source, []).append(row)
        for source, off in found.items():
            if parse_time(off[-1]["from"]) == last:
                windows = [parse_time(row["from"]) for row in off]
                skew = self._skew(off[-1])
                direction, limit = "慢" if skew > timedelta() else "快", _span(self.house.max_skew)
                shown = {"direction": direction, "skew": _span(abs(skew)), "limit": limit}
                yield clock_off(source, self._unit(self.house.sources[source]), windows, shown=shown)

    def _skew(self, row: Body) -> timedelta:
        """Return by how much a clock was off in a window for sure, 0 if it was not.

        Fast: all batches bear times that had not come yet. Slow: all lag by about the same; what was only late, a
        backlog or a file that is written once an hour, lags by anything.
        """
        limit = self.house.max_skew
        if row["skew_ms"] is None:
            return timedelta()
        least, greatest = (timedelta(milliseconds=one) for one in row["skew_ms"])
        if greatest < -limit:
            return greatest
        is_steady = row["batches"] >= _FEW_BATCHES and greatest - least <= limit
        return least if least > limit and is_steady else timedelta()

    def blind(self) -> Iterator[Fact]:
        """Yield sources that never sent fields which rules over them need."""
        for source, found in blind_rules(self.house, self.access).items():
            rules = {rule.id: rule.title_zh or rule.name for rule, _ in found}
            fields = {name for _, missing in found for name in missing}
            unit = self._unit(self.house.sources[source])
            yield never_sent(source, unit, rules, sorted(fields), now=self.now)

    def idle(self) -> Iterator[Fact]:
        """Yield rules that can never fire: those without a route, and those that no source reaches."""
        ruleset = self.house.ruleset
        unroutable = {
            one.rule_id or f"{one.path}:{one.line}": one.name or one.path
            for one in ruleset.problems
            if one.state == "unroutable"
        }
        if unroutable:
            yield never_fires("unroutable", "没有对应的日志来源类型", unroutable, now=self.now)
        without = without_source(self.house, kinds_here(self.house, self.access, self.head))
        if without:
            idle = {rule.id: rule.title_zh or rule.name for rule in ruleset.by_id.values() if rule.id in without}
            yield never_fires("no_source", "没有接入这类日志", idle, now=self.now)

    def cut(self) -> Iterator[Fact]:
        """Yield correlations of which windows held more than is counted: all such windows of a day in one fact."""
        found: dict[tuple[str, datetime], Body] = {}
        for body in overflowed(self.house, self.access, told=(self.now - OVERFLOW_SHOWN, None)):
            found[(str(body["rule.id"]), window_start(parse_time(body["window.from"]), _DAY))] = body
        for (rule_id, day), body in sorted(found.items(), key=lambda entry: entry[0]):
            told = overflowed(self.house, self.access, rule=rule_id, windows=(day, day + _DAY))
            windows = sorted(parse_time(one["window.from"]) for one in told)
            yield window_cut(rule_id, self._named(rule_id, str(body["rule.name"])), windows, limit=body["limit"])

    def crowded(self) -> Iterator[Fact]:
        """Yield baselines that have more groups than are kept."""
        for row in baselines.status(self.house, self.access):
            if row.get("overflow"):
                name = self._named(row["rule.id"], row["rule.name"])
                yield keys_overflow(row["rule.id"], name, row["overflow"], at=parse_time(row["at"]))

    def ending(self) -> Iterator[Fact]:
        """Yield exceptions and disabled rules that have expired, or are about to."""
        for one in tuning.ending_ones(self.house.ruleset, self.now):
            unit = one.units[0] if len(one.units) == 1 else ""
            last = self._shown(one.until - _MOMENT)
            shown = {"kind": _ENDING_ZH[one.kind], "name": one.name, "owner": one.owner, "until": last}
            yield exception_ends(one.id, unit, one.until, now=self.now, shown=shown)

    def _named(self, rule_id: str, name: str) -> str:
        rule = self.house.ruleset.by_id.get(rule_id)
        return (rule.title_zh or rule.name) if rule is not None else name

    def is_over(self, alert: Alert) -> bool:
        """Tell whether a fact that was not found again is no more, rather than not looked at."""
        if alert.rule_id in {KEYS_OVERFLOW.id, WINDOW_CUT.id}:
            return False  # somebody has to look at it
        name = str(alert.group.get(SOURCE, ""))
        if alert.rule_id == SILENT.id:
            source, known = self.house.sources.get(name), self.head.sources.get(name)
            if source is None or known is None:
                return True
            return known.received is not None and known.received > alert.content.first - source.silent_after
        if alert.rule_id == CLOCK_OFF.id:
            return self._came_right(name, alert)
        return True

    def _came_right(self, source: str, alert: Alert) -> bool:
        closed = self.head.closed
        if closed is None or closed - WINDOW <= alert.content.last:
            return False
        rows = latest_rows(self.house, self.access, closed - WINDOW, closed).values()
        return any(row["source"] == source and row["skew_ms"] is not None and not self._skew(row) for row, _ in rows)

    def _unit(self, source: Source) -> str:
        asset = self.house.register.assets.get(source.asset)
        return source.unit or (asset.unit if asset else "")

    def _shown(self, moment: datetime | None) -> str:
        return moment.astimezone(self.house.zone).strftime("%Y-%m-%d %H:%M:%S") if moment else "（从未收到）"


def _settle(look: _Look, current: set[str], *, thoroughly: bool) -> int:
    """Settle alerts whose fact is no more; return how many."""
    house, access = look.house, look.access
    rules = tuple(CARDS) if thoroughly else (SILENT.id,)
    open_states = tuple(state.value for state in AlertState if state is not AlertState.CLOSED)
    query = RecordQuery(kind=alerts.KIND, equals={"rule": rules, "state": open_states}, limit=_PAGE)
    changed = 0
    for document in every(house.records, access, query):
        alert = alerts.to_alert(document)
        if alert.id in current or not look.is_over(alert):
            continue
        after = settled(alert, at=look.now, by=access.principal.id, note=_NOTES[alert.rule_id])
        if after is alert:
            continue
        try:
            house.records.replace(access, alerts.to_document(after, document.version))
        except ConflictError:
            continue  # somebody acted: the next look sees what they left
        audit.append(house, access, "alert.settle", alert.id, {"from": alert.state.value, "to": after.state.value})
        changed += 1
    return changed


_NOTES: Mapping[str, str] = {
    SILENT.id: "情况已解除：来源已恢复送日志",
    CLOCK_OFF.id: "情况已解除：时钟已恢复正常",
    FIELD_NEVER_SENT.id: "情况已解除：所需字段已收到",
    NEVER_FIRES.id: "情况已解除：规则已有来源或已停用",
    EXCEPTION_ENDING.id: "情况已解除：已续批、删去，或已到期",
    EXCEPTION_ENDED.id: "情况已解除：已续批或删去",
}
_ENDING_ZH: Mapping[str, str] = {"exception": "例外", "disabled": "停用规则"}


def _span(length: timedelta) -> str:
    """Return a length of time in Chinese: "1 小时 30 分钟"."""
    seconds = int(length.total_seconds())
    parts: list[str] = []
    for size, unit in ((86_400, "天"), (3_600, "小时"), (60, "分钟"), (1, "秒")):
        if seconds >= size and len(parts) < 2:  # noqa: PLR2004  the two largest units say enough
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
    return " ".join(parts) or "0 秒"
