"""What a text may hold on paper."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.render.text import line_count, printable, width_em

KEPT_FORMAT_CHARACTERS = "\u200c\u200d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\rc\u2028d\x0ce", "a\nb\nc\nd\ne"),
        ("a\tb", "a b"),
        ("abc\u202egnp.exe", "abc[U+202E]gnp.exe"),
        ("a\x00b", "a[U+0000]b"),
        ("\ud800", "[U+D800]"),
        ("\U0001ffff", "[U+1FFFF]"),
        ("张喆𠮷　e\u0301", "张喆𠮷　e\u0301"),
    ],
)
def test_the_unprintable_is_spelt_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(text=st.text(st.characters()))
def test_no_text_keeps_a_control_a_surrogate_or_a_direction(text: str) -> None:
    rest = set(printable(text)) - {"\n"}
    assert not [character for character in rest if unicodedata.category(character) in {"Cc", "Cs"}]
    assert not [
        character
        for character in rest
        if unicodedata.bidirectional(character) in {"LRE", "RLE", "RLO", "LRO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    ]


@given(text=st.text())
def test_printing_twice_changes_nothing(text: str) -> None:
    assert printable(printable(text)) == printable(text)


def test_han_characters_are_twice_as_wide_as_latin_ones() -> None:
    assert width_em("教育ab") == 3


def test_lines_are_counted_with_their_breaks() -> None:
    assert line_count("教" * 29 + "\n\nb", 28) == 4
