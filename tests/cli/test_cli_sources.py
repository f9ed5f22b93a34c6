"""`secmon sources`: the exact account of every source."""

from pathlib import Path

import pytest

from tests.cli.program import secmon

ROW = {
    "source", "received", "stored", "duplicate", "dead_lettered", "dropped", "in_flight", "kind", "state",
    "first_event", "last_event", "last_received", "skew_s", "encoding", "events", "streams",
}  # fmt: skip


@pytest.mark.parametrize("arguments", [("sources", "--json"), ("sources", "list", "--json")])
def test_a_row_has_the_keys_of_the_contract_and_adds_up(config: Path, arguments: tuple[str, ...]) -> None:
    (row,) = secmon("--config", config, *arguments).rows
    assert set(row) == ROW
    assert (row["source"], row["kind"], row["state"]) == ("jwxt", "nginx.access", "ok")
    assert (row["received"], row["stored"], row["dead_lettered"], row["dropped"]) == (12, 10, 1, {"blank": 1})
    assert row["first_event"] == "2026-11-19T16:00:00.000Z"
    assert row["encoding"] == {"utf-8": 12}
    assert row["received"] == row["stored"] + row["duplicate"] + row["dead_lettered"] + 1 + row["in_flight"]


def test_show_is_one_object(config: Path) -> None:
    assert set(secmon("--config", config, "sources", "show", "jwxt", "--json").row) == ROW
    assert "最近收到" in secmon("--config", config, "sources", "show", "jwxt").text


@pytest.mark.parametrize("name", ["nobody", "", "nginx.access", "../x"])
def test_an_unknown_source_is_one(config: Path, name: str) -> None:
    done = secmon("--config", config, "sources", "show", name)
    assert (done.status, done.out) == (1, b"")


def test_a_source_that_was_never_heard_of_is_silent(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write('[[sources]]\nname = "sso"\nkind = "cas.audit"\n')
    first, second = secmon("--config", config, "sources", "--json").rows
    assert [(row["source"], row["state"]) for row in (first, second)] == [("jwxt", "ok"), ("sso", "silent")]
    assert "last_received" not in second
