"""The bench: every figure it prints is measured, on a few records, so that it cannot rot. No times are judged."""

import re
from pathlib import Path

import pytest

from bench import pipeline
from bench.logs import ATTACK_EVERY, PERSONAL_EVERY, access_lines, syslog_lines, write_log
from bench.pipeline import stage_times
from bench.stages import STAGES, StageTimes
from bench.whole import inline

RECORDS = 400


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> StageTimes:
    folder = tmp_path_factory.mktemp("bench")
    write_log(folder / "access.log", access_lines(RECORDS))
    return stage_times(folder, folder / "access.log", "nginx.access")


def test_no_line_comes_twice() -> None:
    assert len(set(access_lines(RECORDS))) == RECORDS
    assert len(set(syslog_lines(RECORDS))) == RECORDS


def test_lines_are_the_same_at_every_run() -> None:
    assert list(access_lines(20)) == list(access_lines(20))


def test_every_stage_is_timed(report: StageTimes) -> None:
    assert tuple(report.spent) == STAGES
    assert all(spent.wall_s > 0 for spent in report.spent.values())
    assert report.bare.wall_s > 0


def test_the_stages_store_every_record_with_what_was_put_into_it(report: StageTimes) -> None:
    assert (report.records, report.events) == (RECORDS, RECORDS)
    assert report.findings >= RECORDS // PERSONAL_EVERY - RECORDS // ATTACK_EVERY
    assert report.hits > 0


def test_the_whole_pipeline_takes_every_record(tmp_path: Path) -> None:
    size = write_log(tmp_path / "messages", syslog_lines(RECORDS))
    assert size > 0
    run = inline(tmp_path / "state", tmp_path / "messages", "syslog")
    assert run.records == RECORDS
    assert run.peak_mb > 0


@pytest.mark.slow
def test_the_command_line_prints_a_table_for_each_corpus(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECMON_CORPORA", raising=False)
    pipeline.main(["--records", "200", "--workers", "1"])
    printed = capsys.readouterr().out
    for name in ("nginx access", "syslog", "inline", "1 worker", "secmon import", "bare commit", *STAGES):
        assert name in printed
    assert len(re.findall(r"^  200 records, 200 events", printed, re.MULTILINE)) == 2
