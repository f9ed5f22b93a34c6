"""The three keys of an installation, and that a store is only used with those it was made with.

The store keeps a check value of each key: an HMAC of a constant, which tells nothing about the key. All daemons and
commands that share a store have to have the same three keys: another one would make other tokens of the same person,
other digests of the same record, and dead letters that the others cannot open.
"""

import hmac
from dataclasses import dataclass, replace
from pathlib import Path

from secmon.config import Settings
from secmon.errors import ConfigError, ConflictError
from secmon.model.access import job_access
from secmon.model.record import Body, Document
from secmon.ports import Records
from secmon.store.keys import load_or_make_key
from secmon.store.vault import vault_keys

KEY_BYTES = 32
KIND, ID = "installation", "keys"
"""The document that holds the check values: the first that a store gets."""
_CHECKED = b"secmon key check\0"
_CHECK_BYTES = 16
_ATTEMPTS = 3
_ACCESS = job_access("keys")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys at hand.

    Args:
        pii: makes tokens.
        record: makes `event.hash`.
        vault: seals; those of earlier rotations follow, which only open.
    """

    pii: bytes
    record: bytes
    vault: tuple[bytes, ...]


def key_paths(settings: Settings) -> tuple[Path, Path, Path]:
    """Return the key files: tokens, vault, record digests."""
    return settings["keys.pii_file"], settings["keys.vault_file"], settings["keys.record_file"]


def load_keys(settings: Settings) -> Keys:
    """Return the keys; one that is not there is made."""
    pii, vault, record = key_paths(settings)
    return Keys(load_or_make_key(pii, KEY_BYTES), load_or_make_key(record, KEY_BYTES), vault_keys(vault))


def require_keys(settings: Settings) -> None:
    """Refuse to go on without a key where something is stored already.

    A new key could neither open what the old one sealed nor find again what it made tokens of.

    Raises:
        ConfigError: a key is missing.
    """
    for path in key_paths(settings):
        if not path.exists():
            hint = "put it back from a backup; a new key cannot open what the old one sealed"
            raise ConfigError("the key is missing", where=str(path), hint=hint)


def check_keys(settings: Settings, records: Records, *, writable: bool) -> None:
    """Refuse a store that was made with other keys; a new one remembers ours.

    Args:
        settings: they name the key files.
        records: where the store remembers.
        writable: whether a new store, or a rotated vault key, may be noted.

    Raises:
        ConfigError: a key is another one.
    """
    keys = load_keys(settings)
    ours = _checks(keys)
    for _ in range(_ATTEMPTS):
        found = records.get(_ACCESS, KIND, ID)
        stored = ours if found is None else found.body
        _compare(settings, keys, ours, stored)
        if not writable or (found is not None and stored == ours):
            return
        try:
            if found is None:
                records.create(_ACCESS, Document(kind=KIND, id=ID, body=ours))
            else:
                records.replace(_ACCESS, replace(found, body=ours))
        except ConflictError:
            continue  # another daemon was faster: with the same keys, or not
        return
    raise ConflictError("the {kind} keeps changing", hint="try again", values={"kind": KIND})


def _compare(settings: Settings, keys: Keys, ours: Body, stored: Body) -> None:
    pii, vault, record = key_paths(settings)
    known = [_check(key) for key in keys.vault]  # a rotated key stands beside the one it replaces
    same = (
        (pii, ours["pii"] == stored.get("pii")),
        (record, ours["record"] == stored.get("record")),
        (vault, stored.get("vault") in known),
    )
    for path, is_same in same:
        if not is_same:
            raise ConfigError(
                "the store was made with another key than this one",
                where=str(path),
                hint="put the key of the installation that made it there; all who share a store need the same three",
            )


def _checks(keys: Keys) -> Body:
    return {"pii": _check(keys.pii), "record": _check(keys.record), "vault": _check(keys.vault[0])}


def _check(key: bytes) -> str:
    return hmac.digest(key, _CHECKED, "sha256")[:_CHECK_BYTES].hex()
