"""`secmon rules` as a program."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import secmon, with_lists, write_settings
from tests.sigma.rule_texts import ID, rule_text
from tests.sigma.tuning_texts import EXCEPTION, exception_text

CAS = rule_text("selection: {event.outcome: failure}\ncondition: selection", logsource="product: cas\nservice: audit")
MATCH = "{event.dataset: cas.audit, event.outcome: failure}"
MISS = "{event.dataset: cas.audit, event.outcome: success}"
CASES = f"""
cases:
  - {{name: hit, expect: match, events: [{MATCH}]}}
  - {{name: miss, expect: no_match, near_miss: true, events: [{MISS}]}}
"""


def run(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; return its status, its rows and what it says on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "secmon", "--lang", "en", "rules", *arguments], capture_output=True, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.yml").write_text(CAS, "utf-8")
    (tmp_path / "one.test.yaml").write_text(CASES, "utf-8")
    return tmp_path


def test_list_tells_the_state_of_every_rule(folder: Path) -> None:
    (folder / "two.yml").write_text(rule_text(number=2, logsource="product: zeek"), "utf-8")
    (folder / "three.yml").write_text(rule_text("selection: 1\ncondition: x", number=3), "utf-8")
    status, rows, _ = run("list", "--json", str(folder))
    assert status == 0
    assert {row["rule.id"]: row["state"] for row in rows} == {
        ID.format(1): "active",
        ID.format(2): "unroutable",
        ID.format(3): "broken",
    }
    assert rows[0] == {
        "rule.id": ID.format(1),
        "rule.name": "Rule 1",
        "rule.level": "high",
        "path": str(folder / "one.yml"),
        "state": "active",
    }
    assert all(row["problem"].startswith(row["path"]) for row in rows if row["state"] != "active")


LISTED = CAS.replace(ID.format(1), ID.format(9)) + "custom: {secmon: {intel: {fields: [source.ip], type: [ipv4]}}}\n"


def test_a_rule_over_intelligence_waits_until_there_is_some(tmp_path: Path) -> None:
    rules, feed = tmp_path / "own", tmp_path / "intel.csv"
    rules.mkdir()
    (rules / "listed.yml").write_text(LISTED, "utf-8")
    settings = write_settings(tmp_path)
    done = secmon("--config", settings, "--lang", "en", "rules", "list", "--json", rules)
    assert (done.row["state"], "intel.files" in done.row["problem"]) == ("waiting", True)
    assert "待威胁情报" in secmon("--config", settings, "--lang", "zh-CN", "rules", "list", rules).text
    feed.write_text("192.0.2.66\n", "utf-8")
    settings.write_text(f'{settings.read_text("utf-8")}\n[intel]\nfiles = ["{feed}"]\n', "utf-8")
    done = secmon("--config", settings, "rules", "list", "--json", rules)
    assert (done.row["state"], done.row.get("problem")) == ("active", None)


def test_a_tested_rule_passes(folder: Path) -> None:
    status, rows, said = run("test", str(folder))
    assert (status, said) == (0, "tests: 2 cases of 1 rules, 0 failed\n")
    assert rows == [
        {"rule.id": ID.format(1), "case": "hit", "expect": "match", "got": "match", "ok": True},
        {"rule.id": ID.format(1), "case": "miss", "expect": "no_match", "got": "no_match", "ok": True},
    ]


def test_one_rule_file_is_tested_with_the_test_beside_it(folder: Path) -> None:
    (folder / "other.yml").write_text(rule_text(number=2), "utf-8")
    assert run("test", str(folder / "one.yml"))[0] == 0


def test_a_failing_case_is_one(folder: Path) -> None:
    (folder / "one.test.yaml").write_text(CASES.replace("success", "failure"), "utf-8")
    status, rows, _ = run("test", str(folder))
    assert (status, [row["ok"] for row in rows]) == (1, [True, False])


def test_the_sum_is_in_the_language_of_the_user_and_can_be_left_out(folder: Path) -> None:
    (folder / "one.test.yaml").write_text(CASES.replace("success", "failure"), "utf-8")
    assert secmon("--lang", "zh-CN", "rules", "test", folder).err == "测试：1 条规则，2 个用例，1 个未通过\n"
    assert secmon("--quiet", "rules", "test", folder).err == ""


QUIET = exception_text(selection="user.name: backup", logsource="product: cas, service: audit")
QUIET_CASES = f"""
cases:
  - name: the account of the backup
    expect: match
    hits: 1
    suppressed_by: {EXCEPTION.format(1)}
    events: [{{event.dataset: cas.audit, event.outcome: failure, user.name: backup}}]
  - name: any other account
    expect: match
    events: [{{event.dataset: cas.audit, event.outcome: failure, user.name: backup2}}]
