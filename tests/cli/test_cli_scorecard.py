"""`secmon rules scorecard` and `secmon rules navigator`."""

import json
from pathlib import Path

from tests.cli.program import SHELL_RULE, secmon


def test_the_scorecard_counts_what_people_decided(config: Path) -> None:
    first, second = secmon("--config", config, "alerts", "list", "--json").rows
    secmon("--config", config, "alerts", "close", first["alert.id"], "--reason", "false_positive")
    secmon("--config", config, "alerts", "close", second["alert.id"], "--reason", "true_positive_with_impact")
    done = secmon("--config", config, "rules", "scorecard", "--since", "all", "--rule", SHELL_RULE, "--json")
    assert done.status == 0, done.err
    (row,) = done.rows
    assert (row["alerts"], row["open"], row["precision"], row["noise_share"]) == (2, 0, 0.5, 1.0)
    assert row["reasons"] == {"false_positive": 1, "true_positive_with_impact": 1}


def test_the_table_says_why_shipped_rules_never_fired(config: Path) -> None:
    done = secmon("--config", config, "rules", "scorecard", "--since", "all")
    assert "从未触发：没有接入这类日志来源" in done.text
    assert "网页后门访问" in done.text
    english = secmon("--config", config, "--lang", "en", "rules", "scorecard", "--since", "all")
    assert "never fired: no source sends such events" in english.text


def test_the_layer_scores_what_the_sources_let_fire(config: Path, tmp_path: Path) -> None:
    done = secmon("--config", config, "rules", "navigator", "--out", tmp_path / "layer.json")
    assert done.status == 0, done.err
    found = json.loads((tmp_path / "layer.json").read_text("utf-8"))
    assert found["versions"]["layer"] == "4.5"
    techniques = {one["techniqueID"]: one for one in found["techniques"]}
    assert "网页后门访问 [high]" in techniques["T1505.003"]["comment"]
    assert techniques["T1110.003"]["score"] == 0  # sign-on logs are not read here
    assert techniques["T1110.003"]["color"]
