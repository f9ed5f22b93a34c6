"""`secmon deadletters`: list, show, replay, drop, and what that does to the account."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import MALFORMED, Done, secmon

ROW = {"deadletter.id", "source", "place", "received", "problem", "attempts", "masked", "state"}


def letters(config: Path, *arguments: str) -> Done:
    return secmon("--config", config, "deadletters", *arguments)


def account(config: Path) -> dict[str, Any]:
    return secmon("--config", config, "sources", "show", "jwxt", "--json").row


@pytest.fixture
def letter(config: Path) -> str:
    return str(letters(config, "list", "--json").row["deadletter.id"])


def test_a_row_has_the_keys_of_the_contract(config: Path) -> None:
    row = letters(config, "list", "--json").row
    assert set(row) == ROW
    assert (row["source"], row["place"]) == ("jwxt", "jwxt:record 12")
    assert (row["problem"], row["attempts"], row["state"]) == ("no access log line", 1, "waiting")
    assert row["masked"] == MALFORMED


def test_people_see_the_problem_in_their_language(config: Path, letter: str) -> None:
    assert "不是访问日志的格式" in letters(config, "list").text
    assert "不是访问日志的格式" in letters(config, "show", letter).text
    assert "no access log line" in letters(config, "show", letter, "--lang", "en").text


def test_raw_bytes_are_on_no_page_and_in_no_file(config: Path, letter: str) -> None:
    assert set(letters(config, "show", letter, "--json").row) == ROW


@pytest.mark.parametrize("arguments", [("--source", "nobody"), ("--state", "replayed"), ("--state", "dropped")])
def test_filters(config: Path, arguments: tuple[str, ...]) -> None:
    assert letters(config, "list", "--json", *arguments).rows == []


def test_what_is_still_malformed_waits_on(config: Path, letter: str) -> None:
    done = letters(config, "replay")
    assert (done.status, done.row) == (0, {"replayed": 1, "stored": 0, "still_malformed": 1})
    assert letters(config, "show", letter, "--json").row["attempts"] == 2
    assert account(config)["dead_lettered"] == 1


@pytest.mark.parametrize("arguments", [("--source", "jwxt"), ("{letter}",)])
def test_replay_takes_a_source_or_ids(config: Path, letter: str, arguments: tuple[str, ...]) -> None:
    filled = [one.format(letter=letter) for one in arguments]
    assert letters(config, "replay", *filled).row["replayed"] == 1


def test_replay_takes_not_both(config: Path, letter: str) -> None:
    assert letters(config, "replay", letter, "--source", "jwxt").status == 2


def test_a_dropped_letter_keeps_who_and_why_and_counts(config: Path, letter: str) -> None:
    assert letters(config, "drop", letter, "--reason", "磁盘损坏产生的乱码").row == {"dropped": 1}
    row = letters(config, "show", letter, "--json").row
    assert (row["state"], row["reason"]) == ("dropped", "磁盘损坏产生的乱码")
    assert row["by"].startswith("os:")
    assert account(config)["dropped"] == {"blank": 1, "by_operator": 1}
    assert account(config)["dead_lettered"] == 0
    assert letters(config, "list", "--json").rows == []
    assert letters(config, "drop", letter, "--reason", "again").row == {"dropped": 0}
    assert letters(config, "replay").row["replayed"] == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("show", "nobody"), 1),
        (("replay", "nobody"), 1),
        (("drop", "nobody", "--reason", "x"), 1),
        (("drop", "nobody"), 2),
        (("drop", "--reason", "x"), 2),
        (("drop", "nobody", "--reason", " "), 1),
        (("list", "--state", "open"), 2),
    ],
)
def test_refusals(config: Path, arguments: tuple[str, ...], status: int) -> None:
    done = letters(config, *arguments)
    assert (done.status, done.out) == (status, b"")
    assert done.err
