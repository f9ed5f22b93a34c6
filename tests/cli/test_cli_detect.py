"""`secmon detect` as a program: rows, order, statuses, workers."""

import gzip
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sigma.rule_texts import ID, correlation_text, rule_text
from tests.sigma.tuning_texts import EXCEPTION, maintenance_text, override_text

FAILED = rule_text("selection: {event.outcome: failure}\ncondition: selection", number=5)
ROOT = rule_text("selection: {user.name: root}\ncondition: selection", number=3)
BASE = rule_text("selection: {event.outcome: failure}\ncondition: selection", number=1)
COUNTED = correlation_text("type: event_count\ngroup-by: [source.ip]\ncondition: {gte: 2}", number=4)


def run(*arguments: str, stdin: bytes = b"") -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; return its status, its rows and what it says on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "secmon", "--lang", "en", "detect", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def event(second: int, outcome: str = "failure", user: str = "s01", ip: str = "192.0.2.9") -> bytes:
    """Return one ECS event as a line."""
    fields = {
        "@timestamp": f"2026-09-07T00:00:{second:02}Z",
        "event.category": ["authentication"],
        "event.outcome": outcome,
        "user.name": user,
        "source.ip": ip,
    }
    return json.dumps(fields).encode() + b"\n"


@pytest.fixture
def files(tmp_path: Path) -> Mapping[str, str]:
    """A log, and rule files by name."""
    (tmp_path / "log.jsonl").write_bytes(
        event(1) + event(2, "success") + event(3, user="root") + event(4, ip="192.0.2.7")
    )
    rules = {
        "failed": FAILED,
        "root": ROOT,
        "counted": f"{BASE}---\n{COUNTED}",
        "zeek": rule_text(logsource="product: zeek"),
    }
    rules["broken"] = FAILED.replace("condition: selection", "condition: nothing")
    for name, text in rules.items():
        (tmp_path / f"{name}.yml").write_text(text, "utf-8")
    return {path.stem: str(path) for path in tmp_path.iterdir()} | {"folder": str(tmp_path)}


def test_one_hit_a_line_in_order_of_events_then_of_rule_id(files: Mapping[str, str]) -> None:
    status, rows, _ = run("--rules", files["failed"], "--rules", files["root"], "--source", "ecs", files["log"])
    assert status == 0
    assert [(row["secmon.record"], row["rule.id"]) for row in rows] == [
        (1, ID.format(5)),
        (3, ID.format(3)),
        (3, ID.format(5)),
        (4, ID.format(5)),
    ]
    assert rows[0] == {
        "@timestamp": "2026-09-07T00:00:01.000Z",
        "event.id": rows[0]["event.id"],
        "rule.id": ID.format(5),
        "rule.name": "Rule 5",
        "rule.level": "high",
        "rule.digest": rows[0]["rule.digest"],
        "secmon.hit": "event",
        "log.file.path": files["log"],
        "secmon.record": 1,
    }
    assert len({row["event.id"] for row in rows}) == 3


def test_a_correlation_stands_at_the_event_that_made_it_true(files: Mapping[str, str]) -> None:
    status, rows, _ = run("--rules", files["counted"], files["failed"], "--source", "ecs", files["log"])
    assert status == 0
    kinds = [(row["secmon.record"], row["rule.id"], row["secmon.hit"]) for row in rows]
    assert kinds == [
        (1, ID.format(5), "event"),
        (3, ID.format(4), "correlation"),
        (3, ID.format(5), "event"),
        (4, ID.format(5), "event"),
    ]
    row = rows[1]
    assert row["event.id"] == rows[2]["event.id"]
    assert row["secmon.events"] == [rows[0]["event.id"], rows[2]["event.id"]]
    assert row["secmon.group"] == {"source.ip": "192.0.2.9"}
    assert row["secmon.window"] == {"from": "2026-09-06T23:50:03.000Z", "to": "2026-09-07T00:00:03.000Z"}
    assert row["secmon.count"] == 2
    assert row["@timestamp"] == "2026-09-07T00:00:03.000Z"


def test_engine_and_number_of_workers_change_nothing(files: Mapping[str, str]) -> None:
    log = Path(files["log"])
    log.write_bytes(b"".join(event(n % 60, user=f"s{n % 7}", ip=f"192.0.2.{n % 5}") for n in range(9000)))
    common = ["--rules", files["counted"], "--rules", files["root"], "--source", "ecs", str(log)]
    expected = run(*common)
    assert len(expected[1]) > 1000
    assert run(*common, "--workers", "3") == expected
    assert run(*common, "--engine", "match") == expected


