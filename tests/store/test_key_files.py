"""load_or_make_key: one key, the owner's only, never replaced."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from secmon.errors import ConfigError, SecmonError, StoreError, StoreUnavailableError
from secmon.store.keys import load_or_make_key
from secmon.store.vault import open_vault


def test_a_key_is_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pii.key"
    key = load_or_make_key(path, 32)
    assert len(key) == 32
    assert load_or_make_key(path, 32) == key
    assert load_or_make_key(tmp_path / "keys" / "other.key", 32) != key


def test_only_the_owner_may_read_key_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pii.key"
    load_or_make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pii.key"
    load_or_make_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_make_key(path)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_key_of_another_length_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pii.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreError, match="32 bytes") as refused:
        load_or_make_key(path, 32)
    assert "short" not in str(refused.value)
    assert path.read_bytes() == content


def test_a_link_or_a_pipe_is_no_key(tmp_path: Path) -> None:
    load_or_make_key(tmp_path / "real.key")
    (tmp_path / "link.key").symlink_to(tmp_path / "real.key")
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    for name in ("link.key", "pipe.key"):
        with pytest.raises(SecmonError):
            load_or_make_key(tmp_path / name)


def test_makers_at_the_same_moment_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.key"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(load_or_make_key, [path] * 32))
    assert len(keys) == 1
    assert [file.name for file in path.parent.iterdir()] == ["vault.key"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreUnavailableError, match="cannot be made or read"):
        load_or_make_key(tmp_path / "file" / "keys" / "pii.key")


def test_the_vault_opens_what_earlier_keys_sealed(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    sealed = open_vault(path).seal(b"raw", purpose="p")
    path.rename(tmp_path / "vault.key.1")
    (tmp_path / "vault.key.bak").write_bytes(b"no key")
    assert open_vault(path).open(sealed, purpose="p") == b"raw"
