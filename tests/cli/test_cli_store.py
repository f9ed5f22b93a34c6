"""`secmon store`: is it whole, and the same digest for the same content."""

from pathlib import Path

import pytest

from tests.cli.program import secmon, write_log, write_settings

ROW = {"store", "schema", "events", "hits", "findings", "alerts", "deadletters", "partitions", "ok"}


@pytest.mark.parametrize("arguments", [(), ("--deep",), ("--json",)])
def test_a_whole_store_is_ok(config: Path, arguments: tuple[str, ...]) -> None:
    done = secmon("--config", config, "store", "check", *arguments)
    assert done.status == 0
    assert set(done.row) == ROW
    counts = {"store": "sqlite", "events": 10, "hits": 2, "alerts": 2, "deadletters": 1, "ok": True}
    assert counts.items() <= done.row.items()


def test_the_digest_has_one_sum_for_each_set(config: Path) -> None:
    found = secmon("--config", config, "store", "digest").row
    assert set(found) == {"events", "hits", "findings", "alerts"}
    assert all(len(value) == 64 and int(value, 16) >= 0 for value in found.values())
    assert secmon("--config", config, "store", "digest", "--json").row == found


def test_reading_changes_nothing_and_triage_does(config: Path) -> None:
    before = secmon("--config", config, "store", "digest").row
    alert = secmon("--config", config, "alerts", "list", "--json").rows[0]["alert.id"]
    assert secmon("--config", config, "store", "digest").row == before
    secmon("--config", config, "alerts", "ack", alert)
    after = secmon("--config", config, "store", "digest").row
    assert {name for name in after if after[name] != before[name]} == {"alerts"}


def test_a_second_import_of_the_same_file_leaves_the_digest(tmp_path: Path) -> None:
    config = write_settings(tmp_path / "here")
    log = write_log(tmp_path / "access.log")
    assert secmon("--config", config, "import", "--source", "jwxt", log).status == 0
    before = secmon("--config", config, "store", "digest").row
    again = secmon("--config", config, "import", "--source", "jwxt", log).row
    assert (again["stored"], again["duplicate"], again["received"]) == (0, 11, 11)
    assert secmon("--config", config, "store", "digest").row == before


def test_a_cut_audit_chain_is_told(config: Path) -> None:
    head = config.parent / "state" / "audit.head"
    number, _, _ = head.read_text(encoding="utf-8").partition(" ")
    head.write_text(f"{int(number) + 1} {'0' * 64}\n", encoding="utf-8")
    done = secmon("--config", config, "store", "check")
    assert (done.status, done.row["ok"]) == (1, False)
    assert "truncated" in done.row["problems"][0]


def test_a_damaged_partition_is_told(config: Path) -> None:
    (partition,) = (config.parent / "state" / "events").glob("*.db")
    content = bytearray(partition.read_bytes())
    content[8192:] = bytes(byte ^ 0x55 for byte in content[8192:])
    partition.write_bytes(content)
    done = secmon("--config", config, "store", "check", "--deep")
    assert done.status == 1
    assert b'"ok":true' not in done.out


def test_a_lost_key_is_never_made_anew(config: Path) -> None:
    key = config.parent / "state" / "keys" / "vault.key"
    key.unlink()
    for arguments in (("alerts", "list"), ("deadletters", "replay"), ("store", "check")):
        done = secmon("--config", config, *arguments, "--lang", "en")
        assert done.status == 4
        assert done.err.startswith(f"{key}: the key is missing (put it back from a backup")
    assert not key.exists()
