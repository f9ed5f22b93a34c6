"""shield: what may stand in a document, whatever came in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.printable import clean, shield


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("身份证370000199003070018", "身份证370*************18"),
        ("37000019900307001X", "370*************1X"),
        ("13800000000", "138******00"),
        ("端口8443，共120条", "端口8443，共120条"),
        ("a\x00b\u202ec", "a\ufffdb\ufffdc"),
    ],
)
def test_long_numbers_and_controls_do_not_pass(text: str, shown: str) -> None:
    assert shield(text) == shown


@given(text=st.text(st.characters(categories=["Nd", "Cs", "Cc", "L"])), limit=st.integers(1, 50))
def test_no_text_brings_a_whole_number_or_a_surrogate_through(text: str, limit: int) -> None:
    shown = shield(text, max_chars=limit)
    assert re.search(r"[0-9]{7,}", shown) is None
    assert len(shown) <= limit + 1
    shown.encode("utf-8")


def test_a_cut_never_leaves_the_start_of_a_number() -> None:
    assert shield("370000199003070018", max_chars=6) == "370***…"


def test_clean_keeps_numbers() -> None:
    assert clean("37020012345-00001\ud800") == "37020012345-00001\ufffd"
