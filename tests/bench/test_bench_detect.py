"""The comparison with other engines: what it prints follows from hits and times; no times are judged."""

import sys
from pathlib import Path

import pytest

from bench.peers import Match, Series, Taken, report_hits, report_speed, run


def test_a_run_is_measured_on_the_core_it_was_given(tmp_path: Path) -> None:
    code = "import os; print(sorted(os.sched_getaffinity(0))); sum(range(10**6))"
    core = 0
    taken = run([sys.executable, "-c", code], tmp_path / "out.jsonl", core, {})
    assert (tmp_path / "out.jsonl").read_text() == f"[{core}]\n"
    assert taken.cpu_s > 0
    assert taken.peak_mb > 1


def test_a_run_that_fails_ends_the_comparison(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="went wrong"):
        run([sys.executable, "-c", "raise SystemExit('went wrong')"], tmp_path / "out.jsonl", 0, {})


def test_speed_is_what_the_events_took_beyond_loading(capsys: pytest.CaptureFixture[str]) -> None:
    theirs = Series("rsigma", 1_000_000, [Taken(1.0, 10)], [Taken(5.0, 200), Taken(4.0, 200), Taken(9.0, 200)])
    ours = Series(
        "secmon", 1_000_000, [Taken(1.0, 10), Taken(9.0, 10), Taken(1.0, 10)], [Taken(each, 90) for each in (3, 4, 3)]
    )
    half = Series("rsigma, half", 500_000, [Taken(1.0, 10)], [Taken(3.0, 200)])
    unseen = Series("secmon unseen", 500_000, [Taken(1.0, 10)], [Taken(1.5, 90)])
    report_speed([theirs, ours, half, unseen])
    _, first, second, _, fourth = capsys.readouterr().out.splitlines()
    assert first.split() == ["rsigma", "1.00", "4.00", "4.0", "250,000", "1.00", "1.00", "–", "1.00", "200"]
    assert second.split() == ["secmon", "1.00", "2.00", "2.0", "500,000", "2.00", "1.00", "–", "4.00", "90"]
    assert fourth.split() == ["secmon", "unseen", "1.00", "0.50", "1.0", "1,000,000", "4.00", "4.00", "–", "4.00", "90"]


def test_differences_are_told_by_rule_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    sysmon, audit = b'{"Channel":"Sysmon","EventID":1}', b'{"Channel":"Security","EventID":4688}'
    both = Match("a", sysmon)
    report_hits({both}, {both, Match("a", audit), Match("b", audit)}, {"a": "Rule A"}, ("Channel", "EventID"))
    said = capsys.readouterr().out
    assert "rsigma 1, secmon 3, the same 1\nrules whose hits differ: 2" in said
    assert "Rule A (a): rsigma 1, secmon 2" in said
    assert "only secmon: Security 4688 × 1" in said
