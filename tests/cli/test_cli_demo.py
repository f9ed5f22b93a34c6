"""`secmon demo`: the main job once; the same numbers at every run, and nobody else's folder is touched."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from secmon.store.elasticsearch.gateway import Gateway
from secmon.wiring import elasticsearch_settings
from tests.cli.program import Done, process, secmon
from tests.wiring.stores import remove, settings_of

SOURCE = {"source", "kind", "received", "stored", "duplicate", "dead_lettered", "dropped", "in_flight"}
SUMMARY = {"store", "sources", "hits", "alerts", "findings", "controls", "files", "open"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Path]:
    out = tmp_path_factory.mktemp("demo") / "out"
    return process("demo", "--out", out, "--json", home=out.parent), out


def test_the_summary_has_the_keys_of_the_contract(run: tuple[Done, Path]) -> None:
    done, out = run
    assert done.status == 0, done.err
    found: dict[str, Any] = done.row
    assert set(found) == SUMMARY
    assert json.loads((out / "summary.json").read_bytes()) == found
    assert found["store"] == "sqlite"
    assert all(set(row) == SOURCE for row in found["sources"])
    assert set(found["controls"]) == {"符合", "部分符合", "不符合", "不适用", "未核查"}
    assert set(found["alerts"]) == {"new"}
    assert found["open"] == f"secmon --config {out / 'secmon.toml'} up"


def test_every_source_adds_up(run: tuple[Done, Path]) -> None:
    for row in run[0].row["sources"]:
        parts = [row[name] for name in ("stored", "duplicate", "dead_lettered", "in_flight")]
        assert row["received"] == sum(parts) + sum(row["dropped"].values()), row


def test_the_files_are_there(run: tuple[Done, Path]) -> None:
    done, out = run
    names = {Path(name).name for name in done.row["files"]}
    stems = ("self-assessment", "bulletin", "incident-report")
    assert names >= {f"{stem}.{suffix}" for stem in stems for suffix in ("html", "docx", "pdf")}
    assert all(Path(name).stat().st_size > 1000 for name in done.row["files"])
    assert (out / "secmon.toml").is_file()
    assert (out / "state" / "control.db").is_file()


def test_what_it_leaves_is_an_installation(run: tuple[Done, Path]) -> None:
    done, out = run
    listed = secmon("--config", out / "secmon.toml", "alerts", "list", "--limit", "1000", "--json").rows
    assert len(listed) == done.row["alerts"]["new"]
    assert secmon("--config", out / "secmon.toml", "config", "check").status == 0
    assert secmon("--config", out / "secmon.toml", "store", "check").row["ok"] is True


def test_a_second_run_replaces_the_first_with_the_same_numbers(run: tuple[Done, Path]) -> None:
    done, out = run
    (out / "left-over").touch()
    again = process("demo", "--out", out, "--json", "--quiet", home=out.parent)
    assert (again.err, again.row) == ("", done.row)
    assert not (out / "left-over").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    done = secmon("demo", "--out", tmp_path, "--lang", "en")
    assert (done.status, done.out) == (4, b"")
    assert "is not empty and not the demo's" in done.err
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("arguments", [("--store", "paper"), ("--out", __file__), ("extra",)])
def test_bad_usage_is_two(arguments: tuple[str, ...]) -> None:
    assert secmon("demo", *arguments).status == 2


@pytest.mark.elasticsearch
@pytest.mark.slow
def test_a_cluster_gives_the_same_numbers_and_the_same_digest(tmp_path: Path) -> None:
    out = tmp_path / "out"  # one folder for both: digests are keyed with its keys, and name the paths of its logs
    done = process("demo", "--out", out, "--json", home=tmp_path)
    before = secmon("--config", out / "secmon.toml", "store", "digest").row
    url = os.environ["SECMON_ES_URL"]
    try:
        again = process("demo", "--out", out, "--store", "elasticsearch", "--json", home=tmp_path, SECMON_ES_URL=url)
        assert again.status == 0, again.err
        same = {"store": "elasticsearch", "files": again.row["files"], "open": again.row["open"]}
        assert again.row == done.row | same
        assert secmon("--config", out / "secmon.toml", "store", "digest").row == before
        assert secmon("--config", out / "secmon.toml", "store", "check").row["ok"] is True
        assert not (out / "state" / "control.db").exists()
        _take_the_marker_away(out / "secmon.toml")
        refused = process("demo", "--out", out, "--store", "elasticsearch", home=tmp_path, SECMON_ES_URL=url)
        assert (refused.status, refused.out) == (4, b"")
        assert "不是演示" in refused.err
    finally:
        remove(out / "secmon.toml")


def _take_the_marker_away(config: Path) -> None:
    gateway = Gateway(elasticsearch_settings(settings_of(config)))
    found = {"query": {"bool": {"filter": [{"term": {"kind": "installation"}}, {"term": {"id": "demo"}}]}}}
    gateway.refresh(gateway.names.records)
    answer = gateway.search(f"/{gateway.names.records}/_search", found)
    assert answer is not None
    (marker,) = answer["hits"]["hits"]
    gateway.write("DELETE", f"/{gateway.names.records}/_doc/{quote(marker['_id'], safe='')}", refresh="true")
    gateway.close()


def test_without_a_cluster_the_remedy_is_told(tmp_path: Path) -> None:
    done = process("demo", "--out", tmp_path / "out", "--store", "elasticsearch", "--lang", "en", home=tmp_path)
    assert (done.status, done.out) == (4, b"")
    assert done.err.startswith("SECMON_ES_URL: no cluster is named (")
    assert not (tmp_path / "out").exists()
