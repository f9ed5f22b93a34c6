"""How an alert lives: new content raises its revision, people change its state, late hits may reopen it.

Closing binds to a revision. New hits reopen a closed alert with the reason "late" (older than its last moment) or
"continued", except after 误报 / 合法业务 / 重复 when they show the same matched-field signatures and no higher level:
those are counted and shown, and the alert stays closed.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from secmon.errors import SecmonError
from secmon.model.alert import Alert, AlertContent, AlertState, AlertStep, CloseReason
from secmon.sigma.rule import CorrelationRule, Rule
from secmon.triage.content import MORE, Draft
from secmon.triage.reason import reason_sentence

# After these reasons an operator has said "this is nothing": the same again is the same nothing.
_SETTLING = {CloseReason.FALSE_POSITIVE, CloseReason.LEGITIMATE, CloseReason.DUPLICATE}

# action → (states it may start from, state it leads to)
_TRANSITIONS: dict[str, tuple[frozenset[AlertState], AlertState]] = {
    "ack": (frozenset({AlertState.NEW}), AlertState.ACKNOWLEDGED),
    "investigate": (frozenset({AlertState.NEW, AlertState.ACKNOWLEDGED}), AlertState.INVESTIGATING),
    "contain": (frozenset(AlertState) - {AlertState.CLOSED}, AlertState.CONTAINED),
    "close": (frozenset(AlertState) - {AlertState.CLOSED}, AlertState.CLOSED),
    "reopen": (frozenset({AlertState.CLOSED}), AlertState.INVESTIGATING),
}


def raised(
    rule: Rule | CorrelationRule,
    draft: Draft,
    *,
    at: datetime,
    by: str,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Alert:
    """Return a new alert; `names` are how data classes are called in its reason."""
    alert = Alert(
        id=draft.id,
        rule_id=rule.id,
        rule_name=rule.name,
        rule_title_zh=rule.title_zh,
        rule_kind="correlation" if isinstance(rule, CorrelationRule) else "event",
        group=draft.group,
        window_from=draft.window_from,
        content=draft.content,
        techniques=rule.techniques,
        controls=rule.controls,
        reason=reason_sentence(rule.reason, draft, names),
    )
    return _stepped(alert, AlertStep(at=at, by=by, action="raise", to_state=alert.state))


def updated(alert: Alert, draft: Draft, *, at: datetime, by: str) -> Alert:
    """Return the alert with what its hits say now; the same object if they say nothing new."""
    old, new = alert.content, draft.content
    if old == new:
        return alert
    fresh = replace(alert, content=new, revision=alert.revision + 1)
    cause = "late" if new.first < old.first or new.last == old.last else "continued"
    if alert.state is not AlertState.CLOSED:
        return _stepped(fresh, _step(fresh, at, by, "revise", reason=cause))
    if _says_the_same(alert, new):
        grown = max(0, new.count - old.count)
        return _stepped(
            replace(fresh, continued_after_close=alert.continued_after_close + grown),
            _step(fresh, at, by, "count", reason=cause),
        )
    reopened = replace(fresh, state=AlertState.NEW, close_reason=None)
    return _stepped(reopened, _step(fresh, at, by, "reopen", to=AlertState.NEW, reason=cause))


def _says_the_same(alert: Alert, new: AlertContent) -> bool:
    if alert.close_reason not in _SETTLING or alert.closed_level is None or MORE in new.signatures:
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
    allowed, target = _TRANSITIONS[action]
    if alert.state not in allowed:
        if action == "ack" or alert.state is target:
            return alert
        raise SecmonError(
            "the alert is {state}; {action} does not fit", values={"state": alert.state.value, "action": action}
        )
    if action == "close" and reason is None:
        raise SecmonError("closing an alert needs a reason", hint="give --reason")
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


def _step(
    alert: Alert,
    at: datetime,
    by: str,
    action: str,
    *,
    to: AlertState | None = None,
    reason: str = "",
    note: str = "",
) -> AlertStep:
    return AlertStep(
        at=at,
        by=by,
        action=action,
        from_state=alert.state,
        to_state=to or alert.state,
        reason=reason,
        note=note,
        revision=alert.revision,
    )


def _stepped(alert: Alert, step: AlertStep) -> Alert:
    return replace(alert, history=(*alert.history, step))
