"""A folder of things that can be made again: compiled rules and pattern databases, so that a start need not wait.

A file counts only if it is ours alone (owner, mode, no link) and its keyed digest is right: what is in it is handed to
a native library that trusts its input. Anything else, a full disk included, is as if the file were not there.
"""

import hashlib
import hmac
import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

MAX_FILE_BYTES = 64 << 20
MAX_BYTES = 256 << 20
MAX_FILES = 1024
"""Public rule sets have about 200 databases; of those that are no more in use the oldest go first."""
_MAGIC = b"secmon-cache-1\n\0"
_DIGEST_BYTES = 32
_HEAD_BYTES = len(_MAGIC) + _DIGEST_BYTES
_OTHERS_MAY_WRITE = 0o022
_STALE_S = 3600
# The folder is looked through at the first file that is put, and after so many or so many bytes: by as much it may
# outgrow its bounds.
_TIDY_FILES, _TIDY_BYTES = 64, 16 << 20
_USED_EVERY_S = 86_400

_log = logging.getLogger(__name__)


class CacheFolder:
    """Bytes by name.

    Args:
        folder: made when the first file is put into it.
        key: of the digests; empty where only the owner of the files vouches for them (a user's own cache).
    """

    def __init__(self, folder: Path, key: bytes = b"") -> None:
        self._folder, self._key = folder, key
        self._files, self._bytes = _TIDY_FILES, 0

    def get(self, name: str) -> bytes | None:
        """Return what was put there under this name, None if there is nothing to rely on."""
        path = self._folder / name
        try:
            data = _read_own(path)
        except OSError:
            return None
        content = self._checked(name, data or b"")
        if content is None:
            _log.info("%s is no file of ours, or damaged: it is made again", path)
        return content

    def _checked(self, name: str, data: bytes) -> bytes | None:
        magic, digest, content = data[: len(_MAGIC)], data[len(_MAGIC) : _HEAD_BYTES], data[_HEAD_BYTES:]
        good = magic == _MAGIC and hmac.compare_digest(digest, self._digest(name, content))
        return content if good else None

    def put(self, name: str, content: bytes) -> None:
        """Keep something; where that cannot be done it is made again next time."""
        if len(content) > MAX_FILE_BYTES:
            return
        fresh = self._folder / f".{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + self._digest(name, content) + content)
            fresh.replace(self._folder / name)
            if self._files >= _TIDY_FILES or self._bytes >= _TIDY_BYTES:
                self._tidy()
                self._files = self._bytes = 0
            self._files, self._bytes = self._files + 1, self._bytes + len(content)
        except OSError:
            with suppress(OSError):
                fresh.unlink()

    def _digest(self, name: str, content: bytes) -> bytes:
        keyed = hashlib.blake2b(key=self._key[:64], digest_size=_DIGEST_BYTES, person=b"secmon-cache")
        keyed.update(name.encode() + b"\0")
        keyed.update(content)
        return keyed.digest()

    def _tidy(self) -> None:
        """Remove what is oldest until files and bytes are within bounds, and what a killed process left."""
        found: list[tuple[float, int, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime, status.st_size, entry.name))
        newest = max((moment for moment, _, _ in found), default=0.0)
        files, size = 0, 0
        for moment, length, name in sorted(found, reverse=True):
            files, size = files + 1, size + length
            is_left = name.startswith(".") and newest - moment > _STALE_S
            if is_left or files > MAX_FILES or size > MAX_BYTES:
                with suppress(OSError):
                    (self._folder / name).unlink()


def user_cache() -> CacheFolder:
    """Return the cache folder of whoever runs the command: `$XDG_CACHE_HOME/secmon` (XDG Base Directory, 0.8)."""
    try:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # nobody knows that home folder: a place where nothing can be kept
        root = os.devnull
    return CacheFolder(Path(root) / "secmon")


def _read_own(path: Path) -> bytes | None:
    """Return a file's bytes if nobody else could have written them, and note that it is still in use."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status, folder = os.fstat(file.fileno()), path.parent.stat()
        if any(one.st_uid != os.geteuid() or one.st_mode & _OTHERS_MAY_WRITE for one in (status, folder)):
            return None
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES + _HEAD_BYTES:
            return None
        if folder.st_mtime - status.st_mtime > _USED_EVERY_S:
            with suppress(OSError):
                os.utime(file.fileno())
        return file.read()
