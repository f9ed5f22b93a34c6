"""Alerts with exceptions are the alerts of the hits that nothing suppresses; the hits are the same, but annotated."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secmon.app import alerts, rulebook
from secmon.app.evaluate import evaluate
from secmon.app.imports import import_streams
from secmon.app.installation import Installation, Source
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.model.questions import HitQuery
from secmon.model.record import RecordQuery
from tests.app.houses import BRUTE, NOON, OPERATOR, RULES, SHELL, access_line, opened_house
from tests.sigma.tuning_texts import EXCEPTION, exception_text, maintenance_text, override_text

WEB: dict[str, Any] = {"logsource": "category: webserver"}
SCANNER = exception_text(selection="source.ip: 192.0.2.8", **WEB)
PATHS = exception_text(number=2, rules=f"[{SHELL}]", selection="url.path: /shell-test.jsp", **WEB)
# Fewer and longer than a rule would ask for: it is no monotone correlation that a suppressed hit could only shrink.
RARE = """
title: Few refused requests
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a009
correlation:
  type: event_count
  rules: [refused]
  group-by: [source.ip]
  timespan: 5m
  condition: {lte: 2}
  generate: true
"""


@contextmanager
def house_of(*texts: str) -> Iterator[Installation]:
    with TemporaryDirectory() as folder, opened_house(Path(folder), rules="---\n".join([RULES, *texts])) as house:
        yield house


def take_in(house: Installation, lines: list[str], *, name: str = "a") -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        collector = ImportCollector(source="nginx.access", kind="nginx.access", files=[str(path)], clock=house.clock)
        import_streams(house, OPERATOR, collector, work=InlineWork(house.stages))
        collector.close()


def contents_of(house: Installation) -> dict[str, Any]:
    evaluate(house, OPERATOR)
    return {one.id: one.content for one in alerts.every_alert(house, OPERATOR, alerts.AlertFilter())}


def plain(text: str) -> str:
    """Return an exception as the filter that any other engine takes it for."""
    return text.partition("custom:")[0]


LINES = st.lists(
    st.builds(
        lambda minute, path, status, host: access_line(
            NOON + timedelta(minutes=minute), path, status=status, address=f"192.0.2.{host}"
        ),
        minute=st.integers(0, 70),
        path=st.sampled_from(["/shell.jsp", "/shell-test.jsp", "/"]),
        status=st.sampled_from([200, 401, 401]),
        host=st.sampled_from([8, 9]),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=LINES, seed=st.integers(0, 1 << 30))
def test_alerts_with_exceptions_are_those_of_the_hits_that_nothing_suppresses(lines: list[str], seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  a reproducible order, no secret
    lines = sorted(set(lines))
    with house_of(RARE, SCANNER, PATHS) as house:
        # In parts and out of order, with a tick behind each: what comes late is suppressed as well.
        left = list(lines)
        chance.shuffle(left)
        while left:
            size = chance.randint(1, len(left))
            take_in(house, left[:size], name=f"part{len(left)}")
            del left[:size]
            found = contents_of(house)
        every = list(house.log.hits(OPERATOR, HitQuery(suppressed_by=EXCEPTION.format(1))))
        suppressed = {hit.event_id for hit in every}
        hits = {hit.event_id for hit in house.log.hits(OPERATOR, HitQuery())}
        events = house.log.events_by_id(OPERATOR, sorted(hits))
        addresses = {str(event["event.id"]): event["source.ip"] for event in events}
    with house_of(RARE, plain(SCANNER), plain(PATHS)) as narrowed:
        take_in(narrowed, lines)
        expected = contents_of(narrowed)
    assert {key: summary(one) for key, one in found.items()} == {key: summary(one) for key, one in expected.items()}
    assert suppressed == {one for one in addresses if addresses[one] == "192.0.2.8"}


def summary(content: Any) -> tuple[object, ...]:
    return (content.count, content.first, content.last, content.level, content.captured, content.counts_by_unit)


@settings(max_examples=10, deadline=None)
@given(lines=LINES)
def test_the_stored_hits_are_the_same_but_for_the_annotation(lines: list[str]) -> None:
    stored = []
    for texts in ((), (SCANNER, PATHS)):
        with house_of(*texts) as house:
            take_in(house, sorted(set(lines)))
            stored.append(list(house.log.hits(OPERATOR, HitQuery())))
    without, with_exceptions = stored
    assert [replace(hit, suppressed_by=None) for hit in with_exceptions] == without
    assert {hit.suppressed_by for hit in with_exceptions} <= {None, EXCEPTION.format(1), EXCEPTION.format(2)}


def refused(minute: float, address: str = "192.0.2.8") -> str:
    return access_line(NOON + timedelta(minutes=minute), "/login", status=401, address=address)


def test_suppressed_hits_of_base_rules_do_not_count_towards_a_correlation() -> None:
    with house_of(SCANNER) as house:
        take_in(house, [refused(0), refused(1), refused(2), refused(0, "192.0.2.9")])
        assert contents_of(house) == {}
        assert len(list(house.log.hits(OPERATOR, HitQuery(suppressed_by=EXCEPTION.format(1))))) == 3


def test_a_disabled_correlation_raises_no_alert_until_it_expires() -> None:
    expires = (NOON + timedelta(hours=1)).isoformat()
    disabled = override_text(f"{{rules: [{BRUTE}], disabled: true}}", expires=expires)
    with house_of(disabled) as house:
        take_in(house, [refused(minute) for minute in (0, 1, 2, 57, 58, 59, 61)])
        (content,) = contents_of(house).values()
    assert (content.count, content.first) == (1, NOON + timedelta(minutes=61))


def test_what_a_maintenance_window_covers_is_stored_and_found() -> None:
    with house_of(maintenance_text("{rules: any, from: 2026-11-21, to: 2026-11-22}")) as house:
        take_in(house, [access_line(NOON, "/shell.jsp")])
        assert contents_of(house) == {}
        assert [hit.rule_id for hit in house.log.hits(OPERATOR, HitQuery(suppressed=True))] == [SHELL]


def test_an_exception_that_ended_leaves_later_hits_to_the_alert_of_the_same_hour() -> None:
    ends = (NOON + timedelta(minutes=30)).isoformat()
    text = exception_text(selection="source.ip: 192.0.2.8", expires=ends, **WEB)
    with house_of(text) as house:
        take_in(house, [access_line(NOON + timedelta(minutes=at), "/shell.jsp", address="192.0.2.8") for at in (5, 40)])
        (content,) = contents_of(house).values()
        (alert,) = alerts.every_alert(house, OPERATOR, alerts.AlertFilter())
        assert alerts.alert_event_ids(house, OPERATOR, alert)[1] == content.count == 1
        assert len(list(house.log.hits(OPERATOR, HitQuery(alert_id=alert.id)))) == 2


def test_the_records_keep_with_which_exceptions_batches_were_detected() -> None:
    with house_of(SCANNER) as house:
        take_in(house, [refused(0)])
        ruleset = house.records.get(OPERATOR, rulebook.RULESET, house.ruleset.digest)
        assert ruleset is not None
        (kept,) = house.records.find(OPERATOR, RecordQuery(kind=rulebook.SUPPRESSION)).documents
        assert ruleset.body["suppressions"] == {EXCEPTION.format(1): kept.body["suppression.digest"]}
        assert kept.body["suppression.reason"] == "备份软件定时登录"
        assert {row.ruleset for row in house.log.batches(OPERATOR)} == {house.ruleset.digest}


@pytest.mark.parametrize(("unit", "is_suppressed"), [("C-1", True), ("S-1", True), ("S-2", False)], ids=str)
def test_the_scope_of_an_exception_follows_the_unit_tree(unit: str, *, is_suppressed: bool) -> None:
    text = exception_text(selection="url.path: /shell.jsp", units=f"[{unit}]", **WEB)
    with house_of(text) as house:
        source = Source(name="nginx.access", kind="nginx.access", zone=house.zone, unit="S-1")
        configured = replace(house, sources={"nginx.access": source})
        take_in(configured, [access_line(NOON, "/shell.jsp")])
        assert (contents_of(house) == {}) is is_suppressed
