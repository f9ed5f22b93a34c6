"""Who sees what of an alert over several units: their share, and through no field, filter or count the others'."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from secmon.app import alerts, rulebook
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation
from secmon.errors import AccessError, NotFoundError, SecmonError
from secmon.model.access import Access, Principal, Role, Scope
from secmon.model.alert import Alert, AlertState, CloseReason
from secmon.model.event import Event
from secmon.sigma.hits import make_hits
from tests.app.houses import NOON, OPERATOR, opened_house
from tests.contracts.builders import batch_of, event_at

LOGIN = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a011"
SPRAY = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a012"
RULES = f"""
title: Failed login
id: {LOGIN}
name: failed
taxonomy: ecs
logsource: {{category: authentication}}
detection: {{a: {{event.outcome: failure}}, condition: a}}
level: medium
custom: {{secmon: {{group_by: [source.ip], reason: "{{user.name}} 在 {{host.name}} 登录失败 {{count}} 次"}}}}
---
title: Spraying
id: {SPRAY}
taxonomy: ecs
correlation:
  type: value_count
  rules: [failed]
  group-by: [source.ip]
  timespan: 10m
  condition: {{field: user.name, gte: 3}}
  generate: true
level: high
custom: {{secmon: {{reason: "{{source.ip}} 试了 {{secmon.count}} 个账号，如 {{user.name}}"}}}}
"""


def login(number: int, minutes: float, user: str, unit: str | None, asset: str | None) -> Event:
    placed: dict[str, Any] = {}
    if unit:
        placed |= {"unit_id": unit, "asset_id": asset}
    event = event_at(number, NOON + timedelta(minutes=minutes), user_name=user, source_ip="192.0.2.9", **placed)
    return event | {"event.category": ["authentication"], "event.outcome": "failure", "host.name": f"host-of-{unit}"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Installation]:
    events = [
        login(1, 0, "secret-teacher", "S-2", "A-2"),
        login(2, 1, "own-pupil", "S-1", "A-1"),
        login(3, 2, "secret-nobody", None, None),
        login(4, 3, "own-teacher", "S-1", "A-1"),
        login(5, 50, "secret-late", "S-2", "A-2"),
    ]
    with opened_house(tmp_path / "state", rules=RULES) as opened:
        rulebook.keep(opened, OPERATOR)
        hits = [hit for event in events for hit in make_hits(opened.ruleset, event, opened.stages.engine.match(event))]  # type: ignore[union-attr]
        opened.log.commit(OPERATOR, batch_of(events, hits=hits))
        evaluate(opened, OPERATOR)
        yield opened


def viewer(*units: str) -> Access:
    return Access(Principal("user:school", frozenset({Role.OPERATOR})), Scope(frozenset(units)))


SCHOOL = viewer("S-1")
SECRETS = ("secret", "S-2", "A-2")


def listed(house: Installation, access: Access, **wanted: Any) -> list[Alert]:
    return list(alerts.list_alerts(house, access, alerts.AlertFilter(**wanted)).alerts)


def alert_of(house: Installation, access: Access, rule: str) -> Alert:
    return next(one for one in listed(house, access) if one.rule_id == rule)


@pytest.mark.parametrize("rule", [LOGIN, SPRAY])
def test_nothing_a_viewer_gets_names_another_unit(house: Installation, rule: str) -> None:
    alert = alert_of(house, SCHOOL, rule)
    texts = [
        repr(alert),
        orjson.dumps(alerts.row(alert)).decode(),
        orjson.dumps(alerts.details(house, SCHOOL, alert)).decode(),
        repr(alerts.alert_events(house, SCHOOL, alert)),
        repr(alerts.get_alert(house, SCHOOL, alert.id)),
    ]
    assert [secret for secret in SECRETS for text in texts if secret in text] == []


def test_a_share_is_counted_timed_and_told_by_its_own_events(house: Installation) -> None:
    alert = alert_of(house, SCHOOL, LOGIN)
    row = alerts.details(house, SCHOOL, alert)
    assert (row["alert.count"], row["alert.events_total"], len(row["alert.events"])) == (2, 2, 2)
    assert (row["unit.id"], row["asset.id"]) == ("S-1", "A-1")
    assert alert.reason == "own-pupil 在 host-of-S-1 登录失败 2 次"
    assert (alert.content.first, alert.content.last) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=3))


def test_the_share_of_a_correlation_is_told_by_its_own_events(house: Installation) -> None:
    alert = alert_of(house, SCHOOL, SPRAY)
    assert alert.content.count == 2
    assert alert.reason == "192.0.2.9 试了 4 个账号，如 own-pupil"
    assert len(alerts.alert_events(house, SCHOOL, alert)) == 2


def test_the_root_sees_everything(house: Installation) -> None:
    alert = alert_of(house, OPERATOR, LOGIN)
    assert (alert.content.count, alert.content.unit_ids) == (5, ("S-1", "S-2"))
    assert alert.reason == "secret-teacher 在 host-of-S-2 登录失败 5 次"


def test_a_viewer_of_all_units_but_not_of_the_root_does_not_see_what_belongs_to_none(house: Installation) -> None:
    alert = alert_of(house, viewer("C-1", "S-1", "S-2"), LOGIN)
    assert (alert.content.count, "secret-nobody" in repr(alert)) == (4, False)


def test_a_viewer_of_no_such_unit_sees_nothing(house: Installation) -> None:
    alert = alert_of(house, OPERATOR, LOGIN)
    assert listed(house, viewer("S-3")) == listed(house, viewer()) == []
    with pytest.raises(NotFoundError):
        alerts.get_alert(house, viewer("S-3"), alert.id)


# Filters are questions, and an answer of "yes" would tell.


@pytest.mark.parametrize(
    "wanted",
    [{"unit": "S-2"}, {"asset": "A-2"}, {"text": "secret-teacher"}, {"text": "host-of-S-2"}, {"text": "A-2"}],
    ids=str,
)
def test_filters_find_nothing_of_other_units(house: Installation, wanted: dict[str, str]) -> None:
    assert listed(house, SCHOOL, **wanted) == []
    assert listed(house, OPERATOR, **wanted) != []


@pytest.mark.parametrize(
    "wanted", [{"unit": "S-1"}, {"asset": "A-1"}, {"text": "own-pupil"}, {"text": "192.0.2.9"}], ids=str
)
def test_filters_find_what_is_the_viewers_own(house: Installation, wanted: dict[str, str]) -> None:
    assert len(listed(house, SCHOOL, **wanted)) == 2


def test_a_unit_stands_for_its_subtree(house: Installation) -> None:
    assert len(listed(house, OPERATOR, unit="C-1")) == 2
    assert listed(house, OPERATOR, unit="elsewhere") == []
    assert [one.content.count for one in listed(house, viewer("S-1"), unit="C-1", rule=LOGIN)] == [2]


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [(None, 0, 0), (None, 1, 1), (50, None, 1), (51, None, 0), (10, 20, 1)],
)
def test_a_period_finds_the_alerts_that_were_active_in_it(
    house: Installation, since: int | None, until: int | None, found: int
) -> None:
    period = {
        "since": None if since is None else NOON + timedelta(minutes=since),
        "until": None if until is None else NOON + timedelta(minutes=until),
    }
    assert len(listed(house, OPERATOR, rule=LOGIN, **period)) == found


def test_other_filters(house: Installation) -> None:
    assert [one.rule_id for one in listed(house, OPERATOR, levels=("high",))] == [SPRAY]
    assert [one.rule_id for one in listed(house, OPERATOR, rule=LOGIN)] == [LOGIN]
    assert listed(house, OPERATOR, states=("closed",)) == []
    assert len(listed(house, OPERATOR, states=("new", "closed"))) == 2
    alerts.act_on_alert(house, OPERATOR, listed(house, OPERATOR)[0].id, "close", reason=CloseReason.DUPLICATE)
    assert len(listed(house, OPERATOR, open_only=True)) == 1
    assert alerts.count_alerts(house, OPERATOR, by="state") == {"closed": 1, "new": 1}


@pytest.mark.parametrize("limit", [-1, 0, 1, 10**9])
def test_any_limit_gives_pages_that_end(house: Installation, limit: int) -> None:
    assert len(list(alerts.every_alert(house, OPERATOR, alerts.AlertFilter(limit=limit)))) == 2


# Who sees a part decides about no whole.


@pytest.mark.parametrize("action", ["ack", "investigate", "contain", "close"])
def test_who_sees_a_part_may_not_decide(house: Installation, action: str) -> None:
    alert = alert_of(house, SCHOOL, LOGIN)
    with pytest.raises(AccessError, match="not yours"):
        alerts.act_on_alert(house, SCHOOL, alert.id, action, reason=CloseReason.LEGITIMATE)
    assert alert_of(house, OPERATOR, LOGIN).state is AlertState.NEW


def test_who_sees_all_of_an_alert_may_decide(house: Installation) -> None:
    event = login(9, 200, "own-pupil", "S-1", "A-1")
    hits = make_hits(house.ruleset, event, house.stages.engine.match(event))  # type: ignore[union-attr]
    house.log.commit(OPERATOR, batch_of([event], number=2, hits=hits))
    evaluate(house, OPERATOR)
    own = next(one for one in listed(house, SCHOOL) if one.content.first > NOON + timedelta(hours=3))
    assert alerts.act_on_alert(house, SCHOOL, own.id, "ack").state is AlertState.ACKNOWLEDGED


@pytest.mark.parametrize("alert_id", ["", "0" * 32, "\ud800", "x" * 100_000])
def test_an_unknown_alert_is_not_found(house: Installation, alert_id: str) -> None:
    with pytest.raises(NotFoundError):
        alerts.act_on_alert(house, OPERATOR, alert_id, "ack")


def test_a_close_reason_must_be_of_the_vocabulary() -> None:
    for text in (None, "", "False Positive", "误报"):
        with pytest.raises(SecmonError, match="the reason must be one of"):
            alerts.close_reason(text)
    assert {alerts.close_reason(one.value) for one in CloseReason} == set(CloseReason)
