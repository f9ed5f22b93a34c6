"""Key files: made at first start, readable by their owner only.

`pii.key` makes the tokens of personal data and must outlive retention, `record.key` makes `event.hash`, `vault.key`
seals raw bytes. Whoever loses them loses what they protect; whoever copies them can guess short values.
"""

import os
import secrets
import stat
from pathlib import Path

from secmon.errors import ConfigError, StoreError, StoreUnavailableError

KEYS_FOLDER = "keys"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_or_make_key(path: Path, size: int = 32) -> bytes:
    """Return the key in a file, made of `size` random bytes if it is not there.

    Two processes that start at once get the same key: the file appears whole, under its name, once.

    Raises:
        ConfigError: others may read it, or it is not a regular file.
        StoreError: it has another length.
        StoreUnavailableError: it cannot be made or read.
    """
    try:
        if not path.exists():
            _make(path, size)
        return _load(path, size)
    except OSError as error:
        raise StoreUnavailableError(
            "the key cannot be made or read: {reason}",
            where=str(path),
            hint="check owner and mode of the folder, and free space",
            values={"reason": os.strerror(error.errno or 0)},
        ) from error


def _make(path: Path, size: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(size))
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: it fails where another process was faster, instead of replacing its key.
        os.link(fresh, path)
    except FileExistsError:
        return
    finally:
        fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _load(path: Path, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError("the key is not a regular file", where=str(path))
        if status.st_mode & _OTHERS:
            raise ConfigError("others may read the key", where=str(path), hint="chmod 600, and ask who has read it")
        key = file.read(size + 1)
    if len(key) != size:
        raise StoreError(
            "the key has not {size} bytes",
            where=str(path),
            hint="put it back from a backup; a new key cannot open what the old one sealed",
            values={"size": size},
        )
    return key
