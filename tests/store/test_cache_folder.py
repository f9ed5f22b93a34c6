"""What is kept comes back; what another could have written, or what is damaged, is as if it were not there."""

import os
from pathlib import Path

import pytest

from secmon.store import cache
from secmon.store.cache import CacheFolder, user_cache

KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds "one"."""
    CacheFolder(tmp_path / "cache", KEY).put("one", b"content")
    return tmp_path / "cache"


def test_what_was_put_is_there(folder: Path) -> None:
    assert CacheFolder(folder, KEY).get("one") == b"content"
    assert CacheFolder(folder, KEY).get("two") is None
    assert [path.name for path in folder.iterdir()] == ["one"]
    assert (folder.stat().st_mode & 0o777, (folder / "one").stat().st_mode & 0o777) == (0o700, 0o600)


def test_another_key_or_name_does_not_fit(folder: Path) -> None:
    assert CacheFolder(folder, b"x" * 32).get("one") is None
    assert CacheFolder(folder).get("one") is None
    (folder / "one").rename(folder / "two")
    assert CacheFolder(folder, KEY).get("two") is None


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_changed_byte_is_found(folder: Path, place: int) -> None:
    data = bytearray((folder / "one").read_bytes())
    data[place] ^= 1
    (folder / "one").write_bytes(data)
    assert CacheFolder(folder, KEY).get("one") is None


@pytest.mark.parametrize("size", [0, 5, 40, 53])
def test_a_file_that_was_cut_is_found(folder: Path, size: int) -> None:
    os.truncate(folder / "one", size)
    assert CacheFolder(folder, KEY).get("one") is None


@pytest.mark.parametrize("name", ["one", "."])
def test_what_others_may_write_does_not_count(folder: Path, name: str) -> None:
    (folder / name).chmod(0o777)
    assert CacheFolder(folder, KEY).get("one") is None


def test_what_belongs_to_somebody_else_does_not_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert CacheFolder(folder, KEY).get("one") is None


def test_a_link_or_a_pipe_does_not_count(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "one")
    os.mkfifo(folder / "pipe", 0o600)
    assert CacheFolder(folder, KEY).get("link") is None
    assert CacheFolder(folder, KEY).get("pipe") is None


def test_the_oldest_go_when_there_are_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_FILES", 3)
    monkeypatch.setattr(cache, "_TIDY_FILES", 1)
    kept = CacheFolder(folder, KEY)
    for number, name in enumerate(("two", "three", "four", "five")):
        for path in folder.iterdir():
            os.utime(path, (number, path.stat().st_mtime - 10))
        kept.put(name, b"x")
    assert sorted(path.name for path in folder.iterdir()) == ["five", "four", "three"]


def test_the_oldest_go_when_they_are_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 1000)
    os.utime(folder / "one", (1, 1))
    CacheFolder(folder, KEY).put("two", b"x" * 900)
    assert [path.name for path in folder.iterdir()] == ["two"]


def test_a_long_run_keeps_the_folder_within_bounds_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 1000)
    monkeypatch.setattr(cache, "_TIDY_BYTES", 900)
    kept = CacheFolder(folder, KEY)
    for number in range(20):
        kept.put(f"{number}", b"x" * 300)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1000 + 900 + 300


def test_what_a_killed_process_left_goes_after_an_hour(folder: Path) -> None:
    for name, age_s in ((".new", 10), (".old", 7200)):
        (folder / name).touch()
        moment = (folder / "one").stat().st_mtime - age_s
        os.utime(folder / name, (moment, moment))
    CacheFolder(folder, KEY).put("two", b"x")
    assert sorted(path.name for path in folder.iterdir()) == [".new", "one", "two"]


def test_where_nothing_can_be_kept_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = CacheFolder(tmp_path / "file" / "cache", KEY)
    kept.put("one", b"x")
    assert kept.get("one") is None


def test_the_users_cache_is_where_the_standard_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    user_cache().put("one", b"x")
    assert (tmp_path / "secmon" / "one").is_file()
