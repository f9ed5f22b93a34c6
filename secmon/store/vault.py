"""The vault: raw bytes that only the key file can open (AES-256-GCM, NIST SP 800-38D).

Sealed form: version (1 byte) · key id (4 bytes) · nonce (12 bytes) · ciphertext and tag (16 bytes). The key id is the
head of a digest of the key, so that after a rotation each piece finds its own key. Version, key id and purpose are
authenticated. Random nonces are safe for 2^32 pieces a key.
"""

import glob
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secmon.errors import StoreError
from secmon.store.keys import load_or_make_key

KEY_BYTES = 32
_VERSION = 1
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = 1 + _KEY_ID_BYTES
_TAG_BYTES = 16


def key_id(key: bytes) -> bytes:
    """Return the four bytes that name a key without telling it."""
    return hashlib.sha256(b"secmon vault key\0" + key).digest()[:_KEY_ID_BYTES]


class FileVault:
    """The port `Vault` with keys at hand.

    Args:
        key: seals from now on, and opens.
        older: keys of earlier rotations: they only open.
    """

    def __init__(self, key: bytes, older: tuple[bytes, ...] = ()) -> None:
        self._current = key_id(key)
        self._ciphers: Mapping[bytes, AESGCM] = {key_id(each): AESGCM(each) for each in (*older, key)}

    def seal(self, data: bytes, *, purpose: str) -> bytes:
        """Return the sealed bytes; `purpose` is bound to them as associated data."""
        head = bytes([_VERSION]) + self._current
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + self._ciphers[self._current].encrypt(nonce, data, _associated(head, purpose))

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """Return the bytes again.

        Raises:
            StoreError: wrong key, wrong purpose or changed bytes.
        """
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        if len(sealed) < _HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES or head[0] != _VERSION:
            raise StoreError("this was not sealed by this version's vault", where="vault")
        cipher = self._ciphers.get(head[1:])
        if cipher is None:
            raise StoreError(
                "this was sealed with another key", where="vault", hint="put the old vault key beside the new one"
            )
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], _associated(head, purpose))
        except InvalidTag as error:
            raise StoreError("the sealed bytes were changed, or sealed for another purpose", where="vault") from error


def open_vault(path: Path) -> FileVault:
    """Return the vault of a key file, made if it is not there."""
    current, *older = vault_keys(path)
    return FileVault(current, tuple(older))


def vault_keys(path: Path) -> tuple[bytes, ...]:
    """Return the key in a file, made if it is not there, and after it those of earlier rotations: `FILE.1`, …."""
    current = load_or_make_key(path, KEY_BYTES)
    beside = sorted(path.parent.glob(f"{glob.escape(path.name)}.*"))
    return (current, *(load_or_make_key(file, KEY_BYTES) for file in beside if file.suffix[1:].isdecimal()))


def _associated(head: bytes, purpose: str) -> bytes:
    return head + purpose.encode()
