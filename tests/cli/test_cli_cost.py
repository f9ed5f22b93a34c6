"""`secmon rules cost`: over stored events, over files."""

from pathlib import Path

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
