"""What a query means, for one event."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Event
from secmon.model.query import Like, Not, Says, address_number, fold, leaves, literal, predicate, required
from secmon.model.query_text import parse_query
from secmon.model.text import has_phrase, words

EVENT: Event = {
    "@timestamp": "2026-09-07T00:05:01.250Z",
    "user.name": "Alice",
    "source.ip": "192.0.2.7",
    "http.response.status_code": 500,
    "event.code": "4625",
    "event.category": ["authentication", "session"],
    "url.path": "/Admin/登录.php",
    "edu.share": 0.5,
    "message": "Failed password for Alice, 学籍系统",
}


@pytest.mark.parametrize(
    "text",
    [
        "user.name:alice",
        "user.name:ALICE",
        "user.name:al*e",
        "user.name:?????",
        "http.response.status_code:500",
        "http.response.status_code:>=500",
        "http.response.status_code:5*",
        "event.code:[4624 TO 4630]",
        "edu.share:<1",
        "event.category:session",
        "event.category:(network or SESSION)",
        "url.path:/admin/*",
        "url.path:*登录*",
        "source.ip:192.0.2.0/24",
        "not user.name:bob",
        "not host.name:*",
        "not host.name:x",
        "_exists_:edu.share",
        "failed",
        '"password for alice"',
        "学籍",
        "500",
        "passw*",
        "*failed?pass*",
        "message:password",
        "@timestamp:2026-09-07",
        "@timestamp:<=2026-09-07T00:05",
        "@timestamp:*",
    ],
)
def test_an_event_is_found(text: str) -> None:
    assert predicate(parse_query(text))(EVENT)
    assert not predicate(Not(parse_query(text)))(EVENT)


@pytest.mark.parametrize(
    "text",
    [
        "user.name:alic",
        "user.name:lice",
        "user.name:?",
        "host.name:*",
        "host.name:x",
        "http.response.status_code:>500",
        "http.response.status_code:0500",
        "user.name:>5",
        "event.category:auth",
        "url.path:admin",
        "url.path:/ADMIN/登录.ph",
        "source.ip:192.0.3.0/24",
        '"for password"',
        "pass",
        "学统",
        "4624",
        "message:0",
        "@timestamp:2026-09-06",
        "event.code:>2026-01-01",
    ],
)
def test_an_event_is_not_found(text: str) -> None:
    assert not predicate(parse_query(text))(EVENT)


def test_other_letters_than_a_to_z_keep_their_case() -> None:
    assert fold("ÄbC\u212a学") == "Äbc\u212a学"
    assert not predicate(Like("user.name", "ä*"))({"user.name": "Äpfel"})


@pytest.mark.parametrize("text", ["ΟΔΟΣ", "οδος", "ΟΔΟΣ.Α", "xΟΔΟΣ", "\u212aelvin", "Kelvin", "学籍a"])
@pytest.mark.parametrize("word", ["οδος", "οδοσ", "ΟΔΟΣ", "kelvin", "籍", "A"])
def test_words_are_found_as_the_cutting_into_words_finds_them(text: str, word: str) -> None:
    assert predicate(Says("f", tuple(words(word))))({"f": text}) is has_phrase(text, words(word))


CHARS = st.text("aAbB*?\\.\n学", max_size=8)


@given(pattern=CHARS, text=CHARS)
def test_a_pattern_means_what_an_expression_means_that_may_backtrack(pattern: str, text: str) -> None:
    expression, escaped = "", False
    for char in pattern:
        if escaped or char not in "*?\\":
            expression, escaped = expression + re.escape(char), False
        elif char == "\\":
            escaped = True
        else:
            expression += ".*" if char == "*" else "."
    expected = re.fullmatch(expression, text, re.DOTALL | re.IGNORECASE) is not None
    assert predicate(Like("f", pattern))({"f": text}) is expected


@given(text=CHARS)
def test_a_literal_is_found_as_it_stands(text: str) -> None:
    assert predicate(Like("f", literal(text)))({"f": text})


def test_a_pattern_of_many_stars_is_decided_without_backtracking() -> None:
    """Thirty stars over a hundred thousand characters: an expression that backtracks would not come back."""
    assert not predicate(Like("f", "*a" * 30 + "*b"))({"f": "a" * 100_000})


@given(text=st.text(max_size=50) | st.ip_addresses().map(str))
def test_no_text_breaks_the_reading_of_an_address(text: str) -> None:
    number = address_number(text)
    assert number is None or 0 <= number < 1 << 128


def test_what_every_answer_meets_is_told_apart() -> None:
    query = parse_query("a:1 (b:2 or c:3) not d:4 (e:5 f:6)")
    assert [leaf.field for leaf in required(query)] == ["a", "e", "f"]
    assert [leaf.field for leaf in leaves(query)] == ["a", "b", "c", "d", "e", "f"]