"""


def test_an_exception_is_tried_by_the_test_beside_it(folder: Path) -> None:
    (folder / "backup.yml").write_text(QUIET, "utf-8")
    (folder / "backup.test.yaml").write_text(QUIET_CASES, "utf-8")
    status, rows, said = run("test", str(folder))
    assert (status, said) == (0, "tests: 4 cases of 2 rules, 0 failed\n")
    assert rows[0] == {
        "rule.id": EXCEPTION.format(1),
        "case": "the account of the backup",
        "expect": "match",
        "got": "match",
        "ok": True,
    }


def test_an_exception_that_covers_more_or_less_than_its_test_says_fails(folder: Path) -> None:
    (folder / "backup.test.yaml").write_text(QUIET_CASES, "utf-8")
    for text, wrong in ((QUIET.replace("backup}", "backup*}"), 1), (QUIET.replace("backup}", "other}"), 0)):
        (folder / "backup.yml").write_text(text, "utf-8")
        status, rows, said = run("test", str(folder))
        assert status == 1
        assert [row["ok"] for row in rows[:2]] == [wrong != 0, wrong != 1]
        assert "suppressed" in said


def test_lists_that_rules_ask_for_are_those_of_the_settings(folder: Path) -> None:
    (folder / "backup.yml").write_text(QUIET.replace("user.name: backup", "user.name|expand: '%backups%'"), "utf-8")
    (folder / "backup.test.yaml").write_text(QUIET_CASES, "utf-8")
    config = with_lists(write_settings(folder.parent / "here"), backups="backup\n")
    done = secmon("--config", config, "--lang", "en", "rules", "test", folder)
    assert (done.status, [row["ok"] for row in done.rows]) == (0, [True] * 4), done.err
    assert secmon("rules", "test", folder).status == 4


def test_an_untested_rule_is_four(folder: Path) -> None:
    (folder / "other.yml").write_text(rule_text(number=2), "utf-8")
    status, _, said = run("test", str(folder))
    assert status == 4
    assert f"{folder / 'other.yml'}:1: the rule has no match and no near miss case" in said


def test_raw_lines_go_through_the_registered_parser(folder: Path) -> None:
    line = '192.0.2.9 - - [07/Sep/2026:08:00:00 +0800] "GET /.env HTTP/1.1" 200 5 "-" "curl"'
    web = rule_text("selection: {url.path: /.env}\ncondition: selection", logsource="category: webserver", number=2)
    miss = line.replace("/.env", "/env")
    source = "source: {kind: nginx.access, lines: ['%s']}"
    (folder / "web.yml").write_text(web, "utf-8")
    (folder / "web.test.yaml").write_text(
        f"cases:\n  - {{name: a, expect: match, {source % line}}}\n"
        f"  - {{name: b, expect: no_match, near_miss: true, {source % miss}}}\n",
        "utf-8",
    )
    status, rows, said = run("test", str(folder / "web.yml"))
    assert (status, [row["ok"] for row in rows]) == (0, [True, True]), said


def test_a_playbook_that_is_not_there_is_four(folder: Path) -> None:
    rule = folder / "one.yml"
    rule.write_text(f"{CAS}custom: {{secmon: {{playbook: nowhere}}}}\n", "utf-8")
    status, _, said = run("test", str(folder))
    assert status == 4
    assert f"{rule}:1: the rule offers a playbook that is not there" in said
    rule.write_text(f"{CAS}custom: {{secmon: {{playbook: web-attack}}}}\n", "utf-8")
    assert run("test", str(folder))[0] == 0


def test_import_takes_rules_over_byte_for_byte_and_again_changes_nothing(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (folder / "LICENSE").write_text("DRL 1.1", "utf-8")
    (folder / "two.yml").write_text(rule_text("s: {user.name|nope: x}\ncondition: s", number=2), "utf-8")
    into = tmp_path_factory.mktemp("target") / "into"
    arguments = ("import", str(folder), "--into", str(into), "--json")
    status, rows, _ = run(*arguments, "--dry-run")
    assert (status, into.exists()) == (0, False)
    assert rows[0] == {
        "rule.id": ID.format(1),
        "rule.name": "Rule 1",
        "path": "one.yml",
        "change": "new",
        "reason": "",
        "author": "",
        "license": "LICENSE",
    }
    assert (rows[1]["change"], rows[1]["reason"][:11]) == ("unsupported", "two.yml:8: ")
    assert run(*arguments)[0] == 0
    assert sorted(path.name for path in into.iterdir()) == ["LICENSE", "one.yml"]
    assert (into / "one.yml").read_bytes() == (folder / "one.yml").read_bytes()
    status, rows, said = run(*arguments)
    assert [row["change"] for row in rows if row["rule.id"] == ID.format(1)] == ["same"]
    assert "written" not in said


def test_import_of_nothing_is_one(tmp_path: Path) -> None:
    assert run("import", str(tmp_path), "--into", str(tmp_path / "into"), "--json")[:2] == (1, [])


def test_import_takes_one_file_and_an_archive_alike(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    packed = tmp_path_factory.mktemp("packed") / "rules.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "one.yml", "top/one.yml")
    for path in (folder / "one.yml", packed):
        into = tmp_path_factory.mktemp("target")
        assert run("import", str(path), "--into", str(into), "--json")[1][0]["change"] == "new"
        assert [entry.name for entry in into.iterdir()] == ["one.yml"]


def test_the_pipelines_of_the_settings_are_for_the_rules_of_the_settings(tmp_path: Path) -> None:
    config = write_settings(tmp_path / "here")
    rule = rule_text("s: {'user.name|expand': '%staff%'}\ncondition: s", number=7)
    (tmp_path / "here" / "rules" / "staff.yml").write_text(rule, "utf-8")
    pipeline = tmp_path / "ours.yml"
    pipeline.write_text(
        "name: ours\npriority: 1\nvars: {staff: [a, b]}\ntransformations: [{id: v, type: value_placeholders}]\n",
        "utf-8",
    )
    without = secmon("--config", config, "rules", "list", "--json")
    text = config.read_text("utf-8").replace("[content]", f'[content]\npipelines = ["{pipeline}"]')
    config.write_text(text, "utf-8")
    with_them = secmon("--config", config, "rules", "list", "--json")
    states = [{row["rule.id"]: row["state"] for row in done.rows}[ID.format(7)] for done in (without, with_them)]
    assert states == ["broken", "active"]
    pipeline.write_text("transformations: [{type: nonsense}]\n", "utf-8")
    wrong = secmon("--config", config, "--lang", "en", "rules", "list", "--json")
    assert wrong.status != 0
    assert "the pipeline is wrong" in wrong.err


def test_imported_rules_are_tried_with_the_lists_of_the_settings(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    rule = rule_text("s: {'user.name|expand': '%staff%'}\ncondition: s", number=7)
    (bundle / "staff.yml").write_text(rule, "utf-8")
    config = write_settings(tmp_path / "here")
    command = ("--config", config, "--lang", "en", "rules", "import", bundle, "--json")
    (row,) = secmon(*command).rows
    assert (row["change"], "%staff%" in row["reason"]) == ("unsupported", True)
    with_lists(config, staff="s01\n")
    assert [row["change"] for row in secmon(*command).rows] == ["new"]
    assert [row["change"] for row in secmon(*command).rows] == ["same"]


def test_an_import_can_fail_on_rules_that_cannot_run(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    waits = rule_text("s: {'user.name|expand': '%staff%'}\ncondition: s", number=7)
    (bundle / "waits.yml").write_text(waits, "utf-8")
    (bundle / "runs.yml").write_text(rule_text("s: {user.name: a}\ncondition: s", number=8), "utf-8")
    config = write_settings(tmp_path / "here")
    command = ("--config", config, "rules", "import", bundle, "--dry-run", "--fail-on")
    (level,) = [line.removeprefix("level: ") for line in waits.splitlines() if line.startswith("level: ")]
    assert level == "high"
    assert [secmon(*command, each).status for each in ("medium", "high", "critical")] == [3, 3, 0]
    (bundle / "waits.yml").write_text(waits.replace("level: high\n", ""), "utf-8")
    assert secmon(*command, "critical").status == 3