def test_broken_and_unroutable_rules_are_named_and_the_rest_goes_on(files: Mapping[str, str]) -> None:
    status, rows, said = run("--rules", files["folder"], "--source", "ecs", "--summary", files["log"])
    assert status == 0
    assert f"broken: {files['broken']}:9: " in said
    assert f"unroutable: {files['zeek']}:5: " in said
    assert json.loads(said.splitlines()[-1]) == {
        "events": 4,
        "rules_loaded": 4,
        "rules_broken": 1,
        "rules_unroutable": 1,
        "hits": len(rows),
        "suppressed": 0,
        "rules_left_out": 0,
        "left_out": {},
    }
    assert run("--rules", files["folder"], "--source", "ecs", "--strict", files["log"])[0] == 4


UNUSUAL = COUNTED.replace("timespan: 10m", "timespan: 1h") + "custom: {secmon: {baseline: {type: spike}}}\n"
CLASSED = rule_text("selection: {data.classes: cn_id18}\ncondition: selection", number=7)
LISTED = (
    rule_text("selection: {source.ip|exists: true}\ncondition: selection", number=8)
    + "custom: {secmon: {title_zh: 情报地址, intel: {fields: [source.ip], type: [ipv4]}}}\n"
)


def test_rules_that_files_cannot_try_are_named_and_counted(files: Mapping[str, str], tmp_path: Path) -> None:
    rules = tmp_path / "more"
    rules.mkdir()
    for name, text in {"u": f"{BASE}---\n{UNUSUAL}", "c": CLASSED, "l": LISTED}.items():
        (rules / f"{name}.yml").write_text(text, "utf-8")
    status, _, said = run("--rules", str(rules), "--source", "ecs", "--summary", files["log"])
    assert status == 0
    assert "1 rules that compare with what is usual left out: secmon up runs them (Correlation 4)" in said
    assert "1 rules over personal data left out: they need --classify (Rule 7)" in said
    told = json.loads(said.splitlines()[-1])
    left_out = {"baseline": [ID.format(4)], "intelligence": [ID.format(8)], "classification": [ID.format(7)]}
    assert (told["rules_left_out"], told["left_out"]) == (3, left_out)
    classified = run("--rules", str(rules), "--source", "ecs", "--summary", "--classify", files["log"])[2]
    assert json.loads(classified.splitlines()[-1])["rules_left_out"] == 2
    chinese = run("--rules", str(rules), "--source", "ecs", "--lang", "zh-CN", files["log"])[2]
    assert "1 条威胁情报规则未运行：配置 intel.files 后由 secmon up 运行 (情报地址)" in chinese


def test_nothing_to_work_with_is_not_ready(files: Mapping[str, str]) -> None:
    assert run("--rules", files["broken"], "--source", "ecs", files["log"])[:2] == (4, [])


@pytest.mark.parametrize(("level", "status"), [("high", 3), ("critical", 0)])
def test_fail_on_asks_for_hits_of_a_level(files: Mapping[str, str], level: str, status: int) -> None:
    assert run("--rules", files["root"], "--source", "ecs", "--fail-on", level, files["log"])[0] == status


def test_malformed_records_are_named_and_end_with_five(files: Mapping[str, str]) -> None:
    stdin = event(1) + b'{"@timestamp": "never"}\n' + event(2)
    status, rows, said = run("--rules", files["failed"], "--source", "ecs", "-", stdin=stdin)
    assert (status, len(rows)) == (5, 2)
    assert "record 2" in said


def test_what_stood_before_the_end_of_a_broken_gzip_file_is_found(files: Mapping[str, str]) -> None:
    packed = Path(files["folder"]) / "log.gz"
    packed.write_bytes(gzip.compress(b"".join(event(n % 60) for n in range(5000)))[:-20])
    for workers in ("1", "2"):
        status, rows, _ = run("--rules", files["failed"], "--source", "ecs", "--workers", workers, str(packed))
        assert status == 5
        assert len(rows) > 1000


def test_classify_masks_before_detection(files: Mapping[str, str]) -> None:
    rule = Path(files["folder"]) / "data.yml"
    rule.write_text(rule_text("selection: {data.classes: cn_id18}\ncondition: selection", number=8), "utf-8")
    line = json.loads(event(1)) | {"message": "sfzh=110101199003070011 身份证号"}
    common = ["--rules", str(rule), "--source", "ecs", "-"]
    assert run(*common, stdin=json.dumps(line).encode())[1] == []
    status, rows, said = run("--classify", *common, stdin=json.dumps(line).encode())
    assert (status, len(rows)) == (0, 1), said


