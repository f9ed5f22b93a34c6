"""`secmon store`: is it whole, and the same digest for the same content."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from secmon.store.elasticsearch.gateway import ElasticsearchSettings, Gateway
from secmon.store.lock import WriterLock
from secmon.store.sqlite import schema
from tests.cli.program import secmon, write_log, write_settings

ROW = {"store", "schema", "events", "hits", "findings", "alerts", "deadletters", "partitions", "ok"}


@pytest.mark.parametrize("arguments", [(), ("--deep",), ("--json",)])
def test_a_whole_store_is_ok(config: Path, arguments: tuple[str, ...]) -> None:
    done = secmon("--config", config, "store", "check", *arguments)
    assert done.status == 0
    assert set(done.row) == ROW
    counts = {
        "store": "sqlite",
        "schema": schema.VERSION,
        "events": 10,
        "hits": 2,
        "alerts": 2,
        "deadletters": 1,
        "ok": True,
    }
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


def target_of(config: Path, *, keys: bool = True, state: str = "moved") -> Path:
    """Return settings like these, with another state folder, which has the same keys."""
    text = config.read_text(encoding="utf-8")
    old = config.parent / "state"
    folder = config.parent / state
    if keys:
        shutil.copytree(old / "keys", folder / "keys", dirs_exist_ok=True)
    path = config.with_name(f"{state}.toml")
    path.write_text(text.replace(str(old), str(folder)), encoding="utf-8")
    return path


def test_a_store_moves_to_another_folder(config: Path) -> None:
    target = target_of(config)
    done = secmon("--config", config, "store", "move", "--to", target)
    assert (done.status, done.row["moved"], done.row["events"]) == (0, True, 10)
    assert "verify: 3 / 3" in done.err
    assert secmon("--config", target, "store", "digest").row == secmon("--config", config, "store", "digest").row
    assert secmon("--config", target, "store", "check", "--deep").row["ok"]
    again = secmon("-q", "--config", config, "store", "move", "--to", target)
    assert (again.status, again.row, again.err) == (0, done.row | {"moved": False}, "")


@pytest.mark.elasticsearch
def test_a_store_moves_to_a_cluster_and_back(config: Path) -> None:
    prefix = "cli-" + hashlib.sha256(str(config).encode()).hexdigest()[:12]
    urls = f'[store]\nkind = "elasticsearch"\n[store.elasticsearch]\nurls = ["{os.environ["SECMON_ES_URL"]}"]\n'
    cluster = config.with_name("cluster.toml")
    text = config.read_text(encoding="utf-8")
    cluster.write_text(f'{text}{urls}prefix = "{prefix}"\nreplicas = 0\n', encoding="utf-8")
    digest = secmon("--config", config, "store", "digest").row
    try:
        # The same state folder: keys, lock and audit head are shared, only the store is another.
        assert secmon("--config", config, "store", "move", "--to", cluster).row["moved"]
        assert secmon("--config", cluster, "store", "digest").row == digest
        assert secmon("--config", cluster, "store", "check", "--deep").row["ok"]
        back = target_of(config, state="back")
        assert secmon("--config", cluster, "store", "move", "--to", back).row["events"] == 10
        assert secmon("--config", back, "store", "digest").row == digest
    finally:
        gateway = Gateway(ElasticsearchSettings(urls=(os.environ["SECMON_ES_URL"],), prefix=prefix))
        gateway.remove_everything()
        gateway.close()


def test_a_target_without_the_keys_is_refused(config: Path) -> None:
    done = secmon("--config", config, "store", "move", "--to", target_of(config, keys=False))
    assert done.status == 4
    assert "keys/" in done.err
    assert not (config.parent / "moved").exists()


def test_a_target_with_other_keys_is_refused(config: Path) -> None:
    target = target_of(config)
    (config.parent / "moved" / "keys" / "pii.key").write_bytes(b"x" * 32)
    done = secmon("--lang", "en", "--config", config, "store", "move", "--to", target)
    assert done.status == 4
    assert "the target has another key than the source" in done.err


def test_a_store_cannot_move_onto_itself(config: Path) -> None:
    done = secmon("--lang", "en", "--config", config, "store", "move", "--to", config)
    assert done.status == 4
    assert "source and target are the same store" in done.err


def test_a_store_that_a_process_writes_is_not_moved(config: Path) -> None:
    target = target_of(config)
    with WriterLock(config.parent / "state" / "writer.lock"):
        done = secmon("--lang", "en", "--config", config, "store", "move", "--to", target)
    assert done.status == 4
    assert "is writing this store" in done.err
    assert not (config.parent / "moved" / "control.db").exists()


def test_a_backup_comes_back_in_an_empty_folder(config: Path, tmp_path: Path) -> None:
    digest = secmon("--config", config, "store", "digest").row
    taken = secmon("--config", config, "store", "backup", tmp_path / "backups")
    assert taken.status == 0
    target = target_of(config, state="restored")
    done = secmon("--config", target, "store", "restore", tmp_path / "backups")
    assert (done.status, done.row["restored"]) == (0, taken.row["backup"])
    assert secmon("--config", target, "store", "digest").row == digest
    assert secmon("--config", target, "store", "check", "--deep").row["ok"]
    again = secmon("--lang", "en", "--config", target, "store", "restore", tmp_path / "backups")
    assert again.status == 1
    assert "the target holds something else" in again.err


def test_a_backup_that_is_not_there_is_told(config: Path, tmp_path: Path) -> None:
    target = target_of(config, state="restored")
    done = secmon("--lang", "en", "--config", target, "store", "restore", tmp_path, "--name", "secmon-1")
    assert done.status == 1
    assert "there is no such backup" in done.err


def test_a_current_store_needs_no_migration(config: Path) -> None:
    assert secmon("--config", config, "store", "migrate").row == {"migrated": []}


def test_retention_is_shown_and_the_clock_confirmed(config: Path) -> None:
    found = secmon("--config", config, "store", "retention").row
    (row,) = found["classes"]
    assert (row["retention"], row["days"], row["ceiling"], row["due"]) == ("security", 183, 1095, 0)
    assert not found["waits"]
    assert secmon("--config", config, "store", "retention", "--confirm-clock").row == found


def test_kibana_s_objects_are_written(config: Path, tmp_path: Path) -> None:
    assert secmon("--config", config, "store", "kibana", "--out", tmp_path / "k.ndjson").status == 0
    assert b'"title":"secmon-events"' in (tmp_path / "k.ndjson").read_bytes()
