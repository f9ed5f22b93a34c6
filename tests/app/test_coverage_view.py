"""`secmon coverage` as a view: rules × sources × windows over the ledger, the manifest and the routing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from secmon.app import rulebook
from secmon.app.coverage import CoverageFilter, rows, run_rows, run_windows
from secmon.app.coverage_sheets import SHEET, documents
from secmon.app.coverage_writing import bring_forward
from secmon.app.installation import Installation, Source
from secmon.errors import SecmonError
from secmon.model.batch import Batch
from secmon.model.record import Body
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from tests.app.coverages import JOB, NOON, SHELL, SetClock, covered_house, look
from tests.app.houses import BRUTE, FAILURES, RULES
from tests.contracts.builders import batch_of, event_at, hit_on

WINDOWS_RULE = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a078"
BROKEN = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a0ff"
LISTED, UNUSUAL = "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a0fd", "5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a0fe"
MORE = f"""{RULES}
---
title: A shell of Windows
id: {WINDOWS_RULE}
logsource: {{product: windows, category: process_creation}}
detection: {{a: {{Image|endswith: cmd.exe}}, condition: a}}
---
title: No detection
id: {BROKEN}
logsource: {{category: webserver}}
---
title: Address of a list
id: {LISTED}
taxonomy: ecs
logsource: {{category: webserver}}
detection: {{a: {{source.ip|exists: true}}, condition: a}}
custom: {{secmon: {{intel: {{fields: [source.ip], type: [ipv4]}}}}}}
---
title: More requests than usual
id: {UNUSUAL}
correlation: {{type: event_count, rules: ["{FAILURES}"], group-by: [url.path], timespan: 1h, condition: {{gte: 5}}}}
custom: {{secmon: {{baseline: {{type: spike}}}}}}
"""


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON)


@pytest.fixture
def house(store_in_full: str, tmp_path: Path, clock: SetClock) -> Iterator[Installation]:
    with covered_house(tmp_path, clock, backend=store_in_full) as opened:
        sources = {
            "web": Source(name="web", kind="nginx.access", zone=UTC),
            "dc": Source(name="dc", kind="windows.evtx", zone=UTC),
        }
        here = replace(opened, sources=sources, ruleset=load_rules([RuleFile("more.yml", MORE)]))
        rulebook.keep(here, JOB)
        bring_forward(here, JOB)
        yield here


def commit(house: Installation, ruleset: RuleSet, *, number: int = 1, minutes: int = 5, hits: int = 1) -> None:
    at = NOON + timedelta(minutes=minutes)
    events = [event_at((number - 1) * 100_000 + place, at) for place in range(3)]
    found: Batch = batch_of(
        events, number=number, received_at=at, hits=[hit_on(one, rule=SHELL) for one in events[:hits]]
    )
    house.log.commit(JOB, replace(found, ruleset=ruleset.digest))


def view(house: Installation, **wanted: object) -> list[Body]:
    return list(rows(house, JOB, CoverageFilter(**wanted)))  # type: ignore[arg-type]  # fields of the filter


def noon(found: list[Body]) -> list[Body]:
    return [row for row in found if row["window"]["from"] == "2026-11-21T12:00:00.000Z"]


def test_each_rule_stands_at_each_source_that_reaches_it(house: Installation, clock: SetClock) -> None:
    commit(house, house.ruleset)
    look(house, clock, hours=1, minutes=3)
    told = {(row["rule.id"], row["source"]): row["state"] for row in noon(view(house))}
    assert told == {
        (SHELL, "web"): "evaluated",
        (FAILURES, "web"): "evaluated",
        (BRUTE, "web"): "evaluated",
        (WINDOWS_RULE, "dc"): "no_data",
        (BROKEN, "*"): "not_run",
        (LISTED, "*"): "not_run",
        (UNUSUAL, "web"): "evaluated",
    }


def test_a_row_has_the_keys_of_the_contract(house: Installation, clock: SetClock) -> None:
    commit(house, house.ruleset, hits=2)
    look(house, clock, hours=1, minutes=3)
    (row,) = noon(view(house, rule=SHELL))
    assert row["window"] == {"from": "2026-11-21T12:00:00.000Z", "to": "2026-11-21T13:00:00.000Z"}
    assert (row["source"], row["events"], row["hits"]) == ("web", 3, 2)
    assert row["rule.digest"] == house.ruleset.by_id[SHELL].digest
    assert len(row["digest"]) == 64
    (broken,) = noon(view(house, rule=BROKEN))
    assert broken["reason"].startswith("broken: ")
    (waiting,) = noon(view(house, rule=LISTED))
    assert waiting["reason"] == "waiting: intelligence"


def test_baselines_stand_in_the_manifest_with_what_they_rest_on(house: Installation) -> None:
    document = house.records.get(JOB, rulebook.RULESET, house.ruleset.digest)
    assert document is not None
    assert document.body["correlations"][UNUSUAL] == [FAILURES]
    assert document.body["rules"][UNUSUAL] == house.ruleset.by_id[UNUSUAL].digest
    assert document.body["rules"].keys() == house.ruleset.by_id.keys()


def test_a_correlation_has_a_state_at_a_source_but_no_hits_of_its_own(house: Installation, clock: SetClock) -> None:
    commit(house, house.ruleset)
    look(house, clock, hours=1, minutes=3)
    (row,) = noon(view(house, rule=BRUTE))
    assert (row["state"], "hits" in row) == ("evaluated", False)


def test_rules_that_changed_within_a_window_stand_there_under_both_digests(
    house: Installation, clock: SetClock
) -> None:
    before = house.ruleset
    changed = load_rules([RuleFile("more.yml", MORE.replace("contains: shell", "contains: shell2"))])
    commit(house, before)
    after = replace(house, ruleset=changed)
    rulebook.keep(after, JOB)
    commit(after, changed, number=2, minutes=9)
    look(after, clock, hours=1, minutes=3)
    digests = {row["rule.digest"] for row in noon(view(after, rule=SHELL))}
    assert digests == {before.by_id[SHELL].digest, changed.by_id[SHELL].digest}


def test_a_window_that_was_written_again_names_what_it_was(house: Installation, clock: SetClock) -> None:
    commit(house, house.ruleset)
    look(house, clock, hours=1, minutes=3)
    (before,) = noon(view(house, rule=SHELL))
    commit(house, house.ruleset, number=2, minutes=9)
    bring_forward(house, JOB)
    (after,) = noon(view(house, rule=SHELL))
    assert (after["state"], after["previous"], after["hits"]) == ("re_evaluated", before["digest"], 2)


def test_what_was_not_run_is_kept_once_however_many_hours_it_lasts(house: Installation, clock: SetClock) -> None:
    look(house, clock, hours=4)
    lists = {sheet["not_run"] for sheet in documents(house, JOB, SHEET)}
    assert len(lists) == 1
    assert "" not in lists


@pytest.mark.parametrize(("source", "found"), [("web", {"web"}), ("dc", {"dc"}), ("nobody", set())])
def test_a_source_can_be_asked_for(house: Installation, clock: SetClock, source: str, found: set[str]) -> None:
    look(house, clock, hours=2)
    assert {row["source"] for row in view(house, source=source)} == found


def test_nothing_is_told_of_sources_out_of_sight(house: Installation, clock: SetClock) -> None:
    look(house, clock, hours=2)
    assert {row["source"] for row in view(house, sources=frozenset({"dc"}))} == {"dc"}


def test_by_default_the_last_day_is_shown(house: Installation, clock: SetClock) -> None:
    look(house, clock, minutes=4)
    clock.pass_time(hours=60)
    bring_forward(house, JOB)
    found = run_windows(house, JOB, {})
    assert found["until"] == "2026-11-24T00:00:00.000Z"
    assert min(row["from"] for row in found["rows"]) == "2026-11-23T00:00:00.000Z"


def test_more_rows_than_anybody_reads_are_refused(
    house: Installation, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(house, clock, hours=2)
    monkeypatch.setattr("secmon.app.coverage.MAX_ROWS", 3)
    with pytest.raises(SecmonError, match="more than 3 rows"):
        run_rows(house, JOB, {})


def test_before_anything_was_entered_there_is_nothing(tmp_path: Path, clock: SetClock) -> None:
    with covered_house(tmp_path / "empty", clock) as empty:
        assert run_windows(empty, JOB, {}) == {"until": "", "rows": []}
        assert run_rows(empty, JOB, {}) == []


def test_hours_in_which_nobody_looked_are_told_once(house: Installation, clock: SetClock) -> None:
    clock.pass_time(minutes=245)
    bring_forward(house, JOB)
    found = run_windows(house, JOB, {})["rows"]
    down = [row for row in found if row["reason"] == "down"]
    assert len({(row["source"], row["from"]) for row in found}) == len(found)
    assert [(row["source"], row["from"][11:16], row["to"][11:16]) for row in down] == [
        (source, "13:00", "16:00") for source in ("dc", "web")
    ]
    told = [(row["rule.id"], row["source"], row["window"]["from"]) for row in view(house)]
    assert len(set(told)) == len(told)
