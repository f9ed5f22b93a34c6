"""How an alert lives: new content raises its revision, people change its state, late hits may reopen it.

Closing binds to a revision. New hits reopen a closed alert with the reason "late" (older than its last moment) or
"continued", except after 误报 / 合法业务 / 重复 when they show the same matched-field signatures and no higher level:
those are counted and shown, and the alert stays closed.

Each revision has a reason: "first", "continued", "late", and "superseded" where late events took some of it back, which
reopens nothing. If they took everything back, the alert is withdrawn: it stays as a record. A new one, which nobody has
seen to, closes by itself; one that somebody has in hand waits for them, and says so. When the condition holds again, it
is back.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from secmon.errors import SecmonError
from secmon.model.alert import Alert, AlertContent, AlertState, AlertStep, CloseReason
from secmon.triage.card import RuleCard
from secmon.triage.content import MORE, Draft, emptied, merged
from secmon.triage.reason import reason_sentence

# After these reasons an operator has said "this is nothing": the same again is the same nothing.
_SETTLING = {CloseReason.FALSE_POSITIVE, CloseReason.LEGITIMATE, CloseReason.DUPLICATE}

# What the machine does again and again while an alert goes on.
_REPEATED = frozenset({"revise", "count", "withdraw", "return"})
MAX_NOTE = 4000

# action → (states it may start from, state it leads to)
_TRANSITIONS: dict[str, tuple[frozenset[AlertState], AlertState]] = {
    "ack": (frozenset({AlertState.NEW}), AlertState.ACKNOWLEDGED),
    "investigate": (frozenset({AlertState.NEW, AlertState.ACKNOWLEDGED}), AlertState.INVESTIGATING),
    "contain": (frozenset(AlertState) - {AlertState.CONTAINED, AlertState.CLOSED}, AlertState.CONTAINED),
    "close": (frozenset(AlertState) - {AlertState.CLOSED}, AlertState.CLOSED),
    "reopen": (frozenset({AlertState.CLOSED}), AlertState.INVESTIGATING),
}


def raised(
    card: RuleCard,
    draft: Draft,
    *,
    tick: int,
    at: datetime,
    by: str,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Alert:
    """Return a new alert.

    Args:
        card: its rule.
        draft: what its hits say.
        tick: number of the tick.
        at: now.
        by: who acts.
        names: how data classes are called in its reason.
    """
    alert = Alert(
        id=draft.id,
        rule_id=card.id,
        rule_name=card.name,
        rule_title_zh=card.title_zh,
        rule_kind=card.kind,
        rule_digest=card.digest,
        group=draft.group,
        window_from=draft.window_from,
        content=draft.content,
        tick=tick,
        techniques=card.techniques,
        controls=card.controls,
        template=card.reason,
        reason=reason_sentence(card.reason, draft.content, draft.group, names),
    )
    return _stepped(alert, AlertStep(at=at, by=by, action="raise", to_state=alert.state, reason="first"))


def updated(
    alert: Alert,
    card: RuleCard,
    content: AlertContent,
    *,
    tick: int,
    at: datetime,
    by: str,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Alert:
    """Return the alert with what its hits say now, under the rule as it is now; the same object if nothing is new."""
    old = alert.content
    if old == content:
        return alert
    fresh = replace(
        alert,
        rule_name=card.name,
        rule_title_zh=card.title_zh,
        rule_digest=card.digest,
        techniques=card.techniques,
        controls=card.controls,
        template=card.reason,
        reason=reason_sentence(card.reason, content, alert.group, names),
        content=content,
        tick=tick,
        revision=alert.revision + 1,
        withdrawn=False,
    )
    if alert.withdrawn:
        return _returned(alert, fresh, at, by)
    if says_less(old, content) and (alert.state is not AlertState.CLOSED or _shows_nothing_new(alert, content)):
        return _stepped(fresh, _step(alert, at, by, "revise", reason="superseded", revision=fresh.revision))
    cause = "late" if content.first < old.first or content.last <= old.last else "continued"
    if alert.state is not AlertState.CLOSED:
        return _stepped(fresh, _step(fresh, at, by, "revise", reason=cause))
    if _says_the_same(alert, content):
        grown = max(0, content.count - old.count)
        return _stepped(
            replace(fresh, continued_after_close=alert.continued_after_close + grown),
            _step(fresh, at, by, "count", reason=cause),
        )
    reopened = replace(fresh, state=AlertState.NEW, close_reason=None)
    return _stepped(reopened, _step(fresh, at, by, "reopen", to=AlertState.NEW, reason=cause))


def withdrawn(alert: Alert, *, tick: int, at: datetime, by: str) -> Alert:
    """Return an alert after late events took every moment of it back."""
    state = AlertState.CLOSED if alert.state is AlertState.NEW else alert.state
    fresh = replace(
        alert,
        content=emptied(alert.content),
        tick=tick,
        revision=alert.revision + 1,
        state=state,
        withdrawn=True,
    )
    return _stepped(fresh, _step(alert, at, by, "withdraw", to=state, reason="late", revision=fresh.revision))


def _returned(alert: Alert, fresh: Alert, at: datetime, by: str) -> Alert:
    """Return an alert whose condition holds again after it was withdrawn; a person's closing is weighed as ever."""
    if alert.state is AlertState.CLOSED and not _says_the_same(alert, fresh.content):
        fresh = replace(fresh, state=AlertState.NEW, close_reason=None)
    step = _step(alert, at, by, "return", to=fresh.state, reason="late", revision=fresh.revision)
    return _stepped(fresh, step)