@pytest.mark.parametrize("arguments", [["--source", "ecs"], ["--rules", "nowhere.yml", "x"], []])
def test_bad_usage_is_two(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


NATIVE = rule_text(
    "selection: {CommandLine|contains: whoami, ParentImage|endswith: \\w3wp.exe}\ncondition: selection",
    number=7,
    logsource="{product: windows, category: process_creation}",
)


def native(second: int | None, command: str, **more: object) -> bytes:
    """Return one Windows event whose fields are called as rules call them."""
    fields: dict[str, object] = {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "CommandLine": command,
        "ParentImage": "C:\\Windows\\System32\\inetsrv\\w3wp.exe",
    }
    if second is not None:
        fields["UtcTime"] = f"2026-09-07 00:00:{second:02}.000"
    return json.dumps(fields | more, ensure_ascii=False).encode() + b"\n"


def test_native_fields_are_matched_as_rules_call_them(tmp_path: Path) -> None:
    rule, log = tmp_path / "native.yml", tmp_path / "log.jsonl"
    rule.write_text(NATIVE, "utf-8")
    log.write_bytes(
        native(1, "cmd /c WHOAMI /all")
        + native(2, "ipconfig")
        + native(None, "who\u0061mi")
        + b'{"EventID": 1\n'
        + native(5, "whoami", EventID=3)
        + b"\n"
        + native(7, "whoami", Verified=True, Ratio=0.5)
    )
    common = ["--rules", str(rule), "--source", "native", str(log)]
    status, rows, said = run(*common, "--summary")
    assert status == 5
    assert f"{log}:record 4: not JSON" in said
    assert json.loads(said.splitlines()[-1])["events"] == 5
    assert [(row["secmon.record"], row.get("@timestamp")) for row in rows] == [
        (1, "2026-09-07T00:00:01.000Z"),
        (3, None),
        (7, "2026-09-07T00:00:07.000Z"),
    ]
    assert len({row["event.id"] for row in rows}) == 3
    assert run(*common, "--engine", "match")[:2] == (status, rows)
    assert run(*common, "--workers", "2")[:2] == (status, rows)


def test_lanes_that_have_learnt_find_the_same(tmp_path: Path) -> None:
    rule, log = tmp_path / "native.yml", tmp_path / "log.jsonl"
    rule.write_text(NATIVE, "utf-8")
    log.write_bytes(b"".join(native(n % 60, "whoami" if n % 97 == 0 else f"ping -n {n}") for n in range(3000)))
    common = ["--rules", str(rule), "--source", "native", str(log)]
    expected = run(*common, "--engine", "match")
    assert len(expected[1]) == 31
    assert run(*common) == expected
    assert run(*common, "--workers", "3") == expected


@pytest.mark.parametrize("place", ["plain", "packed", "standard input"])
def test_workers_find_the_same_wherever_the_lines_come_from(tmp_path: Path, place: str) -> None:
    rule, log = tmp_path / "native.yml", tmp_path / "log.jsonl"
    rule.write_text(NATIVE, "utf-8")
    lines = [native(n % 60, "whoami" if n % 997 == 0 else f"ping {'x' * 300} {n}") for n in range(8000)]
    lines[4000] = b"{\r\n"
    lines[4500] = b'{"EventID":1,"CommandLine":"%b"}\n' % (b"x" * (2 << 20))
    data = b"\xef\xbb\xbf" + b"".join(lines).removesuffix(b"\n")
    assert len(data) > 4 << 20
    log.write_bytes(gzip.compress(data, 1) if place == "packed" else data)
    name, stdin = ("-", data) if place == "standard input" else (str(log), b"")
    common = ["--rules", str(rule), "--source", "native", name, "--summary"]
    status, rows, said = run(*common, stdin=stdin)
    assert (status, len(rows)) == (5, 9)
    assert "record 4001: not JSON" in said
    assert run(*common, "--workers", "3", stdin=stdin) == (status, rows, said)


def test_a_suppressed_hit_is_printed_and_does_not_fail_the_run(files: Mapping[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    folder.mkdir()
    (folder / "root.yml").write_text(Path(files["root"]).read_text("utf-8"), "utf-8")
    before = run("--rules", str(folder), "--source", "ecs", "--fail-on", "low", files["log"])
    rule = before[1][0]["rule.id"]
    window = f"{{rules: [{rule}], from: 2026-01-01, to: 2026-01-02}}"
    text = override_text(f"{{rules: [{rule}], disabled: true}}", expires="2026-12-31")
    (folder / "tuning.yml").write_text(f"{text}---\n{maintenance_text(window)}", "utf-8")
    after = run("--rules", str(folder), "--source", "ecs", "--fail-on", "low", "--summary", files["log"])
    assert (before[0], after[0]) == (3, 0)
    assert [row | {"secmon.suppressed_by": EXCEPTION.format(201)} for row in before[1]] == after[1]
    assert json.loads(after[2].splitlines()[-1])["suppressed"] == len(before[1])
