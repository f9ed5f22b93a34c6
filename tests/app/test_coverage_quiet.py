"""Coverage says with which exceptions and windows something was evaluated, what was disabled, and what was cut."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.app import rulebook
from secmon.app.coverage import CoverageFilter, rows, suppressions, windows
from secmon.app.coverage_writing import bring_forward
from secmon.app.evaluate import evaluate
from secmon.app.installation import Installation, Source
from secmon.model.record import Body
from secmon.sigma import sliding
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.sigma.suppression import Weekly
from tests.app.coverages import JOB, NOON, SHELL, SetClock, counted_by, covered_house, look
from tests.app.houses import BRUTE, FAILURES, RULES
from tests.contracts.builders import batch_of, event_at, hit_on
from tests.sigma.tuning_texts import EXCEPTION, exception_text, maintenance_text, override_text

WEB: dict[str, Any] = {"logsource": "category: webserver"}


@pytest.fixture
def house(backend: str, tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with covered_house(tmp_path, clock, backend=backend) as opened:
        yield replace(opened, sources={"web": Source(name="web", kind="nginx.access", zone=UTC, asset="A-1")})


def tuned(house: Installation, *texts: str) -> Installation:
    files = [RuleFile("rules.yml", RULES), *(RuleFile(f"{n}.yml", text) for n, text in enumerate(texts))]
    ruleset = load_rules(files)
    assert ruleset.problems == ()
    here = replace(house, ruleset=ruleset)
    rulebook.keep(here, JOB)
    bring_forward(here, JOB)
    return here


def commit(house: Installation, *, number: int = 1, at: datetime = NOON, hits: int = 0) -> None:
    """Commit a batch received five minutes after noon, of events at one moment; some count towards the correlation."""
    events = [event_at((number - 1) * 100_000 + place, at) for place in range(max(hits, 2))]
    found = [replace(hit_on(one, rule=FAILURES, at=at), **counted_by(house)) for one in events[:hits]]
    batch = batch_of(events, number=number, hits=found, received_at=NOON + timedelta(minutes=5), day=NOON.date())
    house.log.commit(JOB, replace(batch, ruleset=house.ruleset.digest))


def noon(house: Installation, clock: SetClock) -> dict[str, Body]:
    look(house, clock, hours=1, minutes=3)
    found = rows(house, JOB, CoverageFilter(since=NOON, until=NOON + timedelta(hours=1)))
    return {row["rule.id"]: row for row in found if row["window"]["from"] == "2026-11-21T12:00:00.000Z"}


def test_a_row_names_the_exceptions_that_its_rule_was_evaluated_with(house: Installation, clock: SetClock) -> None:
    house = tuned(
        house,
        exception_text(rules=f"[{SHELL}]", **WEB),
        exception_text(number=2, units="[S-1]", **WEB),
        exception_text(number=3, units="[S-2]", **WEB),
        exception_text(number=4, expires="2026-11-19", **WEB),
    )
    commit(house)
    told = noon(house, clock)
    assert told[SHELL]["suppressions"] == [EXCEPTION.format(1), EXCEPTION.format(2)]
    assert told[FAILURES]["suppressions"] == [EXCEPTION.format(2)]
    assert {row["state"] for row in told.values()} == {"evaluated"}


def test_what_was_taken_away_since_is_still_named(house: Installation, clock: SetClock) -> None:
    before = tuned(house, exception_text(**WEB))
    commit(before)
    after = tuned(before)
    assert noon(after, clock)[SHELL]["suppressions"] == [EXCEPTION.format(1)]
    (row,) = windows(after, JOB, CoverageFilter(since=NOON, until=NOON + timedelta(hours=1)))
    (said,) = suppressions(after, JOB, row)
    assert (said["suppression.owner"], said["suppression.name"]) == ("张三", "Exception 1")


def test_without_anything_that_quiets_there_is_no_word_of_it(house: Installation, clock: SetClock) -> None:
    house = tuned(house)
    commit(house)
    assert all("suppressions" not in row for row in noon(house, clock).values())


def test_a_disabled_rule_was_not_run_and_says_who_and_until_when(house: Installation, clock: SetClock) -> None:
    house = tuned(house, override_text(f"{{rules: [{SHELL}], disabled: true}}", expires="2026-12-01"))
    commit(house)
    told = noon(house, clock)
    assert (told[SHELL]["state"], told[SHELL]["reason"]) == ("not_run", "disabled: 张三, 2026-12-01T16:00:00.000Z")
    assert told[FAILURES]["state"] == "evaluated"


@pytest.mark.parametrize(
    "custom", [{"units": "[S-1]"}, {"starts": "2026-11-22"}], ids=["of some units", "begun in between"]
)
def test_what_was_disabled_in_part_was_evaluated(house: Installation, clock: SetClock, custom: dict[str, Any]) -> None:
    text = override_text(f"{{rules: [{SHELL}], disabled: true}}", expires="2026-12-01", **custom)
    house = tuned(house, text)
    commit(house)
    late = NOON + timedelta(hours=5)  # one in the morning of the 22nd in Shanghai
    commit(house, number=2, at=late)
    row = noon(house, clock)[SHELL]
    assert (row["state"], row["suppressions"]) == ("evaluated", [EXCEPTION.format(201)])


@pytest.mark.parametrize(
    ("block", "is_named"),
    [
        ("{rules: any, from: 2026-11-21T19:30, to: 2026-11-21T20:01}", True),
        ("{rules: any, from: 2026-11-21T20:06, to: 2026-11-21T21:00}", False),
        ("{rules: any, weekly: [sat], from: 19:00, to: 20:30, since: 2026-11-01, until: 2026-12-01}", True),
        ("{rules: any, weekly: [fri], from: 22:00, to: 20:30, since: 2026-11-01, until: 2026-12-01}", True),
        ("{rules: any, weekly: [sat], from: 21:00, to: 22:00, since: 2026-11-01, until: 2026-12-01}", False),
        ("{rules: any, weekly: [sun], from: 19:00, to: 20:30, since: 2026-11-01, until: 2026-12-01}", False),
    ],
    ids=["once", "once, later", "weekly", "weekly, over midnight", "weekly, later", "weekly, another day"],
)
def test_a_maintenance_window_counts_by_the_time_of_the_events(
    house: Installation, clock: SetClock, block: str, *, is_named: bool
) -> None:
    house = tuned(house, maintenance_text(block))
    commit(house)
    assert ("suppressions" in noon(house, clock)[SHELL]) is is_named


def test_a_correlation_that_counted_too_little_says_so(
    house: Installation, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sliding, "MAX_WINDOW", 4)
    house = tuned(house)
    clock.pass_time(minutes=6)
    commit(house, hits=6)
    evaluate(house, JOB)
    told = noon(house, clock)
    assert (told[BRUTE]["state"], told[BRUTE]["reason"]) == ("evaluated", "overflow")
    assert "reason" not in told[FAILURES]


WEEKS = st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 30))  # noqa: DTZ001  a zone's local time


@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    opens=st.integers(0, 1439),
    closes=st.integers(0, 1439),
    since=WEEKS.map(lambda at: at.replace(second=0, microsecond=0)),
    minutes=st.integers(0, 9 * 1440),
)
def test_weekly_hours_meet_a_time_that_has_one_of_their_minutes(
    days: set[int], opens: int, closes: int, since: datetime, minutes: int
) -> None:
    weekly = Weekly(tuple(sorted(days)), opens, closes, "Asia/Shanghai")
    slow = any(weekly.covers(since + timedelta(minutes=minute)) for minute in range(minutes + 1))
    assert weekly.meets(since, since + timedelta(minutes=minutes)) is slow
