"""`secmon rules backtest`: a rule tried on what an installation has stored."""

import json
from pathlib import Path

import pytest

from tests.cli.program import RULES, SHELL_RULE, Done, process, running, secmon, with_lists
from tests.sigma.rule_texts import ID, correlation_text, rule_text
from tests.sigma.tuning_texts import EXCEPTION, exception_text

DRAFT = rule_text("selection: {url.path|contains: jwxt}\ncondition: selection", logsource="category: webserver")


def backtest(config: Path, rule: str | Path, *arguments: str) -> Done:
    return secmon("--config", config, "rules", "backtest", str(rule), "--since", "all", *arguments)


def test_an_active_rule_gives_the_hits_that_were_stored(config: Path) -> None:
    done = backtest(config, SHELL_RULE)
    assert done.status == 0, done.err
    *hits, summary = done.rows
    assert [hit["rule.id"] for hit in hits] == [SHELL_RULE, SHELL_RULE]
    assert set(hits[0]) >= {"@timestamp", "event.id", "rule.name", "rule.level", "rule.digest", "secmon.hit"}
    assert summary == {"hits": 2, "events": 10, "alerts": 2, "engine": "scan", "read": 10}


def test_a_draft_is_tried_without_being_installed_and_nothing_is_stored(config: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yml"
    draft.write_text(DRAFT, "utf-8")
    before = secmon("--config", config, "alerts", "list", "--json").rows
    done = backtest(config, draft, "--by", "day")
    assert done.rows[-1]["hits"] == 8
    assert [part["day"] for part in done.rows[-1]["by"]] == ["2026-11-20"]
    assert secmon("--config", config, "alerts", "list", "--json").rows == before
    assert secmon("--config", config, "rules", "list", "--json").text.count(ID.format(1)) == 0


def test_a_file_with_a_correlation_over_a_rule_in_force(config: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yml"
    block = "type: event_count\ngenerate: true\ncondition: {gte: 2}"
    draft.write_text(correlation_text(block, rules=f"[{SHELL_RULE}]"), "utf-8")
    *hits, summary = backtest(config, draft).rows
    assert [hit["secmon.hit"] for hit in hits] == ["correlation"]
    assert summary["hits"] == summary["alerts"] == 1


UNUSUAL = """
title: New path
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a0aa
correlation:
  type: value_count
  rules: [rule_1]
  timespan: 1h
  condition: {field: url.path, gte: 1}
level: low
custom: {secmon: {title_zh: 新路径, baseline: {type: new_value, lookback: 7d, learning: 5s}}}
"""


def test_a_baseline_says_what_only_taught(config: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yml"
    text = rule_text("selection: {url.path|contains: /}\ncondition: selection", head="name: rule_1", number=1)
    draft.write_text(text.replace("category: authentication", "category: webserver") + "---" + UNUSUAL, "utf-8")
    done = backtest(config, draft)
    assert done.status == 0, done.err
    *hits, summary = done.rows
    assert {hit["secmon.hit"] for hit in hits} == {"baseline"}
    (told,) = summary["baselines"]
    assert summary["hits"] == len(hits) > 0
    assert (told["type"], told["groups"], told["taught_only"]) == ("new_value", 1, True)
    assert told["learning"] > 0
    assert "新路径: 起初只用于学习" in done.err
    later = secmon(
        "--config", config, "rules", "backtest", str(draft), "--since", "2026-11-21", "--until", "2026-11-22"
    )
    assert later.rows[-1]["hits"] == 0
    assert "已用此前的历史学习" in later.err
    draft.write_text(draft.read_text("utf-8").replace("learning: 5s", "learning: 2d"), "utf-8")
    assert "新路径: 前 2 天只用于学习：2026-11-20" in backtest(config, draft).err
    assert secmon("--config", config, "-q", "rules", "backtest", str(draft), "--since", "all").err == ""


LISTED = rule_text("selection: {url.path|expand: '%probes%'}\ncondition: selection", logsource="category: webserver")
ADDRESS = "selection: {source.ip: 198.51.100.7}"
FILTER = f"""
title: Our own scanner
id: 0d6e9b1a-0000-4000-8000-000000000301
taxonomy: ecs
logsource: {{category: webserver}}
filter:
  rules: any
  {ADDRESS}
  condition: not selection
"""


def test_a_draft_is_tried_with_the_lists_filters_and_exceptions_of_the_settings(config: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yml"
    draft.write_text(LISTED, "utf-8")
    assert backtest(config, draft).status == 4
    with_lists(config, probes="# of the year\n*probe-shell*\n")
    assert backtest(config, draft).rows[-1]["hits"] == 2
    quiet = config.parent / "rules" / "quiet.yml"
    quiet.write_text(exception_text(selection="source.ip: 198.51.100.7", logsource="category: webserver"), "utf-8")
    *hits, summary = backtest(config, draft).rows
    assert (summary["hits"], summary["suppressed"]) == (2, 1)
    assert [hit.get("secmon.suppressed_by") for hit in hits].count(EXCEPTION.format(1)) == 1
    quiet.write_text(FILTER, "utf-8")
    assert backtest(config, draft).rows[-1]["hits"] == 1


def test_a_time_range_bounds_hits_and_events(config: Path) -> None:
    done = secmon(
        "--config", config, "rules", "backtest", SHELL_RULE, "--since", "2026-11-20T00:00:21", "--until", "2026-11-20"
    )
    assert done.rows[-1]["hits"] == done.rows[-1]["events"] == 1


@pytest.mark.parametrize(
    ("rule", "status"), [("5f1c9a4e-0000-4000-8000-000000000000", 1), ("broken.yml", 4)], ids=["unknown", "broken"]
)
def test_a_rule_that_cannot_be_tried_is_named(config: Path, tmp_path: Path, rule: str, status: int) -> None:
    (tmp_path / "broken.yml").write_text(RULES.replace("condition: a", "condition: b"), "utf-8")
    done = backtest(config, tmp_path / rule if rule.endswith("yml") else rule)
    assert done.status == status
    assert done.rows == []
    assert done.err


def test_beside_a_running_daemon_and_the_audit_chain_knows_who_tried_what(config: Path, tmp_path: Path) -> None:
    with running(config, tmp_path):
        done = process("--config", config, "rules", "backtest", SHELL_RULE, "--since", "all", home=tmp_path)
    assert done.status == 0, done.err
    assert json.loads(done.text.splitlines()[-1])["hits"] == 2
