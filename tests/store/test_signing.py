"""Signatures: made with a key in a file, verified with its public half alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ConfigError
from secmon.store.signing import FileSigner, open_signer, verifies


def test_it_signs_as_the_standard_says() -> None:
    # RFC 8032, section 7.1, test 2.
    signer = FileSigner(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert signer.public == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert signer.sign(b"\x72").startswith("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")


def test_a_key_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "sign.key"
    public = open_signer(path).public
    assert open_signer(path).public == public
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError):
        open_signer(path)


@given(data=st.binary(max_size=50), other=st.binary(max_size=50))
def test_a_signature_is_good_for_its_bytes_and_its_key_only(data: bytes, other: bytes) -> None:
    signer, stranger = FileSigner(b"a" * 32), FileSigner(b"b" * 32)
    signature = signer.sign(data)
    assert signer.verifies(data, signature, signer.public)
    assert verifies(other, signature, signer.public) is (data == other)
    assert not verifies(data, signature, stranger.public)


@pytest.mark.parametrize("text", ["", "zz", "00" * 64, "é", "00"])
def test_what_is_no_signature_or_no_key_is_not_right(text: str) -> None:
    signer = FileSigner(b"a" * 32)
    assert not verifies(b"x", text, signer.public)
    assert not verifies(b"x", signer.sign(b"x"), text)
