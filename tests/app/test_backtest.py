"""Back-tests where exceptions are in force: the same hits as were stored, annotated alike, and the same alerts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.app import scorecard
from secmon.app.alerts import AlertFilter, every_alert
from secmon.app.backtest import BackTest, Span, budget_of, trial_of
from secmon.app.detect import Row
from secmon.app.evaluate import evaluate
from secmon.app.imports import import_streams
from secmon.app.installation import Installation
from secmon.app.work import InlineWork
from secmon.collect.oneoff import ImportCollector
from secmon.model.questions import HitQuery
from tests.app.houses import BRUTE, FAILURES, NOON, OPERATOR, RULES, SHELL, access_line, house_on
from tests.sigma.tuning_texts import EXCEPTION, exception_text, override_text

SCANNER = exception_text(selection="source.ip: 192.0.2.8", logsource="category: webserver")


DISABLED = override_text(f"{{rules: [{BRUTE}], disabled: true}}", number=3, expires="2026-12-31")


@pytest.fixture(params=["", DISABLED], ids=["exception", "disabled"])
def house(store_in_full: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    texts = [RULES, SCANNER, *([request.param] if request.param else [])]
    with house_on(store_in_full, tmp_path / "state", rules="---\n".join(texts)) as opened:
        log = tmp_path / "access.log"
        lines = [access_line(NOON, "/shell.jsp", address=f"192.0.2.{n}") for n in (7, 8, 9)]
        # Three refused requests of each: enough for the correlation where the exception takes none of them away.
        lines += [
            access_line(NOON + timedelta(seconds=n), "/x", status=401, address=f"192.0.2.{8 + n % 2}") for n in range(8)
        ]
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")
        collector = ImportCollector(source="nginx.access", kind="nginx.access", files=[str(log)], clock=opened.clock)
        import_streams(opened, OPERATOR, collector, work=InlineWork(opened.stages))
        collector.close()
        evaluate(opened, OPERATOR)
        yield opened


def run(house: Installation, *rules: str) -> tuple[list[Row], dict[str, Any]]:
    span = Span(since=None, until=datetime(2027, 1, 1, tzinfo=UTC))
    one = BackTest(house, OPERATOR, trial_of(house.ruleset, rules), span, budget_of(house, 60))
    return list(one.rows()), one.summary()


def test_hits_are_annotated_as_they_were_stored(house: Installation) -> None:
    for rule in (SHELL, FAILURES):
        stored = [(hit.event_id, hit.suppressed_by) for hit in house.log.hits(OPERATOR, HitQuery(rule_ids=(rule,)))]
        rows, summary = run(house, rule)
        assert [(row["event.id"], row.get("secmon.suppressed_by")) for row in rows] == stored
        covered = sum(by == EXCEPTION.format(1) for _, by in stored)
        assert summary["suppressed"] == covered > 0


def test_alerts_are_those_that_were_raised(house: Installation) -> None:
    for rule in (SHELL, BRUTE):
        raised = list(every_alert(house, OPERATOR, AlertFilter(rule=rule)))
        rows, summary = run(house, rule)
        assert summary["alerts"] == len(raised)
        counted = [row for row in rows if "secmon.suppressed_by" not in row]
        assert len(counted) == sum(alert.content.count for alert in raised)


def test_the_scorecard_counts_what_was_suppressed_beside_the_alerts(house: Installation) -> None:
    (found,) = [one for one in scorecard.over(house, OPERATOR, 30).scores if one.rule_id == SHELL]
    assert (found.alerts, found.hits, found.suppressed) == (2, 2, 1)
