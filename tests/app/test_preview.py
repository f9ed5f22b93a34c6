"""The preview of an exception says exactly what a store that had it from the beginning holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.app.preview import Proposal, preview, proposal_of
from secmon.errors import NotFoundError
from secmon.model.questions import HitQuery
from secmon.sigma.rule import RuleFile
from secmon.sigma.ruleset import load_rules
from tests.app.houses import BRUTE, FAILURES, NOON, OPERATOR, RULES, SHELL, access_line
from tests.app.test_suppressed_alerts import LINES, PATHS, RARE, SCANNER, contents_of, house_of, take_in
from tests.sigma.tuning_texts import EXCEPTION, exception_text, maintenance_text, override_text

SINCE, UNTIL = NOON - timedelta(days=1), NOON + timedelta(days=1)
CONTROLLED = RULES.replace("title_zh: 网页后门访问,", "title_zh: 网页后门访问, controls: [L3-CES1-17],")


def proposed(*texts: str, rules: str = RULES, others: str = RARE) -> Proposal:
    files = [RuleFile("rules.yml", rules), RuleFile("rare.yml", others), RuleFile("new.yml", "---\n".join(texts))]
    ruleset = load_rules(files)
    assert ruleset.problems == ()
    return proposal_of(ruleset, "new.yml", SINCE, UNTIL)


DISABLED = override_text(f"{{rules: [{BRUTE}], disabled: true}}", number=3, expires="2026-12-31")
NIGHT = maintenance_text("{rules: any, from: 2026-11-21T20:20, to: 2026-11-21T20:40}", number=4)


@settings(max_examples=15, deadline=None)
@given(lines=LINES, texts=st.lists(st.sampled_from([SCANNER, PATHS, DISABLED, NIGHT]), min_size=1, unique=True))
def test_a_preview_tells_what_would_be_stored_had_it_been_there_from_the_beginning(
    lines: list[str], texts: list[str]
) -> None:
    lines = sorted(set(lines))
    with house_of(RARE) as house:
        take_in(house, lines)
        before = contents_of(house)
        found = preview(house, OPERATOR, proposed(*texts))
    with house_of(RARE, *texts) as tuned:
        take_in(tuned, lines)
        after = contents_of(tuned)
        counted = tuned.log.count_suppressed(OPERATOR, HitQuery())
    expected = {
        alert_id: (
            before[alert_id].count if alert_id in before else 0,
            after[alert_id].count if alert_id in after else 0,
        )
        for alert_id in before.keys() | after.keys()
    }
    told = {row["alert.id"]: (row["before"], row["after"]) for row in found["alert_rows"]}
    assert told == {key: pair for key, pair in expected.items() if pair[0] != pair[1]}
    assert {row["suppression.id"]: row["hits"] for row in found["suppressions"] if row["hits"]} == sums(counted)
    assert found["hits"]["covered"] == sum(counted.values())
    assert found["hits"]["undecided"] == 0


def sums(counted: dict[Any, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (identity, _), number in counted.items():
        found[identity] = found.get(identity, 0) + number
    return found


def test_a_preview_names_what_becomes_of_each_alert() -> None:
    lines = [access_line(NOON, "/shell.jsp", address=f"192.0.2.{host}") for host in (8, 9)]
    lines += [access_line(NOON + timedelta(minutes=1), "/shell-test.jsp", address="192.0.2.9")]
    with house_of() as house:
        take_in(house, lines)
        contents_of(house)
        found = preview(house, OPERATOR, proposed(SCANNER, PATHS))
    assert found["hits"] == {"examined": 3, "covered": 2, "undecided": 0, "released": 0}
    assert found["alerts"] == {"vanishes": 1, "shrinks": 1, "appears": 0, "grows": 0}
    assert [(row["change"], row["before"], row["after"]) for row in found["alert_rows"]] == [
        ("shrinks", 2, 1),
        ("vanishes", 1, 0),
    ]
    assert found["alert_rows"][1]["alert.state"] == "new"


def test_an_alert_that_asks_for_few_events_can_grow() -> None:
    few = RARE.replace("lte: 2", "lte: 1").replace("5m", "10m")
    path = exception_text(rules=f"[{FAILURES}]", selection="url.path: /login", logsource="category: webserver")
    paths = {0: "/login", 5: "/other", 8: "/login", 16: "/other"}
    with house_of(few) as house:
        take_in(house, [access_line(NOON + timedelta(minutes=at), each, status=401) for at, each in paths.items()])
        contents_of(house)
        found = preview(house, OPERATOR, proposed(path, others=few))
    changed = {row["rule.id"]: (row["change"], row["before"], row["after"]) for row in found["alert_rows"]}
    assert changed["5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a009"] == ("grows", 1, 2)


def test_controls_that_would_lose_every_hit_or_every_rule_are_named() -> None:
    disabled = override_text(f"{{rules: [{SHELL}], disabled: true}}", expires="2026-12-31")
    with house_of() as house:
        take_in(house, [access_line(NOON, "/shell.jsp", address="192.0.2.8")])
        contents_of(house)
        one = preview(house, OPERATOR, proposed(SCANNER, rules=CONTROLLED))["controls"]
        other = preview(house, OPERATOR, proposed(disabled, rules=CONTROLLED))["controls"]
        none = preview(house, OPERATOR, proposed(PATHS, rules=CONTROLLED))["controls"]
    assert [(row["control.id"], row["state"], row["hits_before"], row["hits_after"]) for row in one] == [
        ("L3-CES1-17", "loses_every_hit", 1, 0)
    ]
    assert (other[0]["state"], other[0]["rules_left"]) == ("loses_every_rule", [])
    assert none == []


def test_a_narrower_version_of_an_exception_releases_hits() -> None:
    with house_of(SCANNER) as house:
        take_in(house, [access_line(NOON, "/shell.jsp", address="192.0.2.8")])
        found = preview(house, OPERATOR, proposed(exception_text(selection="source.ip: 192.0.2.7",
                                                                 logsource="category: webserver")))  # fmt: skip
        assert found["suppressions"][0]["suppression.id"] == EXCEPTION.format(1)
    assert (found["hits"]["covered"], found["hits"]["released"]) == (0, 1)


def test_what_begins_today_is_tried_on_history() -> None:
    text = exception_text(
        selection="source.ip: 192.0.2.8", logsource="category: webserver", starts="2026-12-01", expires="2026-12-31"
    )
    with house_of() as house:
        take_in(house, [access_line(NOON, "/shell.jsp", address="192.0.2.8")])
        assert preview(house, OPERATOR, proposed(text))["hits"]["covered"] == 1


def test_a_file_that_suppresses_nothing_has_no_preview() -> None:
    ruleset = load_rules([RuleFile("rules.yml", RULES)])
    with pytest.raises(NotFoundError, match="nothing in the file"):
        proposal_of(ruleset, "rules.yml", SINCE, datetime.max.replace(tzinfo=UTC))


def test_a_control_whose_alerts_would_all_vanish_is_named_though_hits_of_helpers_are_left() -> None:
    rules = RULES.replace("title_zh: 多次被拒", "title_zh: 多次被拒, controls: [L3-CES1-02]")
    assert rules != RULES
    lines = [access_line(NOON + timedelta(seconds=n), "/login", address="192.0.2.8", status=401) for n in range(12)]
    other = access_line(NOON + timedelta(minutes=1), "/login", address="192.0.2.9", status=401)
    text = exception_text(rules=f"[{FAILURES}]", selection="source.ip: 192.0.2.8", logsource="category: webserver")
    with house_of() as house:
        take_in(house, [*lines, other])
        contents_of(house)
        found = preview(house, OPERATOR, proposed(text, rules=rules))["controls"]
    told = [(row["control.id"], row["state"], row["alerts_before"], row["alerts_after"]) for row in found]
    assert told == [("L3-CES1-02", "loses_every_alert", 1, 0)]
    assert found[0]["hits_after"] == 1
