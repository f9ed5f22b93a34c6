"""`secmon tuning` as a program: list, show, check, preview, draft, and the import that they are all about."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secmon.clock import SystemClock
from tests.cli.program import SHELL_RULE, Done, secmon, write_log
from tests.sigma.tuning_texts import EXCEPTION, exception_text, override_text

WEB: dict[str, Any] = {
    "rules": f"[{SHELL_RULE}]",
    "logsource": "category: webserver",
    "selection": "source.ip: 198.51.100.7",
    "expires": "2027-03-31T00:00Z",
    "starts": "2026-06-01",
}

TODAY = SystemClock().now().date()
NOW: dict[str, Any] = {"starts": TODAY - timedelta(days=9), "expires": TODAY + timedelta(days=90)}


def tuning(config: Path, *arguments: str | Path) -> Done:
    return secmon("--config", config, "tuning", *arguments)


@pytest.fixture
def overlay(config: Path) -> Path:
    """Where the rules of the installation lie."""
    return next(path.parent for path in config.parent.rglob("*.yml") if SHELL_RULE in path.read_text("utf-8"))


@pytest.fixture
def exception(tmp_path: Path) -> Path:
    path = tmp_path / "exception.yml"
    path.write_text(exception_text(**WEB), "utf-8")
    return path


def test_a_preview_says_what_would_become_of_hits_alerts_and_controls(config: Path, exception: Path) -> None:
    done = tuning(config, "preview", exception, "--since", "all", "--json")
    assert done.status == 0, done.err
    row = done.row
    assert row["hits"] == {"examined": 2, "covered": 1, "undecided": 0, "released": 0}
    assert row["alerts"]["vanishes"] == 1
    assert [one["before"] for one in row["alert_rows"]] == [1]
    assert row["suppressions"] == [
        {"suppression.id": EXCEPTION.format(1), "suppression.kind": "exception", "suppression.name": "Exception 1",
         "rules": 1, "hits": 1}
    ]  # fmt: skip
    text = tuning(config, "preview", exception, "--since", "all").text
    assert "将消失的告警: 1" in text
    assert "没有条款失去覆盖" in text


def test_a_broken_file_has_no_preview(config: Path, exception: Path) -> None:
    exception.write_text(exception_text(**WEB | {"owner": None}), "utf-8")
    done = tuning(config, "preview", exception)
    assert done.status == 4
    assert f"{exception}:10" in done.err
    assert "缺少 custom.secmon.owner" in done.err


def test_an_exception_in_force_annotates_what_is_imported_then(config: Path, overlay: Path, tmp_path: Path) -> None:
    (overlay / "tuning.yml").write_text(exception_text(**WEB), "utf-8")
    before = secmon("--config", config, "alerts", "list", "--json").rows
    log = tmp_path / "later.log"
    log.write_text(write_log(tmp_path / "again.log").read_text("utf-8").replace("20/Nov/2026", "21/Nov/2026"), "utf-8")
    secmon("--config", config, "import", "--source", "jwxt", log)
    after = secmon("--config", config, "alerts", "list", "--json").rows
    assert len(after) == len(before) + 1
    (row,) = tuning(config, "list", "--days", "3660", "--json").rows
    assert (row["suppression.id"], row["suppression.hits"]) == (EXCEPTION.format(1), 1)
    assert list(row["suppression.days"].values()) == [1]
    assert tuning(config, "show", EXCEPTION.format(1), "--json").row["suppression.owner"] == "张三"
    shown = tuning(config, "show", EXCEPTION.format(1)).text
    assert "备份软件定时登录" in shown
    assert SHELL_RULE in shown
    (hit,) = tuning(config, "hits", EXCEPTION.format(1), "--since", "all", "--json").rows
    assert (hit["rule.id"], hit["secmon.suppressed_by"]) == (SHELL_RULE, EXCEPTION.format(1))
    (event,) = secmon("--config", config, "search", f"event.id:{hit['event.id']}", "--since", "all", "--json").rows
    assert event["source.ip"] == "198.51.100.7"
    table = tuning(config, "hits", EXCEPTION.format(1), "--since", "all", "--limit", "1")
    assert hit["event.id"] in table.text
    assert "secmon search" in table.err
    assert tuning(config, "hits", "nobody").status == 1


def test_the_list_names_states_and_what_is_broken(config: Path, overlay: Path) -> None:
    texts = [
        exception_text(**WEB | NOW),
        exception_text(number=2, **WEB | {"owner": None}),
        exception_text(number=3, **WEB | {"expires": "2020-03-31", "starts": "2020-01-01"}),
        override_text(f"{{rules: [{SHELL_RULE}], level: low}}"),
    ]
    (overlay / "tuning.yml").write_text("---\n".join(texts), "utf-8")
    rows = tuning(config, "list", "--json").rows
    assert [row["suppression.state"] for row in rows] == ["broken", "expired", "active", "active"]
    done = tuning(config, "list", "--only", "broken")
    assert "有误" in done.text
    assert "缺少 custom.secmon.owner" in done.err
    checked = tuning(config, "check")
    assert checked.status == 1
    assert len(checked.err.splitlines()) == 2
    row = next(
        row for row in secmon("--config", config, "rules", "list", "--json").rows if row["rule.id"] == SHELL_RULE
    )
    assert (row["rule.level"], row["tuned_by"]) == ("low", [EXCEPTION.format(201)])


def test_a_check_of_a_file_speaks_of_that_file_only(config: Path, overlay: Path, exception: Path) -> None:
    (overlay / "tuning.yml").write_text(exception_text(number=2, **WEB | {"owner": None}), "utf-8")
    assert tuning(config, "check", exception).status == 0
    exception.write_text(exception_text(**WEB | {"approver": "张三"}), "utf-8")
    done = tuning(config, "check", exception, "--json")
    assert done.status == 1
    assert [str(exception) in row["problem"] for row in done.rows] == [True]


def test_a_disabled_rule_is_shown_as_such(config: Path, overlay: Path) -> None:
    text = override_text(f"{{rules: [{SHELL_RULE}], disabled: true}}", **NOW)
    (overlay / "tuning.yml").write_text(text, "utf-8")
    rows = secmon("--config", config, "rules", "list", "--json").rows
    row = next(row for row in rows if row["rule.id"] == SHELL_RULE)
    assert (row["state"], row["disabled_by"]) == ("disabled", EXCEPTION.format(201))


def test_a_draft_is_written_and_broken_until_it_is_completed(config: Path, tmp_path: Path) -> None:
    alert = secmon("--config", config, "alerts", "list", "--json").rows[0]["alert.id"]
    out = tmp_path / "draft.yml"
    assert tuning(config, "draft", "--alert", alert, "--out", out).status == 0
    assert SHELL_RULE in out.read_text("utf-8")
    assert tuning(config, "check", out).status == 1
    assert tuning(config, "draft", "--alert", alert).text.splitlines()[2:] == out.read_text("utf-8").splitlines()[2:]


def test_what_is_not_there_is_told(config: Path, overlay: Path) -> None:
    assert tuning(config, "show", "nobody").status == 1
    assert tuning(config, "draft", "--alert", "nobody").status == 1
    assert tuning(config, "preview", next(overlay.glob("*.yml"))).status == 1


def test_a_check_names_units_and_assets_that_nobody_registered(config: Path, exception: Path) -> None:
    exception.write_text(exception_text(**WEB | NOW | {"units": "[S-1, S-9]"}), "utf-8")
    done = tuning(config, "check", exception)
    assert done.status == 1
    assert "单位登记表中没有 S-9" in done.err
    assert "S-1\n" not in done.err
