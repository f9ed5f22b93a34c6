"""Modifiers of our own: what they make of a value, for any value."""

from base64 import b64encode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from secmon.sigma.tree import ANY_TEXT, Text, Wild, atoms_of
from tests.sigma.rule_texts import both, login, only_problem, only_rule, rule_text

TEXTS = st.text(st.characters(exclude_categories=["C"], exclude_characters="\\*?%'"), min_size=3, max_size=12)
CODECS = {"wide": "utf-16le", "utf16le": "utf-16le", "utf16be": "utf-16be", "utf16": "utf-16le"}
MARKS = {"utf16": b"\xff\xfe"}


def patterns(modifiers: str, value: str) -> list[str]:
    """Return what a value becomes, "*" and "?" standing for wildcards."""
    quoted = value.replace("'", "''")
    rule = only_rule(rule_text(f"selection: {{'user.name|{modifiers}': '{quoted}'}}\ncondition: selection"))
    atoms = [atom for atom in atoms_of(rule.tree) if isinstance(atom, Text)]
    return ["".join(part.sign if isinstance(part, Wild) else part for part in atom.pattern) for atom in atoms]


def encoded(text: str, codec: str = "") -> bytes:
    return MARKS.get(codec, b"") + text.encode(CODECS.get(codec, "utf-8"))


@given(text=TEXTS, before=st.binary(max_size=5), after=st.binary(max_size=5), codec=st.sampled_from(["", *CODECS]))
def test_base64offset_is_found_wherever_the_text_stands(text: str, before: bytes, after: bytes, codec: str) -> None:
    chain = "|".join(filter(None, [codec, "base64offset", "contains"]))
    forms = [pattern.strip("*") for pattern in patterns(chain, text)]
    assert len(forms) == 3
    assert any(form in b64encode(before + encoded(text, codec) + after).decode() for form in forms)


@given(text=TEXTS, codec=st.sampled_from(["", *CODECS]))
def test_base64_is_that_of_the_bytes(text: str, codec: str) -> None:
    chain = "|".join(filter(None, [codec, "base64"]))
    assert patterns(chain, text) == [b64encode(encoded(text, codec)).decode()]


def test_what_base64offset_shows_is_all_that_the_text_decides() -> None:
    assert patterns("base64offset", "foobar") == ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]


def test_an_escaped_wildcard_is_encoded_without_its_backslash() -> None:
    assert patterns("base64", "a\\*b") == [b64encode(b"a*b").decode()]
    assert "wildcards" in only_problem(rule_text("selection: {user.name|base64: a*b}\ncondition: selection")).problem


def test_the_byte_order_mark_is_two_bytes() -> None:
    assert patterns("utf16|base64", "A") == [b64encode(b"\xff\xfeA\0").decode()]


def test_wide_text_is_found_as_it_stands_in_an_event() -> None:
    rule = only_rule(rule_text("selection: {user.name|wide|contains: cmd}\ncondition: selection"))
    assert both(rule, login(user_name="xc\0m\0d\0"))
    assert not both(rule, login(user_name="cmd"))


DASHES = "-/–—―"


@pytest.mark.parametrize("written", list(DASHES))
@pytest.mark.parametrize("used", list(DASHES))
def test_windash_takes_every_dash_for_every_other(written: str, used: str) -> None:
    rule = only_rule(rule_text(f"selection: {{'user.name|windash|contains': ' {written}enc '}}\ncondition: selection"))
    assert both(rule, login(user_name=f"ps {used}enc x"))
    assert not both(rule, login(user_name="ps +enc x"))


def test_windash_permutes_options_and_leaves_the_dashes_inside_words() -> None:
    assert len(patterns("windash", "-a /b")) == 25
    assert patterns("windash", "well-known a/b") == ["well-known a/b"]
    assert "4 options" in only_problem(rule_text("s: {user.name|windash: -a -b -c -d -e}\ncondition: s")).problem


@pytest.mark.parametrize("chain", ["cased|windash", "windash|cased"])
def test_windash_keeps_the_case_that_cased_asks_for(chain: str) -> None:
    rule = only_rule(rule_text(f"selection: {{'user.name|{chain}': '-Enc'}}\ncondition: selection"))
    assert both(rule, login(user_name="/Enc"))
    assert not both(rule, login(user_name="/enc"))


@given(text=TEXTS)
def test_windash_gives_the_value_itself_among_others(text: str) -> None:
    assume(sum(text.count(dash) for dash in DASHES) < 4)
    assert text in patterns("windash", text)


def test_wildcards_live_through_an_encoding() -> None:
    rule = only_rule(rule_text("selection: {user.name|wide: 'a*b'}\ncondition: selection"))
    assert rule.tree == Text("user.name", ("a\0", ANY_TEXT, "b\0"))


@pytest.mark.parametrize("chain", ["utf16le|cased", "utf16le|expand|base64"])
def test_what_would_be_done_to_bytes_instead_of_text_is_refused(chain: str) -> None:
    assert only_problem(rule_text(f"s: {{'user.name|{chain}': '%a%'}}\ncondition: s")).line == 8
