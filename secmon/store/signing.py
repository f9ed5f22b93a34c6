"""Signatures of the installation: Ed25519 (RFC 8032), the private key in a file outside the store."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from secmon.store.keys import load_or_make_key

SEED_BYTES = 32


class FileSigner:
    """The port `Signer` with a key at hand.

    Args:
        seed: the private key, 32 bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> str:
        """The public key, 64 hex."""
        return self._private.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes) -> str:
        """Return the signature, 128 hex; the same bytes give the same one."""
        return self._private.sign(data).hex()

    def verifies(self, data: bytes, signature: str, public: str) -> bool:
        """Tell whether a signature over some bytes was made by the private half of a public key."""
        return verifies(data, signature, public)


def verifies(data: bytes, signature: str, public: str) -> bool:
    """Tell whether a signature is right; needs no private key. What is no signature or no key is not right."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_signer(path: Path) -> FileSigner:
    """Return the signer of a key file, made if it is not there.

    Raises:
        ConfigError: others may read it.
        StoreError: it is no such key.
        StoreUnavailableError: it cannot be made or read.
    """
    return FileSigner(load_or_make_key(path, SEED_BYTES))
