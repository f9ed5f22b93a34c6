"""`secmon rules cost`: over stored events, over files."""

from pathlib import Path

from secmon.app.costs import REMEDIES
from secmon.i18n import translator
from secmon.sigma.cost import _RE2_ALONE, _REASONS
from tests.cli.program import SHELL_RULE, secmon, write_log


def test_stored_events_tell_what_rules_cost(config: Path) -> None:
    done = secmon("--config", config, "rules", "cost", "--since", "all", "--top", "1000", "--json")
    assert done.status == 0, done.err
    rows = {row["rule.id"]: row for row in done.rows}
    assert (rows[SHELL_RULE]["events"], rows[SHELL_RULE]["evaluations"], rows[SHELL_RULE]["hits"]) == (10, 2, 2)
    assert abs(sum(row["share"] for row in rows.values()) - 1) < 0.05
    assert [row["seconds"] for row in done.rows] == sorted((row["seconds"] for row in done.rows), reverse=True)
    assert "日志 10 条" in done.err


def test_a_file_tells_it_too_and_a_table_says_why(config: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log")
    done = secmon("--config", config, "rules", "cost", "--source", "nginx.access", "--events", "5", "--top", "3", log)
    assert done.status == 0, done.err
    assert "日志 5 条" in done.err
    assert len(done.text.splitlines()) == 4
    assert "尝试次数" in done.text.splitlines()[0]


PLANTED = "6f0b6ab8-6f0e-4b0c-9a54-0000000000aa"
PLANTED_RULE = f"""
title: Planted
id: {PLANTED}
taxonomy: ecs
level: low
logsource: {{category: webserver}}
detection:
  selection:
    url.path|re|m: '(?:.{{0,60}}e){{15}}$'
  condition: selection
"""


def test_a_rule_that_was_planted_to_be_dear_is_on_top_with_its_remedy(config: Path, tmp_path: Path) -> None:
    (config.parent / "rules" / "planted.yml").write_text(PLANTED_RULE, encoding="utf-8")
    path, log = "/" + "e" * 6_000, tmp_path / "access.log"
    lines = (
        f'192.0.2.7 - - [20/Nov/2026:08:00:00 +0800] "GET {path}{number} HTTP/1.1" 200 12 "-" "curl"\n'
        for number in range(200)
    )
    log.write_text("".join(lines), encoding="utf-8")
    asked = ("--config", config, "rules", "cost", "--source", "nginx.access", "--top", "1")
    (row,) = secmon(*asked, "--json", log).rows
    assert (row["rule.id"], row["events"]) == (PLANTED, 200)
    assert "regular expression for RE2 alone: url.path" in row["why"]
    assert REMEDIES["regular expression for RE2 alone"] in row["remedy"]
    shown = secmon(*asked, log)
    assert PLANTED in shown.text
    assert "只能由 RE2 处理的正则: 改写为文本条件" in shown.err


def test_every_reason_has_a_remedy_and_both_are_said_in_chinese() -> None:
    say = translator("zh-CN")
    assert {*_REASONS.values(), _RE2_ALONE} < REMEDIES.keys()
    assert [text for text in (*REMEDIES, *REMEDIES.values()) if say(text) == text] == []
