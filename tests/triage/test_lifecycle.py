"""How an alert lives: every action in every state, reopening, and a history that a flood cannot drown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from secmon.errors import SecmonError
from secmon.model.alert import Alert, AlertContent, AlertState, CloseReason
from secmon.model.hit import Hit, Level
from secmon.triage.card import RuleCard
from secmon.triage.content import merged, of_rule
from secmon.triage.lifecycle import MAX_NOTE, changed, kept, raised, updated

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CARD = RuleCard(
    id="r", digest="d", kind="event", name="Rule", level=Level.HIGH, reason="{source.ip} 共 {count} 次，{user.name}"
)


def hit(number: int, minutes: float = 0, **more: Any) -> Hit:
    values: dict[str, Any] = {
        "event_id": f"{number:032x}",
        "rule_id": "r",
        "rule_digest": "d",
        "level": Level.HIGH,
        "at": NOON + timedelta(minutes=minutes),
        "alert_id": "a" * 32,
        "group": {"source.ip": "192.0.2.9"},
        "captured": {"user.name": f"u{number}"},
        "signature": "00",
    }
    return Hit(**{**values, **more})


def new_alert(*hits: Hit) -> Alert:
    return raised(CARD, of_rule(CARD, hits or [hit(1)]), tick=1, at=NOON, by="job:evaluate")


def in_state(state: AlertState, reason: CloseReason = CloseReason.FALSE_POSITIVE) -> Alert:
    alert = new_alert()
    steps = {
        AlertState.NEW: [],
        AlertState.ACKNOWLEDGED: ["ack"],
        AlertState.INVESTIGATING: ["investigate"],
        AlertState.CONTAINED: ["contain"],
        AlertState.CLOSED: ["close"],
    }
    for action in steps[state]:
        alert = act(alert, action, reason=reason if action == "close" else None)
    return alert


def act(alert: Alert, action: str, **more: Any) -> Alert:
    return changed(alert, action, at=NOON, by="user:mori", **more)


def more_of(alert: Alert, *hits: Hit, tick: int = 2, card: RuleCard = CARD) -> Alert:
    content = merged(alert.content, of_rule(card, hits).content)
    return updated(alert, card, content, tick=tick, at=NOON, by="job:evaluate")


N, A, I, C, X = AlertState  # noqa: E741  the table below is read by its columns
REFUSED, SAME = "refused", "same"


@pytest.mark.parametrize(
    ("action", "outcomes"),
    [
        # state before:   new      ack.     investig. contained closed
        ("ack", (A, SAME, SAME, SAME, REFUSED)),
        ("investigate", (I, I, SAME, REFUSED, REFUSED)),
        ("contain", (C, C, C, SAME, REFUSED)),
        ("close", (X, X, X, X, SAME)),
        ("reopen", (REFUSED, REFUSED, SAME, REFUSED, I)),
    ],
)
@pytest.mark.parametrize("column", range(5))
def test_every_action_in_every_state(action: str, outcomes: tuple[Any, ...], column: int) -> None:
    before, expected = in_state(list(AlertState)[column]), outcomes[column]
    reason = CloseReason.FALSE_POSITIVE if action == "close" else None
    if expected == REFUSED:
        with pytest.raises(SecmonError, match="does not fit"):
            act(before, action, reason=reason)
        return
    after = act(before, action, reason=reason)
    if expected == SAME:
        assert after is before
        return
    assert after.state is expected
    step = after.history[-1]
    assert (step.action, step.from_state, step.to_state, step.by) == (action, before.state, expected, "user:mori")
    assert after.revision == before.revision


def test_closing_again_for_another_reason_is_refused_not_forgotten() -> None:
    closed = in_state(AlertState.CLOSED, CloseReason.FALSE_POSITIVE)
    with pytest.raises(SecmonError, match="the alert is closed"):
        act(closed, "close", reason=CloseReason.TRUE_POSITIVE_WITH_IMPACT)


def test_closing_needs_a_reason_in_every_state() -> None:
    for state in AlertState:
        with pytest.raises(SecmonError, match="needs a reason"):
            act(in_state(state), "close")


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(SecmonError, match="no such action"):
        act(new_alert(), "explode")


def test_an_endless_note_is_refused() -> None:
    assert act(new_alert(), "ack", note="x" * MAX_NOTE).history[-1].note == "x" * MAX_NOTE
    with pytest.raises(SecmonError, match="a note has at most"):
        act(new_alert(), "ack", note="x" * (MAX_NOTE + 1))


def test_reopening_forgets_the_reason() -> None:
    assert act(in_state(AlertState.CLOSED), "reopen").close_reason is None


def test_the_reason_always_tells_what_the_hits_say_now() -> None:
    alert = new_alert(hit(5, 30))
    assert alert.reason == "192.0.2.9 共 1 次，u5"
    assert more_of(alert, hit(6, 10)).reason == "192.0.2.9 共 2 次，u6"


def test_nothing_new_changes_nothing() -> None:
    alert = new_alert()
    assert updated(alert, CARD, alert.content, tick=9, at=NOON, by="job:evaluate") is alert


def test_an_alert_follows_its_rule() -> None:
    renamed = replace(CARD, name="Better name", digest="d2", controls=("L3-CES1-02",), reason="{count}")
    alert = more_of(new_alert(), hit(2, 1), card=renamed)
    assert (alert.rule_name, alert.rule_digest, alert.controls, alert.reason) == (
        "Better name",
        "d2",
        ("L3-CES1-02",),
        "2",
    )


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_late_and_continued_are_told_apart(minutes: int) -> None:
    alert = more_of(new_alert(hit(1, 0), hit(2, 4)), hit(3, minutes))
    assert alert.history[-1].reason == ("continued" if minutes == 5 else "late")


def test_a_flood_leaves_one_line_in_the_history() -> None:
    alert = new_alert()
    for number in range(2, 500):
        alert = more_of(alert, hit(number, number / 10), tick=number)
    assert [step.action for step in alert.history] == ["raise", "revise"]
    assert (alert.revision, alert.history[-1].revision) == (499, 499)


def test_what_a_person_did_in_between_stays() -> None:
    alert = more_of(new_alert(), hit(2, 1))
    alert = more_of(act(alert, "ack"), hit(3, 2))
    alert = more_of(alert, hit(4, 3))
    assert [step.action for step in alert.history] == ["raise", "revise", "ack", "revise"]


SETTLING = {CloseReason.FALSE_POSITIVE, CloseReason.LEGITIMATE, CloseReason.DUPLICATE}


@pytest.mark.parametrize("reason", list(CloseReason))
def test_the_same_again_reopens_unless_it_was_settled(reason: CloseReason) -> None:
    alert = more_of(in_state(AlertState.CLOSED, reason), hit(2, 1))
    assert alert.state is (AlertState.CLOSED if reason in SETTLING else AlertState.NEW)
    assert alert.continued_after_close == (1 if reason in SETTLING else 0)


@pytest.mark.parametrize("change", [{"signature": "01"}, {"level": Level.CRITICAL}])
def test_what_was_not_settled_reopens(change: dict[str, Any]) -> None:
    alert = more_of(in_state(AlertState.CLOSED), hit(2, 1, **change))
    assert (alert.state, alert.history[-1].action, alert.close_reason) == (AlertState.NEW, "reopen", None)


def test_a_lower_level_does_not_reopen() -> None:
    assert more_of(in_state(AlertState.CLOSED), hit(2, 1, level=Level.LOW)).state is AlertState.CLOSED


def test_closing_again_starts_the_count_again() -> None:
    alert = more_of(in_state(AlertState.CLOSED), hit(2, 1))
    alert = act(act(alert, "reopen"), "close", reason=CloseReason.DUPLICATE)
    assert (alert.continued_after_close, alert.closed_revision) == (0, alert.revision)


# Hits that retention has dropped.


def content_of(*hits: Hit) -> AlertContent:
    return of_rule(CARD, hits).content


def test_an_alert_that_lost_hits_keeps_what_it_said() -> None:
    old, late = content_of(hit(1, 0), hit(2, 1), hit(3, 2)), content_of(hit(9, 50, level=Level.CRITICAL))
    after = kept(old, late)
    assert (after.count, after.first, after.samples) == (3, old.first, old.samples)
    assert (after.last, after.level) == (late.last, Level.CRITICAL)


def test_an_alert_that_lost_nothing_takes_what_is_new() -> None:
    old, new = content_of(hit(2, 1)), content_of(hit(1, 0), hit(2, 1))
    assert kept(old, new) is new
