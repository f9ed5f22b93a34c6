"""`secmon alerts`: rows of the contract, filters, triage, refusals."""

from pathlib import Path

import pytest

from secmon.model.alert import CLOSE_REASON_ZH, CloseReason
from tests.cli.program import SHELL_RULE, Done, secmon

ROW = {
    "alert.id", "alert.revision", "alert.state", "rule.id", "rule.name", "rule.title_zh", "rule.level", "alert.first",
    "alert.last", "alert.count", "alert.group", "alert.reason", "unit.id", "asset.id", "threat.technique.id",
    "control.id",
}  # fmt: skip
STEP = {"at", "by", "action", "from", "to", "reason", "note", "revision"}


def alerts(config: Path, *arguments: str) -> Done:
    return secmon("--config", config, "alerts", *arguments)


@pytest.fixture
def ids(config: Path) -> list[str]:
    return [row["alert.id"] for row in alerts(config, "list", "--json").rows]


def test_a_row_has_the_keys_of_the_contract(config: Path) -> None:
    done = alerts(config, "list", "--json")
    assert (done.status, done.err, len(done.rows)) == (0, "", 2)
    row = done.rows[0]
    assert set(row) == ROW
    assert (row["alert.state"], row["alert.revision"], row["alert.count"]) == ("new", 1, 1)
    assert (row["rule.id"], row["rule.level"]) == (SHELL_RULE, "high")
    assert row["alert.first"] == "2026-11-19T16:00:21.000Z"
    assert row["alert.group"] == {"source.ip": "198.51.100.7"}
    assert (row["unit.id"], row["asset.id"]) == ("S-1", "A-1")
    assert row["threat.technique.id"] == ["T1505.003"]
    assert len(row["alert.id"]) == 32


def test_json_is_not_ascii_escaped(config: Path) -> None:
    assert "网页后门访问" in alerts(config, "list", "--json").text


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("--state", "new"), 2),
        (("--state", "closed"), 0),
        (("--state", "closed", "--state", "new"), 2),
        (("--level", "high"), 2),
        (("--level", "low", "--level", "critical"), 0),
        (("--rule", SHELL_RULE), 2),
        (("--rule", "none"), 0),
        (("--unit", "S-1"), 2),
        (("--unit", "C-1"), 2),
        (("--unit", "S-9"), 0),
        (("--asset", "A-1"), 2),
        (("--asset", "A-2"), 0),
        (("--since", "2026-11-20T00:00:21+08:00"), 1),
        (("--until", "2026-11-20T00:00:21+08:00"), 1),
        (("--since", "2026-11-21T00:00:00Z"), 0),
        (("--text", "后门"), 2),
        (("--text", "勒索"), 0),
        (("--limit", "1"), 1),
    ],
)
def test_filters(config: Path, arguments: tuple[str, ...], number: int) -> None:
    done = alerts(config, "list", "--json", *arguments)
    assert (done.status, len(done.rows)) == (0, number)


def test_a_cursor_goes_on_behind_a_page(config: Path, ids: list[str]) -> None:
    first = alerts(config, "list", "--json", "--limit", "1")
    _, cursor = first.err.split()
    second = alerts(config, "list", "--json", "--limit", "1", "--cursor", cursor)
    assert [first.row["alert.id"], second.row["alert.id"]] == ids
    assert second.err == ""


@pytest.mark.parametrize(("arguments", "status"), [(("--since", "yesterday"), 2), (("--cursor", "zzz"), 1)])
def test_a_wrong_filter_is_refused(config: Path, arguments: tuple[str, ...], status: int) -> None:
    done = alerts(config, "list", *arguments)
    assert (done.status, done.out) == (status, b"")


def test_show_adds_events_history_and_data_classes(config: Path, ids: list[str]) -> None:
    found = alerts(config, "show", ids[0], "--json").row
    assert set(found) == ROW | {"alert.events", "alert.events_total", "alert.history", "data.classes"}
    assert found["alert.events_total"] == len(found["alert.events"]) == 1
    assert [set(step) for step in found["alert.history"]] == [STEP]
    assert found["alert.history"][0]["to"] == "new"


def test_show_reads_well(config: Path, ids: list[str]) -> None:
    text = alerts(config, "show", ids[0]).text
    assert "规则: 网页后门访问" in text
    assert "最早: 2026-11-20 00:00:21" in text
    assert "rule: Shell request" in alerts(config, "show", ids[0], "--lang", "en").text


def test_acknowledging_twice_changes_nothing(config: Path, ids: list[str]) -> None:
    assert alerts(config, "ack", ids[0]).text == f"{ids[0]} 已确认\n"
    assert alerts(config, "ack", ids[0]).status == 0
    history = alerts(config, "show", ids[0], "--json").row["alert.history"]
    assert [step["action"] for step in history] == ["raise", "ack"]


@pytest.mark.parametrize("reason", CloseReason)
def test_an_alert_is_closed_with_a_reason_of_the_vocabulary(config: Path, ids: list[str], reason: CloseReason) -> None:
    done = alerts(config, "close", ids[0], "--reason", reason.value, "--note", "值班核对")
    assert done.text == f"{ids[0]} 已关闭 ({CLOSE_REASON_ZH[reason]})\n"
    found = alerts(config, "show", ids[0], "--json").row
    assert (found["alert.state"], found["alert.close_reason"]) == ("closed", reason.value)
    assert {"reason": reason.value, "note": "值班核对", "from": "new"}.items() <= found["alert.history"][-1].items()


@pytest.mark.parametrize("arguments", [(), ("--reason", "nonsense"), ("--reason", "")])
def test_closing_without_a_reason_of_the_vocabulary_is_usage(
    config: Path, ids: list[str], arguments: tuple[str, ...]
) -> None:
    assert alerts(config, "close", ids[0], *arguments).status == 2
    assert alerts(config, "list", "--state", "closed", "--json").rows == []


@pytest.mark.parametrize("arguments", [("show",), ("ack",), ("close", "--reason", "duplicate")])
@pytest.mark.parametrize("unknown", ["f" * 32, "x", "", "../..", "x" * 5000])
def test_an_unknown_id_is_one(config: Path, arguments: tuple[str, ...], unknown: str) -> None:
    done = alerts(config, *arguments, unknown)
    assert (done.status, done.out) == (1, b"")
    assert "没有这条告警" in done.err


def test_one_unknown_id_does_not_stop_the_others(config: Path, ids: list[str]) -> None:
    done = alerts(config, "ack", ids[0], "nobody", ids[1], "--json")
    assert done.status == 1
    assert [row["alert.id"] for row in done.rows] == ids
    assert done.err.splitlines()[0].startswith("nobody: ")
    assert len(alerts(config, "list", "--state", "acknowledged", "--json").rows) == 2


def test_triage_is_in_the_audit_chain(config: Path, ids: list[str]) -> None:
    alerts(config, "close", ids[0], "--reason", "duplicate")
    assert secmon("--config", config, "store", "check").row["ok"] is True
    head = config.parent / "state" / "audit.head"
    number = head.read_text(encoding="utf-8").split()[0]
    alerts(config, "ack", ids[1])
    assert int(head.read_text(encoding="utf-8").split()[0]) == int(number) + 1
