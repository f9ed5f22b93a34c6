"""`secmon report` and `secmon bulletin`: files, their JSON, and that half a file is none."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Done, secmon

REPORT = {"kind", "title", "asset.id", "unit.id", "at", "framework", "digest"}
ITEM = {
    "control.id", "class", "point", "gist", "confidence", "result", "status", "mode", "reason", "evidence.ids",
}  # fmt: skip
EVIDENCE = {"evidence.id", "kind", "query", "from", "to", "count", "digest", "event.ids"}
BULLETIN = {
    "bulletin.id", "kind", "direction", "state", "title", "recipients", "paragraphs", "alert.ids", "digest",
}  # fmt: skip
RESULTS = {"符合", "部分符合", "不符合", "不适用", "未核查"}
MAGIC = {"html": b"<!", "docx": b"PK", "pdf": b"%PDF-"}


def report(config: Path, out: Path, format_: str, *arguments: str) -> Done:
    return secmon("--config", config, "report", "mlps", "--asset", "A-1", "--format", format_, "--out", out, *arguments)


@pytest.fixture
def alert(config: Path) -> str:
    return str(secmon("--config", config, "alerts", "list", "--json").rows[0]["alert.id"])


def draft(config: Path, alert: str, kind: str = "warning", *arguments: str) -> Done:
    return secmon("--config", config, "bulletin", "draft", "--kind", kind, "--from-alert", alert, *arguments)


@pytest.mark.parametrize("format_", MAGIC)
def test_a_report_is_written_in_each_format(config: Path, tmp_path: Path, format_: str) -> None:
    out = tmp_path / f"自查.{format_}"
    done = report(config, out, format_)
    assert (done.status, done.out, done.err) == (0, b"", f"{out}\n")
    assert out.read_bytes().startswith(MAGIC[format_])
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []


def test_the_json_of_a_report_has_the_keys_of_the_contract(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    assert report(config, out, "json", "--at", "2026-11-20", "--days", "30").status == 0
    found: dict[str, Any] = json.loads(out.read_bytes())
    assert {"report", "items", "evidence", "summary"} <= set(found)
    assert set(found["report"]) >= REPORT
    assert (found["report"]["kind"], found["report"]["asset.id"]) == ("mlps", "A-1")
    assert len(found["items"]) == 26
    assert all(set(item) >= ITEM for item in found["items"])
    assert {item["result"] for item in found["items"]} <= RESULTS
    assert {item["confidence"] for item in found["items"]} <= {"V", "V2", "G", "P"}
    assert {item["status"] for item in found["items"]} == {"draft"}
    assert all(set(one) >= EVIDENCE for one in found["evidence"])
    named = {one for item in found["items"] for one in item["evidence.ids"]}
    assert named <= {one["evidence.id"] for one in found["evidence"]}
    assert sum(found["summary"].values()) == 26


def test_the_same_snapshot_gives_the_same_bytes(config: Path, tmp_path: Path) -> None:
    for format_ in ("json", "docx", "pdf", "html"):
        first, second = tmp_path / f"1.{format_}", tmp_path / f"2.{format_}"
        for out in (first, second):
            assert report(config, out, format_, "--at", "2026-11-20").status == 0
        assert first.read_bytes() == second.read_bytes(), format_


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--at", "2026-13-01"), 2),
        (("--at", "yesterday"), 2),
        (("--level", "2"), 2),
        (("--days", "0"), 2),
        (("--asset", "nobody"), 1),
    ],
)
def test_refused_reports(config: Path, tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    out = tmp_path / "report.json"
    done = report(config, out, "json", *arguments)
    assert (done.status, done.out) == (status, b"")
    assert not out.exists()


@pytest.mark.parametrize("arguments", [("--format", "xlsx"), (), ("--format", "json")])
def test_a_report_needs_a_format_of_ours_and_a_file(config: Path, arguments: tuple[str, ...]) -> None:
    assert secmon("--config", config, "report", "mlps", "--asset", "A-1", *arguments).status == 2


def test_a_file_that_cannot_be_written_is_one_and_leaves_the_old_one(config: Path, tmp_path: Path) -> None:
    done = report(config, tmp_path / "none" / "report.json", "json", "--lang", "en")
    assert done.status == 1
    assert "cannot be written: No such file or directory" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("kind", "direction"), [("warning", "下行"), ("incident-report", "上行")])
def test_a_draft_prints_its_id_and_is_shown(config: Path, alert: str, kind: str, direction: str) -> None:
    done = draft(config, alert, kind)
    assert (done.status, done.err) == (0, "")
    bulletin_id = done.text.strip()
    found = secmon("--config", config, "bulletin", "show", bulletin_id, "--json").row
    assert set(found) >= BULLETIN
    assert {"kind": kind, "direction": direction, "state": "draft", "bulletin.id": bulletin_id}.items() <= found.items()
    assert "bulletin.number" not in found or not found["bulletin.number"]
    assert alert in found["alert.ids"]
    assert all(set(paragraph) >= {"text", "evidence.ids"} for paragraph in found["paragraphs"])
    assert all({"unit.id", "state"} <= set(one) for one in found["recipients"])
    assert direction in secmon("--config", config, "bulletin", "show", bulletin_id).text


@pytest.mark.parametrize("format_", [*MAGIC, "json"])
def test_a_bulletin_is_rendered_in_each_format(config: Path, alert: str, tmp_path: Path, format_: str) -> None:
    bulletin_id = draft(config, alert).text.strip()
    out = tmp_path / f"预警通报.{format_}"
    done = secmon("--config", config, "bulletin", "render", bulletin_id, "--format", format_, "--out", out)
    assert (done.status, done.out) == (0, b"")
    assert out.read_bytes().startswith(MAGIC.get(format_, b"{"))


def test_a_docx_is_a_whole_package(config: Path, alert: str, tmp_path: Path) -> None:
    out = tmp_path / "b.docx"
    secmon(
        "--config", config, "bulletin", "render", draft(config, alert).text.strip(), "--format", "docx", "--out", out
    )
    with zipfile.ZipFile(out) as package:
        assert package.testzip() is None


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("draft", "--kind", "warning", "--from-alert", "nobody"), 1),
        (("draft", "--kind", "letter", "--from-alert", "{alert}"), 2),
        (("draft", "--kind", "warning"), 2),
        (("draft", "--kind", "warning", "--from-alert", "{alert}", "--issuer", "nobody"), 1),
        (("draft", "--kind", "incident-report", "--from-alert", "{alert}", "--issuer", "C-1", "--to", "S-1"), 1),
        (("show", "nobody"), 1),
        (("render", "nobody", "--format", "pdf", "--out", "x.pdf"), 1),
        (("render", "nobody", "--format", "odt", "--out", "x.odt"), 2),
    ],
)
def test_refused_bulletins(config: Path, alert: str, arguments: tuple[str, ...], status: int) -> None:
    done = secmon("--config", config, "bulletin", *(one.format(alert=alert) for one in arguments))
    assert (done.status, done.out) == (status, b""), done.err
    assert done.err