def says_less(old: AlertContent, new: AlertContent) -> bool:
    """Tell whether something that an alert said is taken back: it has fewer moments, or another first or last one."""
    return new.count < old.count or new.first > old.first or new.last < old.last


def kept(old: AlertContent, new: AlertContent) -> AlertContent:
    """Return what is known of an alert some of whose hits retention has dropped: it never says less than it said."""
    if new.count >= old.count and new.first <= old.first:
        return new
    return replace(
        old,
        last=max(old.last, new.last),
        level=max(old.level, new.level, key=lambda level: level.rank),
        signatures=merged(old, new).signatures,
    )


def _says_the_same(alert: Alert, new: AlertContent) -> bool:
    return alert.close_reason in _SETTLING and _shows_nothing_new(alert, new)


def _shows_nothing_new(alert: Alert, new: AlertContent) -> bool:
    """Tell whether who closed an alert has seen all patterns that it shows, at this level."""
    if alert.closed_level is None or MORE in new.signatures:
        return False
    return set(new.signatures) <= set(alert.closed_signatures) and new.level.rank <= alert.closed_level.rank


def changed(
    alert: Alert,
    action: str,
    *,
    at: datetime,
    by: str,
    reason: CloseReason | None = None,
    note: str = "",
) -> Alert:
    """Return the alert after a person's action; the same object if it is already there (`ack` twice).

    Raises:
        SecmonError: the action does not fit the state, or closing gives no reason.
    """
    if action not in _TRANSITIONS:
        raise SecmonError("no such action", hint="one of: " + ", ".join(_TRANSITIONS))
    if len(note) > MAX_NOTE:
        raise SecmonError("a note has at most {most} characters", values={"most": MAX_NOTE})
    if action == "close" and reason is None:
        raise SecmonError("closing an alert needs a reason", hint="give --reason")
    allowed, target = _TRANSITIONS[action]
    if alert.state not in allowed:
        if _is_there_already(alert, action, target, reason):
            return alert
        raise SecmonError(
            "the alert is {state}; {action} does not fit", values={"state": alert.state.value, "action": action}
        )
    moved = replace(alert, state=target)
    if action == "close":
        moved = replace(
            moved,
            close_reason=reason,
            closed_revision=alert.revision,
            closed_signatures=alert.content.signatures,
            closed_level=alert.content.level,
            continued_after_close=0,
        )
    if action == "reopen":
        moved = replace(moved, close_reason=None)
    text = reason.value if reason else ""
    return _stepped(moved, _step(alert, at, by, action, to=target, reason=text, note=note))


def _is_there_already(alert: Alert, action: str, target: AlertState, reason: CloseReason | None) -> bool:
    if action == "ack":
        return alert.state is not AlertState.CLOSED  # somebody has it in hand
    return alert.state is target and (action != "close" or alert.close_reason is reason)


def _step(
    alert: Alert,
    at: datetime,
    by: str,
    action: str,
    *,
    to: AlertState | None = None,
    reason: str = "",
    note: str = "",
    revision: int = 0,
) -> AlertStep:
    return AlertStep(
        at=at,
        by=by,
        action=action,
        from_state=alert.state,
        to_state=to or alert.state,
        reason=reason,
        note=note,
        revision=revision or alert.revision,
    )


def _stepped(alert: Alert, step: AlertStep) -> Alert:
    """Append a step; what the machine did before, for the same reason and since a person's last step, it replaces.

    A flood revises its alert at every tick: a history that grew by it would hide what people did, and cost more with
    every tick. The revision tells how often.
    """
    history = alert.history
    start = len(history)
    while step.action in _REPEATED and start and _is_repeated(history[start - 1], step):
        start -= 1
    others = tuple(one for one in history[start:] if (one.action, one.reason) != (step.action, step.reason))
    return replace(alert, history=(*history[:start], *others, step))


def _is_repeated(last: AlertStep, step: AlertStep) -> bool:
    return last.action in _REPEATED and last.by == step.by
