"""Exceptions, overrides and maintenance windows: what they cover, what they change, and what makes them broken."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Event, format_time
from secmon.model.hit import Hit, Level
from secmon.sigma.dump import dump
from secmon.sigma.dump import load as undump
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.lists import read_lists
from secmon.sigma.match import Definition
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.suppressor import Suppressor
from tests.sigma.rule_texts import ID, correlation_text, load, login, only_problem, rule_text
from tests.sigma.tuning_texts import EXCEPTION, exception_text, maintenance_text, override_text

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EVERY_LOGIN = rule_text("selection: {user.name|exists: true}\ncondition: selection")
TREE = {"city": frozenset({"city", "school"}), "school": frozenset({"school"})}


def loaded(*texts: str) -> RuleSet:
    ruleset = load(EVERY_LOGIN, *texts)
    assert ruleset.problems == ()
    return ruleset


def hits_on(ruleset: RuleSet, event: Event, at: datetime = NOON) -> list[Hit]:
    full = {"@timestamp": format_time(at), "event.id": "ab" * 16, **event}
    found = make_hits(ruleset, full, Engine(ruleset).match(full))
    return Suppressor(ruleset.suppressions, lambda unit: TREE.get(unit, frozenset())).annotated(full, found)


def suppressing(ruleset: RuleSet, event: Event, at: datetime = NOON) -> str | None:
    """Return what suppresses the hit of rule 1, which must be there."""
    (hit,) = [hit for hit in hits_on(ruleset, event, at) if hit.rule_id == ID.format(1)]
    return hit.suppressed_by


def test_an_exception_annotates_the_hits_it_covers_and_leaves_the_rule_as_it_is() -> None:
    plain, ruleset = loaded(), loaded(exception_text())
    assert ruleset.rules == plain.rules
    assert suppressing(ruleset, login(user_name="backup")) == EXCEPTION.format(1)
    assert suppressing(ruleset, login(user_name="mori")) is None


def test_the_digest_of_a_rule_set_covers_its_exceptions() -> None:
    texts = [exception_text(), exception_text(reason="别的理由"), exception_text(approver="王五"), maintenance_text()]
    digests = {loaded(text).digest for text in texts} | {loaded().digest}
    assert len(digests) == 5


def test_a_filter_without_the_block_narrows_rules_as_ever() -> None:
    text = exception_text().partition("custom:")[0]
    ruleset = loaded(text)
    assert ruleset.suppressions == ()
    assert hits_on(ruleset, login(user_name="backup")) == []


@pytest.mark.parametrize(
    ("units", "covered"),
    [("any", ["city", "school", "other", None]), ("[city]", ["city", "school"]), ("school", ["school"]),
     ("[nowhere]", [])],
    ids=["any", "subtree", "leaf", "unknown"],
)  # fmt: skip
def test_the_scope_is_the_subtree_of_its_units(units: str, covered: list[str | None]) -> None:
    ruleset = loaded(exception_text(units=units))
    found = [
        unit
        for unit in ("city", "school", "other", None)
        if suppressing(ruleset, login(user_name="backup") | ({"unit.id": unit} if unit else {}))
    ]
    assert found == covered


def test_assets_narrow_the_scope() -> None:
    ruleset = loaded(exception_text(assets="[A-1]"))
    assert suppressing(ruleset, login(user_name="backup") | {"asset.id": "A-1"})
    assert not suppressing(ruleset, login(user_name="backup") | {"asset.id": "A-2"})
    assert not suppressing(ruleset, login(user_name="backup"))


@pytest.mark.parametrize(
    ("custom", "first", "behind"),
    [
        ({"expires": "2026-12-31"}, "2025-12-30T16:00", "2026-12-31T16:00"),
        ({"expires": "2026-12-31T10:00Z", "starts": "2026-12-01"}, "2026-11-30T16:00", "2026-12-31T10:00"),
        ({"expires": "2026-12-31", "zone": "+00:00", "starts": "2026-12-31"}, "2026-12-31T00:00", "2027-01-01T00:00"),
    ],
    ids=["a day counts whole in Shanghai", "times", "another zone"],
)
def test_it_covers_event_times_from_its_start_to_its_expiry(custom: dict[str, Any], first: str, behind: str) -> None:
    ruleset = loaded(exception_text(**custom))
    start, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, behind))
    step = timedelta(milliseconds=1)
    moments = [start - step, start, end - step, end]
    found = [suppressing(ruleset, login(user_name="backup"), at) is not None for at in moments]
    assert found == [False, True, True, False]


@pytest.mark.parametrize(
    ("custom", "line", "problem"),
    [
        ({"owner": None}, 10, "owner is missing"),
        ({"approver": None}, 10, "approver is missing"),
        ({"reason": None}, 10, "reason is missing"),
        ({"expires": None}, 10, "expires is missing"),
        ({"units": None}, 10, "units is missing"),
        ({"units": "[]"}, 11, "units is missing"),
        ({"units": "[any, city]"}, 11, "names `any` and others"),
        ({"units": "{a: b}"}, 11, "not a list of ids"),
        ({"approver": "张 三"}, 13, "approved it themselves"),
        ({"owner": "Mori", "approver": "\uff4dORI"}, 13, "approved it themselves"),
        ({"owner": "7"}, 12, "owner is not a text"),
        ({"expires": "soon"}, 15, "no day or time"),
        ({"expires": "9999-12-31"}, 15, "no day or time"),
        ({"expires": "2026-12-31", "starts": "2027-01-01"}, 15, "ends before it begins"),
        ({"expires": "2026-12-31", "starts": "2025-12-30"}, 15, "longer than 366 days"),
        ({"zone": "Mars/Base"}, 16, "zone is unknown"),
        ({"until": "2026-12-31"}, 16, "unknown key custom.secmon.until"),
    ],
    ids=str,
)  # fmt: skip
def test_an_exception_without_what_it_must_say_is_broken(custom: dict[str, Any], line: int, problem: str) -> None:
    found = only_problem(EVERY_LOGIN, exception_text(**custom))
    assert (found.path, found.line, found.kind, found.state) == ("r1.yml", line, "exception", "broken")
    assert problem in found.problem


def test_a_broken_exception_suppresses_nothing_and_narrows_nothing() -> None:
    ruleset = load(EVERY_LOGIN, exception_text(owner=None))
    assert suppressing(ruleset, login(user_name="backup")) is None


def test_an_exception_that_finds_no_rule_is_broken() -> None:
    assert "finds no rule nobody" in only_problem(EVERY_LOGIN, exception_text(rules="[nobody]")).problem
    base = correlation_text("type: event_count\ngroup-by: [user.name]\ncondition: {gte: 2}")
    found = only_problem(EVERY_LOGIN, base, exception_text(rules=f"[{ID.format(9)}]"))
    assert "a correlation" in found.hint


def test_an_exception_of_a_later_file_replaces_one_of_the_same_id() -> None:
    ruleset = loaded(exception_text(), exception_text(selection="user.name: mori"))
    assert [one.path for one in ruleset.suppressions] == ["r2.yml"]
    assert suppressing(ruleset, login(user_name="mori"))


def test_of_several_exceptions_the_one_with_the_lowest_id_is_named() -> None:
    ruleset = loaded(exception_text(number=2), exception_text(number=1), maintenance_text())
    assert suppressing(ruleset, login(user_name="backup")) == EXCEPTION.format(1)


def test_fields_of_an_exception_mean_what_they_mean_in_each_rule() -> None:
    sources = ("product: windows\nservice: security", "product: windows\ncategory: process_creation")
    detections = ("s: {EventID: 4625}\ncondition: s", "s: {User|exists: true}\ncondition: s")
    rules = [
        rule_text(detection, number=number, logsource=source).replace("taxonomy: ecs\n", "")
        for number, (detection, source) in enumerate(zip(detections, sources, strict=True), start=2)
    ]
    text = exception_text(selection="TargetUserName: backup", logsource="product: windows").replace(
        "taxonomy: ecs\n", ""
    )
    ruleset = load(*rules, text)
    assert ruleset.problems == ()
    event: Event = {
        "event.module": "windows", "winlog.channel": "Security", "event.code": "4625",
        "winlog.event_data.TargetUserName": "BACKUP",
    }  # fmt: skip
    assert [hit.suppressed_by for hit in hits_on(ruleset, event)] == [EXCEPTION.format(1)]


def test_values_of_an_exception_come_from_a_shared_list() -> None:
    lists, errors = read_lists([RuleFile("lists/backup_accounts.txt", "# 备份账号\nbackup\n\nveeam*\nbackup\n")])
    assert (lists, errors) == ({"backup_accounts": ("backup", "veeam*")}, [])
    text = exception_text(selection="user.name|expand: '%backup_accounts%'")
    ruleset = load(EVERY_LOGIN, text, placeholders=lists)
    assert [bool(suppressing(ruleset, login(user_name=name))) for name in ("backup", "veeam01", "mori")] == [
        True, True, False,
    ]  # fmt: skip
    assert "backup_accounts" in only_problem(EVERY_LOGIN, text).problem


@pytest.mark.parametrize("text", ["", "# only\n", "x" * 1_001, "\n".join(map(str, range(10_001)))], ids=range(4))
def test_a_list_that_is_wrong_is_told_with_its_line(text: str) -> None:
    lists, errors = read_lists([RuleFile("l/a.txt", text), RuleFile("l/b.txt", "x")])
    assert lists == {"b": ("x",)}
    assert errors[0].where == "l/a.txt:1"


@pytest.mark.parametrize(
    ("block", "covered"),
    [
        ("{rules: any, from: 2026-11-21T22:00, to: 2026-11-22T06:00}", (22, 30)),
        ("{rules: any, weekly: [sat], from: 22:00, to: 06:00, since: 2026-11-01, until: 2026-12-31}", (22, 30)),
        ("{rules: any, weekly: sat, from: 20:00, to: 24:00, since: 2026-11-01, until: 2026-12-31}", (20, 24)),
        ("{rules: any, weekly: sat, from: 00:00, to: 00:00, since: 2026-11-01, until: 2026-12-31}", (0, 24)),
        ("{rules: any, weekly: sat, from: 20:00, to: 23:00, since: 2026-11-01, until: 2026-11-20}", (0, 0)),
    ],
    ids=["once", "over midnight", "to midnight", "a whole day", "ended before"],
)
def test_a_maintenance_window_covers_its_hours_by_the_clock_of_its_zone(block: str, covered: tuple[int, int]) -> None:
    ruleset = loaded(maintenance_text(block))
    midnight = datetime(2026, 11, 21, tzinfo=UTC) - timedelta(hours=8)  # of Saturday, in Shanghai
    found = [
        hour
        for hour in range(36)
        if suppressing(ruleset, login(user_name="mori"), midnight + timedelta(hours=hour)) is not None
    ]
    assert found == list(range(*covered))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (maintenance_text("{rules: any, from: 2026-11-01, to: 2026-12-31}"), "lasts too long"),
        (maintenance_text("{rules: any, from: 2026-11-21T22:00}"), "maintenance.to is missing"),
        (maintenance_text("{rules: any, from: 2026-11-22, to: 2026-11-20}"), "ends before"),
        (maintenance_text("{rules: any, weekly: [sat], from: 22:00, to: 06:00}"), "maintenance.since is missing"),
        (maintenance_text("{rules: any, weekly: [xmas], from: 1:00, to: 2:00, since: 2026-11-01, until: 2026-11-30}"),
         "not a list of days"),
        (maintenance_text("{rules: any, weekly: [sat], from: 25:00, to: 06:00, since: 2026-11-01, until: 2026-11-30}"),
         "no time of day"),
        (maintenance_text("{rules: any, weekly: [sat], from: 2:00, to: 3:00, since: 2026-01-01, until: 2027-06-30}"),
         "lasts too long"),
        (maintenance_text("{rules: nobody, from: 2026-11-21, to: 2026-11-21}"), "finds no rule nobody"),
        (maintenance_text("{rules: any, form: 2026-11-21, to: 2026-11-21}"), "unknown key form"),
        (maintenance_text("[1]"), "not a mapping"),
        (maintenance_text(units=None), "units is missing"),
        (maintenance_text(expires="2026-12-31"), "unknown key custom.secmon.expires"),
        (maintenance_text(approver="张三"), "approved it themselves"),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_maintenance_window_that_is_wrong_or_without_end_is_broken(text: str, problem: str) -> None:
    found = only_problem(EVERY_LOGIN, text)
    assert (found.kind, found.state) == ("maintenance", "broken")
    assert problem in found.problem


def test_an_override_changes_grouping_and_level_without_the_rules_file() -> None:
    text = override_text(f"{{rules: [{ID.format(1)}], level: low, group_by: [user.name], group_window: 4h}}")
    (rule,) = loaded(text).rules
    assert (rule.level, rule.group_by, rule.group_window) == (Level.LOW, ("user.name",), timedelta(hours=4))
    assert rule.digest != loaded().rules[0].digest
    assert loaded(text).tuned == {ID.format(1): (EXCEPTION.format(201),)}


def test_an_override_of_a_correlation_changes_its_level_and_window() -> None:
    counted = correlation_text("type: event_count\ngroup-by: [user.name]\ncondition: {gte: 2}", head="name: many")
    ruleset = loaded(counted, override_text("{rules: many, level: critical, group_window: 1d}"))
    (correlation,) = ruleset.correlations
    assert (correlation.level, correlation.group_window) == (Level.CRITICAL, timedelta(days=1))
    assert ruleset.tuned == {ID.format(9): (EXCEPTION.format(201),)}


def test_a_disabled_rule_still_runs_and_says_who_disabled_it() -> None:
    ruleset = loaded(override_text(f"{{rules: [{ID.format(1)}], disabled: true}}", expires="2026-11-30"))
    assert suppressing(ruleset, login(user_name="mori")) == EXCEPTION.format(201)
    assert suppressing(ruleset, login(user_name="mori"), NOON + timedelta(days=30)) is None


def test_a_correlation_is_disabled_for_a_time() -> None:
    counted = correlation_text("type: event_count\ngroup-by: [user.name]\ncondition: {gte: 2}", head="name: many")
    ruleset = loaded(counted, override_text("{rules: many, disabled: true}", expires="2026-11-30"))
    suppressor = Suppressor(ruleset.suppressions)
    assert suppressor.disabling(ID.format(9), NOON) == EXCEPTION.format(201)
    assert suppressor.disabling(ID.format(9), NOON + timedelta(days=30)) is None
    assert suppressing(ruleset, login(user_name="mori")) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (override_text("{rules: any, level: low}"), "names its rules"),
        (override_text("{rules: nobody, level: low}"), "finds no rule nobody"),
        (override_text(f"{{rules: [{ID.format(1)}]}}"), "changes nothing"),
        (override_text(f"{{rules: [{ID.format(1)}], level: loud}}"), "level of an override"),
        (override_text(f"{{rules: [{ID.format(1)}], group_window: long}}"), "override.group_window is not a span"),
        (override_text(f"{{rules: [{ID.format(1)}], disabled: perhaps}}"), "true or false"),
        (override_text(f"{{rules: [{ID.format(1)}], disabled: true}}"), "expires is missing"),
        (override_text(f"{{rules: [{ID.format(1)}], level: low}}", expires="2026-12-31"), "unknown key custom"),
        (override_text(f"{{rules: [{ID.format(1)}], level: low}}", owner=None), "owner is missing"),
        (override_text(f"{{rules: [{ID.format(1)}], color: red}}"), "unknown key color"),
        (override_text("[]"), "not a mapping"),
        (override_text("{rules: x, level: low}", owner=None, approver=None, reason=None), "owner is missing"),
    ],
    ids=range(12),
)
def test_an_override_that_is_wrong_changes_nothing(text: str, problem: str) -> None:
    ruleset = load(EVERY_LOGIN, text)
    (found,) = ruleset.problems
    assert (found.kind, found.state) == ("override", "broken")
    assert problem in found.problem
    assert (ruleset.rules, ruleset.suppressions) == (loaded().rules, ())


def test_a_correlation_cannot_be_grouped_or_scoped_otherwise() -> None:
    counted = correlation_text("type: event_count\ngroup-by: [user.name]\ncondition: {gte: 2}", head="name: many")
    assert (
        "grouped otherwise" in only_problem(EVERY_LOGIN, counted, override_text("{rules: many, group_by: [a]}")).problem
    )
    scoped = override_text("{rules: many, disabled: true}", expires="2026-12-31", units="[city]")
    assert "for all units or for none" in only_problem(EVERY_LOGIN, counted, scoped).problem


def test_a_rule_that_compares_with_what_is_usual_is_not_disabled_without_effect() -> None:
    block = "type: event_count\ngroup-by: [user.name]\ncondition: {gte: 5}"
    usual = "custom: {secmon: {baseline: {type: spike, lookback: 28d, learning: 7d, factor: 3}}}"
    counted = correlation_text(block, head=f"name: unusual\nlevel: low\n{usual}", timespan="1h")
    assert load(EVERY_LOGIN, counted).problems == ()
    ruleset = load(EVERY_LOGIN, counted, override_text("{rules: unusual, disabled: true}", expires="2026-12-31"))
    assert ruleset.suppressions == ()
    assert [one.problem for one in ruleset.problems] == ["a rule that compares with what is usual cannot be disabled"]


def test_a_rule_that_has_such_a_key_of_its_own_stays_a_rule() -> None:
    ruleset = load(EVERY_LOGIN + "maintenance: nobody\noverride: 1\n")
    assert (len(ruleset.rules), ruleset.problems) == (1, ())


def test_what_tunes_rules_takes_nothing_from_a_global_document() -> None:
    text = f"action: global\nlevel: critical\nlogsource: {{category: authentication}}\n---\n{exception_text()}---\n"
    assert load(EVERY_LOGIN, text + maintenance_text()).problems == ()


def test_a_tuned_rule_set_is_kept_and_read_again() -> None:
    weekly = "{rules: any, weekly: [sat], from: 22:00, to: 06:00, since: 2026-11-01, until: 2026-12-31}"
    ruleset = loaded(
        exception_text(), maintenance_text(weekly), override_text(f"{{rules: {ID.format(1)}, level: low}}")
    )
    assert undump(dump(ruleset)) == ruleset


NAMES = st.sampled_from(["backup", "Backup", "mori", "root", ""])


@given(
    names=st.lists(NAMES, min_size=1, max_size=6),
    chosen=st.lists(NAMES, min_size=1, max_size=3),
    days=st.integers(-400, 60),
    expires=st.integers(-30, 40),
)
def test_a_hit_is_annotated_if_and_only_if_a_plain_filter_would_have_taken_it_away(
    names: list[str], chosen: list[str], days: int, expires: int
) -> None:
    at, end = NOON + timedelta(days=days), NOON + timedelta(days=expires)
    selection = "user.name: [" + ", ".join(f"'{name}'" for name in chosen) + "]"
    text = exception_text(selection=selection, expires=format_time(end))
    plain, narrowed, ruleset = loaded(), loaded(text.partition("custom:")[0]), loaded(text)
    for name in names:
        event = {"@timestamp": format_time(at), "event.id": "ab" * 16, **login(user_name=name)}
        before = make_hits(plain, event, Definition(plain.rules).match(event))
        after = Suppressor(ruleset.suppressions).annotated(
            event, make_hits(ruleset, event, Definition(ruleset.rules).match(event))
        )
        assert [hit.event_id for hit in after] == [hit.event_id for hit in before]
        is_then = end - timedelta(days=366) <= at < end
        left = [hit.event_id for hit in after if hit.suppressed_by is None]
        assert left == ([hit.event_id for hit in before] if not is_then else
                        [event["event.id"]] * len(Definition(narrowed.rules).match(event)))  # fmt: skip
