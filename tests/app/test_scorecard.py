"""The scorecard of rules: what people decided, how long it took, and why a rule never fired."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from secmon.app import alerts, fields_seen, scorecard
from secmon.app.coverage_writing import bring_forward
from secmon.app.evaluate import evaluate
from secmon.app.fields_seen import MIN_EVENTS
from secmon.app.imports import import_streams
from secmon.app.installation import Installation, Source
from secmon.app.reached import kinds_here, never_sent
from secmon.app.scorecard import NO_EVENTS, NO_FIELD, NO_SOURCE, QUIET, TOO_FEW, Score
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.model.access import Access, Scope, job_access
from secmon.model.alert import CloseReason
from secmon.sigma.seen import Shown
from tests.app.houses import BRUTE, FAILURES, NOON, OPERATOR, RULES, SHELL, SetClock, access_line, opened_house

SILENT = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a004"
UNSENT = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a005"
RARE = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a006"
LINKED = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a007"
MORE = f"""{RULES}
---
title: Refused login
id: {SILENT}
name: silent
taxonomy: ecs
logsource: {{product: cas, service: audit}}
detection: {{a: {{event.outcome: failure}}, condition: a}}
---
title: Request of a user
id: {UNSENT}
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{user.name: root}}, condition: a}}
---
title: Rare request
id: {RARE}
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{url.path: /rare}}, condition: a}}
---
title: Many refused logins
id: {LINKED}
taxonomy: ecs
correlation: {{type: event_count, rules: [silent], group-by: [user.name], timespan: 1h, generate: true,
  condition: {{gte: 9}}}}
