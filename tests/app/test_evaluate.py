"""From hits to alerts: grouping, revisions, reopening; the outcome is a function of the set of hits alone."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from secmon.app import alerts, audit, integrity
from secmon.app.evaluate import evaluate
from secmon.app.imports import import_streams
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.errors import AccessError, NotFoundError, SecmonError
from secmon.model.access import Access, Scope
from secmon.model.alert import Alert, AlertState, CloseReason
from tests.app.houses import BRUTE, NOON, OPERATOR, READER, SHELL, access_line, house_on, opened_house


@pytest.fixture
def house(store_in_full: str, tmp_path: Path) -> Iterator[Installation]:
    with house_on(store_in_full, tmp_path / "state") as opened:
        yield opened


def take_in(house: Installation, folder: Path, lines: list[str], *, name: str) -> None:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    collector = ImportCollector(source="nginx.access", kind="nginx.access", files=[str(path)], clock=house.clock)
    import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    collector.close()


def shell(minutes: float = 0, path: str = "/shell.jsp", address: str = "192.0.2.9") -> str:
    return access_line(NOON + timedelta(minutes=minutes), path, address=address)


def refused(minutes: float, address: str = "192.0.2.9") -> str:
    return access_line(NOON + timedelta(minutes=minutes), "/login", status=401, address=address)


def found(house: Installation, rule: str) -> list[Alert]:
    return [one for one in alerts.every_alert(house, OPERATOR, alerts.AlertFilter()) if one.rule_id == rule]


def test_hits_of_one_hour_and_address_are_one_alert(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell(0), shell(5), shell(7, address="192.0.2.10"), shell(61)], name="a")
    evaluate(house, OPERATOR)
    assert sorted(one.content.count for one in found(house, SHELL)) == [1, 1, 2]


def test_an_alert_says_why(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell()], name="a")
    evaluate(house, OPERATOR)
    alert = found(house, SHELL)[0]
    assert (alert.rule_title_zh, alert.reason) == ("网页后门访问", "192.0.2.9 访问 /shell.jsp")


def test_a_second_tick_changes_nothing(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell()], name="a")
    evaluate(house, OPERATOR)
    again = evaluate(house, OPERATOR)
    assert (again.hits, again.new, again.revised) == (0, 0, 0)


def test_more_hits_raise_the_revision(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell()], name="a")
    evaluate(house, OPERATOR)
    take_in(house, tmp_path, [shell(1)], name="b")
    evaluate(house, OPERATOR)
    alert = found(house, SHELL)[0]
    assert (alert.revision, alert.content.count, alert.history[-1].reason) == (2, 2, "continued")


def test_a_late_hit_is_told_as_late(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell(5)], name="a")
    evaluate(house, OPERATOR)
    take_in(house, tmp_path, [shell(1)], name="b")
    evaluate(house, OPERATOR)
    assert found(house, SHELL)[0].history[-1].reason == "late"


def test_a_correlation_counts_in_a_sliding_window(house: Installation, tmp_path: Path) -> None:
    # Three in ten minutes across the hour's border: no clocked bucket may split them.
    take_in(house, tmp_path, [refused(57), refused(59), refused(63), refused(80)], name="a")
    evaluate(house, OPERATOR)
    assert [one.content.count for one in found(house, BRUTE)] == [1]


def test_the_window_is_half_open(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [refused(0), refused(5), refused(10)], name="a")
    evaluate(house, OPERATOR)
    assert found(house, BRUTE) == []


def test_groups_do_not_mix(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [refused(0), refused(1), refused(2, address="192.0.2.77")], name="a")
    evaluate(house, OPERATOR)
    assert found(house, BRUTE) == []


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_arrival_does_not_matter(seed: int, tmp_path: Path) -> None:
    lines = [shell(m) for m in (0, 3, 59, 61)] + [refused(m / 2) for m in range(0, 60, 3)] + [refused(200)]
    chance = random.Random(seed)  # noqa: S311  a reproducible order, no secret
    with opened_house(tmp_path / "quiet") as quiet:
        take_in(quiet, tmp_path, lines, name="all")
        evaluate(quiet, OPERATOR)
        expected = {(one.id, one.content.count, one.content.first, one.content.last) for one in found_all(quiet)}
    chance.shuffle(lines)
    with opened_house(tmp_path / "shuffled") as house:
        while lines:
            size = chance.randint(1, 6)
            take_in(house, tmp_path, lines[:size], name=f"part{len(lines)}")
            del lines[:size]
            evaluate(house, OPERATOR)
        assert {
            (one.id, one.content.count, one.content.first, one.content.last) for one in found_all(house)
        } == expected


def found_all(house: Installation) -> list[Alert]:
    return list(alerts.every_alert(house, OPERATOR, alerts.AlertFilter()))


def closed_after(house: Installation, folder: Path, reason: CloseReason) -> str:
    take_in(house, folder, [shell()], name="a")
    evaluate(house, OPERATOR)
    alert_id = found(house, SHELL)[0].id
    alerts.act_on_alert(house, OPERATOR, alert_id, "close", reason=reason)
    return alert_id


def test_a_true_positive_that_goes_on_is_reopened(house: Installation, tmp_path: Path) -> None:
    alert_id = closed_after(house, tmp_path, CloseReason.TRUE_POSITIVE_WITHOUT_IMPACT)
    take_in(house, tmp_path, [shell(1)], name="b")
    evaluate(house, OPERATOR)
    alert = alerts.get_alert(house, OPERATOR, alert_id)
    assert (alert.state, alert.history[-1].action, alert.history[-1].reason) == (AlertState.NEW, "reopen", "continued")


def test_the_same_false_positive_again_is_only_counted(house: Installation, tmp_path: Path) -> None:
    alert_id = closed_after(house, tmp_path, CloseReason.FALSE_POSITIVE)
    take_in(house, tmp_path, [shell(1)], name="b")
    evaluate(house, OPERATOR)
    alert = alerts.get_alert(house, OPERATOR, alert_id)
    assert (alert.state, alert.continued_after_close, alert.revision) == (AlertState.CLOSED, 1, 2)


def test_another_pattern_reopens_a_false_positive(house: Installation, tmp_path: Path) -> None:
    alert_id = closed_after(house, tmp_path, CloseReason.FALSE_POSITIVE)
    take_in(house, tmp_path, [shell(1, "/other-shell.php")], name="b")
    evaluate(house, OPERATOR)
    assert alerts.get_alert(house, OPERATOR, alert_id).state is AlertState.NEW


def test_acknowledging_twice_changes_nothing(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell()], name="a")
    evaluate(house, OPERATOR)
    alert_id = found(house, SHELL)[0].id
    alerts.act_on_alert(house, OPERATOR, alert_id, "ack")
    alert = alerts.act_on_alert(house, OPERATOR, alert_id, "ack")
    assert (alert.state, len(alert.history)) == (AlertState.ACKNOWLEDGED, 2)


def test_closing_needs_a_reason(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell()], name="a")
    evaluate(house, OPERATOR)
    with pytest.raises(SecmonError, match="needs a reason"):
        alerts.act_on_alert(house, OPERATOR, found(house, SHELL)[0].id, "close")


def test_a_reader_may_not_triage(house: Installation) -> None:
    with pytest.raises(AccessError):
        alerts.act_on_alert(house, READER, "0" * 32, "ack")


def test_an_alert_of_no_unit_is_seen_at_the_root_only(house: Installation, tmp_path: Path) -> None:
    take_in(house, tmp_path, [shell()], name="a")
    evaluate(house, OPERATOR)
    school = Access(OPERATOR.principal, Scope(frozenset({"S-1"})))
    assert alerts.list_alerts(house, school, alerts.AlertFilter()).alerts == ()
    with pytest.raises(NotFoundError):
        alerts.get_alert(house, school, found(house, SHELL)[0].id)


def test_every_action_stands_in_the_audit_chain(house: Installation, tmp_path: Path) -> None:
    closed_after(house, tmp_path, CloseReason.LEGITIMATE)
    assert audit.verify(house, OPERATOR) == []
    assert integrity.check(house, OPERATOR, store="sqlite")["ok"]
