"""`secmon search`: rows, tables, sums, what is said beside them, what is refused."""

import json
from pathlib import Path

import pytest

from tests.cli.program import Done, secmon


def search(config: Path, *arguments: str) -> Done:
    return secmon("--config", config, "search", "--since", "all", *arguments)


def test_json_rows_are_the_events_as_they_are_stored(config: Path) -> None:
    done = search(config, "source.ip:198.51.100.0/24 and url.path:*probe*", "--json")
    assert done.status == 0, done.err
    assert done.rows
    assert all(row["event.dataset"] == "nginx.access" and len(row["event.id"]) == 32 for row in done.rows)
    times = [row["@timestamp"] for row in done.rows]
    assert times == sorted(times, reverse=True)


def test_a_mistyped_folder_is_not_made_an_installation(tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = secmon("--state", state, "search", "x")
    assert (done.status, state.exists()) == (4, False)
    assert "secmon up" in done.err


def test_without_a_query_everything_in_the_time_range_is_found(config: Path) -> None:
    assert len(search(config, "--json").rows) == 10
    assert len(search(config, "--until", "2026-01-01", "--json").rows) == 0


def test_pages_follow_each_other(config: Path) -> None:
    everything = [row["event.id"] for row in search(config, "--json").rows]
    first = search(config, "--limit", "6", "--json")
    option, cursor = first.err.split()[-2:]
    second = search(config, "--limit", "6", "--json", option, cursor)
    assert [row["event.id"] for row in (*first.rows, *second.rows)] == everything
    assert "--cursor" not in second.err


def test_fields_are_chosen(config: Path) -> None:
    done = search(config, "--fields", "@timestamp,url.path", "--json")
    assert all(set(row) <= {"@timestamp", "url.path"} for row in done.rows)
    table = search(config, "--fields", "url.path")
    assert table.text.splitlines()[0] == "url.path"
    assert len(table.text.splitlines()) == 11


def test_a_condition_without_an_index_is_announced_as_scanning(config: Path) -> None:
    done = search(config, "http.response.body.bytes:>=0", "--json")
    assert "正在扫描：http.response.body.bytes" in done.err
    assert "已读取日志 10 条" in done.err
    assert "正在扫描" not in search(config, "user.name:a or source.ip:*", "--json").err


def test_a_histogram_and_values_add_up_to_the_events(config: Path) -> None:
    done = search(config, "--histogram", "1d", "--since", "2026-11-01", "--until", "2026-11-30", "--json")
    assert sum(row["count"] for row in done.rows) == 10
    assert set(done.rows[0]) == {"at", "count"}
    done = search(config, "--stats", "source.ip", "--stats", "http.request.method", "--json")
    counts = {name: sum(row["count"] for row in done.rows if row["field"] == name) for name in ("source.ip",)}
    assert counts == {"source.ip": 10}
    assert search(config, "--stats", "source.ip").text.splitlines()[0].split() == ["字段", "值", "日志条数"]


def test_nothing_found_is_said_only_after_looking_at_everything(config: Path) -> None:
    done = search(config, "user.name:nobody-has-this-name")
    assert (done.status, "没有符合条件的日志" in done.err) == (0, True)
    assert search(config, "user.name:nobody-has-this-name", "--json").out == b""


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("user.name:",), 2, "query:11: 冒号后缺少值"),
        (("a", "--since", "yesterday"), 2, "这不是时间"),
        (("a", "--histogram", "1x"), 2, "这不是时间长度"),
        (("a", "--histogram", "1s", "--since", "365d"), 2, "间隔太短"),
        (("a", "--stats", "message"), 2, "不做统计"),
        (("a", "--cursor", "x"), 2, "翻页位置"),
        (("a", "--limit", "0"), 2, "--limit"),
    ],
)
def test_what_cannot_be_asked_is_refused(config: Path, arguments: tuple[str, ...], status: int, told: str) -> None:
    done = search(config, *arguments)
    assert done.status == status
    assert told in done.err
    assert done.out == b""


def test_who_searched_stands_in_the_audit_chain_and_not_what_for(config: Path) -> None:
    head = config.parent / "state" / "audit.head"
    before = head.read_text() if head.exists() else ""
    search(config, "user.name:very-secret-4711", "--json")
    assert head.read_text() != before
    raw = b"".join(path.read_bytes() for path in config.parent.rglob("control.db*"))
    assert b"very-secret-4711" not in raw
    assert json.dumps("search").encode() in raw