"""


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with opened_house(tmp_path / "state", clock, rules=MORE) as opened:
        log = tmp_path / "access.log"
        # Six alerts of one rule, an address each; refused requests of one address for the correlation.
        lines = [access_line(NOON, "/shell.jsp", address=f"192.0.2.{number}") for number in range(1, 7)]
        lines += [access_line(NOON + timedelta(seconds=n), "/x", status=401) for n in range(3)]
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")
        collector = ImportCollector(source="nginx.access", kind="nginx.access", files=[str(log)], clock=clock)
        import_streams(opened, OPERATOR, collector, work=InlineWork(opened.stages))
        collector.close()
        evaluate(opened, OPERATOR)
        yield opened


def shells(house: Installation) -> list[str]:
    wanted = alerts.AlertFilter(rule=SHELL)
    return sorted(alert.id for alert in alerts.every_alert(house, OPERATOR, wanted))


def score(house: Installation, rule: str, access: Access = OPERATOR) -> Score:
    (found,) = [one for one in scorecard.over(house, access, 30).scores if one.rule_id == rule]
    return found


def close(house: Installation, identity: str, reason: CloseReason) -> None:
    alerts.act_on_alert(house, OPERATOR, identity, "close", reason=reason)


def test_precision_comes_from_closing_reasons_that_decide(house: Installation) -> None:
    reasons = [
        CloseReason.TRUE_POSITIVE_WITHOUT_IMPACT,
        CloseReason.AUTHORISED_TEST,
        CloseReason.FALSE_POSITIVE,
        CloseReason.LEGITIMATE,
        CloseReason.DUPLICATE,
    ]
    for identity, reason in zip(shells(house), reasons, strict=False):
        close(house, identity, reason)
    found = score(house, SHELL)
    assert (found.alerts, found.hits, found.open) == (6, 6, 1)
    assert found.precision == 0.5
    assert found.reasons == {reason.value: 1 for reason in reasons}
    assert found.noise_share == 1.0
    assert (
        scorecard.over(house, OPERATOR, 30).scores[0].rule_id == SHELL
    )  # what makes most work for nothing comes first


def test_nothing_decided_is_no_precision(house: Installation) -> None:
    close(house, shells(house)[0], CloseReason.UNKNOWN)
    assert score(house, SHELL).precision is None
    assert "precision" not in score(house, SHELL).row()


def test_times_are_medians_to_the_first_step_and_to_closing(house: Installation, clock: SetClock) -> None:
    first, second, third, *_ = shells(house)
    clock.pass_time(minutes=10)
    alerts.act_on_alert(house, OPERATOR, first, "ack")
    clock.pass_time(minutes=20)
    close(house, first, CloseReason.FALSE_POSITIVE)
    close(house, second, CloseReason.FALSE_POSITIVE)
    clock.pass_time(minutes=60)
    close(house, third, CloseReason.FALSE_POSITIVE)
    found = score(house, SHELL)
    assert found.acknowledge_s == 30 * 60  # of 10, 30 and 90 minutes
    assert found.close_s == 30 * 60


def test_reopening_counts_and_opens_again(house: Installation) -> None:
    identity = shells(house)[0]
    close(house, identity, CloseReason.FALSE_POSITIVE)
    alerts.act_on_alert(house, OPERATOR, identity, "reopen")
    found = score(house, SHELL)
    assert (found.reopened, found.open, found.reasons, found.close_s) == (1, 6, {}, None)


def test_a_rule_that_never_fired_says_why(house: Installation) -> None:
    assert (score(house, SILENT).idle, score(house, SILENT).last) == (NO_EVENTS, None)
    assert (score(house, UNSENT).idle, score(house, UNSENT).idle_field) == (TOO_FEW, "user.name")
    assert score(house, RARE).idle == QUIET
    assert score(house, LINKED).idle == NO_EVENTS
    assert score(house, BRUTE).idle == ""
    assert score(house, BRUTE).kind == "correlation"


def test_rules_that_no_source_here_reaches_say_so_whoever_asks(house: Installation) -> None:
    bring_forward(house, job_access("coverage"))
    assert kinds_here(house, OPERATOR) == {"nginx.access"}
    viewer = Access(OPERATOR.principal, Scope(frozenset({"S-2"})))
    for access in (OPERATOR, viewer):
        assert [score(house, rule, access).idle for rule in (SILENT, LINKED)] == [NO_SOURCE, NO_SOURCE]
    assert score(house, RARE).idle == QUIET
    cas = Source(name="sso", kind="cas.audit", zone=UTC)
    assert score(replace(house, sources={"sso": cas}), SILENT).idle == NO_EVENTS


def test_an_import_is_of_the_kind_that_it_was_read_as(house: Installation, tmp_path: Path) -> None:
    log = tmp_path / "other.log"
    log.write_text(access_line(NOON, "/") + "\n", encoding="utf-8")
    collector = ImportCollector(source="old portal", kind="apache.access", files=[str(log)], clock=house.clock)
    import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    collector.close()
    bring_forward(house, job_access("coverage"))
    assert kinds_here(house, OPERATOR) == {"nginx.access", "apache.access"}


def test_fields_that_no_source_sent_on_other_days_are_told_without_asking_the_store(house: Installation) -> None:
    source = Source(name="web", kind="nginx.access", zone=UTC)
    here = replace(house, sources={"web": source})
    for age in range(2):
        day = here.clock.now().date() - timedelta(days=age)
        fields_seen.note(here, OPERATOR, "web", day, {"|webserver|": Shown(frozenset({"url.path"}), MIN_EVENTS)})
    assert never_sent(here, OPERATOR)[UNSENT] == ("user.name",)
    assert (score(here, UNSENT).idle, score(here, UNSENT).idle_field) == (NO_FIELD, "user.name")
    other = replace(here, sources={"web": source, "web2": replace(source, name="web2")})
    assert never_sent(other, OPERATOR) == {}
    bring_forward(here, job_access("coverage"))  # what was imported under another name may have had the field
    assert never_sent(here, OPERATOR) == {}


def test_of_few_events_nobody_says_which_field_they_lack(house: Installation, tmp_path: Path) -> None:
    assert (score(house, UNSENT).idle, score(house, UNSENT).idle_field) == (TOO_FEW, "user.name")
    log = tmp_path / "many.log"
    log.write_text(f"{access_line(NOON, '/')}\n" * MIN_EVENTS, encoding="utf-8")
    collector = ImportCollector(source="nginx.access", kind="nginx.access", files=[str(log)], clock=house.clock)
    import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    collector.close()
    assert (score(house, UNSENT).idle, score(house, UNSENT).idle_field) == (NO_FIELD, "user.name")


def test_base_rules_that_raise_nothing_of_their_own_are_left_out(house: Installation) -> None:
    assert FAILURES not in {one.rule_id for one in scorecard.over(house, OPERATOR, 30).scores}


def test_a_time_range_leaves_out_what_ended_before_it_but_not_that_it_ever_fired(
    house: Installation, clock: SetClock
) -> None:
    clock.pass_time(days=60)
    found = score(house, SHELL)
    assert (found.alerts, found.idle) == (0, "")
    assert found.last == NOON


def test_who_sees_a_unit_gets_the_score_of_its_alerts(house: Installation) -> None:
    nobody = Access(OPERATOR.principal, Scope(frozenset({"S-2"})))
    assert score(house, SHELL, nobody).alerts == 0


def test_the_operation_gives_plain_data(house: Installation) -> None:
    told = scorecard.run(house, OPERATOR, {"since": "7d", "rule": SHELL})
    assert told["complete"] is True
    (row,) = told["scores"]
    assert row["rule.id"] == SHELL
    assert row["last_fired"] == "2026-11-21T12:00:00.000Z"
