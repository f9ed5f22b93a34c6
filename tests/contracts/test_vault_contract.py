"""Vault: what it sealed it opens again, with the right key, for the same purpose, unchanged; nothing else."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import StoreError
from secmon.ports import Vault
from secmon.store.vault import FileVault

KEY, OTHER = bytes(range(32)), secrets.token_bytes(32)


@pytest.fixture(params=[FileVault], ids=["file"], scope="session")
def vault(request: pytest.FixtureRequest) -> Vault:
    made: Vault = request.param(KEY)
    return made


@given(data=st.binary(max_size=300), purpose=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens_again(vault: Vault, data: bytes, purpose: str) -> None:
    assert vault.open(vault.seal(data, purpose=purpose), purpose=purpose) == data


@given(data=st.binary(min_size=8, max_size=100))
def test_the_sealed_bytes_do_not_show_the_data_and_never_repeat(vault: Vault, data: bytes) -> None:
    first, second = vault.seal(data, purpose="p"), vault.seal(data, purpose="p")
    assert data not in first
    assert first != second


@given(data=st.binary(max_size=50), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(vault: Vault, data: bytes, place: int, bit: int) -> None:
    sealed = bytearray(vault.seal(data, purpose="p"))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(StoreError):
        vault.open(bytes(sealed), purpose="p")


@given(junk=st.binary(max_size=80))
def test_no_bytes_break_the_vault(vault: Vault, junk: bytes) -> None:
    with pytest.raises(StoreError):
        vault.open(junk, purpose="p")


def test_another_purpose_does_not_open(vault: Vault) -> None:
    sealed = vault.seal(b"data", purpose="deadletter:1")
    with pytest.raises(StoreError):
        vault.open(sealed, purpose="deadletter:2")


def test_another_key_does_not_open(vault: Vault) -> None:
    with pytest.raises(StoreError, match="another key"):
        FileVault(OTHER).open(vault.seal(b"data", purpose="p"), purpose="p")


def test_after_a_rotation_the_old_key_still_opens_and_the_new_one_seals(vault: Vault) -> None:
    rotated = FileVault(OTHER, older=(KEY,))
    assert rotated.open(vault.seal(b"old", purpose="p"), purpose="p") == b"old"
    with pytest.raises(StoreError):
        vault.open(rotated.seal(b"new", purpose="p"), purpose="p")
    assert FileVault(OTHER).open(rotated.seal(b"new", purpose="p"), purpose="p") == b"new"
