"""Reports and bulletins: what they rest on, who sees it, and that what was handed out can be written again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from secmon.app import alerts, audit, bulletins, reports
from secmon.app.evaluate import evaluate
from secmon.app.facts import gather
from secmon.app.imports import import_streams
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.compliance.needs import NO_FACT, Fact, FactRequest
from secmon.errors import AccessError, NotFoundError, SecmonError
from secmon.model.access import Access, Principal, Role, Scope
from secmon.model.assessment import FactSource, FactSpec, Selection
from secmon.model.bulletin import BulletinKind
from secmon.model.questions import EventQuery
from secmon.model.record import RecordQuery
from secmon.model.unit import unit_tree
from secmon.render.html import HtmlRenderer
from tests.app.houses import NOON, OPERATOR, READER, SetClock, opened_house

PHONE = "13800138000"
RULE = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a031"
RULES = f"""
title: Failed login
id: {RULE}
taxonomy: ecs
logsource: {{category: authentication}}
detection: {{a: {{event.outcome: failure}}, condition: a}}
level: medium
custom: {{secmon: {{title_zh: 登录失败, group_by: [source.ip], controls: [L3-CES1-02], reason: "{{user.name}}"}}}}
"""


@pytest.fixture
def house(tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with opened_house(tmp_path / "state", clock, rules=RULES) as opened:
        house = replace(opened, renderers={"html": HtmlRenderer()})
        feed(house, tmp_path, [login(1), login(2, outcome="success"), login(3, host="web2"), login(4, host="nobody")])
        yield house


def login(number: int, *, host: str = "web1", outcome: str = "failure") -> dict[str, Any]:
    return {
        "@timestamp": (NOON - timedelta(minutes=60 - number)).isoformat(),
        "event.category": ["authentication"],
        "event.outcome": outcome,
        "event.action": "login",
        "host.name": host,
        "user.name": f"u{number}",
        "source.ip": "192.0.2.9",
        "message": f"sjh={PHONE} n={number}",
    }


def feed(house: Installation, folder: Path, events: list[dict[str, Any]]) -> None:
    path = folder / f"{house.clock.now().timestamp()}.jsonl"
    path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    collector = ImportCollector(source="ecs", kind="ecs", files=[str(path)], clock=house.clock)
    import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
    collector.close()
    evaluate(house, OPERATOR)


def viewer(*units: str, roles: tuple[Role, ...] = (Role.COMPLIANCE, Role.BULLETIN)) -> Access:
    return Access(Principal("user:school", frozenset(roles)), Scope(frozenset(units)))


# Facts.


def fact(house: Installation, spec: FactSpec, access: Access = OPERATOR, asset: str = "A-1") -> Fact:
    asked = FactRequest(
        id="f", spec=spec, asset_id=asset, since=NOON - timedelta(days=1), until=NOON + timedelta(days=1)
    )
    return gather(house, access, house.register.assets[asset], (asked,))["f"]


def test_facts_from_events(house: Installation) -> None:
    spec = FactSpec(
        title="t",
        source=FactSource.EVENTS,
        any_of=(Selection(equals={"event.action": ("login",)}),),
        by="event.outcome",
    )
    found = fact(house, spec)
    assert (found.count, found.by, found.days) == (2, {"failure": 1, "success": 1}, 1)
    assert (found.first, found.last) == (NOON - timedelta(minutes=59), NOON - timedelta(minutes=58))
    assert len(found.event_ids) == 2
    assert PHONE not in found.masked_sample
    assert "138****8000" in found.masked_sample


def test_facts_from_hits(house: Installation) -> None:
    found = fact(house, FactSpec(title="t", source=FactSource.HITS, controls=("L3-CES1-02",)))
    assert (found.count, found.by) == (1, {"登录失败": 1})
    assert PHONE not in repr(found)


def test_rules_that_nobody_wrote_say_nothing(house: Installation) -> None:
    assert fact(house, FactSpec(title="t", source=FactSource.HITS, controls=("L3-CES1-99",))) == NO_FACT
    assert fact(house, FactSpec(title="t", source=FactSource.ALERTS, controls=("L3-CES1-99",), outcomes=("open",))) == (
        NO_FACT
    )


def test_facts_from_alerts_follow_what_people_did(house: Installation) -> None:
    spec = FactSpec(title="t", source=FactSource.ALERTS, controls=("L3-CES1-02",), outcomes=("open",))
    closed = replace(spec, outcomes=("legitimate",))
    assert (fact(house, spec).count, fact(house, closed).count) == (1, 0)
    alert = alerts.list_alerts(house, OPERATOR, alerts.AlertFilter()).alerts[0]
    alerts.act_on_alert(house, OPERATOR, alert.id, "close", reason=alerts.close_reason("legitimate"))
    assert (fact(house, spec).count, fact(house, closed).count) == (0, 1)


def test_facts_from_findings(house: Installation) -> None:
    found = fact(house, FactSpec(title="t", source=FactSource.FINDINGS, classes=("mobile",)))
    assert set(found.by) == {"mobile"}
    assert found.count == 2
    assert PHONE not in repr(found)


def test_facts_from_the_register_the_settings_and_from_nobody(house: Installation) -> None:
    assert fact(house, FactSpec(title="t", source=FactSource.REGISTER, name="hosts")).values == ("web1",)
    assert fact(house, FactSpec(title="t", source=FactSource.REGISTER, name="supplier")) == NO_FACT
    assert fact(house, FactSpec(title="t", source=FactSource.SETTING, name="retention_days")).values == ("183",)
    assert fact(house, FactSpec(title="t", source=FactSource.SETTING, name="keys")) == NO_FACT
    assert fact(house, FactSpec(title="t", source=FactSource.ANSWER, name="anything")) == NO_FACT


@pytest.mark.parametrize(
    "spec",
    [
        FactSpec(title="t", source=FactSource.EVENTS, any_of=(Selection(),)),
        FactSpec(title="t", source=FactSource.HITS, controls=("L3-CES1-02",)),
        FactSpec(title="t", source=FactSource.ALERTS, controls=("L3-CES1-02",), outcomes=("open",)),
        FactSpec(title="t", source=FactSource.FINDINGS, classes=("mobile",)),
    ],
    ids=lambda spec: spec.source.value,
)
def test_facts_are_what_the_asker_sees(house: Installation, spec: FactSpec) -> None:
    assert fact(house, spec, viewer("S-1")).count > 0
    elsewhere = fact(house, spec, viewer("S-2"))
    assert (elsewhere.count, elsewhere.event_ids, elsewhere.masked_sample) == (0, (), "")


# Reports.


def test_an_assessment_needs_role_and_sight(house: Installation) -> None:
    with pytest.raises(AccessError):
        reports.assess_asset(house, READER, "A-1")
    for access, asset in ((viewer("S-2"), "A-1"), (OPERATOR, "gone"), (OPERATOR, "\ud800")):
        with pytest.raises(NotFoundError):
            reports.assess_asset(house, access, asset)
    assert reports.assess_asset(house, viewer("S-1"), "A-1").asset_id == "A-1"


@pytest.mark.parametrize("days", [-1, 0, 10**9])
def test_an_impossible_period_is_refused(house: Installation, days: int) -> None:
    with pytest.raises(SecmonError, match="the period must be"):
        reports.assess_asset(house, OPERATOR, "A-1", days=days)


@pytest.mark.parametrize("at", ["nonsense", "2026-13-01", "9999-12-31"])
def test_an_impossible_day_is_refused(house: Installation, at: str) -> None:
    with pytest.raises(SecmonError, match="a day must be written"):
        reports.run(house, OPERATOR, {"asset": "A-1", "format": "json", "at": at})


def test_the_first_day_of_all_is_a_day(house: Installation) -> None:
    assert reports.assess_asset(house, OPERATOR, "A-1", at=date(1, 1, 1)).asset_id == "A-1"


def test_a_kept_report_is_written_again_to_the_same_bytes(house: Installation, tmp_path: Path, clock: SetClock) -> None:
    identity = reports.keep(house, OPERATOR, reports.assess_asset(house, OPERATOR, "A-1"))
    before = reports.rendered(house, OPERATOR, identity, "html")
    assert b"\xe6\x95\x99\xe5\x8a\xa1\xe7\xb3\xbb\xe7\xbb\x9f" in before  # 教务系统
    # Years later: the events are gone, the system has another name, its unit is not there any more.
    clock.pass_time(days=400)
    feed(house, tmp_path, [login(9)])
    for partition in house.log.partitions(OPERATOR):
        house.log.drop_partition(OPERATOR, partition.day, partition.retention)
    assets = {"A-1": replace(house.register.assets["A-1"], name="新系统", level=2)}
    later = replace(house, register=replace(house.register, assets=assets), tree=unit_tree([]))
    assert reports.rendered(later, OPERATOR, identity, "html") == before
    gone = replace(later, register=replace(house.register, assets={}))
    assert reports.rendered(gone, OPERATOR, identity, "html") == before


def test_the_same_assessment_is_kept_once(house: Installation) -> None:
    assessment = reports.assess_asset(house, OPERATOR, "A-1")
    assert reports.keep(house, OPERATOR, assessment) == reports.keep(house, OPERATOR, assessment)
    kept = [one for one in _audit(house) if one == "report.assess"]
    assert len(kept) == len(reports.list_assessments(house, OPERATOR)) == 1


def test_a_kept_assessment_is_seen_by_its_unit(house: Installation) -> None:
    identity = reports.keep(house, OPERATOR, reports.assess_asset(house, OPERATOR, "A-1"))
    assert reports.get_assessment(house, viewer("S-1"), identity)["assessment.id"] == identity
    assert reports.list_assessments(house, viewer("S-2")) == []
    with pytest.raises(NotFoundError):
        reports.rendered(house, viewer("S-2"), identity, "html")


def test_no_raw_value_and_no_contact_stands_in_what_is_kept(house: Installation) -> None:
    identity = reports.keep(house, OPERATOR, reports.assess_asset(house, OPERATOR, "A-1"))
    document = house.records.get(OPERATOR, reports.KIND, identity)
    assert document is not None
    assert PHONE not in repr(document)
    assert list(document.body["kept"]["unit"]["contacts"]) == []


def test_a_format_that_nobody_writes_is_refused(house: Installation) -> None:
    identity = reports.keep(house, OPERATOR, reports.assess_asset(house, OPERATOR, "A-1"))
    with pytest.raises(SecmonError, match="no writer for odt"):
        reports.rendered(house, OPERATOR, identity, "odt")


def _audit(house: Installation) -> list[str]:
    found = house.records.find(OPERATOR, RecordQuery(kind="audit", order="number", limit=1000)).documents
    return [str(one.body["action"]) for one in found]


# Bulletins.


def alert_id(house: Installation, access: Access = OPERATOR) -> str:
    return alerts.list_alerts(house, access, alerts.AlertFilter()).alerts[0].id


def draft_of(house: Installation, kind: BulletinKind, to: tuple[str, ...] = ()) -> str:
    return bulletins.draft(house, OPERATOR, kind, alert_id=alert_id(house), to=to).id


def test_the_same_revision_drafted_twice_is_one_bulletin(house: Installation, clock: SetClock) -> None:
    first = bulletins.draft(house, OPERATOR, BulletinKind.WARNING, alert_id=alert_id(house))
    clock.pass_time(minutes=5)
    again = bulletins.draft(house, OPERATOR, BulletinKind.WARNING, alert_id=alert_id(house))
    assert again == first
    assert len(bulletins.list_bulletins(house, OPERATOR)[0]) == 1
    assert _audit(house).count("bulletin.draft") == 1


def test_another_revision_kind_or_addressee_is_another_bulletin(
    house: Installation, clock: SetClock, tmp_path: Path
) -> None:
    wanted = [(BulletinKind.WARNING, ()), (BulletinKind.INCIDENT_REPORT, ()), (BulletinKind.WARNING, ("S-2",))]
    drafted = set()
    for kind, to in wanted:
        drafted.add(draft_of(house, kind, to))
        clock.pass_time(minutes=5)
    feed(house, tmp_path, [login(9)])
    drafted.add(draft_of(house, BulletinKind.WARNING))
    assert len(drafted) == 4


def test_a_bulletin_says_when_its_alert_has_gone_on(house: Installation, clock: SetClock, tmp_path: Path) -> None:
    bulletin = bulletins.draft(house, OPERATOR, BulletinKind.WARNING, alert_id=alert_id(house))
    assert bulletins.superseded(house, OPERATOR, bulletin) == ""
    clock.pass_time(minutes=5)
    feed(house, tmp_path, [login(9)])
    assert "已更新至第 2 版" in bulletins.superseded(house, OPERATOR, bulletin)


@pytest.mark.parametrize(
    ("kind", "issuer", "to"),
    [
        (BulletinKind.WARNING, "S-1", ("C-1",)),
        (BulletinKind.WARNING, "C-1", ("C-1",)),
        (BulletinKind.INCIDENT_REPORT, "C-1", ("S-1",)),
        (BulletinKind.INCIDENT_REPORT, "S-1", ("S-2",)),
        (BulletinKind.WARNING, "C-1", ("gone",)),
    ],
)
def test_a_bulletin_goes_its_own_direction_only(
    house: Installation, kind: BulletinKind, issuer: str, to: tuple[str, ...]
) -> None:
    with pytest.raises(SecmonError, match="cannot be a recipient"):
        bulletins.draft(house, OPERATOR, kind, alert_id=alert_id(house), issuer=issuer, to=to)
    assert bulletins.list_bulletins(house, OPERATOR)[0] == []


def test_an_unknown_issuer_is_not_found(house: Installation) -> None:
    with pytest.raises(NotFoundError):
        bulletins.draft(house, OPERATOR, BulletinKind.WARNING, alert_id=alert_id(house), issuer="gone")


def test_who_may_not_draft(house: Installation) -> None:
    with pytest.raises(AccessError):
        bulletins.draft(house, READER, BulletinKind.WARNING, alert_id=alert_id(house))
    with pytest.raises(AccessError):
        bulletins.draft(house, viewer("S-1"), BulletinKind.WARNING, alert_id=alert_id(house))
    with pytest.raises(NotFoundError):
        bulletins.draft(house, viewer("S-3"), BulletinKind.WARNING, alert_id=alert_id(house))


def test_a_school_reports_its_own_share_only(house: Installation) -> None:
    school = viewer("S-1")
    bulletin = bulletins.draft(house, school, BulletinKind.INCIDENT_REPORT, alert_id=alert_id(house, school))
    whole = repr(bulletin.to_json())
    others = [event for event in _events(house) if event.get("unit.id") != "S-1"]
    assert not any(str(event["event.id"]) in whole for event in others)
    assert house.register.assets["A-2"].name not in whole
    assert PHONE not in whole


def _events(house: Installation) -> list[dict[str, Any]]:
    return list(house.log.events(OPERATOR, EventQuery()))


def test_no_raw_value_stands_in_a_bulletin(house: Installation) -> None:
    for kind in (BulletinKind.WARNING, BulletinKind.INCIDENT_REPORT):
        bulletin = bulletins.draft(house, OPERATOR, kind, alert_id=alert_id(house))
        assert PHONE not in repr(bulletin.to_json())
        assert PHONE.encode() not in bulletins.rendered(house, OPERATOR, bulletin.id, "html")


def test_a_bulletin_is_seen_by_the_unit_that_drafts_it(house: Installation) -> None:
    bulletin = bulletins.draft(house, OPERATOR, BulletinKind.WARNING, alert_id=alert_id(house), issuer="C-1")
    assert bulletins.get_bulletin(house, viewer("C-1"), bulletin.id).id == bulletin.id
    with pytest.raises(NotFoundError):
        bulletins.get_bulletin(house, viewer("S-1"), bulletin.id)


def test_everything_is_written_down(house: Installation) -> None:
    bulletins.draft(house, OPERATOR, BulletinKind.WARNING, alert_id=alert_id(house))
    assert _audit(house)[-1] == "bulletin.draft"
    assert audit.verify(house, OPERATOR) == []
