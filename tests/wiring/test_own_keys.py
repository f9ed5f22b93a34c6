"""A store is only used with the keys it was made with, by whichever machine."""

import secrets
import shutil
from pathlib import Path

import pytest

from tests.cli.program import Done, secmon, write_log
from tests.wiring.stores import installation

KEYS = ("pii.key", "record.key", "vault.key")


@pytest.fixture
def made(config: Path, tmp_path: Path) -> Path:
    """Settings of an installation with ten events."""
    done = secmon("--config", config, "import", "--source", "jwxt", write_log(tmp_path / "access.log"))
    assert done.status == 0, done.err
    return config


def keys_of(config: Path) -> Path:
    return config.parent / "state" / "keys"


def replace_key(path: Path) -> None:
    path.write_bytes(secrets.token_bytes(32))


def listed(config: Path) -> Done:
    return secmon("--config", config, "--lang", "en", "alerts", "list")


@pytest.mark.parametrize("name", KEYS)
def test_another_key_is_refused_by_readers_and_writers(made: Path, name: str, tmp_path: Path) -> None:
    key = keys_of(made) / name
    kept = key.read_bytes()
    replace_key(key)
    for arguments in (["alerts", "list"], ["import", "--source", "jwxt", str(tmp_path / "access.log")], ["up"]):
        done = secmon("--config", made, "--lang", "en", *arguments)
        assert (done.status, done.out) == (4, b"")
        assert done.err.startswith(f"{key}: the store was made with another key than this one (")
    key.write_bytes(kept)
    assert listed(made).status == 0


@pytest.mark.parametrize("name", KEYS)
def test_a_missing_key_is_never_made_anew(made: Path, name: str) -> None:
    key = keys_of(made) / name
    key.unlink()
    assert listed(made).status == 4
    assert secmon("--config", made, "up", "--once").status == 4
    assert not key.exists()


def test_a_rotated_vault_key_goes_on_and_the_old_one_alone_does_not(made: Path, tmp_path: Path) -> None:
    key = keys_of(made) / "vault.key"
    shutil.copy2(key, tmp_path / "old.key")
    key.rename(key.with_name("vault.key.1"))
    key.touch(0o600)
    replace_key(key)
    assert secmon("--config", made, "up", "--once").status == 0
    assert listed(made).status == 0
    key.with_name("vault.key.1").unlink()  # noted: the new one is enough to be known
    assert listed(made).status == 0
    shutil.copy2(tmp_path / "old.key", key)
    assert "another key" in listed(made).err


@pytest.mark.elasticsearch
@pytest.mark.parametrize("store", ["elasticsearch"])
def test_a_second_machine_needs_the_same_three_keys(made: Path, store: str, tmp_path: Path) -> None:
    second = installation(store, tmp_path / "second", place=made.parent)
    done = secmon("--config", second, "--lang", "en", "alerts", "list")
    assert (done.status, "the key is missing" in done.err) == (4, True)
    shutil.copytree(keys_of(made), keys_of(second))
    assert len(secmon("--config", second, "alerts", "list", "--json").rows) == 2
    log = write_log(tmp_path / "access.log")
    assert secmon("--config", second, "import", "--source", "jwxt", log).row["duplicate"] == 11  # the blank line too
